"""The embedded simulator as a backend. Numba is imported when the first scene opens, not earlier."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from protocol.errors import VantageError
from protocol.tasks.scene import LIGHTS, WISHES, Camera, Pose, SceneSpec
from sim_server.backends.base import ALL_SENSORS, SENSORS, Capabilities, Scene
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES
from sim_server.backends.scene_dataset import SceneDataset
from sim_server.numba_cache import set_cache_dir
from sim_server.settings import SimSettings

FORMAT_VERSION = 1
PALETTES = ("named", "natural")


def _digest() -> str:
    """Hash of all sources that can change a pixel or a scene description."""
    total = hashlib.blake2b(f"rooms {FORMAT_VERSION}".encode(), digest_size=16)
    backends = Path(__file__).parents[1]
    names = ("changes.py", "placements.py", "scene_dataset.py", "untrusted.py")
    shared = (*(backends / name for name in names), backends.parent / "jit.py")
    for path in (*sorted(Path(__file__).parent.rglob("*.py")), *shared):
        total.update(path.relative_to(backends.parent).as_posix().encode())
        total.update(path.read_bytes())
    return f"rooms-{FORMAT_VERSION}-{total.hexdigest()}"


class RoomsBackend:
    """Procedural furnished rooms, and scenes loaded from a dataset, rendered on the CPU."""

    name = "rooms"

    def __init__(self, dataset: str = "") -> None:
        """`dataset`: a Habitat scene dataset or a glTF file; SceneSpec.asset names its scenes, see scene_dataset.py.

        Raises VantageError("bad_config") if it is neither, VantageError("corrupt") if it cannot be read.
        """
        self._dataset = SceneDataset(Path(dataset)) if dataset else None
        self.digest = _digest() + (f"-{self._dataset.digest()}" if self._dataset is not None else "")
        self.capabilities = Capabilities(
            sensors=ALL_SENSORS,
            categories=tuple(CATEGORIES),
            assets=self._dataset.names if self._dataset is not None else (),
            wishes=WISHES,
        )

    @classmethod
    def from_settings(cls, settings: SimSettings) -> RoomsBackend:
        return cls(settings.dataset)

    def open(self, spec: SceneSpec) -> Scene:
        """Generate the scene of the spec, or loads the scene named by spec.asset.

        Raises Infeasible if the objects do not fit; VantageError("bad_request") for an unknown asset, category, palette
        or light, and for a ceiling outside 2.2..4 m; VantageError("corrupt") or ("unsupported"), with the file's name,
        for an asset that cannot be loaded.
        """
        if spec.asset:
            return self._load(spec)
        if spec.palette not in PALETTES:
            raise VantageError("bad_request", f"unknown palette {spec.palette!r}: choose one of {', '.join(PALETTES)}.")
        if spec.light not in LIGHTS:
            raise VantageError("bad_request", f"unknown light {spec.light!r}: choose one of {', '.join(LIGHTS)}.")
        if not 2.2 <= spec.ceiling_m <= 4.0:
            raise VantageError("bad_request", f"ceiling_m must be in 2.2..4.0, not {spec.ceiling_m}.")
        if not 0.0 <= spec.clutter <= 1.0:
            raise VantageError("bad_request", f"clutter must be in 0..1, not {spec.clutter}.")
        if spec.wishes and spec.palette != "natural":
            raise VantageError("bad_request", "scenes of plain paints take no wishes: set palette to natural.")
        set_cache_dir()
        from sim_server.backends.rooms.scene import RoomsScene  # imports numba

        return RoomsScene(spec)

    def _load(self, spec: SceneSpec) -> Scene:
        if self._dataset is None:
            raise VantageError(
                "bad_request",
                f"scene {spec.asset!r} needs a dataset: set sim.dataset, or leave asset empty.",
            )
        files = self._dataset.scene(spec.asset)
        set_cache_dir()
        from sim_server.backends.rooms.files.exported import exported  # imports numba
        from sim_server.backends.rooms.files.loaded import LoadedScene

        return exported(spec, files) or LoadedScene(spec, files, self._dataset.is_one_file)

    def warm(self) -> None:
        """Compile every kernel (or load it from the cache) and build the textures before the first request."""
        scene = self.open(SceneSpec(seed=0))
        scene.render([Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0))], Camera(16, 16), SENSORS)
        first, second = (scene.sample_navigable(np.random.default_rng(k)) for k in (0, 1))
        scene.path(first, second)

    def close(self) -> None:
        """Nothing to release."""
