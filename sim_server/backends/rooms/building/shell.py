"""Meshes of the building: floors, ceilings, walls with their openings, skirting boards, ceiling lamps."""

from __future__ import annotations

from typing import Iterator

import numpy as np

from sim_server.backends.rooms.building.openings import ShellPart, fill_hole, leaf_parts
from sim_server.backends.rooms.building.plan import WALL_M, FloorPlan, Hole, Rect, wall_span
from sim_server.backends.rooms.building.style import METAL, TRIM, Style
from sim_server.backends.rooms.building.wallparts import quad, wall_quad
from sim_server.backends.rooms.draw.materials import Material
from sim_server.backends.rooms.mesh import Part, box, cylinder, revolve, sphere


def _skirting(rect: Rect, wall: int, start: float, end: float) -> Part:
    """A flat board. A rounded one would cause aliasing, since its top is thinner than a pixel."""
    return wall_quad(rect, wall, start, end, 0.0, 0.08, 0.006)


def _wall(
    rect: Rect, wall: int, holes: list[tuple[Hole, float]], height: float, paint: Material, style: Style
) -> Iterator[ShellPart]:
    """A wall with its openings and blinds, and a skirting board that stops at doors."""
    start, end = wall_span(rect, wall)
    at = start
    for hole, drop in [*sorted(holes, key=lambda h: h[0].start_m), (None, 0.0)]:
        stop = end if hole is None else hole.start_m
        if stop > at:
            yield wall_quad(rect, wall, at, stop, 0.0, height), paint
            yield _skirting(rect, wall, at, stop), TRIM
        if hole is None:
            break
        if hole.high_m < height:
            yield wall_quad(rect, wall, hole.start_m, hole.end_m, hole.high_m, height), paint
        if hole.low_m > 0:
            yield wall_quad(rect, wall, hole.start_m, hole.end_m, 0.0, hole.low_m), paint
            yield _skirting(rect, wall, hole.start_m, hole.end_m), TRIM
        yield from fill_hole(rect, hole, style)
        if drop:
            yield _blind(rect, hole, drop), style.blind
        yield from leaf_parts(rect, hole, style.door)
        at = hole.end_m


def _blind(rect: Rect, hole: Hole, drop: float) -> Part:
    """A slatted blind in front of the panes, down from the head of the window by a part of its height."""
    low = hole.high_m - drop * (hole.high_m - hole.low_m)
    return wall_quad(rect, hole.wall, hole.start_m + 0.01, hole.end_m - 0.01, low, hole.high_m, -0.03)


def light_position(plan: FloorPlan, space: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """The position of a space's ceiling light, near the middle of the ceiling."""
    rect, room = plan.rects[space], plan.rooms[plan.room_of[space]]
    x = (rect.x_min + rect.x_max) / 2 + rng.uniform(-0.12, 0.12) * (rect.x_max - rect.x_min)
    z = (rect.z_min + rect.z_max) / 2 + rng.uniform(-0.12, 0.12) * (rect.z_max - rect.z_min)
    return float(x), room.ceiling_y_m - 0.3, float(z)


def shell_parts(
    plan: FloorPlan, lights: list[tuple[float, float, float]], style: Style, drops: tuple[tuple[float, ...], ...]
) -> list[list[ShellPart]]:
    """Per space, the parts of the building with their materials.

    lights: the position of each space's ceiling lamp; drops: see mood.blind_drops.
    """
    out = []
    for k, (rect, owner) in enumerate(zip(plan.rects, plan.room_of)):
        parts: list[ShellPart] = []
        width, depth = rect.x_max - rect.x_min, rect.z_max - rect.z_min
        height, look = plan.rooms[owner].ceiling_y_m, style.rooms[owner]
        floor = quad((rect.x_min, 0, rect.z_max), (width, 0, 0), (0, 0, -depth), (rect.x_min, -rect.z_max))
        parts.append((floor, look.floor))
        ceiling = quad((rect.x_min, height, rect.z_min), (width, 0, 0), (0, 0, depth), (rect.x_min, rect.z_min))
        parts.append((ceiling, look.ceiling))
        holes = list(zip(plan.holes[k], drops[k]))
        for wall in range(4):
            paint = look.accent_paint if wall == look.accent else look.paint
            parts.extend(_wall(rect, wall, [h for h in holes if h[0].wall == wall], height, paint, style))
        for hole in plan.holes[k]:
            if hole.kind in ("door", "entrance"):
                parts.append((_threshold(rect, hole), style.door))
        if len(plan.rooms) > 1:
            parts.extend((post, TRIM) for post in _corner_posts(plan, k, height))
        parts.extend(_ceiling_lamp(look.lamp, look.fixture, lights[k], height))
        out.append(parts)
    return out


def _ceiling_lamp(kind: str, glass: Material, light: tuple[float, float, float], height: float) -> Iterator[ShellPart]:
    """The fixture around a ceiling light."""
    x, y, z = light
    if kind == "dome":
        yield sphere(0.16, (x, height - 0.03, z), 16, 0.5), glass
    elif kind == "panel":
        yield box((0.42, 0.05, 0.42), (x, height - 0.025, z), 0.012), glass
    else:
        yield cylinder(0.05, 0.03, (x, height - 0.03, z), 12), METAL
        yield cylinder(0.006, height - y - 0.03, (x, y, z), 6), METAL
        if kind == "globe":
            yield sphere(0.13, (x, y - 0.04, z), 16), glass
        else:
            shade = [(0.0, -0.08), (0.2, -0.08), (0.2, 0.08), (0.0, 0.08)]
            yield revolve(shade, 24, (x, y - 0.03, z)), glass


def _corner_posts(plan: FloorPlan, space: int, height: float) -> Iterator[Part]:
    """Invisible posts inside the walls that keep a neighbour's lamp from shining through the seam of two walls."""
    rect, reach = plan.rects[space], WALL_M - 0.01
    for x in (rect.x_min - reach / 2 - 0.002, rect.x_max + reach / 2 + 0.002):
        for z in (rect.z_min - reach / 2 - 0.002, rect.z_max + reach / 2 + 0.002):
            in_a_wing = any(r.x_min < x < r.x_max and r.z_min < z < r.z_max for r in plan.rects)
            if not in_a_wing:
                yield box((reach, height, reach), (x, height / 2, z), 0.001)


def _threshold(rect: Rect, hole: Hole) -> Part:
    """The space's half of the floor in a doorway."""
    reach = WALL_M / 2 + 0.002
    run = hole.end_m - hole.start_m
    if hole.wall < 2:
        x = rect.x_min - reach if hole.wall == 0 else rect.x_max
        return quad((x, 0, hole.end_m), (reach, 0, 0), (0, 0, -run), (0, 0))
    z = rect.z_min if hole.wall == 2 else rect.z_max + reach
    return quad((hole.start_m, 0, z), (run, 0, 0), (0, 0, -reach), (0, 0))
