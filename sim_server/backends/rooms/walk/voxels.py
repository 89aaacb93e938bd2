"""Kernels of walkable.py that turn triangles into voxels, and voxels into spans.

A span is the top of a run of solid voxels with free height above it. Spans are numbered in the order of their cells.
"""

from __future__ import annotations

import math

import numpy as np

from sim_server.jit import jit

_HAIR = 1e-3  # rounding tolerance in levels: 0.05 mm
OPEN = 2**30  # free height under the sky, lowest level of an empty cell


@jit
def _cut(polygon, count, axis, at, out, keep_above):
    """Clip a convex polygon [count, 3] at a plane perpendicular to `axis`; return the number of corners in `out`."""
    new = 0
    for k in range(count):
        n = (k + 1) % count
        a = polygon[k, axis] - at if keep_above else at - polygon[k, axis]
        b = polygon[n, axis] - at if keep_above else at - polygon[n, axis]
        if a >= 0:
            for j in range(3):
                out[new, j] = polygon[k, j]
            new += 1
        if (a >= 0) != (b >= 0):
            t = a / (a - b)
            for j in range(3):
                out[new, j] = polygon[k, j] + t * (polygon[n, j] - polygon[k, j])
            new += 1
    return new


@jit
def _cell_pieces(corners, low, cell, rows, columns, out):
    """Fill `out` float64 [N, 4] with row, column, and minimum and maximum height of a triangle in each cell it
    touches.

    Heights are relative to low. Returns the number of cells.
    """
    points = np.empty((3, 3))
    for k in range(3):
        for j in range(3):
            points[k, j] = corners[k, j] - low[j]
    strip, rest = np.empty((8, 3)), np.empty((8, 3))
    piece, last = np.empty((8, 3)), np.empty((8, 3))
    found = 0
    first_row = max(0, int(min(points[0, 2], points[1, 2], points[2, 2]) / cell))
    last_row = min(rows - 1, int(max(points[0, 2], points[1, 2], points[2, 2]) / cell))
    for row in range(first_row, last_row + 1):
        n = _cut(points, 3, 2, row * cell, rest, True)
        n = _cut(rest, n, 2, (row + 1) * cell, strip, False) if n >= 3 else 0
        if n < 3:
            continue
        x_low, x_high = strip[0, 0], strip[0, 0]
        for k in range(1, n):
            x_low, x_high = min(x_low, strip[k, 0]), max(x_high, strip[k, 0])
        for column in range(max(0, int(x_low / cell)), min(columns - 1, int(x_high / cell)) + 1):
            m = _cut(strip, n, 0, column * cell, piece, True)
            m = _cut(piece, m, 0, (column + 1) * cell, last, False) if m >= 3 else 0
            if m < 3 or found >= len(out):
                continue
            y_low, y_high = last[0, 1], last[0, 1]
            for k in range(1, m):
                y_low, y_high = min(y_low, last[k, 1]), max(y_high, last[k, 1])
            out[found, 0], out[found, 1], out[found, 2], out[found, 3] = row, column, y_low, y_high
            found += 1
    return found


