"""Navigation in generated homes: a grid of free floor, and shortest paths with straightened corners."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Vec3
from sim_server.backends.rooms.building.plan import WALL_M, FloorPlan, Rect
from sim_server.jit import jit

CELL_M = 0.05
FINE = 2  # cells of the obstacle map per cell of the grid, along each axis
AGENT_RADIUS_M = 0.2
AGENT_HEIGHT_M = 1.6  # objects above this height do not block
STEP_M = 0.05  # lower objects (rugs) can be walked on
MIN_FLOOR_M2 = 0.3  # free floor required in every room


class NavigationGrid:
    """Free cells of 5 cm for an agent of 0.2 m radius and 1.6 m height; rooms are connected through their doors.

    An object blocks the floor below its mesh where the mesh is between 0.05 and 1.6 m high. Only the largest connected
    area counts as free, so that a path connects any two free points.
    """

    def __init__(self, plan: FloorPlan, obstacles: NDArray[np.float32]) -> None:
        """`obstacles` float32 [T, 3, 3]: triangles (triangle, corner, coordinate), world frame."""
        self._x0 = min(r.x_min for r in plan.rects)
        self._z0 = min(r.z_min for r in plan.rects)
        columns = int((max(r.x_max for r in plan.rects) - self._x0) / CELL_M)
        rows = int((max(r.z_max for r in plan.rects) - self._z0) / CELL_M)
        free = np.zeros((rows, columns), np.bool_)
        for rect, holes in zip(plan.rects, plan.holes):
            self._open(free, rect.x_min, rect.z_min, rect.x_max, rect.z_max)
            for hole in holes:
                if hole.kind not in ("door", "joint"):
                    continue
                plane = (rect.x_min, rect.x_max, rect.z_min, rect.z_max)[hole.wall]
                near, far = plane - AGENT_RADIUS_M - WALL_M, plane + AGENT_RADIUS_M + WALL_M
                span = (hole.start_m, hole.end_m)
                if hole.wall < 2:
                    self._open(free, near, span[0], far, span[1], inset_x=0.0)
                else:
                    self._open(free, span[0], near, span[1], far, inset_z=0.0)
        fine = CELL_M / FINE
        occupied = np.zeros((rows * FINE, columns * FINE), np.bool_)
        _mark(occupied, obstacles, self._x0, self._z0, fine, STEP_M, AGENT_HEIGHT_M)
        _block(free, occupied, FINE, AGENT_RADIUS_M / fine)
        self._free = _largest_area(free)
        self._cells = np.argwhere(self._free)

    def _open(
        self, free: NDArray[np.bool_], x0: float, z0: float, x1: float, z1: float,
        inset_x: float = AGENT_RADIUS_M, inset_z: float = AGENT_RADIUS_M,
    ) -> None:  # fmt: skip
        """Mark the cells whose centres are in a rectangle, inset by the agent's radius, as free."""
        c0 = max(0, math.ceil((x0 + inset_x - self._x0) / CELL_M - 0.5))
        c1 = math.floor((x1 - inset_x - self._x0) / CELL_M - 0.5) + 1
        r0 = max(0, math.ceil((z0 + inset_z - self._z0) / CELL_M - 0.5))
        r1 = math.floor((z1 - inset_z - self._z0) / CELL_M - 0.5) + 1
        free[r0 : max(r1, r0), c0 : max(c1, c0)] = True

    @property
    def area_m2(self) -> float:
        return float(len(self._cells) * CELL_M**2)

    def reaches(self, rect: Rect) -> bool:
        """Whether a room with this floor has at least MIN_FLOOR_M2 of reachable floor."""
        r0, c0 = self._cell(rect.x_min, rect.z_min)
        r1, c1 = self._cell(rect.x_max, rect.z_max)
        return bool(self._free[r0 : r1 + 1, c0 : c1 + 1].sum() * CELL_M**2 >= MIN_FLOOR_M2)

    def _cell(self, x_m: float, z_m: float) -> tuple[int, int]:
        return math.floor((z_m - self._z0) / CELL_M), math.floor((x_m - self._x0) / CELL_M)

    def is_free(self, x_m: float, z_m: float) -> bool:
        row, column = self._cell(x_m, z_m)
        inside = 0 <= row < self._free.shape[0] and 0 <= column < self._free.shape[1]
        return bool(inside and self._free[row, column])

    def sample(self, rng: np.random.Generator) -> tuple[float, float]:
        """A uniformly random point (x, z) of the free area."""
        row, column = self._cells[int(rng.integers(len(self._cells)))]
        jitter = rng.random(2)
        return float(self._x0 + (column + jitter[0]) * CELL_M), float(self._z0 + (row + jitter[1]) * CELL_M)

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        """Waypoints from start to goal on free cells; empty if one of them is not free or they are not connected."""
        if not (self.is_free(start_m[0], start_m[2]) and self.is_free(goal_m[0], goal_m[2])):
            return []
        start, goal = self._cell(start_m[0], start_m[2]), self._cell(goal_m[0], goal_m[2])
        cells = _shortest(self._free, *start, *goal)
        if not len(cells):
            return []
        corners = _pulled(self._free, cells)
        middle = [
            (float(self._x0 + (c + 0.5) * CELL_M), start_m[1], float(self._z0 + (r + 0.5) * CELL_M))
            for r, c in corners[1:-1]
        ]
        return [start_m, *middle, goal_m]


