"""The Simulator of a worker: created once, then switched from scene to scene.

Pitfalls of habitat-sim handled here, each commented in its place: a missing GPU ends the process; a colour sensor makes
a new Simulator slow; rendering from another thread aborts; rotations as arrays are x, y, z, w; frames have four
channels; an unknown scene is an AssertionError; a file in the working directory changes images; navmeshes are not built
automatically; a reconfiguration leaves the old scene graph and sensors in memory.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, Optional

import numpy as np

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose

RGB, DEPTH, IDS = "rgb", "depth", "ids"
_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software")
_NEAR_M, _FAR_M = 0.01, 1000.0
_PBR_FILE = Path("data") / "default.pbr_config.json"  # habitat-sim looks for it from the working directory

AGENT_HEIGHT_M, AGENT_RADIUS_M = 1.5, 0.2
CELL_M = 0.05


def load_library() -> Any:
    """Import habitat_sim with logging off. Raises VantageError("backend_missing") if it is not installed."""
    os.environ.setdefault("MAGNUM_LOG", "quiet")
    os.environ.setdefault("HABITAT_SIM_LOG", "quiet")
    os.environ.setdefault("LP_NUM_THREADS", "0")  # keeps a software renderer on one core
    try:
        return import_module("habitat_sim")
    except ImportError as error:
        raise VantageError(
            "backend_missing",
            f"habitat_sim cannot be imported in this Python ({error}): create an environment that has it "
            "(docs/guides/habitat.md) and start `sim-server worker --backend habitat` there.",
        ) from None


def has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists()


def check_gpu(gpu: int, software: bool) -> int:
    """The gpu_device_id for habitat-sim: a CUDA ordinal, or -1 for the CPU.

    habitat-sim ends the process for an ordinal without a device, so that it is checked first. Raises
    VantageError("unsupported") for such an ordinal, and if there is no GPU and software rendering is not allowed.
    """
    if gpu >= 0 and not has_gpu():
        if not software:
            raise VantageError(
                "unsupported",
                "habitat-sim finds no NVIDIA GPU, and the CPU renders about ten times slower: set "
                "sim.software_rendering = true to allow it.",
            )
        return -1
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and gpu >= (count := len([number for number in visible.split(",") if number.strip()])):
        raise VantageError(
            "unsupported",
            f"sim.gpu is {gpu} (counted from 0), but CUDA_VISIBLE_DEVICES={visible!r} gives this process {count} GPUs: "
            "correct one of them.",
        )
    return gpu


class Simulator:
    """A habitat_sim.Simulator for one dataset. Only the thread that created it may use it."""

    def __init__(self, dataset: Path, gpu: int, software: bool) -> None:
        """`dataset`: a *.scene_dataset_config.json. Loads only the dataset's list of scenes.

        Raises VantageError: "backend_missing" if habitat-sim is not installed, "unsupported" if there is no usable GPU,
        "bad_config" for a dataset without scenes.
        """
        self._lib = load_library()
        self._gpu = check_gpu(gpu, software)
        self._software = software or gpu < 0
        self._dataset = str(dataset.absolute())
        self._thread = threading.get_ident()
        self._sim: Optional[Any] = None
        self._shown: Optional[tuple[str, Camera]] = None
        self._has_navmesh = False  # of the loaded scene; habitat-sim drops it when it is reconfigured
        self._of_objects: dict[str, bool] = {}  # by scene: whether it is made of objects, so that ids are object ids
        mediator = self._lib.metadata.MetadataMediator()
        mediator.active_dataset = self._dataset
        # for a dataset that lists only stages (scans), habitat-sim creates a scene from a stage on request
        handles = mediator.get_scene_handles() or [
            handle for handle in mediator.stage_template_manager.get_template_handles("") if handle != "NONE"
        ]
        self._handles = {scene_name(handle): handle for handle in handles}
        if not self._handles:
            raise VantageError("bad_config", f"habitat-sim finds no scenes in {dataset}: correct sim.dataset.")
        self.renderer = "not started"

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(sorted(self._handles))

    @property
    def version(self) -> str:
        return str(getattr(self._lib, "__version__", "unknown"))

    @property
    def look(self) -> str:
        """A digest of files outside the dataset that change images."""
        content = _PBR_FILE.read_bytes() if _PBR_FILE.exists() else b""
        return hashlib.blake2b(content + repr((self._gpu < 0, _NEAR_M, _FAR_M)).encode(), digest_size=4).hexdigest()

    def show(self, scene: str, camera: Camera) -> Any:
        """The habitat_sim.Simulator with this scene loaded and sensors for this camera.

        Reconfigures the existing one, which takes 0.1 s; a new one with a colour sensor would take about ten seconds.
        Raises VantageError("bad_request") for an unknown scene, "unsupported" if software renders and that is not
        allowed.
        """
        assert threading.get_ident() == self._thread, "habitat-sim aborts if another thread renders"
        if scene not in self._handles:  # habitat-sim would raise an AssertionError
            some = ", ".join(self.scenes[:8])
            raise VantageError("bad_request", f"dataset {self._dataset} has no scene {scene!r}: choose among {some}.")
        if self._shown != (scene, camera):
            before, self._shown = self._shown, None  # set again on success
            if before is not None and before[0] == scene:
                self._replace_sensors(scene, camera)
            else:
                self._load(scene, camera)
            self._shown = (scene, camera)
        assert self._sim is not None
        return self._sim

    def is_made_of_objects(self, scene: str) -> bool:
        """True: ids in frames are habitat-sim's object ids. False: they are semantic ids of a scan's mesh."""
        return self._of_objects[scene]

    def _load(self, scene: str, camera: Camera) -> None:
        """Load another scene.

        habitat-sim keeps the graphs of earlier scenes, which is why workers are recycled. Sensors are removed first,
        since they would keep their buffers on the GPU.
        """
        configuration = self._configuration(scene, camera)
        if self._sim is None:
            sim = self._sim = self._lib.Simulator(configuration)
            self._check_renderer()
        else:
            sim = self._sim
            self._remove_sensors()
            sim.reconfigure(configuration)
        self._has_navmesh = False
        if scene not in self._of_objects:  # known only once a scene is loaded
            self._of_objects[scene] = sim.get_rigid_object_manager().get_num_objects() > 0
            if self._of_objects[scene]:
                self._replace_sensors(scene, camera)

    def _replace_sensors(self, scene: str, camera: Camera) -> None:
        """Change the camera or the id target of the loaded scene.

        This is not a reconfiguration, which would load a scene with lights of its own again into another graph, and
        which ignores sensors that differ only in resolution, field of view or semantic target
        (SimulatorConfiguration.cpp, Sensor.cpp of 0.3.3).
        """
        assert self._sim is not None
        self._remove_sensors()
        for spec in self._sensor_specs(scene, camera):
            self._sim.add_sensor(spec)

    def _remove_sensors(self) -> None:
        """Delete the sensors' nodes; until then they stay in the scene graph with their buffers on the GPU."""
        sim = self._sim
        assert sim is not None
        agent = sim.get_agent(0)
        for uuid in list(sim._sensors):
            if hasattr(sim, "remove_sensor"):  # 0.3.4
                sim.remove_sensor(uuid)
            else:  # 0.3.3 has no such method; references to the sensor must go first
                sim._sensors.pop(uuid).close()
                agent._sensors.pop(uuid)
                self._lib.SensorFactory.delete_subtree_sensor(agent.scene_node, uuid)
        agent.agent_config.sensor_specifications.clear()  # add_sensor rejects or drops entries that are already there

    def observe(self, scene: str, camera: Camera, pose: Pose) -> dict[str, np.ndarray]:
        """RGB uint8 [H, W, 3], depth float32 [H, W] metres along the optical axis, habitat-sim's ids int64 [H, W]."""
        sim = self.show(scene, camera)
        agent_module = self._lib.agent
        w, x, y, z = pose.rotation_wxyz
        norm = math.sqrt(w * w + x * x + y * y + z * z)
        if not (math.isfinite(norm) and norm > 1e-6 and all(map(math.isfinite, pose.position_m))):
            raise VantageError(
                "bad_request", "a pose must hold finite numbers and a rotation quaternion of length 1: correct it."
            )
        position = np.array(pose.position_m, dtype=np.float32)  # habitat-sim rejects integers
        rotation = np.array([x, y, z, w]) / norm  # rotations as arrays are x, y, z, w
        state = agent_module.AgentState(position=position, rotation=rotation)
        state.sensor_states = {
            uuid: agent_module.SixDOFPose(position.copy(), rotation.copy()) for uuid in (RGB, DEPTH, IDS)
        }
        sim.get_agent(0).set_state(state, infer_sensor_states=False)
        seen = sim.get_sensor_observations()
        return {
            RGB: np.ascontiguousarray(seen[RGB][..., :3]),  # the fourth channel is alpha
            DEPTH: np.asarray(seen[DEPTH], np.float32),
            IDS: np.asarray(seen[IDS]).astype(np.int64),
        }

    def pathfinder(self, scene: str, camera: Camera, cache: Path) -> Any:
        """The scene's pathfinder, with a navmesh for the agent of this module, built or read from the file `cache`.

        A dataset's own navmesh may be for any agent. `camera` is used only if the scene is not loaded yet. Raises
        VantageError("corrupt") if no navmesh can be built.
        """
        sim = self._sim if self._shown is not None and self._shown[0] == scene else self.show(scene, camera)
        assert sim is not None
        if not self._has_navmesh:
            if not (cache.exists() and sim.pathfinder.load_nav_mesh(str(cache))):
                self._build_navmesh(sim, scene, cache)
            self._has_navmesh = True
        return sim.pathfinder

    def _build_navmesh(self, sim: Any, scene: str, cache: Path) -> None:
        settings = self._lib.nav.NavMeshSettings()
        settings.set_defaults()
        settings.cell_size = settings.cell_height = CELL_M
        settings.agent_height, settings.agent_radius = AGENT_HEIGHT_M, AGENT_RADIUS_M
        settings.include_static_objects = True  # off by default: paths would lead through furniture
        if not sim.recompute_navmesh(sim.pathfinder, settings):
            raise VantageError(
                "corrupt", f"habitat-sim cannot build a navmesh of {scene}: check that the scene has a floor."
            )
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(f".{os.getpid()}")
        if sim.pathfinder.save_nav_mesh(str(partial)):
            os.replace(partial, cache)

    def shortest_path(
        self, pathfinder: Any, start: tuple[float, ...], goal: tuple[float, ...]
    ) -> tuple[float, list[Any]]:
        """(length in metres, points), or (inf, []) if there is no path."""
        path = self._lib.nav.ShortestPath()
        path.requested_start = np.array(start, np.float32)
        path.requested_end = np.array(goal, np.float32)
        if not pathfinder.find_path(path):
            return math.inf, []
        return float(path.geodesic_distance), list(path.points)

    def close(self) -> None:
        if self._sim is not None:
            self._sim.close()
            self._sim = None

    def _configuration(self, scene: str, camera: Camera) -> Any:
        lib = self._lib
        backend = lib.SimulatorConfiguration()
        backend.scene_dataset_config_file = self._dataset
        backend.scene_id = self._handles[scene]
        backend.gpu_device_id = self._gpu  # not make_cfg of habitat_sim.utils, which hard-codes 0
        backend.enable_physics = False  # headless packages may lack Bullet, which images and navmeshes do not need
        backend.load_semantic_mesh = True
        agent = lib.agent.AgentConfiguration()
        agent.sensor_specifications = self._sensor_specs(scene, camera)
        return lib.Configuration(backend, [agent])

    def _sensor_specs(self, scene: str, camera: Camera) -> list[Any]:
        kinds = self._lib.SensorType
        ids = self._sensor(IDS, kinds.SEMANTIC, camera)
        if self._of_objects.get(scene):
            # the default target is the semantic ids of templates, which all instances of a template share
            ids.semantic_target = type(ids.semantic_target).OBJECT_ID
        return [self._sensor(RGB, kinds.COLOR, camera), self._sensor(DEPTH, kinds.DEPTH, camera), ids]

    def _sensor(self, uuid: str, kind: Any, camera: Camera) -> Any:
        spec = self._lib.CameraSensorSpec()
        spec.uuid, spec.sensor_type = uuid, kind
        spec.sensor_subtype = self._lib.SensorSubType.PINHOLE
        spec.resolution = [camera.height_px, camera.width_px]  # height first
        spec.hfov = math.degrees(camera.hfov_rad)
        spec.position = [0.0, 0.0, 0.0]  # poses are those of the camera itself
        spec.near, spec.far = _NEAR_M, _FAR_M
        return spec

    def _check_renderer(self) -> None:
        try:
            self.renderer = str(import_module("magnum.gl").Context.current.renderer_string)
        except (ImportError, AttributeError):
            self.renderer = "unknown"
        if not self._software and any(word in self.renderer.lower() for word in _SOFTWARE):
            self.close()
            raise VantageError(
                "unsupported",
                f"habitat-sim renders in software ({self.renderer}) although there is a GPU: give the process access "
                "to its EGL driver, or set sim.software_rendering = true.",
            )


def scene_name(handle: str) -> str:
    """ ".../scenes/apt_0.scene_instance.json" -> "apt_0"; ".../TEEsavR23oF.basis.glb" -> "TEEsavR23oF"."""
    name = handle.replace("\\", "/").rpartition("/")[2]
    return name.partition(".")[0] or name
