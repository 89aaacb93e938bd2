"""Navigation on arbitrary triangle meshes with several floors, stairs and ramps; shortest paths.

Steps and rounding follow Recast (M. Mononen), which Habitat's navigation meshes are built with, so that both agree on
walkable areas: triangles become voxels, the tops of solid runs become spans with the free height above, spans at drops
and next to obstacles are removed, and neighbours within a step's height are linked. Unlike in Recast, paths run on
spans instead of polygons.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import Vec3
from sim_server.backends.rooms.walk import spans, voxels

_MIN_AREA_M2 = 1.0  # smaller areas are dropped, as in Habitat
_MAX_VOXELS = 4 * 10**8
_SEARCH_UP_DOWN_M = 0.5  # maximum vertical distance of a point to its floor


class Agent(NamedTuple):
    """Size of the agent and of the voxels; the defaults match the agent of generated homes."""

    radius_m: float = 0.2
    height_m: float = 1.6
    climb_m: float = 0.1
    slope_rad: float = math.radians(45)
    cell_m: float = 0.05
    cell_height_m: float = 0.05


class WalkableMesh:
    """The spans of a mesh on which an agent can stand, and paths over them.

    A span is indoors if something is above it. If a mesh has any, only indoor spans count, since the top of a ceiling
    is walkable too.
    """

    def __init__(self, triangles: NDArray[np.float32], agent: Agent = Agent()) -> None:  # noqa: B008
        """triangles: float32 [T, 3, 3] m, counter-clockwise seen from the front.

        Raises VantageError("unsupported") if the mesh is too large for voxels of this size.
        """
        self.agent = agent
        low, high = triangles.reshape(-1, 3).min(0), triangles.reshape(-1, 3).max(0)
        self._low = low.astype(np.float64)
        size = np.maximum(high.astype(np.float64) - self._low, 0)
        rows, columns = (int(size[k] / agent.cell_m + 0.5) or 1 for k in (2, 0))
        levels = math.ceil(size[1] / agent.cell_height_m) + 2
        if rows * columns * levels > _MAX_VOXELS:
            raise VantageError(
                "unsupported", f"a scene of {size[0]:.0f} x {size[1]:.0f} x {size[2]:.0f} m is too large: crop it."
            )
        solid = np.zeros((rows, columns, levels), np.uint8)
        scale = (agent.cell_m, agent.cell_height_m, math.cos(agent.slope_rad))
        voxels.voxelise(triangles, self._low, *scale, solid)
        climb = int(agent.climb_m / agent.cell_height_m + 1e-6)
        height = math.ceil(agent.height_m / agent.cell_height_m - 1e-6)
        voxels.walk_over_low(solid, climb)
        start, floor, clear, bottom, walkable = voxels.spans(solid)
        del solid
        links = spans.links(start, floor, clear, columns, climb, height)
        walkable &= ~spans.ledges(start, floor, clear, bottom, columns, climb, height) & (clear >= height)
        spans.keep_walkable(links, walkable)
        walkable &= spans.distance(links, walkable) >= 2 * math.ceil(agent.radius_m / agent.cell_m - 1e-6)
        spans.keep_walkable(links, walkable)
        area, sizes = spans.areas(links, walkable)
        indoors = np.zeros(len(sizes), np.int64)
        np.add.at(indoors, area[walkable & (clear < voxels.OPEN)], 1)
        covered = indoors > 0.5 * sizes
        keep = sizes * agent.cell_m**2 >= _MIN_AREA_M2
        if (covered & keep).any():
            keep &= covered
        keep[0] = False
        self._start, self._links = start, links
        self._walkable = keep[area]
        self._cells = np.repeat(np.arange(rows * columns), np.diff(start))
        self._shape = rows, columns
        self._largest = np.flatnonzero(area == int(np.argmax(np.where(keep, sizes, -1)))) if keep.any() else area[:0]
        self._height_m = self._low[1] + floor * agent.cell_height_m
        voxels.true_heights(triangles, self._low, *scale, start, floor, columns, self._height_m)

    @property
    def area_m2(self) -> float:
        return float(self._walkable.sum() * self.agent.cell_m**2)

    def span_at(self, point_m: Vec3) -> int:
        """The nearest span above or below a point within 0.5 m, or -1."""
        cell = self.agent.cell_m
        column, row = math.floor((point_m[0] - self._low[0]) / cell), math.floor((point_m[2] - self._low[2]) / cell)
        if not (0 <= row < self._shape[0] and 0 <= column < self._shape[1]):
            return -1
        k = row * self._shape[1] + column
        spans = [s for s in range(self._start[k], self._start[k + 1]) if self._walkable[s]]
        spans = [s for s in spans if abs(self._height_m[s] - point_m[1]) <= _SEARCH_UP_DOWN_M]
        return min(spans, key=lambda s: abs(self._height_m[s] - point_m[1])) if spans else -1

    def sample(self, rng: np.random.Generator) -> Vec3:
        """A uniformly random point on the floor of the largest area. Raises VantageError("unsupported") if none."""
        if not len(self._largest):
            raise VantageError("unsupported", "this scene has no walkable floor: choose another scene.")
        span = int(self._largest[int(rng.integers(len(self._largest)))])
        jitter = rng.random(2)
        row, column = divmod(int(self._cells[span]), self._shape[1])
        x, z = (
            self._low[0] + (column + jitter[0]) * self.agent.cell_m,
            self._low[2] + (row + jitter[1]) * self.agent.cell_m,
        )
        return float(x), float(self._height_m[span]), float(z)

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        """Waypoints from start to goal; empty if one of them is not walkable or they are not connected."""
        first, last = self.span_at(start_m), self.span_at(goal_m)
        if first < 0 or last < 0:
            return []
        found = spans.shortest(self._links, self._cells, self._shape[1], first, last)
        if not len(found):
            return []
        way = spans.pulled(self._links, self._cells, self._shape[1], found)
        return [start_m, *(self._centre(int(s)) for s in way[1:-1]), goal_m]

    def _centre(self, span: int) -> Vec3:
        row, column = divmod(int(self._cells[span]), self._shape[1])
        cell = self.agent.cell_m
        x, z = self._low[0] + (column + 0.5) * cell, self._low[2] + (row + 0.5) * cell
        return float(x), float(self._height_m[span]), float(z)
