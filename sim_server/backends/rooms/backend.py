"""The embedded simulator as a backend. Numba is imported when the first scene opens, never before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.base import ALL_SENSORS, SENSORS, Capabilities, Scene
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES
from sim_server.backends.scene_dataset import SceneDataset
from sim_server.numba_cache import set_cache_dir
from sim_server.settings import SimSettings

FORMAT_VERSION = 1
PALETTES = ("named", "natural")
LIGHTS = ("day", "evening")


def _digest() -> str:
    """Hash of all sources that can change a pixel or a scene description."""
    total = hashlib.blake2b(f"rooms {FORMAT_VERSION}".encode(), digest_size=16)
    backends = Path(__file__).parents[1]
    shared = (backends / "scene_dataset.py", backends.parent / "jit.py")
    for path in (*sorted(Path(__file__).parent.rglob("*.py")), *shared):
        total.update(path.relative_to(backends.parent).as_posix().encode())
        total.update(path.read_bytes())
    return f"rooms-{FORMAT_VERSION}-{total.hexdigest()}"


class RoomsBackend:
    """Procedural furnished rooms, and scenes loaded from a data set, rendered on the CPU."""

    name = "rooms"

    def __init__(self, dataset: str = "") -> None:
        """`dataset`: a Habitat scene dataset or glTF file whose scenes SceneSpec.asset may name, see scene_dataset.py.

        Raises VantageError("bad_config") where it is none, VantageError("corrupt") where it cannot be read.
        """
        self._dataset = SceneDataset(Path(dataset)) if dataset else None
        self.digest = _digest() + (f"-{self._dataset.digest()}" if self._dataset is not None else "")
        self.capabilities = Capabilities(
            sensors=ALL_SENSORS,
            categories=tuple(CATEGORIES),
            assets=self._dataset.names if self._dataset is not None else (),
        )

    @classmethod
    def from_settings(cls, settings: SimSettings) -> RoomsBackend:
        return cls(settings.dataset)

    def open(self, spec: SceneSpec) -> Scene:
        """Generates the scene of the spec, or loads the one that spec.asset names.

        Raises Infeasible when the objects do not fit, VantageError("bad_request") for an unknown asset, category,
        palette or light and for a ceiling outside 2.2..4 m; VantageError("corrupt") or ("unsupported") that names the
        file for an asset that cannot be loaded.
        """
        if spec.asset:
            return self._load(spec)
        if spec.palette not in PALETTES:
            raise VantageError("bad_request", f"palette is one of {', '.join(PALETTES)}, not {spec.palette!r}.")
        if spec.light not in LIGHTS:
            raise VantageError("bad_request", f"light is one of {', '.join(LIGHTS)}, not {spec.light!r}.")
        if not 2.2 <= spec.ceiling_m <= 4.0:
            raise VantageError("bad_request", f"ceiling_m must lie in 2.2..4.0, not {spec.ceiling_m}.")
        if not 0.0 <= spec.clutter <= 1.0:
            raise VantageError("bad_request", f"clutter must lie in 0..1, not {spec.clutter}.")
        set_cache_dir()
        from sim_server.backends.rooms.scene import RoomsScene  # imports numba

        return RoomsScene(spec)

    def _load(self, spec: SceneSpec) -> Scene:
        if self._dataset is None:
            raise VantageError(
                "bad_request",
                f"there is no data set with a scene {spec.asset!r}: set sim.dataset, or leave asset empty.",
            )
        files = self._dataset.scene(spec.asset)
        set_cache_dir()
        from sim_server.backends.rooms.files.loaded import LoadedScene  # imports numba

        return LoadedScene(spec, files, self._dataset.is_one_file)

    def warm(self) -> None:
        """Compiles (or loads from the cache) every kernel and builds the textures, so that no request waits for it."""
        scene = self.open(SceneSpec(seed=0))
        scene.render([Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0))], Camera(16, 16), SENSORS)
        first, second = (scene.sample_navigable(np.random.default_rng(k)) for k in (0, 1))
        scene.path(first, second)

    def close(self) -> None:
        """Nothing to release."""
