"""Room layout: rectangles in a row or grid with shared walls, doors between neighbours, windows outside."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from protocol.scene import Opening, Room, SceneSpec

WALL_M = 0.12
DOOR_HEIGHT_M = 2.05
_KINDS = ("living room", "bedroom", "kitchen", "study", "bathroom")
_WIDTH_M = {
    "living room": (5.2, 7.0),
    "bedroom": (4.6, 5.8),
    "kitchen": (4.0, 5.2),
    "study": (3.8, 5.0),
    "bathroom": (3.2, 4.0),
}


class Rect(NamedTuple):
    """A room's inner floor rectangle."""

    x_min: float
    z_min: float
    x_max: float
    z_max: float


class Hole(NamedTuple):
    """An opening in one wall of one room. Walls: 0 = x_min, 1 = x_max, 2 = z_min, 3 = z_max."""

    wall: int
    start_m: float  # along the wall, in the world's x or z
    end_m: float
    low_m: float
    high_m: float
    kind: str  # "door": to another room; "entrance": closed, to the outside; "window"


class Plan(NamedTuple):
    rooms: tuple[Room, ...]
    rects: tuple[Rect, ...]
    holes: tuple[tuple[Hole, ...], ...]  # per room
    openings: tuple[Opening, ...]


def _span(rng: np.random.Generator, low: float, high: float, width: float) -> tuple[float, float]:
    """A span of `width` somewhere in low..high, clear of the corners."""
    start = rng.uniform(low + 0.25, max(low + 0.26, high - 0.25 - width))
    return float(start), float(start + width)


def make_plan(spec: SceneSpec, rng: np.random.Generator) -> Plan:
    """A living room alone, or `spec.rooms` rooms on a grid in which every room has a door to an earlier one."""
    columns = math.ceil(math.sqrt(spec.rooms))
    rows = math.ceil(spec.rooms / columns)
    kinds = [_KINDS[0] if k == 0 else _KINDS[int(rng.integers(1, len(_KINDS)))] for k in range(spec.rooms)]
    if spec.rooms == 1 and rng.random() < 0.35:
        kinds[0] = "bedroom"
    width = [max(rng.uniform(*_WIDTH_M[k]) for k in kinds[c::columns]) for c in range(columns)]
    depth = [max(rng.uniform(*_WIDTH_M[k]) * 0.92 for k in kinds[r * columns : (r + 1) * columns]) for r in range(rows)]
    x_edge = np.concatenate([[0.0], np.cumsum(np.array(width) + WALL_M)])
    z_edge = np.concatenate([[0.0], np.cumsum(np.array(depth) + WALL_M)])
    x_edge, z_edge = np.round(x_edge - x_edge[-1] / 2, 3), np.round(z_edge - z_edge[-1] / 2, 3)
    rects, rooms = [], []
    for k, kind in enumerate(kinds):
        column, row = k % columns, k // columns
        rect = Rect(x_edge[column], z_edge[row], x_edge[column + 1] - WALL_M, z_edge[row + 1] - WALL_M)
        rect = Rect(*(float(round(v, 3)) for v in rect))
        rects.append(rect)
        polygon = (
            (rect.x_min, rect.z_min),
            (rect.x_max, rect.z_min),
            (rect.x_max, rect.z_max),
            (rect.x_min, rect.z_max),
        )
        rooms.append(Room(k + 1, kind, polygon, 0.0, spec.ceiling_m))
    holes: list[list[Hole]] = [[] for _ in rooms]
    openings: list[Opening] = []
    _inner_doors(rng, columns, rects, holes, openings)
    _outer_openings(rng, spec, columns, rows, rects, holes, openings)
    return Plan(tuple(rooms), tuple(rects), tuple(tuple(h) for h in holes), tuple(openings))


def _inner_doors(
    rng: np.random.Generator, columns: int, rects: list[Rect], holes: list[list[Hole]], openings: list[Opening]
) -> None:
    for k, rect in enumerate(rects):
        neighbours = [n for n in ((k - 1) if k % columns else -1, k - columns) if n >= 0]
        must = neighbours[int(rng.integers(len(neighbours)))] if neighbours else -1
        for other in neighbours:
            if other != must and rng.random() < 0.5:
                continue
            beside = other == k - 1
            low, high = (rect.z_min, rect.z_max) if beside else (rect.x_min, rect.x_max)
            start, end = _span(rng, low, high, 0.95)
            own, theirs = (0, 1) if beside else (2, 3)
            holes[k].append(Hole(own, start, end, 0.0, DOOR_HEIGHT_M, "door"))
            holes[other].append(Hole(theirs, start, end, 0.0, DOOR_HEIGHT_M, "door"))
            openings.append(_opening("door", (other + 1, k + 1), rect, holes[k][-1]))


def _outer_openings(
    rng: np.random.Generator,
    spec: SceneSpec,
    columns: int,
    rows: int,
    rects: list[Rect],
    holes: list[list[Hole]],
    openings: list[Opening],
) -> None:
    """One window per room where it has an outer wall, and the entrance in the first room."""
    count = len(rects)
    for k, rect in enumerate(rects):
        column, row = k % columns, k // columns
        outer = [
            wall
            for wall, is_outer in enumerate(
                (
                    column == 0,
                    column == columns - 1 or k == count - 1,
                    row == 0,
                    row == rows - 1 or k + columns >= count,
                )
            )
            if is_outer
        ]
        order = [outer[i] for i in rng.permutation(len(outer))]
        for kind, wall in zip(("window", "entrance") if k == 0 else ("window",), order):
            low, high = (rect.z_min, rect.z_max) if wall < 2 else (rect.x_min, rect.x_max)
            if kind == "window":
                start, end = _span(rng, low, high, float(rng.uniform(1.1, min(2.0, high - low - 0.6))))
                hole = Hole(wall, start, end, 0.9, min(2.15, spec.ceiling_m - 0.25), "window")
            else:
                start, end = _span(rng, low, high, 0.9)
                hole = Hole(wall, start, end, 0.0, DOOR_HEIGHT_M, "entrance")
            holes[k].append(hole)
            openings.append(_opening("window" if kind == "window" else "door", (k + 1,), rect, hole))


def _opening(kind: str, room_ids: tuple[int, ...], rect: Rect, hole: Hole) -> Opening:
    """The block that the hole takes out of the wall."""
    inner = (rect.x_min, rect.x_max, rect.z_min, rect.z_max)[hole.wall]
    outer = inner + (WALL_M if hole.wall % 2 else -WALL_M)
    near, far = min(inner, outer), max(inner, outer)
    if hole.wall < 2:
        return Opening(kind, room_ids, (near, hole.low_m, hole.start_m), (far, hole.high_m, hole.end_m))
    return Opening(kind, room_ids, (hole.start_m, hole.low_m, near), (hole.end_m, hole.high_m, far))
