"""Reads the rooms, openings and objects of the scene loaded in habitat-sim.

There are two kinds of scenes: those made of objects (ReplicaCAD, HSSD, exports of `rooms`), listed by the rigid object
manager, and scans (HM3D, MP3D, Replica), whose objects are listed by the semantic scene. habitat-sim does not provide
openings, colours, fronts and supports; exports of `rooms` have them in their files.
"""

from __future__ import annotations

import math
from typing import Any, Mapping, NamedTuple, Optional, Sequence

import msgspec
import numpy as np

from protocol.tasks.scene import Opening, OrientedBox, Quat, Room, SceneObject, Vec3
from sim_server.backends.habitat.words import category, is_structure, room_category
from sim_server.backends.placements import Annotation, SceneFiles
from sim_server.questions.geometry import inside_polygon, rotation_matrix

_SUPPORT_GAP_M = 0.06
_LEVEL_M = 1e-3  # bottoms that differ by less are at the same height: a table that stands through a rug is on the floor
_HANGS_M = 0.25  # an object this far above every support is fixed to a wall or the ceiling
_NOT_GIVEN = Annotation()


class SceneTruth(NamedTuple):
    """`ids` maps values in habitat-sim's id frames to ids in `objects`; missing values are the stage."""

    rooms: tuple[Room, ...]
    openings: tuple[Opening, ...]
    objects: tuple[SceneObject, ...]
    ids: dict[int, int]


class _Found(NamedTuple):
    """An object as habitat-sim lists it. `pixel` is its value in id frames; `given` is from the scene's files."""

    id: int
    pixel: int
    category: str
    box: OrientedBox
    given: Annotation = _NOT_GIVEN


def read_truth(sim: Any, made_of_objects: bool, files: Optional[SceneFiles] = None) -> SceneTruth:
    """The rooms and objects of the scene that `sim` has loaded. `files`: the same scene as its files describe it."""
    semantic = sim.semantic_scene  # None in scenes without annotations
    rooms = _rooms(semantic, files)
    found = _rigid_objects(sim, semantic, files) if made_of_objects else _scanned_objects(semantic)
    objects = [
        SceneObject(
            id=item.id,
            category=item.category,
            box=item.box,
            color=item.given.color,
            room_id=item.given.room_id if item.given.room_id is not None else _room_of(item.box.centre_m, rooms),
            front=item.given.front,
        )
        for item in found
    ]
    known = {0, -1, *(item.id for item in found)}  # a support can be a part of the building here
    supports = {item.id: item.given.support_id for item in found if item.given.support_id in known}
    extents = {item.id: _extent(item.box) for item in objects}
    return SceneTruth(
        rooms,
        files.openings if files is not None and files.rooms else (),
        tuple(
            msgspec.structs.replace(item, support_id=_support(item, extents, rooms) if given is None else given)
            for item, given in ((item, supports.get(item.id)) for item in objects)
        ),
        {item.pixel: item.id for item in found},
    )


def _rigid_objects(sim: Any, semantic: Any, files: Optional[SceneFiles]) -> list[_Found]:
    """Rigid objects in the order of the scene's file.

    Object ids are semantic ids if these are distinct, else positions in the list.
    """
    manager = sim.get_rigid_object_manager()
    items = sorted(manager.get_objects_by_handle_substring("").values(), key=lambda item: item.object_id)
    semantic_ids = [int(item.semantic_id) for item in items]
    own = all(value > 0 for value in semantic_ids) and len(set(semantic_ids)) == len(items)
    classes = _classes(semantic)
    given = _annotations([_template_name(item) for item in items], files)
    found: list[_Found] = []
    for place, (item, semantic_id, annotation) in enumerate(zip(items, semantic_ids, given), start=1):
        word = category(
            annotation.category or classes.get(semantic_id, "") or _template_name(item).rstrip("0123456789_")
        )
        if not is_structure(word):
            found.append(_Found(semantic_id if own else place, int(item.object_id), word, _rigid_box(item), annotation))
    return found


def _template_name(item: Any) -> str:
    """ "…/objects/chair_04_:0000" -> "chair_04"."""
    return str(item.handle.replace("\\", "/").rpartition("/")[2].partition("_:")[0])


def _annotations(names: Sequence[str], files: Optional[SceneFiles]) -> list[Annotation]:
    """What the files say about each object. habitat-sim numbers objects in the order of the scene's file."""
    if files is None or [placement.name for placement in files.objects] != list(names):
        return [_NOT_GIVEN] * len(names)
    return [placement.annotation for placement in files.objects]


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
        found.append(_Found(semantic_id, semantic_id, word, box))
    return found


def _classes(semantic: Any) -> dict[int, str]:
    """Class names by semantic id; the list has gaps."""
    if semantic is None:
        return {}
    return {int(entry.index()): str(entry.name()) for entry in semantic.categories if entry is not None}


def _rooms(semantic: Any, files: Optional[SceneFiles]) -> tuple[Room, ...]:
    """The rooms in the scene's files, else the regions that have an outline (scans have formats of their own)."""
    if files is not None and files.rooms:
        return tuple(msgspec.structs.replace(room, category=room_category(room.category)) for room in files.rooms)
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


_Extent = tuple[np.ndarray, np.ndarray]  # lowest and highest corner


def _support(item: SceneObject, extents: Mapping[int, _Extent], rooms: Sequence[Room]) -> int:
    """The id of the object with the highest top that touches the object from below and whose outline contains its
    centre; 0 for the floor, -1 for a wall or the ceiling."""
    bottom = extents[item.id][0][1]
    best, top = 0, -math.inf
    for other_id, (low, high) in extents.items():
        holds = all(low[k] <= item.box.centre_m[k] <= high[k] for k in (0, 2))
        if other_id != item.id and holds and top < high[1] <= bottom + _SUPPORT_GAP_M and low[1] < bottom - _LEVEL_M:
            best, top = other_id, high[1]
    if best and bottom - top <= _SUPPORT_GAP_M:
        return best
    floors = [room.floor_y_m for room in rooms if room.id == item.room_id]
    floor = floors[0] if floors else min(float(low[1]) for low, _ in extents.values())
    return 0 if bottom - floor <= _HANGS_M else -1


def _extent(box: OrientedBox) -> _Extent:
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
