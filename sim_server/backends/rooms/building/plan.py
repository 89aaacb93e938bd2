"""Floor plans: rooms with walls, doors and windows, either one room or a home whose rooms share walls.

A plan consists of spaces, which are rectangles of floor. A room is one space, or two adjacent ones without a wall.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from protocol.tasks.scene import Opening, Room, SceneSpec
from sim_server.backends.rooms.building.layout import OPEN_PAIRS, lay_out, room_kinds

WALL_M = 0.12
DOOR_HEIGHT_M = 2.05
DOOR_WIDTH_M = 0.9
_SINGLE_WIDTH_M = {
    "living room": (5.2, 7.0), "bedroom": (4.6, 5.8), "kitchen": (4.0, 5.2), "office": (3.8, 5.0),
    "dining room": (4.0, 5.4), "bathroom": (2.5, 3.6), "hallway": (1.7, 2.4),
}  # fmt: skip
_CORRIDOR_M = (4.0, 6.5)  # length of a single hallway
_LEAF_KINDS = ("bedroom", "bathroom", "office")  # rooms whose door has a leaf


class Rect(NamedTuple):
    """The inner floor rectangle of a space."""

    x_min: float
    z_min: float
    x_max: float
    z_max: float


class Hole(NamedTuple):
    """An opening in one wall of one space. Walls: 0 = x_min, 1 = x_max, 2 = z_min, 3 = z_max."""

    wall: int
    start_m: float  # along the wall, in the world's x or z
    end_m: float
    low_m: float
    high_m: float
    kind: str  # "door": to another room; "entrance": closed, to the outside; "window"; "joint": within a room
    leaf: int = 0  # an open leaf in this room, hinged at the start (-1) or the end (1); 0: none


class FloorPlan(NamedTuple):
    rooms: tuple[Room, ...]
    rects: tuple[Rect, ...]  # per space
    room_of: tuple[int, ...]  # per space, the index of its room; the first space of each room comes first, in order
    holes: tuple[tuple[Hole, ...], ...]  # per space
    openings: tuple[Opening, ...]


def _span(rng: np.random.Generator, low: float, high: float, width: float) -> tuple[float, float]:
    """A random span of `width` in low..high that avoids the corners."""
    start = rng.uniform(low + 0.25, max(low + 0.26, high - 0.25 - width))
    return float(start), float(start + width)


def make_plan(spec: SceneSpec, rng: np.random.Generator) -> FloorPlan:
    """The plan of one room, or of a home of `spec.rooms` rooms in which every room can be reached."""
    holes: list[list[Hole]]
    if spec.rooms == 1:
        kinds, rects = _single_room(spec, rng)
        holes, openings, owners = [[]], [], [0]
        for wall, kind in zip(rng.permutation(4), ("window", "entrance")):
            span = wall_span(rects[0], int(wall))
            _open_outside(spec, rng, rects[0], int(wall), kind, span, 0, holes[0], openings, kinds[0])
    else:
        cells = lay_out(room_kinds(spec.rooms, spec.min_objects, rng), rng)
        kinds, half = [c.kind for c in cells], WALL_M / 2
        owners = [k if c.wing_of < 0 else c.wing_of for k, c in enumerate(cells)]
        rects = [
            Rect(*(round(v, 3) for v in (c.x_min + half, c.z_min + half, c.x_max - half, c.z_max - half)))
            for c in cells
        ]
        holes, openings = [[] for _ in rects], []
        for k, owner in enumerate(owners):
            if owner != k:
                rects[k] = _add_joint(rects, holes, owner, k, spec.ceiling_m)
        _doors(kinds, rects, owners, holes, openings, rng)
        _windows_and_entrance(spec, kinds, rects, owners, holes, openings, rng)
    rooms = tuple(
        Room(k + 1, kinds[k], outline([r for r, owner in zip(rects, owners) if owner == k]), 0.0, spec.ceiling_m)
        for k in range(spec.rooms)
    )
    return FloorPlan(rooms, tuple(rects), tuple(owners), tuple(tuple(h) for h in holes), tuple(openings))


def _add_joint(rects: list[Rect], holes: list[list[Hole]], main: int, wing: int, height_m: float) -> Rect:
    """Remove the wall between a space and its wing; return the wing's rectangle, extended to the space."""
    shared = shared_wall(rects[main], rects[wing])
    assert shared is not None, "a wing shares a wall with its room"
    wall, start, end = shared
    holes[main].append(Hole(wall, start, end, 0.0, height_m, "joint"))
    holes[wing].append(Hole(wall ^ 1, start, end, 0.0, height_m, "joint"))
    side = ("x_min", "x_max", "z_min", "z_max")[wall ^ 1]
    return rects[wing]._replace(**{side: wall_plane(rects[main], wall)})


