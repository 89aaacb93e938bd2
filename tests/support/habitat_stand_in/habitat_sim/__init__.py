"""A stand-in for habitat_sim: the part of its interface that the backend uses, with array shapes and pitfalls as in
0.3.4.

The rasteriser of `rooms` renders the images from the same dataset; they agree with recordings of the real library
(tests/data/reference/README.md). Where the real library ends or aborts the process, the stand-in raises an exception.
"""

from __future__ import annotations

import enum
import json
import math
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import numpy as np

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Change, Pose, SceneSpec
from sim_server.backends.placements import SceneFiles
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.scene_dataset import SceneDataset

from ._nav import NavMeshSettings, PathFinder, ShortestPath
from ._objects import MotionType, RigidObject, SceneNodeType
from ._pictures import Pictures

__version__ = "0.3.3"


class ProcessEnded(BaseException):
    """Raised where the real library calls exit or abort."""


class SensorType(enum.Enum):
    COLOR, DEPTH, SEMANTIC = range(3)


class SensorSubType(enum.Enum):
    PINHOLE, ORTHOGRAPHIC = range(2)


class SemanticTarget(enum.Enum):
    SEMANTIC_ID, OBJECT_ID = range(2)


class CameraSensorSpec:
    def __init__(self) -> None:
        self.uuid = ""
        self.sensor_type = SensorType.COLOR
        self.sensor_subtype = SensorSubType.PINHOLE
        self.semantic_target = SemanticTarget.SEMANTIC_ID
        self.resolution = [128, 128]
        self.hfov: Any = 90.0
        self.position = [0.0, 1.5, 0.0]
        self.near, self.far = 0.01, 1000.0

    def __eq__(self, other: object) -> bool:
        """Like the real library, ignores resolution, field of view and semantic target."""
        compared = ("uuid", "sensor_type", "sensor_subtype", "position")
        return isinstance(other, CameraSensorSpec) and all(getattr(self, k) == getattr(other, k) for k in compared)


class SimulatorConfiguration:
    def __init__(self) -> None:
        self.scene_dataset_config_file = "default"
        self.scene_id = ""
        self.gpu_device_id = 0
        self.enable_physics = False
        self.load_semantic_mesh = False


class Configuration:
    def __init__(self, sim_cfg: SimulatorConfiguration, agents: list[Any]) -> None:
        self.sim_cfg, self.agents = sim_cfg, agents


class _AgentState:
    def __init__(self, position: Any, rotation: Any) -> None:
        _check_vector(position)
        _check_rotation(rotation)
        self.position, self.rotation = position, rotation
        self.sensor_states: dict[str, Any] = {}


class _SixDOFPose:
    def __init__(self, position: Any, rotation: Any) -> None:
        _check_vector(position)
        _check_rotation(rotation)
        self.position, self.rotation = position, rotation


class _AgentConfiguration:
    def __init__(self) -> None:
        self.sensor_specifications: list[CameraSensorSpec] = []


agent = SimpleNamespace(AgentState=_AgentState, SixDOFPose=_SixDOFPose, AgentConfiguration=_AgentConfiguration)


def _check_vector(position: Any) -> None:
    if not (np.asarray(position).dtype.kind == "f" and np.isfinite(position).all()):
        raise TypeError("positions are finite float arrays")


def _check_rotation(rotation: Any) -> None:
    if abs(np.linalg.norm(rotation) - 1) > 1e-4:
        raise ValueError("rotations are of unit length")


nav = SimpleNamespace(NavMeshSettings=NavMeshSettings, ShortestPath=ShortestPath, PathFinder=PathFinder)
physics = SimpleNamespace(MotionType=MotionType)
scene = SimpleNamespace(SceneNodeType=SceneNodeType)


class _CameraFlags(enum.Flag):
    NONE = 0
    FRUSTUM_CULLING = 1
    OBJECTS_ONLY = 2


gfx = SimpleNamespace(Camera=SimpleNamespace(Flags=_CameraFlags))


class _MetadataMediator:
    active_dataset = "default"

    def get_scene_handles(self) -> list[str]:
        """Only scene instances: empty for a dataset that lists only stages."""
        path = Path(self.active_dataset)
        try:
            config = json.loads(path.read_text())
        except ValueError:
            raise AssertionError(f"ESP_CHECK failed: MetadataMediator::setActiveSceneDatasetName: {path}") from None
        if "scene_instances" not in config:
            return []
        for file in (path.parent / "scenes").glob("*.scene_instance.json"):
            _check_stage(file)
        return [str(path.parent / "scenes" / f"{name}.scene_instance.json") for name in SceneDataset(path).names]

    @property
    def stage_template_manager(self) -> Any:
        path = Path(self.active_dataset)
        stages = [str(path.parent / "stages" / f"{name}.glb") for name in SceneDataset(path).names]
        return SimpleNamespace(get_template_handles=lambda _: ["NONE", *stages])


metadata = SimpleNamespace(MetadataMediator=_MetadataMediator)


