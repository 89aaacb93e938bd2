"""Reads the rooms and objects of the scene loaded in habitat-sim.

There are two kinds of scenes: those made of objects (ReplicaCAD, HSSD, exports of `rooms`), listed by the rigid object
manager, and scans (HM3D, MP3D, Replica), whose objects are listed by the semantic scene.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional, Sequence

import numpy as np

from protocol.tasks.scene import OrientedBox, Quat, Room, SceneObject, Vec3
from sim_server.backends.habitat.words import category, is_structure, room_category
from sim_server.questions.geometry import inside_polygon, rotation_matrix

_SUPPORT_GAP_M = 0.06
_HANGS_M = 0.25  # an object this far above every support is fixed to a wall or the ceiling


class SceneTruth(NamedTuple):
    """`ids` maps values in habitat-sim's id frames to ids in `objects`; missing values are the stage."""

    rooms: tuple[Room, ...]
    objects: tuple[SceneObject, ...]
    ids: dict[int, int]


def read_truth(sim: Any, made_of_objects: bool) -> SceneTruth:
    """The rooms and objects of the scene that `sim` has loaded."""
    semantic = sim.semantic_scene  # None in scenes without annotations
    rooms = _rooms(semantic)
    found = _rigid_objects(sim, semantic) if made_of_objects else _scanned_objects(semantic)
    objects = [
        SceneObject(id=own, category=word, box=box, room_id=_room_of(box.centre_m, rooms))
        for own, _, word, box in found
    ]
    return SceneTruth(rooms, tuple(_with_supports(objects, rooms)), {pixel: own for own, pixel, _, _ in found})


_Found = tuple[int, int, str, OrientedBox]  # object id, value in id frames, category, box


def _rigid_objects(sim: Any, semantic: Any) -> list[_Found]:
    """Rigid objects sorted by name. Object ids are semantic ids if these are distinct, else positions in the list."""
    manager = sim.get_rigid_object_manager()
    items = sorted(manager.get_objects_by_handle_substring("").values(), key=lambda item: item.object_id)
    semantic_ids = [int(item.semantic_id) for item in items]
    own = all(value > 0 for value in semantic_ids) and len(set(semantic_ids)) == len(items)
    classes = _classes(semantic)
    found: list[_Found] = []
    for place, (item, semantic_id) in enumerate(zip(items, semantic_ids), start=1):
        word = _word_of(item, classes.get(semantic_id, ""))
        if is_structure(word):
            continue
        found.append((semantic_id if own else place, int(item.object_id), word, _rigid_box(item)))
    return found


def _word_of(item: Any, of_class: str) -> str:
    """The template's category, else its class, else its name: "chair_04_:0000" is a chair."""
    attributes = getattr(item, "user_attributes", None)
    given = str(attributes.get("category") or "") if attributes is not None else ""
    name = item.handle.replace("\\", "/").rpartition("/")[2].partition("_:")[0]
    return category(given or of_class or name.rstrip("0123456789_"))


def _rigid_box(item: Any) -> OrientedBox:
    """The object's box. habitat-sim moves its origin to the centre of the box; the node's own box includes the
    scale."""
    local = item.root_scene_node.cumulative_bb
    low, high = _vector(local.min), _vector(local.max)
    rotation = item.rotation
    quaternion = _unit((rotation.scalar, *rotation.vector))
    centre = _vector(item.translation) + rotation_matrix(quaternion) @ ((low + high) / 2)
    return OrientedBox(_tuple(centre), _tuple((high - low) / 2), quaternion)


def _scanned_objects(semantic: Any) -> list[_Found]:
    if semantic is None:
        return []
    found: list[_Found] = []
    for item in semantic.objects:
        if item is None or item.category is None:  # entry 0, and gaps in the numbering
            continue
        word, semantic_id = category(item.category.name()), int(item.semantic_id)
        if semantic_id <= 0 or is_structure(word):
            continue
        obb = item.obb  # not .aabb: 0.3.3 and 0.3.4 stretch it to the origin
        half = _vector(obb.half_extents)
        if not (np.isfinite(half).all() and (half > 0).all()):
            continue
        x, y, z, w = (float(value) for value in obb.rotation)
        box = OrientedBox(_tuple(_vector(obb.center)), _tuple(half), _unit((w, x, y, z)))
        found.append((semantic_id, semantic_id, word, box))
    return found


def _classes(semantic: Any) -> dict[int, str]:
    """Class names by semantic id; the list has gaps."""
    if semantic is None:
        return {}
    return {int(entry.index()): str(entry.name()) for entry in semantic.categories if entry is not None}


def _rooms(semantic: Any) -> tuple[Room, ...]:
    """The regions that have an outline."""
    rooms = []
    for region in [] if semantic is None else semantic.regions:
        if region is None or len(getattr(region, "poly_loop_points", ())) < 3:
            continue
        outline = tuple((float(x), float(z)) for x, z in region.poly_loop_points)  # without the height
        floor = float(region.floor_height)
        name = region.category.name() if region.category is not None else str(region.id)
        rooms.append(Room(len(rooms) + 1, room_category(name), outline, floor, floor + float(region.extrusion_height)))
    return tuple(rooms)


def _room_of(point: Vec3, rooms: Sequence[Room]) -> int:
    here = np.array([[point[0], point[2]]])
    for room in rooms:
        if room.floor_y_m - 0.2 <= point[1] <= room.ceiling_y_m + 0.2 and inside_polygon(here, room.polygon_xz_m)[0]:
            return room.id
    return 0


def _with_supports(objects: Sequence[SceneObject], rooms: Sequence[Room]) -> list[SceneObject]:
    """Add supports, which habitat-sim does not provide.

    A support is the highest top that touches an object from below and whose outline contains its centre; 0 is the
    floor.
    """
    spans = [_extent(item.box) for item in objects]
    made = []
    for item, (low, _) in zip(objects, spans):
        best: Optional[int] = None
        top = -math.inf
        for other, (under_low, under_high) in zip(objects, spans):
            holds = all(under_low[k] <= item.box.centre_m[k] <= under_high[k] for k in (0, 2))
            if (
                other.id != item.id
                and holds
                and top < under_high[1] <= low[1] + _SUPPORT_GAP_M
                and under_low[1] < low[1]
            ):
                best, top = other.id, under_high[1]
        if best is not None and low[1] - top <= _SUPPORT_GAP_M:
            support = best
        else:
            floors = [room.floor_y_m for room in rooms if room.id == item.room_id] or [min(s[0][1] for s in spans)]
            support = 0 if low[1] - floors[0] <= _HANGS_M else -1
        made.append(SceneObject(item.id, item.category, item.box, item.color, item.room_id, support, item.front))
    return made


def _extent(box: OrientedBox) -> tuple[np.ndarray, np.ndarray]:
    reach = np.abs(rotation_matrix(box.rotation_wxyz)) @ np.array(box.half_extents_m)
    return np.array(box.centre_m) - reach, np.array(box.centre_m) + reach


def _vector(values: Any) -> np.ndarray:
    return np.array([float(values[k]) for k in range(3)])


def _tuple(v: np.ndarray) -> Vec3:
    return (float(v[0]), float(v[1]), float(v[2]))


def _unit(q: Sequence[float]) -> Quat:
    norm = math.sqrt(sum(float(value) ** 2 for value in q))
    w, x, y, z = (float(value) / norm for value in q)
    return (w, x, y, z)