@jit
def _square_distance(px, pz, ax, az, bx, bz):
    """Squared distance between a point and a segment."""
    ux, uz = bx - ax, bz - az
    square = ux * ux + uz * uz
    t = 0.0
    if square > 0:
        t = min(max(((px - ax) * ux + (pz - az) * uz) / square, 0.0), 1.0)
    dx, dz = px - ax - t * ux, pz - az - t * uz
    return dx * dx + dz * dz


@jit
def _mark(occupied, triangles, x0, z0, cell, low, high):
    """Mark the cells below the part of each triangle that is between two heights."""
    rows, columns = occupied.shape
    reach = 0.71 * cell  # half of a cell's diagonal
    for k in range(len(triangles)):
        ay, by, cy = triangles[k, 0, 1], triangles[k, 1, 1], triangles[k, 2, 1]
        if max(ay, by, cy) <= low or min(ay, by, cy) >= high:
            continue
        ax, az = triangles[k, 0, 0] - x0, triangles[k, 0, 2] - z0
        bx, bz = triangles[k, 1, 0] - x0, triangles[k, 1, 2] - z0
        cx, cz = triangles[k, 2, 0] - x0, triangles[k, 2, 2] - z0
        row0 = max(0, int((min(az, bz, cz) - reach) / cell))
        row1 = min(rows, int((max(az, bz, cz) + reach) / cell) + 1)
        column0 = max(0, int((min(ax, bx, cx) - reach) / cell))
        column1 = min(columns, int((max(ax, bx, cx) + reach) / cell) + 1)
        for row in range(row0, row1):
            z = (row + 0.5) * cell
            for column in range(column0, column1):
                if occupied[row, column]:
                    continue
                x = (column + 0.5) * cell
                ab = (bx - ax) * (z - az) - (bz - az) * (x - ax)
                bc = (cx - bx) * (z - bz) - (cz - bz) * (x - bx)
                ca = (ax - cx) * (z - cz) - (az - cz) * (x - cx)
                inside = (ab > 0 and bc > 0 and ca > 0) or (ab < 0 and bc < 0 and ca < 0)
                if (
                    inside
                    or _square_distance(x, z, ax, az, bx, bz) <= reach * reach
                    or _square_distance(x, z, bx, bz, cx, cz) <= reach * reach
                    or _square_distance(x, z, cx, cz, ax, az) <= reach * reach
                ):
                    occupied[row, column] = True