def outline(rects: list[Rect]) -> tuple[tuple[float, float], ...]:
    """The polygon (x, z) around one rectangle, or around two of which the second touches a side of the first."""
    r = rects[0]
    corners = [(r.x_min, r.z_min), (r.x_max, r.z_min), (r.x_max, r.z_max), (r.x_min, r.z_max)]
    for wing in rects[1:]:
        side = next(w for w in range(4) if wall_plane(wing, w ^ 1) == wall_plane(r, w))
        near, far = wall_plane(r, side), wall_plane(wing, side)
        start, end = wall_span(wing, side)
        if side in (0, 3):  # the outline runs along these sides from end to start
            start, end = end, start
        steps = [(near, start), (far, start), (far, end), (near, end)]
        after = (2, 1, 3, 0).index(side) + 1
        corners[after:after] = steps if side < 2 else [(along, across) for across, along in steps]
    ahead = [*corners[1:], corners[0]]
    corners = [a for a, b in zip(corners, ahead) if a != b]
    return tuple(
        b
        for a, b, c in zip([corners[-1], *corners[:-1]], corners, [*corners[1:], corners[0]])
        if not (a[0] == b[0] == c[0] or a[1] == b[1] == c[1])
    )


def _single_room(spec: SceneSpec, rng: np.random.Generator) -> tuple[list[str], list[Rect]]:
    """Any kind of room in the natural palette; a living room or a bedroom in the named palette."""
    if spec.palette == "natural":
        kind = room_kinds(1, spec.min_objects, rng)[0]
    else:
        kind = "bedroom" if rng.random() < 0.35 else "living room"
    width, depth = rng.uniform(*_SINGLE_WIDTH_M[kind]), rng.uniform(*_SINGLE_WIDTH_M[kind]) * 0.92
    if kind == "hallway":
        depth = rng.uniform(*_CORRIDOR_M)
    x_min, z_min = (round(-(size + WALL_M) / 2, 3) for size in (width, depth))
    x_max, z_max = (round((size + WALL_M) / 2, 3) - WALL_M for size in (width, depth))
    return [kind], [Rect(*(float(round(v, 3)) for v in (x_min, z_min, x_max, z_max)))]


def wall_span(rect: Rect, wall: int) -> tuple[float, float]:
    return (rect.z_min, rect.z_max) if wall < 2 else (rect.x_min, rect.x_max)


def wall_plane(rect: Rect, wall: int) -> float:
    return (rect.x_min, rect.x_max, rect.z_min, rect.z_max)[wall]


def shared_wall(a: Rect, b: Rect) -> Optional[tuple[int, float, float]]:
    """The wall of `a` that it shares with `b`, and the common span; None if there is none."""
    for wall in range(4):
        gap = wall_plane(b, wall ^ 1) - wall_plane(a, wall)
        if abs(gap - (WALL_M if wall % 2 else -WALL_M)) < 0.01:
            spans = wall_span(a, wall), wall_span(b, wall)
            start, end = max(s[0] for s in spans), min(s[1] for s in spans)
            if end - start > 0.3:
                return wall, start, end
    return None


def _doors(
    kinds: list[str],
    rects: list[Rect],
    owners: list[int],
    holes: list[list[Hole]],
    openings: list[Opening],
    rng: np.random.Generator,
) -> None:
    """Connect the rooms: wide openings between living areas, otherwise one door per room, preferably to the
    hallway."""
    joined = {0}
    hub = ("hallway", "living room", "dining room", "kitchen")
    pairs = []
    for a in range(len(rects)):
        for b in range(a + 1, len(rects)):
            shared = shared_wall(rects[a], rects[b])
            if owners[a] == owners[b] or shared is None or shared[2] - shared[1] < DOOR_WIDTH_M + 0.3:
                continue
            both = {kinds[a], kinds[b]}
            is_open = any(set(pair) == both for pair in OPEN_PAIRS)
            rank = 0 if is_open else min((hub.index(k) for k in both if k in hub), default=9) + 1
            pairs.append((rank, a, b, shared, is_open))
    pairs.sort()
    done: set[tuple[int, int]] = set()

    def join(pair: tuple[int, int, int, tuple[int, float, float], bool]) -> None:
        if (owners[pair[1]], owners[pair[2]]) not in done:
            _join(kinds, rects, owners, holes, openings, pair, rng)
        done.update({(owners[pair[1]], owners[pair[2]]), (owners[pair[2]], owners[pair[1]])})

    while True:  # a spanning tree, best pairs first
        best = next((p for p in pairs if (owners[p[1]] in joined) != (owners[p[2]] in joined)), None)
        if best is None:
            break
        joined |= {owners[best[1]], owners[best[2]]}
        pairs.remove(best)
        join(best)
    for pair in pairs:
        if pair[4] or {kinds[pair[1]], kinds[pair[2]]} == {"hallway", "living room"}:
            join(pair)


