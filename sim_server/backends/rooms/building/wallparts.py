"""Geometry of a space's walls: rectangles and bars along them, and their directions."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.building.plan import Rect, wall_plane
from sim_server.backends.rooms.mesh import Part, box

_QUAD_FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def inward(wall: int) -> tuple[float, float]:
    """The x, z direction from a wall into its room."""
    return ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))[wall]


def wall_yaw_rad(wall: int) -> float:
    """The yaw at which a model's front (+z) faces from this wall into the room."""
    x, z = inward(wall)
    return float(np.arctan2(x, z))


def quad(
    corner: tuple[float, float, float], edge_u: tuple[float, ...], edge_v: tuple[float, ...], uv0: tuple[float, float]
) -> Part:
    """A flat rectangle; its front faces along edge_u x edge_v."""
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


def wall_quad(rect: Rect, wall: int, start: float, end: float, low: float, high: float, inset_m: float = 0.0) -> Part:
    """A rectangle of a wall that faces into the room, `inset_m` inside the room (negative: in the wall)."""
    run, rise = end - start, high - low
    nx, nz = inward(wall)
    x, z = wall_plane(rect, wall) + nx * inset_m, wall_plane(rect, wall) + nz * inset_m
    if wall == 0:
        return quad((x, low, end), (0, 0, -run), (0, rise, 0), (-end, low))
    if wall == 1:
        return quad((x, low, start), (0, 0, run), (0, rise, 0), (start, low))
    if wall == 2:
        return quad((start, low, z), (run, 0, 0), (0, rise, 0), (start, low))
    return quad((end, low, z), (-run, 0, 0), (0, rise, 0), (-end, low))


def reveal_quad(rect: Rect, wall: int, side: str, at: float, low: float, high: float, near: float, far: float) -> Part:
    """A face perpendicular to a wall, from `near` to `far` metres inside the room (negative: in the wall).

    `side` "start" faces along the wall towards its end and "end" towards its start; both are at `at` along the wall and
    span heights `low` to `high`. "head" faces down and "sill" up; both are at height `at` and span `low` to `high`
    along the wall.
    """
    nx, nz = inward(wall)
    plane, reach = wall_plane(rect, wall), near - far
    along = (0.0, 1.0) if wall < 2 else (1.0, 0.0)

    def point(t: float, y: float, inset: float) -> tuple[float, float, float]:
        x, z = along[0] * t + nx * inset, along[1] * t + nz * inset
        return (x + plane, y, z) if wall < 2 else (x, y, z + plane)

    back = (-nx * reach, 0.0, -nz * reach)
    if side in ("start", "end"):
        u, v, corner, wanted = back, (0.0, high - low, 0.0), point(at, low, near), np.array([along[0], 0, along[1]])
        wanted = wanted * (1 if side == "start" else -1)
    else:
        run = high - low
        u, v, corner = back, (along[0] * run, 0.0, along[1] * run), point(low, at, near)
        wanted = np.array([0.0, 1.0 if side == "sill" else -1.0, 0.0])
    if float(np.cross(u, v) @ wanted) < 0:
        u, v = v, u
    return quad(corner, u, v, (0.0, 0.0))


def wall_box(
    rect: Rect, wall: int, start: float, end: float, low: float, high: float, inset: float, thick: float
) -> Part:
    """A bar along a wall; its middle plane is `inset` metres inside the room (negative: in the wall)."""
    plane = wall_plane(rect, wall)
    plane += -inset if wall % 2 else inset
    along, up = (start + end) / 2, (low + high) / 2
    if wall < 2:
        return box((thick, high - low, end - start), (plane, up, along), 0.0015)
    return box((end - start, high - low, thick), (along, up, plane), 0.0015)
