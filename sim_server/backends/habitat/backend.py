"""habitat-sim as a backend: one Simulator for one dataset, whose scenes are opened by name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Optional

from protocol.errors import VantageError
from protocol.tasks.scene import SceneSpec
from sim_server.backends.base import SENSORS, Capabilities, Scene
from sim_server.backends.habitat.assets import AssetCheck
from sim_server.backends.habitat.floor import SETTINGS
from sim_server.backends.habitat.library import load_library
from sim_server.backends.habitat.scene import HabitatScene
from sim_server.backends.habitat.simulator import Simulator
from sim_server.backends.placements import SceneFiles
from sim_server.backends.scene_dataset import SceneDataset
from sim_server.caches import cache_dir
from sim_server.settings import SimSettings

FORMAT_VERSION = 2


class HabitatBackend:
    """The scenes of a Habitat dataset, rendered by habitat-sim."""

    name = "habitat"

    def __init__(self, dataset: Path, gpu: int = 0, software: bool = False) -> None:
        """`dataset`: a *.scene_dataset_config.json. `gpu`: CUDA ordinal within CUDA_VISIBLE_DEVICES, -1 for the CPU.

        Raises VantageError: "backend_missing" if habitat-sim is not installed, "unsupported" if there is no usable GPU,
        "bad_config" for a dataset without scenes, "corrupt" for one that cannot be read.
        """
        load_library()  # fail early if it is not installed
        self._dataset = SceneDataset(dataset)
        self._assets = AssetCheck()
        self._simulator = Simulator(dataset, gpu, software)
        content = self._dataset.digest()
        look = self._simulator.look
        self.digest = f"habitat-{FORMAT_VERSION}-{_code_digest()}-{self._simulator.version}-{content}-{look}"
        self._cache = cache_dir("navmesh") / f"{content}-{SETTINGS}"
        self.capabilities = Capabilities(sensors=SENSORS, assets=self._simulator.scenes)

    @classmethod
    def from_settings(cls, settings: SimSettings) -> HabitatBackend:
        """Raises VantageError("bad_config") if sim.dataset is not a dataset, and what the constructor raises."""
        load_library()
        if not settings.dataset:
            raise VantageError(
                "bad_config", "the habitat backend needs a dataset: set sim.dataset to a *.scene_dataset_config.json."
            )
        path = Path(settings.dataset).expanduser()
        if not path.is_file():
            raise VantageError("bad_config", f"there is no dataset {path}: correct sim.dataset.")
        return cls(path, settings.gpu, settings.software_rendering)

    def open(self, spec: SceneSpec) -> Scene:
        """Raises VantageError("bad_request") if spec.asset is not a scene of the dataset, "corrupt" with the file's
        name for one that cannot be loaded."""
        if not spec.asset:
            raise VantageError(
                "bad_request",
                "the habitat backend generates no scenes: list scenes of its dataset in curriculum.world.assets and "
                "held_out_assets.",
            )
        return HabitatScene(spec, self._simulator, self._files(spec.asset), self._cache / f"{spec.asset}.navmesh")

    def _files(self, name: str) -> Optional[SceneFiles]:
        """What the files say about the scene; None for a scan or for a format that only habitat-sim reads."""
        if name not in self._dataset.names:
            return None
        try:
            files = self._dataset.scene(name)
        except VantageError as error:
            if error.code == "unsupported":
                return None
            raise
        if not files.objects:  # a scan: one large mesh
            return None
        self._assets.check(files)
        return files

    def warm(self) -> None:
        """Start the renderer, which takes about twenty seconds on a CPU and checks which device renders."""
        self._simulator.start()

    def close(self) -> None:
        self._simulator.close()


def _code_digest() -> str:
    """Hash of the sources that can change a scene description or an image."""
    total = hashlib.blake2b(digest_size=6)
    backends = Path(__file__).parents[1]
    shared = ("changes.py", "placements.py", "scene_dataset.py", "templates.py")
    for path in (*sorted(Path(__file__).parent.glob("*.py")), *(backends / name for name in shared)):
        total.update(path.name.encode())
        total.update(path.read_bytes())
    return total.hexdigest()
