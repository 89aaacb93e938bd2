"""A stand-in for habitat_sim: the part of its interface that the backend uses, with array shapes and pitfalls as in
0.3.4.

`rooms` renders the images from the same dataset; they agree with recordings of the real library
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

from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.scene_dataset import SceneDataset

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


class _NavMeshSettings:
    def set_defaults(self) -> None:
        self.cell_size, self.cell_height, self.agent_height, self.agent_radius = 0.05, 0.2, 1.5, 0.1
        self.include_static_objects = False


class _ShortestPath:
    requested_start: Any = None
    requested_end: Any = None
    points: list[Any] = []  # noqa: RUF012
    geodesic_distance = math.inf


nav = SimpleNamespace(NavMeshSettings=_NavMeshSettings, ShortestPath=_ShortestPath)


class _MetadataMediator:
    active_dataset = "default"

    def get_scene_handles(self) -> list[str]:
        """Only scene instances: empty for a dataset that lists only stages."""
        path = Path(self.active_dataset)
        if "scene_instances" not in json.loads(path.read_text()):
            return []
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

    def __init__(self, node: SceneNode, spec: CameraSensorSpec) -> None:
        self._node, self.spec = node, spec

    def draw(self) -> CameraSensorSpec:
        if self._node.subtree_sensors.get(self.spec.uuid) is not self.spec:
            raise ProcessEnded("the sensor was deleted")
        return self.spec

    def close(self) -> None:
        self.spec = None  # type: ignore[assignment]


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


class _PathFinder:
    """Points are on the upper side of voxels; one in three is on top of the ceiling."""

    def __init__(self) -> None:
        self.is_loaded = False
        self._scene: Any = None
        self._rng = np.random.default_rng(0)

    def build(self, scene: Any) -> None:
        self.is_loaded, self._scene = True, scene

    @property
    def navigable_area(self) -> float:
        assert self.is_loaded
        return self._scene.description.navigable_area_m2

    def get_bounds(self) -> tuple[Any, Any]:
        return np.array([-1.0, -0.1, -1.0]), np.array([9.0, 2.8, 9.0])

    def seed(self, number: int) -> None:
        self._rng = np.random.default_rng(number)

    def get_random_navigable_point(self, max_tries: int = 10) -> Any:
        assert self.is_loaded
        x, y, z = self._scene.sample_navigable(self._rng)
        return np.array([x, 2.9 if self._rng.random() < 1 / 3 else y + 0.05, z], np.float32)

    def is_navigable(self, point: Any, max_y_delta: float = 0.5) -> bool:
        assert self.is_loaded
        return point[1] > 2.5 or self._scene.is_navigable(tuple(float(v) for v in point))

    def find_path(self, path: _ShortestPath) -> bool:
        start, end = (tuple(float(v) for v in point) for point in (path.requested_start, path.requested_end))
        path.points = [np.array(point, np.float32) for point in self._scene.path(start, end)]
        path.geodesic_distance = self._scene.geodesic_m(start, end)
        return bool(path.points)

    def save_nav_mesh(self, path: str) -> bool:
        Path(path).write_bytes(b"navmesh")
        return True

    def load_nav_mesh(self, path: str) -> bool:
        self.build(self._scene)
        return Path(path).read_bytes() == b"navmesh"


class Simulator:
    """The Simulator of 0.3.3; `Simulator034` is that of 0.3.4."""

    made = 0  # number of Simulators, for tests: creating one is slow
    scene_graphs = 0  # never decreases: scene graphs are not released
    navmeshes = 0

    def __init__(self, configuration: Configuration) -> None:
        Simulator.made += 1
        self._thread = threading.get_ident()
        self.semantic_scene: Optional[Any] = None
        self._show(configuration)

    def reconfigure(self, configuration: Configuration) -> None:
        old, new = self.config, configuration
        if vars(old.sim_cfg) != vars(new.sim_cfg) or (
            old.agents[0].sensor_specifications != new.agents[0].sensor_specifications
        ):
            self._show(configuration)

    def _show(self, configuration: Configuration) -> None:
        """Load the scene even if only sensors differ, as the real library does for scenes with lights."""
        backend = configuration.sim_cfg
        if backend.gpu_device_id >= 0:
            raise ProcessEnded("there is no CUDA device")
        dataset = SceneDataset(Path(backend.scene_dataset_config_file))
        name = Path(backend.scene_id).name.partition(".")[0]
        assert name in dataset.names, "unknown scene"
        Simulator.scene_graphs += 1
        self._agent = _Agent(configuration.agents[0])
        self._sensors = {uuid: _Sensor(self._agent.scene_node, spec) for uuid, spec in self._agent._sensors.items()}
        self.config = configuration
        rooms = RoomsBackend(str(backend.scene_dataset_config_file))
        self._scene: Any = rooms.open(SceneSpec(asset=name))
        self._files = dataset.scene(name)
        self._objects = {item.id: item for item in self._scene.description.objects}
        self._object_ids = {placement.id: number for number, placement in enumerate(self._files.objects, start=1)}
        self.semantic_scene = SimpleNamespace(objects=[], categories=[None], regions=[])
        self.pathfinder = _PathFinder()
        self.pathfinder._scene = self._scene

    def add_sensor(self, spec: CameraSensorSpec) -> None:
        assert spec not in self._agent.agent_config.sensor_specifications
        self._agent.agent_config.sensor_specifications.append(spec)
        self._agent._add(spec)
        self._sensors[spec.uuid] = _Sensor(self._agent.scene_node, spec)

    def get_agent(self, agent_id: int) -> _Agent:
        assert agent_id == 0
        return self._agent

    def get_sensor_observations(self) -> dict[str, Any]:
        if threading.get_ident() != self._thread:
            raise ProcessEnded("another thread has no OpenGL context")
        seen = {}
        for sensor in self._sensors.values():
            spec = sensor.draw()
            height, width = spec.resolution
            state = self._agent.sensor_states[spec.uuid]
            x, y, z, w = (float(value) for value in state.rotation)
            pose = Pose(tuple(float(value) for value in state.position), (w, x, y, z))  # type: ignore[arg-type]
            camera = Camera(width, height, math.radians(spec.hfov))
            frames = self._scene.render([pose], camera, ("rgb", "depth", "ids"))
            if spec.sensor_type is SensorType.COLOR:
                alpha = np.full((height, width, 1), 255, np.uint8)
                seen[spec.uuid] = np.concatenate([frames.rgb[0], alpha], axis=2)
            elif spec.sensor_type is SensorType.DEPTH:
                seen[spec.uuid] = frames.depth[0]
            else:
                seen[spec.uuid] = self._semantic(frames.ids[0], spec.semantic_target)
        return seen

    def _semantic(self, ids: Any, target: SemanticTarget) -> Any:
        values, places = np.unique(ids, return_inverse=True)
        if target is SemanticTarget.OBJECT_ID:
            values = np.array([self._object_ids.get(int(value), 0) for value in values])
        return values.astype(np.uint32)[places].reshape(ids.shape)

    def recompute_navmesh(self, pathfinder: _PathFinder, settings: _NavMeshSettings) -> bool:
        if not settings.include_static_objects:
            raise AssertionError("furniture would not be an obstacle")
        Simulator.navmeshes += 1
        pathfinder.build(self._scene)
        return True

    def get_rigid_object_manager(self) -> Any:
        objects = {}
        for placement in self._files.objects:
            item = self._objects[placement.id]
            w, x, y, z = item.box.rotation_wxyz
            half = np.array(item.box.half_extents_m)
            item = SimpleNamespace(
                handle=f"{placement.name}_:0000",
                object_id=self._object_ids[placement.id],
                semantic_id=placement.id,
                translation=np.array(item.box.centre_m),  # the centre of its box, not the instance's translation
                rotation=SimpleNamespace(scalar=w, vector=np.array([x, y, z])),
                root_scene_node=SimpleNamespace(cumulative_bb=SimpleNamespace(min=-half, max=half)),
                user_attributes=placement.user,
            )
            objects[item.handle] = item
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
