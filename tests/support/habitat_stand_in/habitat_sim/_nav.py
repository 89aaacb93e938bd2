"""Navmeshes of the stand-in. Points are on the upper side of voxels, and the top of the ceiling is navigable."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

_CEILING_TOP_M, _VOXEL_M, _CELL_M = 2.9, 0.05, 0.1
_C_LIBRARY = itertools.count()  # the random numbers of the process: other libraries draw from them too


class NavMeshSettings:
    def set_defaults(self) -> None:
        self.cell_size, self.cell_height, self.agent_height, self.agent_radius = 0.05, 0.2, 1.5, 0.1
        self.agent_max_climb, self.agent_max_slope = 0.2, 45.0
        self.include_static_objects = False


class ShortestPath:
    requested_start: Any = None
    requested_end: Any = None
    points: list[Any] = []  # noqa: RUF012
    geodesic_distance = math.inf


class PathFinder:
    files: dict[str, Any] = {}  # noqa: RUF012  # the scenes behind saved navmeshes

    def __init__(self) -> None:
        self.is_loaded = False
        self._scene: Any = None

    def build(self, scene: Any) -> None:
        self.is_loaded, self._scene = True, scene

    @property
    def navigable_area(self) -> float:
        """Includes the top of the ceiling."""
        assert self.is_loaded
        return 2 * self._scene.description.navigable_area_m2

    num_islands = 3

    def build_navmesh_vertices(self, island_index: int = -1) -> list[Any]:
        """Three per triangle. Island 0 is the top of the ceiling, 1 the floor, 2 a strip outside of the walls."""
        assert self.is_loaded
        rooms = self._scene.description.rooms
        outline = np.array([corner for room in rooms for corner in room.polygon_xz_m] or [(-9.0, -9.0), (9.0, 9.0)])
        (low_x, low_z), (high_x, high_z) = outline.min(0), outline.max(0)
        islands = [_quad(low_x, low_z, high_x - low_x, high_z - low_z, _CEILING_TOP_M), [], []]
        for x in np.arange(low_x, high_x, _CELL_M):
            for z in np.arange(low_z, high_z, _CELL_M):
                if self._scene.is_navigable((float(x + _CELL_M / 2), 0.0, float(z + _CELL_M / 2))):
                    islands[1] += _quad(x, z, _CELL_M, _CELL_M, _VOXEL_M)
        islands[2] = _quad(high_x + 0.3, low_z, 0.2, high_z - low_z, _VOXEL_M)
        return list(itertools.chain(*islands)) if island_index < 0 else islands[island_index]

    def seed(self, number: int) -> None:
        pass

    def get_random_navigable_point(self, max_tries: int = 10) -> Any:
        """Not repeatable: the generator is that of the C library, and others draw from it."""
        assert self.is_loaded
        x, y, z = self._scene.sample_navigable(np.random.default_rng(next(_C_LIBRARY)))
        return np.array([x, y + _VOXEL_M, z], np.float32)

    def is_navigable(self, point: Any, max_y_delta: float = 0.5) -> bool:
        assert self.is_loaded
        return point[1] > 2.5 or self._scene.is_navigable(tuple(float(v) for v in point))

    def find_path(self, path: ShortestPath) -> bool:
        start, end = (tuple(float(v) for v in point) for point in (path.requested_start, path.requested_end))
        path.points = [np.array(point, np.float32) for point in self._scene.path(start, end)]
        path.geodesic_distance = self._scene.geodesic_m(start, end)
        return bool(path.points)

    def save_nav_mesh(self, path: str) -> bool:
        Path(path).write_bytes(b"navmesh")
        PathFinder.files[Path(path).stem] = self._scene
        return True

    def load_nav_mesh(self, path: str) -> bool:
        scene = PathFinder.files.get(Path(path).stem)
        if scene is None or Path(path).read_bytes() != b"navmesh":
            return False
        self.build(scene)
        return True


def _quad(x: float, z: float, wide: float, deep: float, y: float) -> list[Any]:
    a, b, c, d = ((x, y, z), (x + wide, y, z), (x + wide, y, z + deep), (x, y, z + deep))
    return [np.array(corner, np.float32) for corner in (a, b, c, a, c, d)]
