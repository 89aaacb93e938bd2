"""Kernels that bake ambient light: light from a room's walls, floor and ceiling, occluded by furniture.

Points are processed in blocks. A first pass computes where each point looks, in independent steps that vectorise; a
second pass gathers the light from there.
"""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.draw.raster import larger, smaller
from sim_server.backends.rooms.light.kernels import FINE, fraction_clear
from sim_server.jit import jit

_BLOCK = 1024
_REACH_M = np.float32(1.7)  # furniture occludes up to this distance, fully up to one metre less
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
# Rows of a block: position, normal, and per direction: cosine, texel coordinates in the map, 1 / depth.
_X, _Y, _Z, _NX, _NY, _NZ, _COSINE, _U, _V, _INVERSE = range(10)


@jit
def drawn_part(depth_maps):
    """Bounds of the non-empty part of each depth map, float32 [K, 4]: columns from, to, rows from, to."""
    out = np.empty((depth_maps.shape[0], 4), np.float32)
    for k in range(depth_maps.shape[0]):
        left, right, top, bottom = depth_maps.shape[2], -1, depth_maps.shape[1], -1
        for row in range(depth_maps.shape[1]):
            for column in range(depth_maps.shape[2]):
                if depth_maps[k, row, column] > _ZERO:
                    left, right = min(left, column), max(right, column)
                    top, bottom = min(top, row), max(bottom, row)
        out[k, 0], out[k, 1], out[k, 2], out[k, 3] = left - 1, right + 1, top - 1, bottom + 1
    return out


@jit
def _look(block, count, direction, low, high, eye, axes, focal, half, patch):
    """Fill a block's cosines and map coordinates, and `patch`: the patch of the room that each point sees."""
    ox, oy, oz = direction[0], direction[1], direction[2]
    rx, ry, rz, ux, uy, uz = axes[0, 0], axes[0, 1], axes[0, 2], axes[1, 0], axes[1, 1], axes[1, 2]
    gx, gy, gz = axes[2, 0], axes[2, 1], axes[2, 2]
    eye_x, eye_y, eye_z = eye[0], eye[1], eye[2]
    low_x, low_y, low_z = low[0], low[1], low[2]
    per_x = np.float32(FINE) / (high[0] - low[0])
    per_y = np.float32(FINE) / (high[1] - low[1])
    per_z = np.float32(FINE) / (high[2] - low[2])
    off = np.float32(0.01) + np.float32(40.0) / focal
    edge_x = high[0] if ox > _ZERO else low[0]
    edge_y = high[1] if oy > _ZERO else low[1]
    edge_z = high[2] if oz > _ZERO else low[2]
    ix, iy, iz = _ONE / ox, _ONE / oy, _ONE / oz
    face_x, face_y, face_z = (1 if ox > _ZERO else 0), (3 if oy > _ZERO else 2), (5 if oz > _ZERO else 4)
    last = np.int32(FINE - 1)
    for n in range(count):
        x, y, z, nx, ny, nz = block[_X, n], block[_Y, n], block[_Z, n], block[_NX, n], block[_NY, n], block[_NZ, n]
        block[_COSINE, n] = ox * nx + oy * ny + oz * nz
        ex, ey, ez = x + nx * off - eye_x, y + ny * off - eye_y, z + nz * off - eye_z
        inverse = _ONE / (ex * gx + ey * gy + ez * gz)
        scale = inverse * focal
        block[_INVERSE, n] = inverse
        block[_U, n] = half + (ex * rx + ey * ry + ez * rz) * scale
        block[_V, n] = half - (ex * ux + ey * uy + ez * uz) * scale
        tx, ty, tz = (edge_x - x) * ix, (edge_y - y) * iy, (edge_z - z) * iz
        on_x = tx <= ty and tx <= tz
        on_y = not on_x and ty <= tz
        t = larger(tx if on_x else (ty if on_y else tz), _ZERO)
        px, py, pz = (x + t * ox - low_x) * per_x, (y + t * oy - low_y) * per_y, (z + t * oz - low_z) * per_z
        a = np.int32(py if on_x else (pz if on_y else px))
        b = np.int32(pz if on_x else (px if on_y else py))
        a = smaller(larger(a, np.int32(0)), last)
        b = smaller(larger(b, np.int32(0)), last)
        face = np.int32(face_x if on_x else (face_y if on_y else face_z))
        patch[n] = (face * np.int32(FINE) + b) * np.int32(FINE) + a


@jit
def _gather(block, count, patch, radiance, depth_map, seen, drawn, shown, sums):
    """Add the light that the points of a block see, and their cosines, to `sums` [count, 4]."""
    end = depth_map.shape[0] - 1
    for n in range(count):
        cosine = block[_COSINE, n]
        if cosine <= _ZERO:
            continue
        u, v = block[_U, n], block[_V, n]
        sums[n, 3] += cosine
        clear = _ONE
        if drawn[0] < u < drawn[1] and drawn[2] < v < drawn[3]:
            inverse = block[_INVERSE, n]
            clear = fraction_clear(depth_map, u, v, inverse * (_ONE + np.float32(0.01) * inverse))
            if clear < _ONE:
                iu, iv = smaller(larger(int(u + _HALF), 0), end), smaller(larger(int(v + _HALF), 0), end)
                face = seen[iv, iu]
                if face < 0:
                    clear = _ONE
                else:  # distant furniture occludes as little as the wall behind it
                    gap = _ONE / inverse - _ONE / depth_map[iv, iu]
                    clear = _ONE - (_ONE - clear) * smaller(larger(_REACH_M - gap, _ZERO), _ONE)
                    weight = cosine * (_ONE - clear)
                    for c in range(3):
                        sums[n, c] += weight * shown[face, c]
        if clear > _ZERO:
            weight, at = cosine * clear, patch[n]
            for c in range(3):
                sums[n, c] += weight * radiance[at, c]


@jit
def add_ambient(
    index, points, normals, low, high, radiance, directions, eyes, axes, focal, depth_maps, seen_maps, drawn, shown,
    light,
):  # fmt: skip
    """Add the light from the faces of the room, or from furniture in front of them.

    index int [N]: points of this room; directions float32 [K, 3], away from the point; depth_maps float32 [K, S, S],
    drawn from eyes [K, 3] towards the room; seen_maps int32 [K, S, S]: casters; shown float32 [C, 3]: their radiance;
    drawn: see drawn_part; radiance float32 [6 * FINE * FINE, 3]: see kernels.fine_radiance. The cosine-weighted mean
    over directions is divided by the sum of weights, so that uniform light stays uniform.
    """
    half = np.float32(depth_maps.shape[1]) * _HALF - _HALF
    block, patch = np.empty((10, _BLOCK), np.float32), np.empty(_BLOCK, np.int32)
    for start in range(0, index.shape[0], _BLOCK):
        count = min(_BLOCK, index.shape[0] - start)
        for n in range(count):
            for j in range(3):
                block[_X + j, n], block[_NX + j, n] = points[index[start + n], j], normals[index[start + n], j]
        sums = np.zeros((count, 4), np.float32)
        for k in range(directions.shape[0]):
            _look(block, count, directions[k], low, high, eyes[k], axes[k], focal, half, patch)
            _gather(block, count, patch, radiance, depth_maps[k], seen_maps[k], drawn[k], shown, sums)
        for n in range(count):
            for c in range(3):
                light[index[start + n], c] += sums[n, c] / (sums[n, 3] + np.float32(1e-6))
