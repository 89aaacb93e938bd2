"""Meshes of the shell: floors, ceilings, walls with their holes, skirting boards, doors and window frames."""

from __future__ import annotations

import math
from typing import Iterator

import numpy as np

from sim_server.backends.rooms.materials import Material, surface
from sim_server.backends.rooms.mesh import Part, box, rotation_y, sphere
from sim_server.backends.rooms.plan import WALL_M, Hole, Plan, Rect, wall_plane, wall_span

ShellPart = tuple[Part, Material]

_FLOORS = (
    surface("planks", (112, 84, 58), (178, 142, 104), 0.7),
    surface("planks", (142, 118, 90), (206, 182, 148), 0.7),
    surface("boards", (88, 66, 50), (140, 110, 84), 0.5),
    surface("herringbone", (122, 94, 64), (190, 156, 116), 0.9),
    surface("carpet", (138, 134, 128), (184, 180, 172), 1.2),
    surface("carpet", (112, 112, 116), (158, 158, 160), 1.2),
)
_WET_FLOORS = (
    surface("tiles", (128, 126, 122), (222, 220, 214), 0.6),
    surface("small_tiles", (112, 114, 116), (196, 200, 202), 0.6),
)
_WALLS = (
    surface("paint", (206, 200, 188), (226, 221, 210), 0.4),
    surface("paint", (196, 198, 198), (216, 218, 218), 0.4),
    surface("paint", (214, 204, 184), (232, 224, 206), 0.4),
    surface("paint", (186, 192, 190), (206, 212, 210), 0.4),
    surface("paint", (204, 196, 190), (222, 216, 211), 0.4),
)
_TILED_WALLS = (
    surface("tiles", (188, 188, 184), (234, 233, 229), 0.8),
    surface("small_tiles", (176, 186, 188), (220, 226, 226), 0.9),
)
_LEAF_M = 0.04  # thickness of a door's leaf
_BEYOND_RAD = 0.05  # a leaf stands open by a right angle and this
_CEILING = surface("paint", (226, 226, 223), (236, 236, 233), 0.4)
_TRIM = surface("plain", (214, 212, 206), (214, 212, 206), 1.0)
_DOOR = surface("wood", (196, 184, 166), (222, 212, 196), 1.2)
_METAL = surface("plain", (140, 140, 142), (140, 140, 142), 1.0)
_QUAD_FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
_FIXTURE = surface("plain", (255, 246, 226), (255, 246, 226), 1.0)._replace(glow=1.6)


