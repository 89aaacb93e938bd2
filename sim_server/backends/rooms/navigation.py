"""Where an agent can stand and walk: a grid on the floor, shortest paths pulled straight."""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from protocol.scene import Vec3
from sim_server.backends.rooms.footprint import Footprint
from sim_server.backends.rooms.plan import WALL_M, Plan

CELL_M = 0.05
AGENT_RADIUS_M = 0.2
HEAD_ROOM_M = 1.6  # things that begin above this height do not block

_jit = njit(cache=True, nogil=True, error_model="numpy")


class NavigationGrid:
    """Free cells of 5 cm for an agent of 0.2 m radius; rooms are joined through their doors."""

    def __init__(self, plan: Plan, obstacles: Sequence[Footprint]) -> None:
        self._x0 = min(r.x_min for r in plan.rects)
        self._z0 = min(r.z_min for r in plan.rects)
        columns = int((max(r.x_max for r in plan.rects) - self._x0) / CELL_M)
        rows = int((max(r.z_max for r in plan.rects) - self._z0) / CELL_M)
        free = np.zeros((rows, columns), np.bool_)
        for rect, holes in zip(plan.rects, plan.holes):
            self._open(free, rect.x_min, rect.z_min, rect.x_max, rect.z_max)
            for hole in holes:
                if hole.kind != "door":
                    continue
                plane = (rect.x_min, rect.x_max, rect.z_min, rect.z_max)[hole.wall]
                near, far = plane - AGENT_RADIUS_M - WALL_M, plane + AGENT_RADIUS_M + WALL_M
                span = (hole.start_m, hole.end_m)
                if hole.wall < 2:
                    self._open(free, near, span[0], far, span[1], inset_x=0.0)
                else:
                    self._open(free, span[0], near, span[1], far, inset_z=0.0)
        if obstacles:
            _block(free, np.array(obstacles, np.float64), self._x0, self._z0, CELL_M, AGENT_RADIUS_M)
        self._free = free
        self._cells = np.argwhere(free)

    def _open(
        self, free: NDArray[np.bool_], x0: float, z0: float, x1: float, z1: float,
        inset_x: float = AGENT_RADIUS_M, inset_z: float = AGENT_RADIUS_M,
    ) -> None:  # fmt: skip
        """Frees the cells whose centres lie in a rectangle, inset by the agent's radius."""
        c0 = max(0, math.ceil((x0 + inset_x - self._x0) / CELL_M - 0.5))
        c1 = math.floor((x1 - inset_x - self._x0) / CELL_M - 0.5) + 1
        r0 = max(0, math.ceil((z0 + inset_z - self._z0) / CELL_M - 0.5))
        r1 = math.floor((z1 - inset_z - self._z0) / CELL_M - 0.5) + 1
        free[r0 : max(r1, r0), c0 : max(c1, c0)] = True

    @property
    def area_m2(self) -> float:
        return float(len(self._cells) * CELL_M**2)

    def _cell(self, x_m: float, z_m: float) -> tuple[int, int]:
        return math.floor((z_m - self._z0) / CELL_M), math.floor((x_m - self._x0) / CELL_M)

    def is_free(self, x_m: float, z_m: float) -> bool:
        row, column = self._cell(x_m, z_m)
        inside = 0 <= row < self._free.shape[0] and 0 <= column < self._free.shape[1]
        return bool(inside and self._free[row, column])

    def sample(self, rng: np.random.Generator) -> tuple[float, float]:
        """A uniform point of the free area, x and z."""
        row, column = self._cells[int(rng.integers(len(self._cells)))]
        jitter = rng.random(2)
        return float(self._x0 + (column + jitter[0]) * CELL_M), float(self._z0 + (row + jitter[1]) * CELL_M)

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        """Waypoints from start to goal on free cells; empty when either is not free or they are not connected."""
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


@_jit
def _block(free, obstacles, x0, z0, cell, radius):
    """Clears cells whose centre lies within `radius` of a rectangle (rows x, z, half x, half z, yaw)."""
    rows, columns = free.shape
    for k in range(obstacles.shape[0]):
        x, z, half_x, half_z, yaw = obstacles[k, 0], obstacles[k, 1], obstacles[k, 2], obstacles[k, 3], obstacles[k, 4]
        cosine, sine = math.cos(yaw), math.sin(yaw)
        reach = math.sqrt(half_x * half_x + half_z * half_z) + radius
        for row in range(max(0, int((z - reach - z0) / cell)), min(rows, int((z + reach - z0) / cell) + 2)):
            for column in range(max(0, int((x - reach - x0) / cell)), min(columns, int((x + reach - x0) / cell) + 2)):
                dx, dz = x0 + (column + 0.5) * cell - x, z0 + (row + 0.5) * cell - z
                u = max(abs(cosine * dx - sine * dz) - half_x, 0.0)
                v = max(abs(sine * dx + cosine * dz) - half_z, 0.0)
                if u * u + v * v < radius * radius:
                    free[row, column] = False


@_jit
def _push(keys, cells, size, key, cell):
    """Adds to a binary heap; returns its new size."""
    k = size
    keys[k] = key
    cells[k] = cell
    while k > 0 and keys[(k - 1) // 2] > keys[k]:
        p = (k - 1) // 2
        keys[k], keys[p] = keys[p], keys[k]
        cells[k], cells[p] = cells[p], cells[k]
        k = p
    return size + 1


@_jit
def _pop(keys, cells, size):
    """Moves the least element to the end of the heap; returns its new size."""
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


@_jit
def _shortest(free, start_row, start_column, goal_row, goal_column):
    """A* over eight neighbours; cells of the path, start first, int64 [N, 2], or an empty array."""
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


@_jit
def _clear(free, r0, c0, r1, c1):
    """Whether the straight line between two cell centres crosses free cells only."""
    steps = 2 * max(abs(r1 - r0), abs(c1 - c0)) + 1
    for k in range(steps + 1):
        t = k / steps
        if not free[math.floor(r0 + (r1 - r0) * t + 0.5), math.floor(c0 + (c1 - c0) * t + 0.5)]:
            return False
    return True


@_jit
def _pulled(free, cells):
    """The path with every corner dropped that a straight line can skip."""
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