@jit
def _block(free, occupied, fine, radius):
    """Clear cells with any fine cell within `radius` fine cells of an occupied one, centre to centre."""
    rows, columns = occupied.shape
    reach = int(radius)
    along = np.full((rows, columns), reach + 1, np.int32)  # to the nearest occupied cell of the same row
    for row in range(rows):
        last = -reach - 1
        for column in range(columns):
            if occupied[row, column]:
                last = column
            along[row, column] = min(reach + 1, column - last)
        last = columns + reach + 1
        for column in range(columns - 1, -1, -1):
            if occupied[row, column]:
                last = column
            along[row, column] = min(along[row, column], last - column)
    square = radius * radius
    for row in range(rows):
        for column in range(columns):
            if not free[row // fine, column // fine]:
                continue
            for other in range(max(0, row - reach), min(rows, row + reach + 1)):
                if along[other, column] <= reach and along[other, column] ** 2 + (other - row) ** 2 < square:
                    free[row // fine, column // fine] = False
                    break


@jit
def _largest_area(free):
    """The largest area of free cells connected along their sides."""
    rows, columns = free.shape
    label = np.zeros((rows, columns), np.int32)
    stack = np.empty(rows * columns, np.int64)
    best, best_size, count = 0, 0, 0
    for seed in range(rows * columns):
        if not free[seed // columns, seed % columns] or label[seed // columns, seed % columns]:
            continue
        count += 1
        label[seed // columns, seed % columns] = count
        stack[0] = seed
        top, size = 1, 0
        while top > 0:
            top -= 1
            size += 1
            row, column = stack[top] // columns, stack[top] % columns
            for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                r, c = row + dr, column + dc
                if 0 <= r < rows and 0 <= c < columns and free[r, c] and label[r, c] == 0:
                    label[r, c] = count
                    stack[top] = r * columns + c
                    top += 1
        if size > best_size:
            best, best_size = count, size
    return label == best if best else free


@jit
def _push(keys, cells, size, key, cell):
    """Push onto a binary heap; return its new size."""
    k = size
    keys[k] = key
    cells[k] = cell
    while k > 0 and keys[(k - 1) // 2] > keys[k]:
        p = (k - 1) // 2
        keys[k], keys[p] = keys[p], keys[k]
        cells[k], cells[p] = cells[p], cells[k]
        k = p
    return size + 1


@jit
def _pop(keys, cells, size):
    """Move the smallest element to the end of the heap; return its new size."""
    size -= 1
    keys[0], keys[size] = keys[size], keys[0]
    cells[0], cells[size] = cells[size], cells[0]
    k = 0
    while True:
        least = 2 * k + 1
        if least >= size:
            return size
        if least + 1 < size and keys[least + 1] < keys[least]:
            least += 1
        if keys[k] <= keys[least]:
            return size
        keys[k], keys[least] = keys[least], keys[k]
        cells[k], cells[least] = cells[least], cells[k]
        k = least


@jit
def _shortest(free, start_row, start_column, goal_row, goal_column):
    """A* over eight neighbours; the cells of the path from the start, int64 [N, 2], empty if there is none."""
    rows, columns = free.shape
    total = rows * columns
    cost = np.full(total, np.inf)
    parent = np.full(total, -1, np.int64)
    done = np.zeros(total, np.bool_)
    keys, heap = np.empty(8 * total + 1), np.empty(8 * total + 1, np.int64)
    start, goal = start_row * columns + start_column, goal_row * columns + goal_column
    diagonal = math.sqrt(2.0)
    cost[start] = 0.0
    size = _push(keys, heap, 0, 0.0, start)
    while size > 0:
        size = _pop(keys, heap, size)
        cell = heap[size]
        if done[cell]:
            continue
        done[cell] = True
        if cell == goal:
            break
        row, column = cell // columns, cell % columns
        for dr in range(-1, 2):
            for dc in range(-1, 2):
                r, c = row + dr, column + dc
                if (dr == 0 and dc == 0) or r < 0 or c < 0 or r >= rows or c >= columns or not free[r, c]:
                    continue
                if dr != 0 and dc != 0 and not (free[row, c] and free[r, column]):
                    continue
                step = diagonal if dr != 0 and dc != 0 else 1.0
                n = r * columns + c
                if cost[cell] + step < cost[n]:
                    cost[n] = cost[cell] + step
                    parent[n] = cell
                    far, near = (
                        max(abs(r - goal_row), abs(c - goal_column)),
                        min(abs(r - goal_row), abs(c - goal_column)),
                    )
                    size = _push(keys, heap, size, cost[n] + far + (diagonal - 1.0) * near, n)
    if not done[goal]:
        return np.empty((0, 2), np.int64)
    count = 1
    cell = goal
    while cell != start:
        cell = parent[cell]
        count += 1
    out = np.empty((count, 2), np.int64)
    cell = goal
    for k in range(count - 1, -1, -1):
        out[k, 0], out[k, 1] = cell // columns, cell % columns
        cell = parent[cell]
    return out


@jit
def _clear(free, r0, c0, r1, c1):
    """Whether the straight line between two cell centres crosses only free cells."""
    steps = 2 * max(abs(r1 - r0), abs(c1 - c0)) + 1
    for k in range(steps + 1):
        t = k / steps
        if not free[math.floor(r0 + (r1 - r0) * t + 0.5), math.floor(c0 + (c1 - c0) * t + 0.5)]:
            return False
    return True


@jit
def _pulled(free, cells):
    """The path without the corners that a straight line can skip."""
    keep = np.zeros(len(cells), np.bool_)
    keep[0] = True
    at = 0
    while at < len(cells) - 1:
        ahead = len(cells) - 1
        while ahead > at + 1 and not _clear(free, cells[at, 0], cells[at, 1], cells[ahead, 0], cells[ahead, 1]):
            ahead -= 1
        keep[ahead] = True
        at = ahead
    return cells[keep]
