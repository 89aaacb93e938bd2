"""Checks whether a camera is inside a solid object or wall, where the image would be meaningless."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Vec3
from sim_server.backends.rooms.building.plan import WALL_M, FloorPlan
from sim_server.backends.rooms.geometry import Geometry
from sim_server.jit import jit


def object_around(geometry: Geometry, point: NDArray[np.float32]) -> int:
    """The id of an object whose closed surface contains the point, or 0. Open surfaces do not count."""
    return int(
        _object_around(
            point, geometry.positions, geometry.faces, geometry.chunk_faces, geometry.chunk_low, geometry.chunk_high,
            geometry.chunk_object,
        )
    )  # fmt: skip


def in_wall(plan: FloorPlan, point_m: Vec3) -> bool:
    """Whether the point is inside a wall: beside a space, below its ceiling, and not in an opening."""
    x, y, z = point_m
    beside = False
    for rect, owner in zip(plan.rects, plan.room_of):
        room = plan.rooms[owner]
        if not room.floor_y_m <= y <= room.ceiling_y_m:
            continue
        if rect.x_min <= x <= rect.x_max and rect.z_min <= z <= rect.z_max:
            return False
        beside |= rect.x_min - WALL_M <= x <= rect.x_max + WALL_M and rect.z_min - WALL_M <= z <= rect.z_max + WALL_M
    return beside and not any(
        all(low - 1e-3 <= at <= high + 1e-3 for low, at, high in zip(o.min_m, point_m, o.max_m)) for o in plan.openings
    )


@jit
def _object_around(point, positions, faces, chunk_faces, chunk_low, chunk_high, chunk_object):
    """Sum signed crossings of the vertical line through the point, above and below it, per object.

    Both sums (winding numbers) are non-zero for a closed surface around the point.
    """
    x, y, z = np.float64(point[0]), np.float64(point[1]), np.float64(point[2])
    current, above, below = 0, 0, 0
    for k in range(chunk_object.shape[0]):
        owner = chunk_object[k]
        if owner != current:  # the chunks of an object are consecutive
            if above != 0 and below != 0:
                return current
            current, above, below = owner, 0, 0
        if owner == 0 or x < chunk_low[k, 0] or x > chunk_high[k, 0] or z < chunk_low[k, 2] or z > chunk_high[k, 2]:
            continue
        for f in range(chunk_faces[k, 0], chunk_faces[k, 1]):
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            ax, az = positions[a, 0] - x, positions[a, 2] - z
            bx, bz = positions[b, 0] - x, positions[b, 2] - z
            cx, cz = positions[c, 0] - x, positions[c, 2] - z
            u, v, w = bx * cz - bz * cx, cx * az - cz * ax, ax * bz - az * bx
            if (u >= 0.0 and v >= 0.0 and w >= 0.0) or (u <= 0.0 and v <= 0.0 and w <= 0.0):
                total = u + v + w
                if total == 0.0:
                    continue
                height = (u * positions[a, 1] + v * positions[b, 1] + w * positions[c, 1]) / total
                sign = 1 if total > 0.0 else -1
                if height > y:
                    above += sign
                else:
                    below += sign
    return current if above != 0 and below != 0 else 0