def _join(
    kinds: list[str],
    rects: list[Rect],
    owners: list[int],
    holes: list[list[Hole]],
    openings: list[Opening],
    pair: tuple[int, int, int, tuple[int, float, float], bool],
    rng: np.random.Generator,
) -> None:
    _, a, b, (wall, low, high), is_open = pair
    room = high - low - 0.5
    width = min(float(rng.uniform(1.3, 2.0)), room) if is_open and room > 1.2 else min(DOOR_WIDTH_M, room)
    at_end = rng.random()
    if at_end < 0.4:
        start = low + 0.3
    elif at_end < 0.8:
        start = high - 0.3 - width
    else:
        start = low + 0.25 + rng.random() * max(high - low - 0.5 - width, 0.0)
    start, end = float(round(max(start, low + 0.2), 3)), float(round(max(start, low + 0.2) + width, 3))
    hinge = -1 if start - low < high - end else 1
    leaf = [
        hinge if kinds[k] in _LEAF_KINDS and width <= DOOR_WIDTH_M and not any(h.leaf for h in holes[k]) else 0
        for k in (a, b)
    ]  # a second open leaf in a room could cross the first
    if all(leaf):
        leaf[0] = 0
    holes[a].append(Hole(wall, start, end, 0.0, DOOR_HEIGHT_M, "door", leaf[0]))
    holes[b].append(Hole(wall ^ 1, start, end, 0.0, DOOR_HEIGHT_M, "door", leaf[1]))
    openings.append(_opening("door", (owners[a] + 1, owners[b] + 1), rects[a], holes[a][-1]))


def _outer_spans(k: int, rects: list[Rect], holes: list[list[Hole]]) -> list[tuple[int, float, float]]:
    """Stretches of the space's outer walls: wall, start, end."""
    out = []
    for wall in range(4):
        start, end = wall_span(rects[k], wall)
        shared = [shared_wall(rects[k], other) for n, other in enumerate(rects) if n != k]
        behind = [s[1:] for s in shared if s and s[0] == wall]
        behind = sorted(behind + [h[1:3] for h in holes[k] if h.kind == "joint" and h.wall == wall])
        at = start
        for low, high in [*behind, (end, end)]:
            if low - at > 0.9:
                out.append((wall, at, low))
            at = max(at, high + WALL_M)
    return out


def _windows_and_entrance(
    spec: SceneSpec,
    kinds: list[str],
    rects: list[Rect],
    owners: list[int],
    holes: list[list[Hole]],
    openings: list[Opening],
    rng: np.random.Generator,
) -> None:
    """Add windows to the longest outer walls, two in large rooms, and the entrance to the hallway or living room."""
    at_entrance = kinds.index("hallway") if "hallway" in kinds else 0
    for k, kind in enumerate(kinds):
        spans = sorted(_outer_spans(k, rects, holes), key=lambda s: s[1] - s[2])
        if k == at_entrance and spans:
            span = spans.pop(-1 if kind == "hallway" or len(spans) > 1 else 0)
            _open_outside(spec, rng, rects[k], span[0], "entrance", span[1:], owners[k], holes[k], openings)
        if kind == "hallway":
            continue
        for span in spans[: 2 if kind in ("living room", "dining room") else 1]:
            _open_outside(spec, rng, rects[k], span[0], "window", span[1:], owners[k], holes[k], openings, kind)


def _open_outside(
    spec: SceneSpec,
    rng: np.random.Generator,
    rect: Rect,
    wall: int,
    kind: str,
    span: tuple[float, float],
    room: int,
    holes: list[Hole],
    openings: list[Opening],
    room_kind: str = "",
) -> None:
    """Add a window or the entrance to an outer wall of a space; appends to `holes` and `openings`."""
    low, high = span
    if kind == "window":
        widest = 0.8 if room_kind == "bathroom" else 2.0
        least = min(1.1, widest)
        width = float(rng.uniform(least, max(least, min(widest, high - low - 0.6))))
        width = max(0.4, min(width, high - low - 0.52))
        sill = 1.25 if room_kind == "bathroom" else 0.9
        hole = Hole(wall, *_span(rng, low, high, width), sill, min(2.15, spec.ceiling_m - 0.25), "window")
    else:
        width = min(DOOR_WIDTH_M, high - low - 0.52)
        hole = Hole(wall, *_span(rng, low, high, width), 0.0, DOOR_HEIGHT_M, "entrance")
    holes.append(hole)
    openings.append(_opening("window" if kind == "window" else "door", (room + 1,), rect, hole))


def _opening(kind: str, room_ids: tuple[int, ...], rect: Rect, hole: Hole) -> Opening:
    """The opening as a box: the volume that the hole removes from the wall."""
    inner = wall_plane(rect, hole.wall)
    outer = inner + (WALL_M if hole.wall % 2 else -WALL_M)
    near, far = min(inner, outer), max(inner, outer)
    if hole.wall < 2:
        return Opening(kind, room_ids, (near, hole.low_m, hole.start_m), (far, hole.high_m, hole.end_m))
    return Opening(kind, room_ids, (hole.start_m, hole.low_m, near), (hole.end_m, hole.high_m, far))
