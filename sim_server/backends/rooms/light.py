"""Static light of a scene: a shadow cube per ceiling light and a map of contact shade on the floor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms import raster
from sim_server.backends.rooms.geometry import Geometry
from sim_server.backends.rooms.plan import Rect

CUBE_PX = 256
SHADE_CELL_M = 0.06

# Face order +x -x +y -y +z -z; rows right, up, forward. shade.py looks texels up with the same axes.
CUBE_AXES = np.array(
    [
        [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
        [[0, 1, 0], [0, 0, 1], [-1, 0, 0]],
        [[1, 0, 0], [0, 0, 1], [0, 1, 0]],
        [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [0, 1, 0], [0, 0, -1]],
    ],
    np.float32,
)
# Half of the faces above are mirrored (right x up points away from forward), which swaps front and back.
_MIRRORED = np.array([np.linalg.det(a) for a in CUBE_AXES]) > 0


class Light(NamedTuple):
    """lamps float32 [L, 8] = position, linear rgb power, reach in metres, 0; cubes float32 [L, 6, S, S] inverse depth.

    ambient float32 [4, 3] = linear rgb from above, from the side, from below, and the sky seen through windows;
    shade float32 [Z, X, 2] = crowding by objects and by walls near the floor; origin float32 [2] = x, z of cell 0.
    """

    lamps: NDArray[np.float32]
    cubes: NDArray[np.float32]
    ambient: NDArray[np.float32]
    shade: NDArray[np.float32]
    origin: NDArray[np.float32]
    windows: NDArray[np.float32]


def shadow_cubes(geometry: Geometry, positions_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inverse depth seen from every lamp, one square map per direction of CUBE_AXES.

    Back faces are drawn: they lie behind the lit side, so that no bias is needed on it.
    """
    cubes = np.empty((len(positions_m), 6, CUBE_PX, CUBE_PX), np.float32)
    seen = np.empty((CUBE_PX, CUBE_PX), np.int32)
    camera, screen = np.empty_like(geometry.positions), np.empty_like(geometry.positions)
    one = np.float32(1)
    for lamp, eye in enumerate(positions_m):
        for face in range(6):
            axes = CUBE_AXES[face]
            order = raster.visible_chunks(geometry.chunk_low, geometry.chunk_high, eye, axes, one, one)
            raster.draw(
                order, geometry.positions, geometry.faces, geometry.chunk_faces, geometry.chunk_vertices, eye, axes,
                np.float32(CUBE_PX / 2), raster.CULL_BACK if _MIRRORED[face] else raster.CULL_FRONT,
                cubes[lamp, face], seen, camera, screen,
            )  # fmt: skip
    return cubes


def _blur(values: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Two passes of a box filter along both axes."""
    width = 2 * radius + 1
    for _ in range(2):
        for axis in (0, 1):
            pad = [(radius + 1, radius) if a == axis else (0, 0) for a in (0, 1)]
            total = np.cumsum(np.pad(values, pad), axis=axis, dtype=np.float64)
            ahead = np.take(total, np.arange(width, total.shape[axis]), axis)
            behind = np.take(total, np.arange(total.shape[axis] - width), axis)
            values = ((ahead - behind) / width).astype(np.float32)
    return values


def contact_shade(geometry: Geometry, rects: tuple[Rect, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How crowded the surroundings of each floor cell are: by low parts of objects, and by walls; with its origin."""
    x_min, z_min = min(r.x_min for r in rects) - 0.3, min(r.z_min for r in rects) - 0.3
    x_max, z_max = max(r.x_max for r in rects) + 0.3, max(r.z_max for r in rects) + 0.3
    columns, rows = int((x_max - x_min) / SHADE_CELL_M) + 1, int((z_max - z_min) / SHADE_CELL_M) + 1
    walls = np.ones((rows, columns), np.float32)
    for r in rects:
        x0, x1 = ((v - x_min) / SHADE_CELL_M for v in (r.x_min, r.x_max))
        z0, z1 = ((v - z_min) / SHADE_CELL_M for v in (r.z_min, r.z_max))
        walls[int(z0 + 0.5) : int(z1 + 0.5), int(x0 + 0.5) : int(x1 + 0.5)] = 0.0
    objects = np.zeros((rows, columns), np.float32)
    centres = geometry.positions[geometry.faces[geometry.face_object > 0]]
    if len(centres):
        low, high = centres.min(1), centres.max(1)
        near = low[:, 1] < 0.6
        weight = np.exp(-low[near, 1] / 0.25).astype(np.float32)
        x0, x1 = (np.clip((v[near, 0] - x_min) / SHADE_CELL_M, 0, columns - 1).astype(np.int32) for v in (low, high))
        z0, z1 = (np.clip((v[near, 2] - z_min) / SHADE_CELL_M, 0, rows - 1).astype(np.int32) for v in (low, high))
        _stamp(objects, x0, x1, z0, z1, weight)
    shade = np.stack([_blur(objects, 2), _blur(walls, 4)], -1)
    return np.ascontiguousarray(shade), np.array([x_min, z_min], np.float32)


@raster._jit
def _stamp(target, x0, x1, z0, z1, weight):
    """The largest weight of the boxes over each cell."""
    for k in range(len(weight)):
        for z in range(z0[k], z1[k] + 1):
            for x in range(x0[k], x1[k] + 1):
                if weight[k] > target[z, x]:
                    target[z, x] = weight[k]
