"""Small parts of the building that depend on the furniture: curtain rods, sockets, light switches and cables.

They have no id of their own: their pixels belong to the building.
"""

from __future__ import annotations

import math
from typing import Iterator, NamedTuple

import numpy as np

from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.building.openings import ShellPart
from sim_server.backends.rooms.building.plan import FloorPlan, Hole, Rect, wall_plane, wall_span
from sim_server.backends.rooms.building.style import METAL, TRIM
from sim_server.backends.rooms.building.wallparts import inward, wall_quad, wall_yaw_rad
from sim_server.backends.rooms.draw.materials import surface
from sim_server.backends.rooms.furnish.placed import Placed, footprint
from sim_server.backends.rooms.furniture.decor.textiles import CLOTH_OUT_M
from sim_server.backends.rooms.mesh import tube

_DARK = surface("plain", (52, 52, 54), (52, 52, 54), 1.0)
_PLATE_M, _OUT_M = 0.08, 0.007  # size of a plate and how far it protrudes
_SOCKET_M, _COUNTER_SOCKET_M, _SWITCH_M = 0.3, 1.12, 1.08  # heights of their middles
_EVERY_M = 3.2  # of wall, one socket
_BESIDE_DOOR_M = 0.2
_PLUGGED = {"lamp", "television stand", "desk", "fan"}  # what has a cable
_CABLE_M, _LONGEST_CABLE_M = 0.004, 1.6
_CABLES_FROM = 0.5  # clutter


class _Socket(NamedTuple):
    wall: int
    along_m: float
    height_m: float


def detail_parts(spec: SceneSpec, plan: FloorPlan, placed: list[Placed], rng: np.random.Generator) -> list[ShellPart]:
    """The details of all rooms of a home in the natural palette."""
    out: list[ShellPart] = []
    if spec.palette != "natural":
        return out
    for space, (rect, holes) in enumerate(zip(plan.rects, plan.holes)):
        inside = [t for t in placed if t.room == plan.room_of[space] and _in(rect, t)]
        out += _rods(rect, holes, inside)
        sockets = _sockets(rect, holes, inside, rng)
        for socket in sockets:
            out += _plate(rect, socket.wall, socket.along_m, socket.height_m, True)
        for hole in holes:
            if hole.kind in ("door", "entrance") and (at := _beside(rect, holes, hole)) is not None:
                out += _plate(rect, hole.wall, at, _SWITCH_M, False)
        if spec.clutter >= _CABLES_FROM:
            out += _cables(rect, sockets, inside)
    return out


def _in(rect: Rect, item: Placed) -> bool:
    foot = footprint(item)
    return rect.x_min <= foot.x_m <= rect.x_max and rect.z_min <= foot.z_m <= rect.z_max


def _rods(rect: Rect, holes: tuple[Hole, ...], inside: list[Placed]) -> Iterator[ShellPart]:
    """One rod per window, as long as the window and its curtains."""
    for hole in holes:
        yaw = wall_yaw_rad(hole.wall)
        mine = []
        for item in inside:
            along = footprint(item).z_m if hole.wall < 2 else footprint(item).x_m
            facing = abs(math.remainder(item.yaw_rad - yaw, 2 * math.pi)) < 0.1
            if item.category.name == "curtain" and facing and hole.start_m - 0.5 < along < hole.end_m + 0.5:
                mine.append((along, float(item.high[0] - item.low[0]) / 2, item))
        if hole.kind != "window" or not mine:
            continue
        low = min(hole.start_m - 0.2, *(along - half - 0.04 for along, half, _ in mine))
        high = max(hole.end_m + 0.2, *(along + half + 0.04 for along, half, _ in mine))
        start, end = wall_span(rect, hole.wall)
        item = mine[0][2]
        nx, nz = inward(hole.wall)
        x, z = item.x_m + nx * CLOTH_OUT_M, item.z_m + nz * CLOTH_OUT_M
        y = item.y_m + float(item.high[1]) - 0.008
        ends = [(x, y, v) if hole.wall < 2 else (v, y, z) for v in (max(low, start + 0.02), min(high, end - 0.02))]
        yield tube(ends, 0.012, 6), METAL


