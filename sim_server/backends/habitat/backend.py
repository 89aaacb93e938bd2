"""habitat-sim as a backend: one Simulator over one data set, its scenes opened by name."""

from __future__ import annotations

import os
from pathlib import Path

from protocol.errors import VantageError
from protocol.tasks.scene import SceneSpec
from sim_server.backends.base import SENSORS, Capabilities, Scene
from sim_server.backends.habitat.scene import HabitatScene
from sim_server.backends.habitat.simulator import (
    AGENT_HEIGHT_M,
    AGENT_RADIUS_M,
    CELL_M,
    Simulator,
    load_library,
)
from sim_server.backends.scene_dataset import SceneDataset
from sim_server.settings import SimSettings

FORMAT_VERSION = 1


class HabitatBackend:
    """Scenes of a Habitat data set, drawn by habitat-sim."""

    name = "habitat"

    def __init__(self, dataset: Path, gpu: int = 0, software: bool = False) -> None:
        """`dataset`: a *.scene_dataset_config.json. `gpu`: CUDA number within CUDA_VISIBLE_DEVICES, -1 for the CPU.

        Raises VantageError: "backend_missing" without habitat-sim, "unsupported" without a GPU that may be used,
        "bad_config" for a data set without scenes.
        """
        self._simulator = Simulator(dataset, gpu, software)
        content = SceneDataset(dataset).digest()
        self.digest = f"habitat-{FORMAT_VERSION}-{self._simulator.version}-{content}-{self._simulator.look}"
        self._cache = _cache_dir() / f"{content}-{AGENT_HEIGHT_M}-{AGENT_RADIUS_M}-{CELL_M}"
        self.capabilities = Capabilities(sensors=SENSORS, assets=self._simulator.scenes)

    @classmethod
    def from_settings(cls, settings: SimSettings) -> HabitatBackend:
        """Raises VantageError("bad_config") where sim.dataset names no data set, and what making it raises."""
        load_library()  # who lacks it hears of that first
        if not settings.dataset:
            raise VantageError(
                "bad_config", "the habitat backend makes no scenes: name a *.scene_dataset_config.json in sim.dataset."
            )
        path = Path(settings.dataset).expanduser()
        if not path.is_file():
            raise VantageError("bad_config", f"there is no data set {path}: correct sim.dataset.")
        return cls(path, settings.gpu, settings.software_rendering)

    def open(self, spec: SceneSpec) -> Scene:
        """Raises VantageError("bad_request") for a spec that names no scene of the data set."""
        if not spec.asset:
            raise VantageError(
                "bad_request",
                "the habitat backend generates no scenes: list scenes of its data set in curriculum.world.assets and "
                "held_out_assets.",
            )
        return HabitatScene(spec, self._simulator, self._cache / f"{spec.asset}.navmesh")

    def warm(self) -> None:
        """Starts the renderer, which takes some ten seconds, on the first scene, and so finds out who draws."""
        self.open(SceneSpec(asset=self._simulator.scenes[0])).close()

    def close(self) -> None:
        self._simulator.close()


def _cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vantage" / "navmesh"