class SceneNode:
    """An agent's node: holds the sensors created on it until they are deleted by name."""

    def __init__(self) -> None:
        self.subtree_sensors: dict[str, CameraSensorSpec] = {}


class SensorFactory:
    alive = 0  # number of sensors in all scene graphs, for tests

    @staticmethod
    def create_sensors(node: SceneNode, specs: list[CameraSensorSpec]) -> dict[str, CameraSensorSpec]:
        for spec in specs:
            assert spec.uuid not in node.subtree_sensors, "the real library would continue with the old sensor"
            node.subtree_sensors[spec.uuid] = spec
            SensorFactory.alive += 1
        return node.subtree_sensors

    @staticmethod
    def delete_subtree_sensor(node: SceneNode, uuid: str) -> None:
        SensorFactory.alive -= node.subtree_sensors.pop(uuid, None) is not None


class _Sensor:
    """The Python object of a sensor; using it after its node was deleted ends the process."""

    def __init__(self, sim: Simulator, spec: CameraSensorSpec) -> None:
        self._sim, self._node, self.spec = sim, sim._agent.scene_node, spec
        target = SimpleNamespace(render_enter=self._living, render_exit=self._living)
        self._sensor_object = SimpleNamespace(render_target=target, render_camera=self)
        self._frame: Any = None

    def _living(self) -> CameraSensorSpec:
        if self._node.subtree_sensors.get(self.spec.uuid) is not self.spec:
            raise ProcessEnded("the sensor was deleted")
        return self.spec

    def draw_observation(self) -> None:
        self._frame = self._sim._draw(self._living(), None)

    def draw_objects(self) -> None:
        shown = {
            key
            for key, item in self._sim._objects.items()
            if any(node.type is SceneNodeType.OBJECT for node in item.visual_scene_nodes)
        }
        self._frame = self._sim._draw(self._living(), shown)

    def get_observation(self) -> Any:
        return self._frame

    def close(self) -> None:
        self.spec = None  # type: ignore[assignment]


class _Renderer:
    def draw(self, camera: _Sensor, graph: Any, flags: _CameraFlags) -> None:
        assert flags & _CameraFlags.OBJECTS_ONLY
        camera.draw_objects()


class _Agent:
    def __init__(self, agent_config: _AgentConfiguration) -> None:
        self.agent_config = agent_config
        self.scene_node = SceneNode()
        self.sensor_states: dict[str, Any] = {}
        self._sensors: dict[str, CameraSensorSpec] = {}
        for spec in agent_config.sensor_specifications:
            self._add(spec)

    def _add(self, spec: CameraSensorSpec) -> None:
        assert spec.uuid not in self._sensors, f"{spec.uuid} already exists in the sensor suite"
        self._sensors[spec.uuid] = SensorFactory.create_sensors(self.scene_node, [spec])[spec.uuid]

    def set_state(self, state: _AgentState, reset_sensors: bool = True, infer_sensor_states: bool = True) -> None:
        if infer_sensor_states:  # sensors are placed on the agent according to their spec
            self.sensor_states = {}
        else:
            self.sensor_states = dict(state.sensor_states)


