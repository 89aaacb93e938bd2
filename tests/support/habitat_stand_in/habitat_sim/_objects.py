"""Scene nodes and rigid objects of the stand-in."""

from __future__ import annotations

import enum
from types import SimpleNamespace
from typing import Any, Callable

import numpy as np


class MotionType(enum.Enum):
    STATIC, KINEMATIC, DYNAMIC = range(3)


class SceneNodeType(enum.Enum):
    EMPTY, SENSOR, AGENT, CAMERA, OBJECT = range(5)


class VisualNode:
    def __init__(self) -> None:
        self.type = SceneNodeType.OBJECT


class RigidObject:
    """An object of the loaded scene. `translation` is the centre of its box, not the instance's translation."""

    def __init__(self, placement: Any, item: Any, object_id: int, moved: Callable[[], None]) -> None:
        w, x, y, z = item.box.rotation_wxyz
        half = np.array(item.box.half_extents_m)
        self.handle = f"{placement.name}_:0000"
        self.object_id, self.semantic_id = object_id, placement.id
        self.rotation = SimpleNamespace(scalar=w, vector=np.array([x, y, z]))
        self.root_scene_node = SimpleNamespace(cumulative_bb=SimpleNamespace(min=-half, max=half))
        self.user_attributes = placement.user
        self.visual_scene_nodes = [VisualNode()]
        self.motion_type = MotionType.STATIC
        self.home = np.array(item.box.centre_m, np.float32)
        self._translation, self._moved = self.home, moved

    @property
    def translation(self) -> Any:
        return self._translation

    @translation.setter
    def translation(self, value: Any) -> None:
        if self.motion_type is MotionType.STATIC:  # the real library ignores this
            return
        assert np.asarray(value).dtype == np.float32, "a Vector3"
        self._translation = np.array(value)
        self._moved()
