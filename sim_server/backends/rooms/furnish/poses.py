"""Poses by category: against a wall, in a corner, in the middle, or beside related furniture."""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.building.plan import Rect, wall_span
from sim_server.backends.rooms.building.wallparts import inward, wall_yaw_rad
from sim_server.backends.rooms.furnish.catalogue import ANYWHERE, CORNER, MIDDLE, WALL, Category
from sim_server.backends.rooms.furnish.footprint import Footprint

WALL_GAP_M = 0.025
NEIGHBOUR_GAP_M = 0.09
LEG_ROOM_M = 0.35  # between a sofa and its coffee table


def free_pose(
    category: Category, rect: Rect, half_x: float, half_z: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """A pose (x, z, yaw) for a footprint with these half sizes, following category.place."""
    middle_x, middle_z = (rect.x_min + rect.x_max) / 2, (rect.z_min + rect.z_max) / 2
    place = category.place
    if place == CORNER and rng.random() < 0.3:
        place = ANYWHERE
    if place == WALL:
        wall = int(rng.integers(4))
        start, end = wall_span(rect, wall)
        room = end - start - 2 * half_x
        along = start + half_x + rng.uniform(0.02, 0.98) * room
        nx, nz = inward(wall)
        plane = (rect.x_min, rect.x_max, rect.z_min, rect.z_max)[wall]
        out = half_z + WALL_GAP_M
        x, z = (plane + nx * out, along) if wall < 2 else (along, plane + nz * out)
        return x, z, wall_yaw_rad(wall)
    if place == CORNER:
        sx, sz = rng.choice([-1, 1]), rng.choice([-1, 1])
        reach = max(half_x, half_z) + 0.06
        slide = rng.uniform(0, 0.9, 2)
        x = (rect.x_max - reach - slide[0]) if sx > 0 else (rect.x_min + reach + slide[0])
        z = (rect.z_max - reach - slide[1] * 0.3) if sz > 0 else (rect.z_min + reach + slide[1] * 0.3)
        return x, z, rng.uniform(0, 2 * math.pi)
    margin = max(half_x, half_z) + (0.5 if place == MIDDLE else 0.15)
    x = rng.uniform(min(rect.x_min + margin, middle_x), max(rect.x_max - margin, middle_x))
    z = rng.uniform(min(rect.z_min + margin, middle_z), max(rect.z_max - margin, middle_z))
    if place == MIDDLE:
        return x, z, float(rng.integers(4)) * math.pi / 2 + rng.normal(0, 0.04)
    facing = math.atan2(middle_x - x, middle_z - z) + rng.normal(0, 0.6)
    return x, z, facing


def pose_beside(
    half_x: float, half_z: float, anchors: Sequence[tuple[str, Footprint]], rng: np.random.Generator
) -> tuple[float, float, float]:
    """A pose (x, z, yaw) beside one of `anchors` (category name and footprint), which must not be empty.

    Nightstands go to the head of a bed, coffee tables in front of a sofa, chairs to a desk or around a table.
    """
    name, anchor = pick(anchors, rng)
    turn = 0.0
    if name == "bed":
        side = 1.0 if rng.random() < 0.5 else -1.0
        u, v = side * (anchor.half_x_m + half_x + NEIGHBOUR_GAP_M), half_z - anchor.half_z_m
    elif name == "sofa":
        u, v = rng.normal(0, 0.08), anchor.half_z_m + half_z + LEG_ROOM_M
    elif name == "desk":
        u, v, turn = rng.normal(0, 0.05), anchor.half_z_m + half_z + NEIGHBOUR_GAP_M, math.pi
    else:
        quarter = int(rng.integers(4))
        reach = (anchor.half_z_m, anchor.half_x_m)[quarter % 2] + half_z + NEIGHBOUR_GAP_M
        slide = rng.uniform(-0.6, 0.6) * max((anchor.half_x_m, anchor.half_z_m)[quarter % 2] - half_x, 0.0)
        angle = quarter * math.pi / 2
        u, v = math.sin(angle) * reach + math.cos(angle) * slide, math.cos(angle) * reach - math.sin(angle) * slide
        turn = angle + math.pi + rng.normal(0, 0.08)
    c, s = math.cos(anchor.yaw_rad), math.sin(anchor.yaw_rad)
    return anchor.x_m + c * u + s * v, anchor.z_m - s * u + c * v, anchor.yaw_rad + turn