class Simulator:
    """The Simulator of 0.3.3; `Simulator034` is that of 0.3.4."""

    made = 0  # number of Simulators, for tests: creating one is slow
    scene_graphs = 0  # never decreases: scene graphs are not released
    navmeshes = 0

    def __init__(self, configuration: Configuration) -> None:
        Simulator.made += 1
        self._thread = threading.get_ident()
        self._broken = False
        self.semantic_scene: Optional[Any] = None
        self.renderer = _Renderer()
        self._show(configuration)

    def reconfigure(self, configuration: Configuration) -> None:
        old, new = self.config, configuration
        if vars(old.sim_cfg) != vars(new.sim_cfg) or (
            old.agents[0].sensor_specifications != new.agents[0].sensor_specifications
        ):
            self._show(configuration)

    def _show(self, configuration: Configuration) -> None:
        """Load the scene even if only sensors differ, as the real library does for scenes with lights."""
        if self._broken:
            raise ProcessEnded("an earlier scene failed to load")
        backend = configuration.sim_cfg
        if backend.gpu_device_id >= 0:
            raise ProcessEnded("there is no CUDA device")
        self._broken = True  # until the scene is loaded
        dataset = Path(backend.scene_dataset_config_file)
        self._files = _files_of(dataset, backend.scene_id)
        self._scene: Any = None
        self._objects: dict[int, RigidObject] = {}
        if self._files is not None:
            self._scene = RoomsBackend(str(dataset)).open(SceneSpec(asset=self._files.name))
            described = {item.id: item for item in self._scene.description.objects}
            for number, placement in enumerate(self._files.objects, start=1):
                self._objects[placement.id] = RigidObject(placement, described[placement.id], number, self._forget)
        self._pictures: Optional[Pictures] = None
        Simulator.scene_graphs += 1
        self._agent = _Agent(configuration.agents[0])
        self._sensors = {uuid: _Sensor(self, spec) for uuid, spec in self._agent._sensors.items()}
        self.config = configuration
        self.semantic_scene = SimpleNamespace(objects=[], categories=[None], regions=[])
        self._broken = False

    def add_sensor(self, spec: CameraSensorSpec) -> None:
        assert spec not in self._agent.agent_config.sensor_specifications
        self._agent.agent_config.sensor_specifications.append(spec)
        self._agent._add(spec)
        self._sensors[spec.uuid] = _Sensor(self, spec)

    def get_agent(self, agent_id: int) -> _Agent:
        assert agent_id == 0
        return self._agent

    def get_active_scene_graph(self) -> Any:
        return SimpleNamespace()

    def _forget(self) -> None:
        self._pictures = None

    def _shifts(self) -> dict[int, Any]:
        """Moved objects; one that is not near the scene counts as removed, since it is beyond the far plane."""
        shifts: dict[int, Any] = {}
        for key, item in self._objects.items():
            step = item.translation.astype(np.float64) - item.home
            if np.abs(step).max() > 1e3:
                shifts[key] = None
            elif step.any():
                shifts[key] = tuple(step.tolist())
        return shifts

    def _draw(self, spec: CameraSensorSpec, shown: Optional[set[int]]) -> Any:
        if threading.get_ident() != self._thread:
            raise ProcessEnded("another thread has no OpenGL context")
        assert self._files is not None
        if self._pictures is None:
            self._pictures = Pictures(self._files, self._shifts())
        height, width = spec.resolution
        state = self._agent.sensor_states[spec.uuid]
        x, y, z, w = (float(value) for value in state.rotation)
        pose = Pose(tuple(float(value) for value in state.position), (w, x, y, z))  # type: ignore[arg-type]
        seen = self._pictures.draw(pose, Camera(width, height, math.radians(spec.hfov)), shown)
        if spec.sensor_type is SensorType.COLOR:
            return np.concatenate([seen.rgb, np.full((height, width, 1), 255, np.uint8)], axis=2)
        return seen.depth if spec.sensor_type is SensorType.DEPTH else self._semantic(seen.ids, spec.semantic_target)

    def _semantic(self, ids: Any, target: SemanticTarget) -> Any:
        values, places = np.unique(ids, return_inverse=True)
        if target is SemanticTarget.OBJECT_ID:
            values = np.array([self._objects[int(value)].object_id if value else 0 for value in values])
        return values.astype(np.uint32)[places].reshape(ids.shape)

    def recompute_navmesh(self, pathfinder: PathFinder, settings: NavMeshSettings) -> bool:
        if not settings.include_static_objects:
            raise AssertionError("furniture would not be an obstacle")
        Simulator.navmeshes += 1
        centres = {item.id: item.box.centre_m for item in self._scene.description.objects}
        changes = [
            Change(key, None if shift is None else tuple(np.add(centres[key], shift).tolist()))  # type: ignore[arg-type]
            for key, shift in self._shifts().items()
        ]
        assert all(
            self._objects[change.object_id].motion_type is MotionType.STATIC for change in changes if change.moved_to_m
        ), "it would be no obstacle"
        pathfinder.build(self._scene.edited(changes) if changes else self._scene)
        return True

    def get_rigid_object_manager(self) -> Any:
        objects = {item.handle: item for item in self._objects.values()}
        return SimpleNamespace(
            get_num_objects=lambda: len(objects), get_objects_by_handle_substring=lambda _="": dict(objects)
        )

    def close(self) -> None:
        pass


class Simulator034(Simulator):
    def remove_sensor(self, uuid: str) -> None:
        self._sensors.pop(uuid).close()
        self._agent._sensors.pop(uuid)
        SensorFactory.delete_subtree_sensor(self._agent.scene_node, uuid)


def _check_stage(file: Path) -> None:
    """The real library rejects the dataset for one scene without a stage, but only logs one that is not JSON."""
    try:
        instance = json.loads(file.read_text())
    except ValueError:
        return
    name = file.name.partition(".")[0]
    assert "stage_instance" in instance, (
        f"ESP_CHECK failed: No JSON cell `stage_instance` specified in Scene Instance `{name}` so no Stage can be "
        "created for this Scene."
    )


def _files_of(path: Path, scene_id: str) -> Optional[SceneFiles]:
    """The files of a scene, None for the empty one. Raises AssertionError for what the real library cannot load."""
    if scene_id == "NONE":
        return None
    dataset, name = SceneDataset(path), Path(scene_id).name.partition(".")[0]
    assert name in dataset.names, f"ESP_CHECK failed: Simulator::createSceneInstance() : unknown scene {name}"
    try:
        files = dataset.scene(name)
        Pictures(files, {})
        return files
    except VantageError as error:
        raise AssertionError(f"ESP_CHECK failed: PhysicsManager::addObjectInstance() : {error.message}") from None
