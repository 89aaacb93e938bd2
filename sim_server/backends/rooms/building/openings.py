"""Meshes for the openings in walls: window frames, door casings, the entrance, open door leaves."""

from __future__ import annotations

from typing import Iterator

import numpy as np

from sim_server.backends.rooms.building.plan import WALL_M, Hole, Rect, wall_plane
from sim_server.backends.rooms.building.style import METAL, TRIM, Style
from sim_server.backends.rooms.building.wallparts import inward, reveal_quad, wall_box, wall_quad, wall_yaw_rad
from sim_server.backends.rooms.draw.materials import Material
from sim_server.backends.rooms.mesh import Part, box, raised_panel, rotation_y

ShellPart = tuple[Part, Material]

_LEAF_M = 0.04  # thickness of a door's leaf
_BEYOND_RAD = 0.05  # an open leaf is turned by a right angle plus this
_CASING_M, _CASING_OUT_M = 0.066, 0.008  # width of a casing, and how far it protrudes from the wall
_BAR_M = 0.05  # width of the bars of a window
_SASH_M = 1.05  # a window has one sash per this width


def fill_hole(rect: Rect, hole: Hole, style: Style) -> Iterator[ShellPart]:
    if hole.kind == "joint":
        return
    yield from _casing(rect, hole)
    if hole.kind == "window":
        yield from _sashes(rect, hole)
    elif hole.kind == "entrance":
        yield from _entrance(rect, hole, style.door)


def _casing(rect: Rect, hole: Hole) -> Iterator[ShellPart]:
    """Flat boards around an opening and its lining. They have no edges, which would be thinner than a pixel."""
    wall, start, end, low, high = hole[:5]
    depth = -WALL_M / 2 - 0.002 if hole.kind == "door" else -WALL_M
    out, top = _CASING_OUT_M, high + _CASING_M
    yield wall_quad(rect, wall, start - _CASING_M, start, low, top, out), TRIM
    yield wall_quad(rect, wall, end, end + _CASING_M, low, top, out), TRIM
    yield wall_quad(rect, wall, start, end, high, top, out), TRIM
    for side, at in (("start", start), ("end", end)):
        yield reveal_quad(rect, wall, side, at, low, high, out, depth), TRIM
    yield reveal_quad(rect, wall, "head", high, start, end, out, depth), TRIM
    if low > 0:
        yield reveal_quad(rect, wall, "sill", low, start, end, out, depth), TRIM
        board = wall_box(rect, wall, start - _CASING_M, end + _CASING_M, low - 0.035, low, 0.024, 0.048)
        yield board, TRIM


def _sashes(rect: Rect, hole: Hole) -> Iterator[ShellPart]:
    """A frame and mullions with sharp edges; panes are not drawn."""
    wall, start, end, low, high = hole[:5]
    count = max(1, round((end - start) / _SASH_M))
    near, far = -0.04, -0.09
    edges = np.linspace(start, end, count + 1)
    for k, (left, right) in enumerate(zip(edges[:-1], edges[1:])):
        left += _BAR_M if k == 0 else _BAR_M / 2
        right -= _BAR_M if k == count - 1 else _BAR_M / 2
        for side, at in (("start", left), ("end", right)):
            yield reveal_quad(rect, wall, side, at, low + _BAR_M, high - _BAR_M, near, far), TRIM
        yield reveal_quad(rect, wall, "head", high - _BAR_M, left, right, near, far), TRIM
        yield reveal_quad(rect, wall, "sill", low + _BAR_M, left, right, near, far), TRIM
        if k:
            yield wall_quad(rect, wall, left - _BAR_M, left, low + _BAR_M, high - _BAR_M, near), TRIM
    yield wall_quad(rect, wall, start, end, low, low + _BAR_M, near), TRIM
    yield wall_quad(rect, wall, start, end, high - _BAR_M, high, near), TRIM
    yield wall_quad(rect, wall, start, start + _BAR_M, low + _BAR_M, high - _BAR_M, near), TRIM
    yield wall_quad(rect, wall, end - _BAR_M, end, low + _BAR_M, high - _BAR_M, near), TRIM


def _entrance(rect: Rect, hole: Hole, look: Material) -> Iterator[ShellPart]:
    """A closed door in its casing, with two panels and a handle."""
    wall, start, end, _, high = hole[:5]
    inset = -0.03
    yield wall_quad(rect, wall, start, end, 0.0, high, inset), look
    nx, nz = inward(wall)
    plane, middle = wall_plane(rect, wall), (start + end) / 2
    x, z = (plane + nx * inset, middle) if wall < 2 else (middle, plane + nz * inset)
    for low, top in ((0.15, 0.88), (1.02, high - 0.15)):
        panel = raised_panel(end - start - 0.26, top - low, (0, (low + top) / 2, 0), 0.012)
        yield panel.turned(rotation_y(wall_yaw_rad(wall))).moved((x, 0.0, z)), look
    yield wall_box(rect, wall, end - 0.2, end - 0.07, 1.0, 1.025, inset + 0.045, 0.02), METAL
    yield wall_box(rect, wall, end - 0.1, end - 0.07, 1.0, 1.025, inset + 0.02, 0.05), METAL


def leaf_parts(rect: Rect, hole: Hole, look: Material) -> list[ShellPart]:
    """The leaf of an open door: a board with two panels on either side and a handle."""
    if not hole.leaf:
        return []
    width, height = hole.end_m - hole.start_m - 0.03, hole.high_m - 0.02
    parts: list[ShellPart] = [(box((width, height, _LEAF_M), (width / 2, height / 2 + 0.01, 0), 0.003), look)]
    for side in (-1, 1):
        z = side * _LEAF_M / 2
        for low, high in ((0.15, 0.88), (1.02, height - 0.15)):
            panel = raised_panel(width - 0.26, high - low, (0, (low + high) / 2, _LEAF_M / 2), 0.01)
            parts.append((panel.turned(rotation_y(0.0 if side > 0 else np.pi)).moved((width / 2, 0, 0)), look))
        parts.append((box((0.02, 0.02, 0.06), (width - 0.07, 1.0, z * 1.8), 0.004), METAL))
        parts.append((box((0.12, 0.018, 0.016), (width - 0.12, 1.0, z * 3.0), 0.004), METAL))
    nx, nz = inward(hole.wall)
    beyond = np.sin(_BEYOND_RAD) * hole.leaf
    along_x, along_z = (0.0, beyond) if hole.wall < 2 else (beyond, 0.0)
    turn = rotation_y(float(np.arctan2(-(nz + along_z), nx + along_x)))
    at = (hole.start_m - 0.01) if hole.leaf < 0 else (hole.end_m + 0.01)
    plane = wall_plane(rect, hole.wall)
    x, z = (plane + nx * 0.03, at) if hole.wall < 2 else (at, plane + nz * 0.03)
    return [(part.turned(turn).moved((x, 0.0, z)), material) for part, material in parts]
