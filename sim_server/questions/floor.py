"""Free floor: footprints of objects, the gap between two of them, and whether a box would fit there."""

from __future__ import annotations

from functools import lru_cache
from typing import Iterable, Optional

import msgspec
import numpy as np

from protocol.tasks.scene import OrientedBox, Room, SceneDescription, SceneObject
from sim_server.questions.geometry import Array, corners, inside_polygon

FLAT_M = 0.05  # lower objects (rugs) leave the floor free
HEAD_ROOM_M = 1.6  # objects that begin above this height leave the floor free
_RIM = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)), -1).reshape(-1, 2)
_RIM = _RIM[np.abs(_RIM).max(1) == 1.0]


class Gap(msgspec.Struct, frozen=True):
    """Floor between two objects: its middle (x, z), the unit direction from one to the other, its width in metres."""

    middle_xz_m: tuple[float, float]
    along: tuple[float, float]
    width_m: float


@lru_cache(maxsize=4096)
def footprint(box: OrientedBox) -> Array:
    """Corners (x, z) of the projection of a box onto the floor, counter-clockwise in the (x, z) plane, [N, 2]."""
    points = sorted(set(map(tuple, np.round(corners(box)[:, (0, 2)], 9).tolist())))

    def chain(items: list[tuple[float, float]]) -> list[tuple[float, float]]:
        hull: list[tuple[float, float]] = []
        for point in items:
            while len(hull) > 1 and _cross(hull[-2], hull[-1], point) <= 1e-9:
                hull.pop()
            hull.append(point)
        return hull[:-1]

    hull = np.array(chain(points) + chain(points[::-1]))
    hull.flags.writeable = False  # it is cached
    return hull


def _cross(o: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])


def polygons_overlap(a: Array, b: Array) -> bool:
    """Whether two convex polygons [N, 2] share more than their border (separating axes)."""
    for polygon in (a, b):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.stack([-edges[:, 1], edges[:, 0]], -1)
        first, second = a @ normals.T, b @ normals.T
        if ((first.max(0) <= second.min(0) + 1e-9) | (second.max(0) <= first.min(0) + 1e-9)).any():
            return False
    return True


def gap(a: OrientedBox, b: OrientedBox) -> Optional[Gap]:
    """The floor between the closest points of the footprints of two boxes; None if they touch or overlap."""
    first, second = footprint(a), footprint(b)
    if polygons_overlap(first, second):
        return None
    best: Optional[tuple[float, Array, Array]] = None
    for points, polygon, swapped in ((first, second, False), (second, first, True)):
        start, edge = polygon, np.roll(polygon, -1, axis=0) - polygon
        offset = points[:, None] - start[None]
        fraction = np.clip((offset * edge).sum(-1) / np.maximum((edge * edge).sum(-1), 1e-18), 0.0, 1.0)
        near = start[None] + fraction[..., None] * edge[None]
        apart = np.hypot(*np.moveaxis(points[:, None] - near, -1, 0))
        i, j = np.unravel_index(int(apart.argmin()), apart.shape)
        ends = (near[i, j], points[i]) if swapped else (points[i], near[i, j])
        if best is None or apart[i, j] < best[0]:
            best = (float(apart[i, j]), *ends)
    assert best is not None
    width, start, end = best
    if width < 1e-6:
        return None
    middle, along = (start + end) / 2, (end - start) / width
    return Gap((float(middle[0]), float(middle[1])), (float(along[0]), float(along[1])), width)


def square(between: Gap, side_m: float) -> Array:
    """Corners (x, z) of the square of this side midway in a gap, one side along it, [4, 2]."""
    along = np.array(between.along)
    across = np.array([-along[1], along[0]])
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * side_m / 2
    return np.array(between.middle_xz_m) + signs @ np.stack([along, across])


def takes_floor(item: SceneObject, floor_y_m: float) -> bool:
    """Whether an object occupies the floor at this height."""
    low_m, high_m = _span_y_m(item.box)
    return high_m - floor_y_m > FLAT_M and -FLAT_M < low_m - floor_y_m < HEAD_ROOM_M


@lru_cache(maxsize=4096)
def _span_y_m(box: OrientedBox) -> tuple[float, float]:
    heights = corners(box)[:, 1]
    return float(heights.min()), float(heights.max())


def blockers(description: SceneDescription, place: Array, floor_y_m: float) -> list[SceneObject]:
    """The objects that occupy part of a convex polygon [N, 2] of a floor."""
    return [
        item
        for item in description.objects
        if takes_floor(item, floor_y_m) and polygons_overlap(footprint(item.box), place)
    ]


def room_around(description: SceneDescription, between: Gap, side_m: float) -> Optional[Room]:
    """The room that contains the entire square; None if there is none."""
    along = np.array(between.along)
    axes = np.stack([along, np.array([-along[1], along[0]])])
    rim = np.array(between.middle_xz_m) + (_RIM * side_m / 2) @ axes
    for room in description.rooms:
        if inside_polygon(rim, room.polygon_xz_m).all():
            return room
    return None


def square_is_free(description: SceneDescription, between: Gap, side_m: float) -> bool:
    """Whether the square of this side midway in a gap is free and entirely inside one room."""
    if side_m > between.width_m:
        return False
    room = room_around(description, between, side_m)
    return room is not None and not blockers(description, square(between, side_m), room.floor_y_m)


def largest_free(description: SceneDescription, between: Gap, sides_m: Iterable[float]) -> float:
    """The largest of these sides for which `square_is_free`, 0 if there is none."""
    free_m, left = 0.0, sorted(sides_m)
    while left:  # bisect: space for a square is space for any smaller one
        middle = len(left) // 2
        if square_is_free(description, between, left[middle]):
            free_m, left = left[middle], left[middle + 1 :]
        else:
            left = left[:middle]
    return free_m


def standable(description: SceneDescription, box: OrientedBox, ignore: int, apart_m: float) -> bool:
    """Whether an object can stand at this box: inside a room, and `apart_m` from every object except `ignore`."""
    foot = footprint(box)
    rooms = [room for room in description.rooms if inside_polygon(foot, room.polygon_xz_m).all()]
    if not rooms:
        return False
    for item in description.objects:
        if item.id == ignore or not takes_floor(item, rooms[0].floor_y_m):
            continue
        between = gap(item.box, box)
        if between is None or between.width_m < apart_m:
            return False
    return True