def _sockets(rect: Rect, holes: tuple[Hole, ...], inside: list[Placed], rng: np.random.Generator) -> list[_Socket]:
    """Sockets along the walls, clear of openings, and above counters."""
    out = []
    for wall in range(4):
        start, end = wall_span(rect, wall)
        for _ in range(max(1, round((end - start) / _EVERY_M))):
            at = float(rng.uniform(start + 0.2, end - 0.2))
            if _clear(holes, wall, at, _SOCKET_M):
                out.append(_Socket(wall, at, _SOCKET_M))
    for item in inside:
        if item.category.name == "counter" and rng.random() < 0.6:
            wall = min(range(4), key=lambda w: abs(math.remainder(wall_yaw_rad(w) - item.yaw_rad, 2 * math.pi)))
            foot = footprint(item)
            at = foot.z_m if wall < 2 else foot.x_m
            if _clear(holes, wall, at, _COUNTER_SOCKET_M):
                out.append(_Socket(wall, at, _COUNTER_SOCKET_M))
    return out


def _clear(holes: tuple[Hole, ...], wall: int, at: float, height: float) -> bool:
    """Whether a plate at this height is beside, above or below all openings."""
    return not any(
        h.wall == wall and h.start_m - 0.15 < at < h.end_m + 0.15 and h.low_m - 0.1 < height < h.high_m + 0.1
        for h in holes
    )


def _beside(rect: Rect, holes: tuple[Hole, ...], door: Hole) -> float | None:
    """The position of the switch on the side of a door where it does not open to, or on the other one."""
    start, end = wall_span(rect, door.wall)
    sides = [door.end_m + _BESIDE_DOOR_M, door.start_m - _BESIDE_DOOR_M]
    for at in sides if door.leaf <= 0 else sides[::-1]:
        if start + 0.08 < at < end - 0.08 and _clear(holes, door.wall, at, _SWITCH_M):
            return at
    return None


def _plate(rect: Rect, wall: int, along: float, y: float, socket: bool) -> Iterator[ShellPart]:
    """A flat plate with two dark pins, or with a rocker."""
    half = _PLATE_M / 2
    yield wall_quad(rect, wall, along - half, along + half, y - half, y + half, _OUT_M), TRIM
    if socket:
        for dx in (-0.012, 0.012):
            pin = (along + dx - 0.004, along + dx + 0.004, y - 0.006, y + 0.006)
            yield wall_quad(rect, wall, *pin, _OUT_M + 0.002), _DARK
    else:
        yield wall_quad(rect, wall, along - 0.026, along + 0.026, y - 0.001, y + 0.001, _OUT_M + 0.002), _DARK


def _cables(rect: Rect, sockets: list[_Socket], inside: list[Placed]) -> Iterator[ShellPart]:
    """A cable from the nearest socket along the skirting to each piece that needs one and is close to that wall."""
    low_ones = [s for s in sockets if s.height_m == _SOCKET_M]
    for item in inside:
        if item.category.name not in _PLUGGED or item.support >= 0:
            continue
        foot = footprint(item)
        best, length = None, _LONGEST_CABLE_M
        for socket in low_ones:
            along, out = (foot.z_m, foot.x_m) if socket.wall < 2 else (foot.x_m, foot.z_m)
            reach = abs(along - socket.along_m) + abs(out - wall_plane(rect, socket.wall))
            if reach < length:
                best, length = socket, reach
        if best is not None:
            yield tube(_route(rect, best, foot.x_m, foot.z_m), _CABLE_M, 4), _DARK


def _route(rect: Rect, socket: _Socket, x: float, z: float) -> list[tuple[float, float, float]]:
    """Down from the socket, along the wall, then over the floor to (x, z)."""
    nx, nz = inward(socket.wall)
    plane, out = wall_plane(rect, socket.wall), 0.018
    goal = z if socket.wall < 2 else x

    def at(along: float, y: float) -> tuple[float, float, float]:
        return (plane + nx * out, y, along) if socket.wall < 2 else (along, y, plane + nz * out)

    floor = _CABLE_M + 0.001
    points = [at(socket.along_m, socket.height_m), at(socket.along_m, floor), at(goal, floor), (x, floor, z)]
    return [p for p, q in zip(points, [*points[1:], (0.0, -1.0, 0.0)]) if math.dist(p, q) > 0.01]