def _quad(
    corner: tuple[float, float, float], edge_u: tuple[float, ...], edge_v: tuple[float, ...], uv0: tuple[float, float]
) -> Part:
    """A flat rectangle; its front is on the side of edge_u x edge_v."""
    (x, y, z), (ux, uy, uz), (vx, vy, vz), (u0, v0) = corner, edge_u, edge_v, uv0
    positions = (
        (x, y, z),
        (x + ux, y + uy, z + uz),
        (x + ux + vx, y + uy + vy, z + uz + vz),
        (x + vx, y + vy, z + vz),
    )
    normal = (uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
    area = math.sqrt(sum(n * n for n in normal))
    run, rise = math.sqrt(ux * ux + uy * uy + uz * uz), math.sqrt(vx * vx + vy * vy + vz * vz)
    return Part(
        np.array(positions, np.float32),
        np.array([[n / area for n in normal]] * 4, np.float32),
        np.array([(u0, v0), (run + u0, v0), (run + u0, rise + v0), (u0, rise + v0)], np.float32),
        _QUAD_FACES,
    )


def _wall_quad(rect: Rect, wall: int, start: float, end: float, low: float, high: float) -> Part:
    """A piece of a wall, facing into the room."""
    run, rise = end - start, high - low
    if wall == 0:
        return _quad((rect.x_min, low, end), (0, 0, -run), (0, rise, 0), (-end, low))
    if wall == 1:
        return _quad((rect.x_max, low, start), (0, 0, run), (0, rise, 0), (start, low))
    if wall == 2:
        return _quad((start, low, rect.z_min), (run, 0, 0), (0, rise, 0), (start, low))
    return _quad((end, low, rect.z_max), (-run, 0, 0), (0, rise, 0), (-end, low))


def _wall_box(
    rect: Rect, wall: int, start: float, end: float, low: float, high: float, inset: float, thick: float
) -> Part:
    """A bar along a wall whose middle plane lies `inset` metres inside the room (negative: in the wall)."""
    plane = wall_plane(rect, wall)
    plane += -inset if wall % 2 else inset
    along, up = (start + end) / 2, (low + high) / 2
    if wall < 2:
        return box((thick, high - low, end - start), (plane, up, along), 0.0015)
    return box((end - start, high - low, thick), (along, up, plane), 0.0015)


def _skirting(rect: Rect, wall: int, start: float, end: float) -> Part:
    """A flat board: a rounded one would shimmer, since its top is thinner than a pixel."""
    nx, nz = inward(wall)
    return _wall_quad(rect, wall, start, end, 0.0, 0.08).moved((nx * 0.006, 0.0, nz * 0.006))


def _jambs(rect: Rect, hole: Hole, depth: float) -> Iterator[Part]:
    """The sides of a hole, `depth` metres into the wall: left, right, head and sill."""
    for start, end, low, high in (
        (hole.start_m, hole.start_m, hole.low_m, hole.high_m),
        (hole.end_m, hole.end_m, hole.low_m, hole.high_m),
        (hole.start_m, hole.end_m, hole.high_m, hole.high_m),
        (hole.start_m, hole.end_m, hole.low_m, hole.low_m),
    ):
        if low == high == 0.0:
            continue
        thick = 0.03
        grown = (start - thick * (start == end == hole.start_m), end + thick * (start == end == hole.end_m))
        rise = (low - thick * (low == high == hole.low_m), high + thick * (low == high == hole.high_m))
        yield _wall_box(rect, hole.wall, *grown, *rise, 0.006 - depth / 2, depth + 0.012)


def _fill_hole(rect: Rect, hole: Hole) -> Iterator[ShellPart]:
    depth = WALL_M / 2 + 0.002 if hole.kind == "door" else WALL_M
    for part in _jambs(rect, hole, depth):
        yield part, _TRIM
    if hole.kind == "window":
        middle = (hole.start_m + hole.end_m) / 2
        for start, end in (
            (hole.start_m, hole.start_m + 0.05),
            (middle - 0.025, middle + 0.025),
            (hole.end_m - 0.05, hole.end_m),
        ):
            yield _wall_box(rect, hole.wall, start, end, hole.low_m, hole.high_m, -0.06, 0.05), _TRIM
        for low, high in ((hole.low_m, hole.low_m + 0.05), (hole.high_m - 0.05, hole.high_m)):
            yield _wall_box(rect, hole.wall, hole.start_m, hole.end_m, low, high, -0.06, 0.05), _TRIM
    elif hole.kind == "entrance":
        yield _wall_box(rect, hole.wall, hole.start_m, hole.end_m, 0.0, hole.high_m, -0.05, 0.045), _DOOR
        for low, high in ((0.15, 0.85), (1.0, hole.high_m - 0.15)):
            yield _wall_box(rect, hole.wall, hole.start_m + 0.14, hole.end_m - 0.14, low, high, -0.026, 0.01), _DOOR
        knob = hole.end_m - 0.09
        yield _wall_box(rect, hole.wall, knob - 0.06, knob + 0.02, 1.0, 1.025, 0.01, 0.03), _METAL


def leaf_parts(rect: Rect, hole: Hole) -> list[ShellPart]:
    """The leaf of a door that stands open in this room: a board with two panels on either side and a handle."""
    if not hole.leaf:
        return []
    width, height = hole.end_m - hole.start_m - 0.03, hole.high_m - 0.02
    parts: list[ShellPart] = [(box((width, height, _LEAF_M), (width / 2, height / 2 + 0.01, 0), 0.003), _DOOR)]
    for side in (-1, 1):
        z = side * _LEAF_M / 2
        for low, high in ((0.15, 0.85), (1.05, height - 0.15)):
            parts.append((box((width - 0.26, high - low, 0.012), (width / 2, (low + high) / 2, z), 0.005), _DOOR))
        parts.append((box((0.02, 0.02, 0.06), (width - 0.07, 1.0, z * 1.8), 0.004), _METAL))
        parts.append((box((0.12, 0.018, 0.016), (width - 0.12, 1.0, z * 3.0), 0.004), _METAL))
    nx, nz = inward(hole.wall)
    beyond = np.sin(_BEYOND_RAD) * hole.leaf
    along_x, along_z = (0.0, beyond) if hole.wall < 2 else (beyond, 0.0)
    turn = rotation_y(float(np.arctan2(-(nz + along_z), nx + along_x)))
    at = (hole.start_m - 0.01) if hole.leaf < 0 else (hole.end_m + 0.01)
    plane = wall_plane(rect, hole.wall)
    x, z = (plane + nx * 0.03, at) if hole.wall < 2 else (at, plane + nz * 0.03)
    return [(part.turned(turn).moved((x, 0.0, z)), look) for part, look in parts]


def _wall(rect: Rect, wall: int, holes: list[Hole], height: float, paint: Material) -> Iterator[ShellPart]:
    """The wall around its holes, with a skirting board that stops at doors."""
    start, end = wall_span(rect, wall)
    at = start
    for hole in [*sorted(holes, key=lambda h: h.start_m), None]:
        stop = end if hole is None else hole.start_m
        yield _wall_quad(rect, wall, at, stop, 0.0, height), paint
        yield _skirting(rect, wall, at, stop), _TRIM
        if hole is None:
            break
        yield _wall_quad(rect, wall, hole.start_m, hole.end_m, hole.high_m, height), paint
        if hole.low_m > 0:
            yield _wall_quad(rect, wall, hole.start_m, hole.end_m, 0.0, hole.low_m), paint
            yield _skirting(rect, wall, hole.start_m, hole.end_m), _TRIM
        yield from _fill_hole(rect, hole)
        yield from leaf_parts(rect, hole)
        at = hole.end_m


def light_position(plan: Plan, index: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Where a room's ceiling light hangs: near the middle of its ceiling."""
    rect, room = plan.rects[index], plan.rooms[index]
    x = (rect.x_min + rect.x_max) / 2 + rng.uniform(-0.12, 0.12) * (rect.x_max - rect.x_min)
    z = (rect.z_min + rect.z_max) / 2 + rng.uniform(-0.12, 0.12) * (rect.z_max - rect.z_min)
    return float(x), room.ceiling_y_m - 0.3, float(z)


def shell_parts(
    plan: Plan, lights: list[tuple[float, float, float]], rng: np.random.Generator
) -> list[list[ShellPart]]:
    """Per room: the parts of its shell with their materials."""
    out = []
    home_floor, home_wall = _FLOORS[int(rng.integers(len(_FLOORS)))], int(rng.integers(len(_WALLS)))
    for k, (rect, room) in enumerate(zip(plan.rects, plan.rooms)):
        parts: list[ShellPart] = []
        width, depth = rect.x_max - rect.x_min, rect.z_max - rect.z_min
        height = room.ceiling_y_m
        floor = home_floor
        if room.category in ("kitchen", "bathroom"):
            floor = _WET_FLOORS[int(rng.integers(len(_WET_FLOORS)))]
        paint = _WALLS[(home_wall + k) % len(_WALLS)]
        if room.category == "bathroom":
            paint = _TILED_WALLS[home_wall % len(_TILED_WALLS)]
        parts.append(
            (_quad((rect.x_min, 0, rect.z_max), (width, 0, 0), (0, 0, -depth), (rect.x_min, -rect.z_max)), floor)
        )
        ceiling = _quad((rect.x_min, height, rect.z_min), (width, 0, 0), (0, 0, depth), (rect.x_min, rect.z_min))
        parts.append((ceiling, _CEILING))
        for wall in range(4):
            parts.extend(_wall(rect, wall, [h for h in plan.holes[k] if h.wall == wall], height, paint))
        for hole in plan.holes[k]:
            if hole.kind != "window":
                parts.append((_threshold(rect, hole), _DOOR))
        if len(plan.rooms) > 1:
            parts.extend((post, _TRIM) for post in _corner_posts(rect, height))
        x, _, z = lights[k]
        parts.append((sphere(0.16, (x, height - 0.03, z), 16, 0.5), _FIXTURE))
        out.append(parts)
    return out


def _corner_posts(rect: Rect, height: float) -> Iterator[Part]:
    """Posts inside the walls, unseen: they keep a neighbour's lamp from shining through the seam of two walls."""
    reach = WALL_M - 0.01
    for x in (rect.x_min - reach / 2 - 0.002, rect.x_max + reach / 2 + 0.002):
        for z in (rect.z_min - reach / 2 - 0.002, rect.z_max + reach / 2 + 0.002):
            yield box((reach, height, reach), (x, height / 2, z), 0.001)


def _threshold(rect: Rect, hole: Hole) -> Part:
    """The room's half of the floor in a doorway."""
    reach = WALL_M / 2 + 0.002
    run = hole.end_m - hole.start_m
    if hole.wall < 2:
        x = rect.x_min - reach if hole.wall == 0 else rect.x_max
        return _quad((x, 0, hole.end_m), (reach, 0, 0), (0, 0, -run), (0, 0))
    z = rect.z_min if hole.wall == 2 else rect.z_max + reach
    return _quad((hole.start_m, 0, z), (run, 0, 0), (0, 0, -reach), (0, 0))


def inward(wall: int) -> tuple[float, float]:
    """The x, z direction from a wall into its room."""
    return ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))[wall]


def wall_yaw_rad(wall: int) -> float:
    """Yaw that turns a model's front (+z) from this wall into the room."""
    x, z = inward(wall)
    return float(np.arctan2(x, z))
