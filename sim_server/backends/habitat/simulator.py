"""The Simulator of a worker: created once, then switched from scene to scene.

Pitfalls of habitat-sim handled here, each commented in its place: a colour sensor makes a new Simulator slow; rendering
from another thread aborts; rotations as arrays are x, y, z, w; frames have four channels; an unknown scene and bad data
are AssertionErrors, after which the next scene can end the process; a file in the working directory changes images; a
reconfiguration leaves the old scene graph and sensors in memory; a removed object would change the ids of others.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import math
import threading
import time
from pathlib import Path
from typing import Any, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, Vec3
from sim_server.backends.habitat.library import (
    check_gpu,
    load_library,
    reason_of,
    renderer_name,
    renders_in_software,
)

log = logging.getLogger(__name__)

RGB, DEPTH, IDS = "rgb", "depth", "ids"
EMPTY_SCENE = "NONE"  # habitat-sim's own scene without a stage
_NEAR_M, _FAR_M = 0.01, 1000.0
_AWAY_M = 1e5  # removed objects are this far below the scene, beyond the far plane
_PBR_FILE = Path("data") / "default.pbr_config.json"  # habitat-sim looks for it from the working directory

# Objects that are not where the scene's files place them: habitat-sim's id, and the shift in metres, None if removed.
Edits = tuple[tuple[int, Optional[Vec3]], ...]


class Simulator:
    """A habitat_sim.Simulator for one dataset. Only the thread that created it may use it."""

    def __init__(self, dataset: Path, gpu: int, software: bool) -> None:
        """`dataset`: a *.scene_dataset_config.json. Loads only the dataset's list of scenes.

        Raises VantageError: "backend_missing" if habitat-sim is not installed, "unsupported" if there is no usable GPU,
        "bad_config" for a dataset without scenes, "corrupt" for one that habitat-sim cannot read.
        """
        self.library = load_library()
        self._gpu = check_gpu(gpu, software)
        self._software = software or gpu < 0
        self._dataset = str(dataset.absolute())
        self._thread = threading.get_ident()
        self._sim: Optional[Any] = None
        self._shown: Optional[tuple[str, Camera]] = None
        self._edits: Edits = ()
        self._objects: dict[int, Any] = {}  # rigid objects of the loaded scene, by habitat-sim's id
        self._homes: dict[int, tuple[NDArray[np.float32], Any]] = {}  # their translations and motion types in the files
        self._rejected: dict[str, str] = {}  # scenes that habitat-sim failed to load, with the sentence
        self._of_objects: dict[str, bool] = {}  # by scene: whether it is made of objects, so that ids are object ids
        try:
            handles = self._list_scenes()
        except Exception as error:
            raise VantageError(
                "corrupt", f"habitat-sim cannot read {dataset}: {reason_of(error)}. Correct it."
            ) from None
        self._handles = {scene_name(handle): handle for handle in handles}
        if not self._handles:
            raise VantageError("bad_config", f"habitat-sim finds no scenes in {dataset}: correct sim.dataset.")
        self.renderer = "not started"

    def _list_scenes(self) -> list[str]:
        mediator = self.library.metadata.MetadataMediator()
        mediator.active_dataset = self._dataset
        # for a dataset that lists only stages (scans), habitat-sim creates a scene from a stage on request
        return mediator.get_scene_handles() or [
            handle for handle in mediator.stage_template_manager.get_template_handles("") if handle != EMPTY_SCENE
        ]

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(sorted(self._handles))

    @property
    def version(self) -> str:
        return str(getattr(self.library, "__version__", "unknown"))

    @property
    def look(self) -> str:
        """A digest of files outside the dataset that change images."""
        content = _PBR_FILE.read_bytes() if _PBR_FILE.exists() else b""
        return hashlib.blake2b(content + repr((self._gpu < 0, _NEAR_M, _FAR_M)).encode(), digest_size=4).hexdigest()

    # ------------------------------------------------------------------ scenes

    def start(self) -> None:
        """Start the renderer on an empty scene, which takes many seconds on a CPU and checks which device renders.

        Raises VantageError("unsupported") if software renders and that is not allowed.
        """
        if self._sim is not None:
            return
        atexit.register(self.close)  # a Simulator that is still open when the interpreter ends aborts the process
        log.info("starting the renderer of habitat-sim; on a CPU this takes about 20 seconds")
        started_s = time.monotonic()
        self._sim = self.library.Simulator(self._configuration(EMPTY_SCENE, EMPTY_SCENE, Camera(16, 16)))
        self.renderer = renderer_name()
        log.info("habitat-sim renders with %s; started in %.0f s", self.renderer, time.monotonic() - started_s)
        if not self._software and renders_in_software(self.renderer):
            self.close()
            raise VantageError(
                "unsupported",
                f"habitat-sim renders in software ({self.renderer}) although there is a GPU: give the process access "
                "to its EGL driver, or set sim.software_rendering = true.",
            )

    def show(self, scene: str, camera: Camera, edits: Edits = ()) -> Any:
        """The habitat_sim.Simulator with this scene loaded, objects moved as in `edits`, and sensors for this camera.

        Reconfigures the existing one, which takes 0.1 s; a new one with a colour sensor would take about ten seconds.
        Raises VantageError("bad_request") for an unknown scene, "corrupt" for one that habitat-sim cannot load,
        "unsupported" if software renders and that is not allowed.
        """
        assert threading.get_ident() == self._thread, "habitat-sim aborts if another thread renders"
        if scene not in self._handles:  # habitat-sim would raise an AssertionError
            some = ", ".join(self.scenes[:8])
            raise VantageError("bad_request", f"dataset {self._dataset} has no scene {scene!r}: choose among {some}.")
        if scene in self._rejected:  # another try would cost another start of the renderer
            raise VantageError("corrupt", self._rejected[scene])
        if self._shown != (scene, camera):
            before, self._shown = self._shown, None  # set again on success
            if before is not None and before[0] == scene:
                self._replace_sensors(scene, camera)
            else:
                self._load(scene, camera)
            self._shown = (scene, camera)
        if self._edits != edits:
            self._edit(edits)
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
        self.start()
        sim = self._sim
        assert sim is not None
        self._objects, self._edits = {}, ()
        self._remove_sensors()
        try:
            sim.reconfigure(self._configuration(scene, self._handles[scene], camera))
        except Exception as error:  # AssertionError for data that it cannot read
            self.close()  # it has lost a part of its state: the next scene would end the process
            reason = f"habitat-sim cannot load scene {scene!r} of {self._dataset}: {reason_of(error)}"
            self._rejected[scene] = f"{reason}. Correct its files, then restart this worker."
            raise VantageError("corrupt", self._rejected[scene]) from None
        manager = sim.get_rigid_object_manager()
        self._objects = {int(item.object_id): item for item in manager.get_objects_by_handle_substring("").values()}
        self._homes = {
            key: (np.array([float(item.translation[k]) for k in range(3)], np.float32), item.motion_type)
            for key, item in self._objects.items()
        }
        if scene not in self._of_objects:  # known only once a scene is loaded
            self._of_objects[scene] = bool(self._objects)
            if self._objects:
                self._replace_sensors(scene, camera)

    def _edit(self, edits: Edits) -> None:
        """Put moved objects back, then move those of `edits`.

        A removed object is moved far away, since habitat-sim would give its id to others. A static object cannot be
        moved; one that is not static is no obstacle for the navmesh.
        """
        kinds = self.library.physics.MotionType
        for object_id, _ in self._edits:
            home, kind = self._homes[object_id]
            self._move(object_id, home, kind)
        for object_id, shift in edits:
            home, kind = self._homes[object_id]
            step = np.array((0.0, -_AWAY_M, 0.0) if shift is None else shift, np.float64)
            self._move(object_id, (home + step).astype(np.float32), kinds.KINEMATIC if shift is None else kind)
        self._edits = edits

    def _move(self, object_id: int, to: NDArray[np.float32], kind: Any) -> None:
        item = self._objects[object_id]
        item.motion_type = self.library.physics.MotionType.KINEMATIC
        item.translation = to
        item.motion_type = kind

    # ------------------------------------------------------------------ sensors

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
                self.library.SensorFactory.delete_subtree_sensor(agent.scene_node, uuid)
        agent.agent_config.sensor_specifications.clear()  # add_sensor rejects or drops entries that are already there

    def observe(
        self, scene: str, camera: Camera, pose: Pose, sensors: Sequence[str], edits: Edits = ()
    ) -> dict[str, np.ndarray]:
        """RGB uint8 [H, W, 3], depth float32 [H, W] metres along the optical axis, habitat-sim's ids int64 [H, W].

        Raises VantageError("bad_request") for a pose that is not finite.
        """
        w, x, y, z = pose.rotation_wxyz
        norm = math.sqrt(w * w + x * x + y * y + z * z)
        if not (math.isfinite(norm) and norm > 1e-6 and all(map(math.isfinite, pose.position_m))):
            raise VantageError(
                "bad_request", "a pose must hold finite numbers and a rotation quaternion of length 1: correct it."
            )
        sim = self.show(scene, camera, edits)
        agent_module = self.library.agent
        position = np.array(pose.position_m, dtype=np.float32)  # habitat-sim rejects integers
        rotation = np.array([x, y, z, w]) / norm  # rotations as arrays are x, y, z, w
        state = agent_module.AgentState(position=position, rotation=rotation)
        state.sensor_states = {
            uuid: agent_module.SixDOFPose(position.copy(), rotation.copy()) for uuid in (RGB, DEPTH, IDS)
        }
        sim.get_agent(0).set_state(state, infer_sensor_states=False)
        for uuid in sensors:
            sim._sensors[uuid].draw_observation()
        return {uuid: _own_array(uuid, sim._sensors[uuid].get_observation()) for uuid in sensors}

    def observe_alone(self, groups: Sequence[Sequence[int]]) -> list[NDArray[np.int64]]:
        """For each group of habitat-sim's object ids, an id image [H, W] of the last view with only these objects.

        The stage and objects that are not in any group are left out of every image.
        """
        assert self._sim is not None and self._shown is not None
        kinds, flags = self.library.scene.SceneNodeType, self.library.gfx.Camera.Flags
        sensor = self._sim._sensors[IDS]
        raw = sensor._sensor_object
        graph = self._sim.get_active_scene_graph()
        nodes = {key: list(item.visual_scene_nodes) for key, item in self._objects.items()}
        types = [(node, node.type) for parts in nodes.values() for node in parts]
        images = []
        try:
            for node, _ in types:
                node.type = kinds.EMPTY
            for group in groups:
                for key in group:
                    for node in nodes[key]:
                        node.type = kinds.OBJECT
                raw.render_target.render_enter()
                self._sim.renderer.draw(raw.render_camera, graph, flags.OBJECTS_ONLY)
                raw.render_target.render_exit()
                images.append(_own_array(IDS, sensor.get_observation()))
                for key in group:
                    for node in nodes[key]:
                        node.type = kinds.EMPTY
        finally:
            for node, kind in types:
                node.type = kind
        return images

    def close(self) -> None:
        atexit.unregister(self.close)
        if self._sim is not None:
            self._objects, self._edits, self._shown = {}, (), None
            self._sim.close()
            self._sim = None

    def _configuration(self, scene: str, handle: str, camera: Camera) -> Any:
        lib = self.library
        backend = lib.SimulatorConfiguration()
        backend.scene_dataset_config_file = self._dataset
        backend.scene_id = handle
        backend.gpu_device_id = self._gpu  # not make_cfg of habitat_sim.utils, which hard-codes 0
        backend.enable_physics = False  # headless packages may lack Bullet, which images and navmeshes do not need
        backend.load_semantic_mesh = True
        agent = lib.agent.AgentConfiguration()
        agent.sensor_specifications = self._sensor_specs(scene, camera)
        return lib.Configuration(backend, [agent])

    def _sensor_specs(self, scene: str, camera: Camera) -> list[Any]:
        kinds = self.library.SensorType
        ids = self._sensor(IDS, kinds.SEMANTIC, camera)
        if self._of_objects.get(scene):
            # the default target is the semantic ids of templates, which all instances of a template share
            ids.semantic_target = type(ids.semantic_target).OBJECT_ID
        return [self._sensor(RGB, kinds.COLOR, camera), self._sensor(DEPTH, kinds.DEPTH, camera), ids]

    def _sensor(self, uuid: str, kind: Any, camera: Camera) -> Any:
        spec = self.library.CameraSensorSpec()
        spec.uuid, spec.sensor_type = uuid, kind
        spec.sensor_subtype = self.library.SensorSubType.PINHOLE
        spec.resolution = [camera.height_px, camera.width_px]  # height first
        spec.hfov = math.degrees(camera.hfov_rad)
        spec.position = [0.0, 0.0, 0.0]  # poses are those of the camera itself
        spec.near, spec.far = _NEAR_M, _FAR_M
        return spec


def _own_array(uuid: str, seen: Any) -> np.ndarray:
    """A copy of an observation, since the sensor reuses its buffer."""
    if uuid == RGB:
        return np.array(seen[..., :3])  # the fourth channel is alpha
    return np.array(seen, np.float32 if uuid == DEPTH else np.int64)


def scene_name(handle: str) -> str:
    """ ".../scenes/apt_0.scene_instance.json" -> "apt_0"; ".../TEEsavR23oF.basis.glb" -> "TEEsavR23oF"."""
    name = handle.replace("\\", "/").rpartition("/")[2]
    return name.partition(".")[0] or name
