"""The one Simulator of a worker: made once, moved from scene to scene, asked for frames.

habitat-sim's own behaviour that is guarded against here, each named where it is handled: a GPU that is not there ends
the process; a colour sensor makes a new Simulator slow; rendering from another thread aborts; arrays of rotations are
x, y, z, w; frames are four-channel; an unknown scene is an AssertionError; a file in the working directory changes
the picture; navmeshes are never built on their own; a reconfiguration leaves the old scene graph and sensors in memory.
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
    """habitat_sim, quiet. Raises VantageError("backend_missing") that says how to get it."""
    os.environ.setdefault("MAGNUM_LOG", "quiet")
    os.environ.setdefault("HABITAT_SIM_LOG", "quiet")
    os.environ.setdefault("LP_NUM_THREADS", "0")  # a software renderer stays on the worker's one core
    try:
        return import_module("habitat_sim")
    except ImportError as error:
        raise VantageError(
            "backend_missing",
            f"habitat_sim cannot be imported in this Python ({error}): make an environment that has it "
            "(docs/guides/habitat.md) and start `sim-server worker --backend habitat` there.",
        ) from None


def has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists()


def check_gpu(gpu: int, software: bool) -> int:
    """The gpu_device_id to ask for: a CUDA number, or -1 for the CPU.

    habitat-sim ends the process on a CUDA number that no device has, so this is found out before. Raises
    VantageError("unsupported") for such a number, and where there is no GPU and drawing on the CPU is not allowed.
    """
    if gpu >= 0 and not has_gpu():
        if not software:
            raise VantageError(
                "unsupported",
                "habitat-sim finds no NVIDIA GPU here, and would draw some ten times slower on the CPU: set "
                "sim.software_rendering = true to let it.",
            )
        return -1
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and gpu >= (count := len([number for number in visible.split(",") if number.strip()])):
        raise VantageError(
            "unsupported",
            f"sim.gpu is {gpu}, counted from 0, but CUDA_VISIBLE_DEVICES={visible!r} leaves this process {count} GPUs: "
            "correct one of them.",
        )
    return gpu


class Simulator:
    """habitat_sim.Simulator over one data set. Use from the thread that made it only."""

    def __init__(self, dataset: Path, gpu: int, software: bool) -> None:
        """`dataset` is a *.scene_dataset_config.json. Nothing is loaded yet, but the data set's list of scenes.

        Raises VantageError: "backend_missing" without habitat-sim, "unsupported" without a GPU that may be used,
        "bad_config" for a data set that has no scene.
        """
        self._lib = load_library()
        self._gpu = check_gpu(gpu, software)
        self._software = software or gpu < 0
        self._dataset = str(dataset.absolute())
        self._thread = threading.get_ident()
        self._sim: Optional[Any] = None
        self._shown: Optional[tuple[str, Camera]] = None
        self._has_navmesh = False  # of what is shown; habitat-sim drops it when it is reconfigured
        self._of_objects: dict[str, bool] = {}  # by scene: it is made of objects, so ids are those of its objects
        mediator = self._lib.metadata.MetadataMediator()
        mediator.active_dataset = self._dataset
        # Of a data set of scans that lists stages alone, habitat-sim makes a scene of each when it is asked for it.
        handles = mediator.get_scene_handles() or [
            handle for handle in mediator.stage_template_manager.get_template_handles("") if handle != "NONE"
        ]
        self._handles = {scene_name(handle): handle for handle in handles}
        if not self._handles:
            raise VantageError("bad_config", f"habitat-sim finds no scene in {dataset}: correct sim.dataset.")
        self.renderer = "not started"

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(sorted(self._handles))

    @property
    def version(self) -> str:
        return str(getattr(self._lib, "__version__", "unknown"))

    @property
    def look(self) -> str:
        """A digest of what changes the picture from outside the data set."""
        content = _PBR_FILE.read_bytes() if _PBR_FILE.exists() else b""
        return hashlib.blake2b(content + repr((self._gpu < 0, _NEAR_M, _FAR_M)).encode(), digest_size=4).hexdigest()

    def show(self, scene: str, camera: Camera) -> Any:
        """The habitat_sim.Simulator with this scene loaded and sensors for this camera.

        A new Simulator with a colour sensor takes some ten seconds, a reconfiguration a tenth of one: there is one, and
        it is moved. Raises VantageError("bad_request") for a scene that the data set lacks, "unsupported" where the
        renderer is a software one and that is not allowed.
        """
        assert threading.get_ident() == self._thread, "habitat-sim aborts when another thread renders"
        if scene not in self._handles:  # habitat-sim would raise an AssertionError
            some = ", ".join(self.scenes[:8])
            raise VantageError(
                "bad_request", f"the data set {self._dataset} has no scene {scene!r}: choose among {some}."
            )
        if self._shown != (scene, camera):
            before, self._shown = self._shown, None  # known again when it worked
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
        """A scene that is not shown. habitat-sim keeps the graphs of earlier ones, for which workers are recycled, and
        sensors in them would keep their buffers on the GPU."""
        configuration = self._configuration(scene, camera)
        if self._sim is None:
            sim = self._sim = self._lib.Simulator(configuration)
            self._check_renderer()
        else:
            sim = self._sim
            self._remove_sensors()
            sim.reconfigure(configuration)
        self._has_navmesh = False
        if scene not in self._of_objects:  # only a loaded scene tells
            self._of_objects[scene] = sim.get_rigid_object_manager().get_num_objects() > 0
            if self._of_objects[scene]:
                self._replace_sensors(scene, camera)

    def _replace_sensors(self, scene: str, camera: Camera) -> None:
        """Look at the shown scene with another camera or id target.

        Not by a reconfiguration, which compares lights with what the scene made of them, so that a scene with lights of
        its own is loaded once more into a further graph, and which takes sensors that differ in resolution, field of
        view or semantic target only for the same (SimulatorConfiguration.cpp, Sensor.cpp of 0.3.3).
        """
        assert self._sim is not None
        self._remove_sensors()
        for spec in self._sensor_specs(scene, camera):
            self._sim.add_sensor(spec)

    def _remove_sensors(self) -> None:
        """A sensor stays in the scene graph, with its buffers on the GPU, until its node is deleted."""
        sim = self._sim
        assert sim is not None
        agent = sim.get_agent(0)
        for uuid in list(sim._sensors):
            if hasattr(sim, "remove_sensor"):  # 0.3.4
                sim.remove_sensor(uuid)
            else:  # 0.3.3 has no method for it: what refers to the sensor goes first
                sim._sensors.pop(uuid).close()
                agent._sensors.pop(uuid)
                self._lib.SensorFactory.delete_subtree_sensor(agent.scene_node, uuid)
        agent.agent_config.sensor_specifications.clear()  # add_sensor refuses or forgets what it finds there

    def observe(self, scene: str, camera: Camera, pose: Pose) -> dict[str, np.ndarray]:
        """RGB uint8 [H, W, 3], depth float32 [H, W] metres along the axis, ids int64 [H, W] as habitat-sim has them."""
        sim = self.show(scene, camera)
        agent_module = self._lib.agent
        w, x, y, z = pose.rotation_wxyz
        norm = math.sqrt(w * w + x * x + y * y + z * z)
        if not (math.isfinite(norm) and norm > 1e-6 and all(map(math.isfinite, pose.position_m))):
            raise VantageError(
                "bad_request", "a pose must hold finite numbers and a rotation quaternion of length 1: correct it."
            )
        position = np.array(pose.position_m, dtype=np.float32)  # whole numbers would be taken as integers and refused
        rotation = np.array([x, y, z, w]) / norm  # arrays of rotations are x, y, z, w
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
        """The scene's pathfinder, its navmesh built with settings of our own or taken from the file `cache`.

        The scene stays shown with the camera that it is shown with; `camera` is for where it is not shown yet. A data
        set's own navmesh may be of any agent, and a scene without one gets none unless it is built. Raises
        VantageError("corrupt") where none can be built.
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
        settings.include_static_objects = True  # off by default: one would walk through the furniture
        if not sim.recompute_navmesh(sim.pathfinder, settings):
            raise VantageError("corrupt", f"habitat-sim can build no navmesh of {scene}: is it a scene with a floor?")
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(f".{os.getpid()}")
        if sim.pathfinder.save_nav_mesh(str(partial)):
            os.replace(partial, cache)

    def shortest_path(
        self, pathfinder: Any, start: tuple[float, ...], goal: tuple[float, ...]
    ) -> tuple[float, list[Any]]:
        """(metres, points), or (inf, []) where there is no way."""
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
        backend.enable_physics = False  # headless packages may lack Bullet, which pictures and navmeshes do not need
        backend.load_semantic_mesh = True
        agent = lib.agent.AgentConfiguration()
        agent.sensor_specifications = self._sensor_specs(scene, camera)
        return lib.Configuration(backend, [agent])

    def _sensor_specs(self, scene: str, camera: Camera) -> list[Any]:
        kinds = self._lib.SensorType
        ids = self._sensor(IDS, kinds.SEMANTIC, camera)
        if self._of_objects.get(scene):
            # The default target shows the semantic ids of templates, which instances of one template share.
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
                f"habitat-sim draws by software here ({self.renderer}), though there is a GPU: give the process access "
                "to its EGL driver, or set sim.software_rendering = true.",
            )


def scene_name(handle: str) -> str:
    """ ".../scenes/apt_0.scene_instance.json" -> "apt_0"; ".../TEEsavR23oF.basis.glb" -> "TEEsavR23oF"."""
    name = handle.replace("\\", "/").rpartition("/")[2]
    return name.partition(".")[0] or name