@jit
def _up(corners):
    """The vertical component of a triangle's unit normal."""
    ux, uy, uz = corners[1, 0] - corners[0, 0], corners[1, 1] - corners[0, 1], corners[1, 2] - corners[0, 2]
    vx, vy, vz = corners[2, 0] - corners[0, 0], corners[2, 1] - corners[0, 1], corners[2, 2] - corners[0, 2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    return ny / length if length > 0 else 0.0


@jit
def _levels(y_low, y_high, cell_height):
    """The first voxel level that heights y_low..y_high touch, and the last one + 1.

    A height within rounding error of a whole number of levels counts as that number; otherwise the steps of a stair
    could differ by one level.
    """
    bottom = math.floor(y_low / cell_height + _HAIR)
    return bottom, max(math.ceil(y_high / cell_height - _HAIR), bottom + 1)


@jit
def voxelise(triangles, low, cell, cell_height, least_up, voxels):
    """Mark voxels that a triangle touches: 1 solid, 2 solid with a walkable top."""
    rows, columns, levels = voxels.shape
    pieces = np.empty((rows * columns, 4))
    for t in range(len(triangles)):
        mark = 2 if _up(triangles[t]) > least_up else 1
        for k in range(_cell_pieces(triangles[t], low, cell, rows, columns, pieces)):
            row, column = int(pieces[k, 0]), int(pieces[k, 1])
            bottom, top = _levels(pieces[k, 2], pieces[k, 3], cell_height)
            bottom = min(max(bottom, 0), levels - 1)
            top = min(max(top, bottom + 1), levels)
            for level in range(bottom, top - 1):
                if voxels[row, column, level] == 0:
                    voxels[row, column, level] = 1
            voxels[row, column, top - 1] = max(voxels[row, column, top - 1], mark)


@jit
def walk_over_low(voxels, climb):
    """Make tops walkable that are at most one step above something walkable.

    These are low objects that an agent can step onto and, in the same run of voxels, slanted sides of objects on a
    floor.
    """
    rows, columns, levels = voxels.shape
    for row in range(rows):
        for column in range(columns):
            below, walkable = -(2**20), False
            for level in range(levels):
                if voxels[row, column, level] == 0:
                    continue
                if level + 1 == levels or voxels[row, column, level + 1] == 0:
                    own = False
                    lower = level
                    while lower >= max(0, level - climb) and voxels[row, column, lower]:
                        own = own or voxels[row, column, lower] == 2
                        lower -= 1
                    if own or (walkable and level - below <= climb):
                        voxels[row, column, level] = 2
                    below, walkable = level, own


@jit
def spans(voxels):
    """The spans of all cells.

    Returns start [cells + 1], the first span of each cell; per span the floor level and the free levels above it (OPEN
    under the sky); per cell the lowest solid level (OPEN if none); per span whether it is walkable.
    """
    rows, columns, levels = voxels.shape
    start = np.zeros(rows * columns + 1, np.int64)
    for k in range(rows * columns):
        row, column = k // columns, k % columns
        count = 0
        for level in range(levels):
            if voxels[row, column, level] and (level + 1 == levels or voxels[row, column, level + 1] == 0):
                count += 1
        start[k + 1] = start[k] + count
    total = start[-1]
    floor, clear = np.empty(total, np.int64), np.empty(total, np.int64)
    walkable = np.empty(total, np.bool_)
    bottom = np.full(rows * columns, OPEN, np.int64)
    for k in range(rows * columns):
        row, column = k // columns, k % columns
        s = start[k]
        for level in range(levels):
            if voxels[row, column, level] and bottom[k] == OPEN:
                bottom[k] = level
            if voxels[row, column, level] and (level + 1 == levels or voxels[row, column, level + 1] == 0):
                floor[s], walkable[s], clear[s] = level + 1, voxels[row, column, level] == 2, OPEN
                for above in range(level + 1, levels):
                    if voxels[row, column, above]:
                        clear[s] = above - level - 1
                        break
                s += 1
    return start, floor, clear, bottom, walkable


@jit
def true_heights(triangles, low, cell, cell_height, least_up, start, floor, columns, height_m):
    """Replace the rounded heights of spans by that of the highest walkable triangle in the top voxel."""
    cells = len(start) - 1
    found = np.zeros(len(floor), np.bool_)
    pieces = np.empty((cells, 4))
    for t in range(len(triangles)):
        if _up(triangles[t]) <= least_up:
            continue
        for k in range(_cell_pieces(triangles[t], low, cell, cells // columns, columns, pieces)):
            at = int(pieces[k, 0]) * columns + int(pieces[k, 1])
            top = _levels(pieces[k, 2], pieces[k, 3], cell_height)[1]
            y = low[1] + pieces[k, 3]
            for s in range(start[at], start[at + 1]):
                if floor[s] == top and (not found[s] or y > height_m[s]):
                    height_m[s] = y
                    found[s] = True
