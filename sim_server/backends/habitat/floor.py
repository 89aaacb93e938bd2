"""Where an agent can stand and walk in a scene: habitat-sim's navmesh without ceilings and furniture."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import Room, SceneObject, Vec3
from sim_server.backends.placements import SceneFiles
from sim_server.questions.geometry import rotation_matrix

# Settings of the navmesh by habitat-sim's names, with their bounds; scenes may have their own.
AGENT = {
    "agent_height": 1.5, "agent_radius": 0.2, "agent_max_climb": 0.2, "agent_max_slope": 45.0, "cell_size": 0.05,
    "cell_height": 0.05,
}  # fmt: skip
_BOUNDS = {
    "agent_height": (0.1, 5.0), "agent_radius": (0.0, 2.0), "agent_max_climb": (0.0, 2.0),
    "agent_max_slope": (0.0, 85.0), "cell_size": (0.02, 0.5), "cell_height": (0.02, 0.5),
}  # fmt: skip
SETTINGS = "-".join(map(str, AGENT.values()))  # distinguishes cached navmeshes
_TRIES = 200
_LEVEL_M = 1e-3
_SLACK_M = 0.35  # a navmesh's height is that of the floor, rounded up to voxels
_HEADROOM_M = 1.0
_SNAP_M = 0.5  # largest vertical distance of a navigable point from the navmesh


def agent_of(files: Optional[SceneFiles]) -> dict[str, float]:
    """AGENT with the `navmesh_settings` of the scene's user_defined.

    Raises VantageError("corrupt") for a value that is not a number within bounds.
    """
    agent = dict(AGENT)
    given = files.user.get("navmesh_settings", {}) if files is not None else {}
    for key in AGENT if isinstance(given, Mapping) else ():
        value = given.get(key, AGENT[key])
        low, high = _BOUNDS[key]
        if not (isinstance(value, (int, float)) and low <= value <= high):
            assert files is not None
            raise VantageError(
                "corrupt", f"{files.file} has the navmesh setting {key} = {value!r}: it must be {low:g} to {high:g}."
            )
        agent[key] = float(value)
    return agent


def build_navmesh(library: Any, simulator: Any, scene: str, agent: Mapping[str, float], cache: Optional[Path]) -> Any:
    """The pathfinder of the scene that `simulator` has loaded, for this agent.

    Read from the file `cache` if it exists, else built and stored there. A dataset's own navmesh may be for any agent.
    Raises VantageError("corrupt") if no navmesh can be built.
    """
    pathfinder = library.nav.PathFinder()
    if cache is not None and cache.exists() and pathfinder.load_nav_mesh(str(cache)):
        return pathfinder
    settings = library.nav.NavMeshSettings()
    settings.set_defaults()
    for key, value in agent.items():
        setattr(settings, key, value)
    settings.include_static_objects = True  # off by default: paths would lead through furniture
    if not simulator.recompute_navmesh(pathfinder, settings):
        raise VantageError(
            "corrupt", f"habitat-sim cannot build a navmesh of {scene}: check that the scene has a floor."
        )
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(f".{os.getpid()}")
        if pathfinder.save_nav_mesh(str(partial)):
            os.replace(partial, cache)
    return pathfinder


class Floor:
    """The part of a navmesh that is on a floor.

    habitat-sim also considers the tops of ceilings and beds navigable, and the ground outside of the walls. Points are
    drawn from the largest connected floor; not by habitat-sim, whose random numbers come from the C library and are
    shared by the whole process.
    """

    def __init__(
        self, library: Any, pathfinder: Any, scene: str, climb_m: float, rooms: Sequence[Room],
        objects: Sequence[SceneObject],
    ) -> None:  # fmt: skip
        """`climb_m`: the agent walks over lower objects, like rugs. Raises Infeasible if there is no floor."""
        self._library, self._pathfinder = library, pathfinder
        self._scene = scene
        self._levels_m = np.array(sorted({room.floor_y_m for room in rooms}))
        self._boxes = [
            (
                np.array(item.box.centre_m), np.array(item.box.half_extents_m),
                rotation_matrix(item.box.rotation_wxyz), item.box.centre_m[1],
            )
            for item in objects
            if 2 * item.box.half_extents_m[1] > climb_m + _LEVEL_M
        ]  # fmt: skip
        islands = [_triangles(pathfinder, number) for number in range(int(pathfinder.num_islands))]
        self._top_m = max((float(island[..., 1].max()) for island in islands), default=0.0)
        floors = [island[self._on_floor(island.mean(1))] for island in islands]
        areas = [_areas(floor) for floor in floors]
        largest = max(range(len(floors)), key=lambda number: float(areas[number].sum()), default=-1)
        if largest < 0 or not areas[largest].sum() > 0:
            raise Infeasible(f"scene {scene} has no floor to stand on: its navmesh is empty or above the ceiling.")
        self._triangles = floors[largest]
        self.area_m2 = float(areas[largest].sum())
        self._until = np.cumsum(areas[largest]) / self.area_m2

    def is_navigable(self, point_m: Vec3) -> bool:
        there = np.array(point_m, np.float32)
        return bool(self._pathfinder.is_navigable(there, _SNAP_M)) and bool(self._on_floor(np.array([point_m]))[0])

    def sample(self, rng: np.random.Generator) -> Vec3:
        """A random point with the floor's y. Raises Infeasible if none is found in _TRIES attempts."""
        for _ in range(_TRIES):
            a, b, c = self._triangles[min(int(np.searchsorted(self._until, rng.random())), len(self._triangles) - 1)]
            root, along = math.sqrt(rng.random()), rng.random()
            x, y, z = (float(v) for v in (1 - root) * a + root * ((1 - along) * b + along * c))
            if len(self._levels_m):
                y = float(self._levels_m[np.abs(self._levels_m - y).argmin()])
            if self.is_navigable((x, y, z)):
                return (x, y, z)
        raise Infeasible(f"scene {self._scene} has no floor to stand on: its navmesh cannot be sampled.")

    def shortest_path(self, start_m: Vec3, goal_m: Vec3) -> tuple[float, list[Vec3]]:
        """(length in metres, points), or (inf, []) if there is no path.

        The shorter one of both directions: Detour's search goes from edge to edge of polygons and misses shortcuts.
        """
        there, back = self._find(start_m, goal_m), self._find(goal_m, start_m)
        return there if there[0] <= back[0] else (back[0], back[1][::-1])

    def _find(self, start_m: Vec3, goal_m: Vec3) -> tuple[float, list[Vec3]]:
        path = self._library.nav.ShortestPath()
        path.requested_start = np.array(start_m, np.float32)
        path.requested_end = np.array(goal_m, np.float32)
        if not self._pathfinder.find_path(path):
            return math.inf, []
        return float(path.geodesic_distance), [(float(p[0]), float(p[1]), float(p[2])) for p in path.points]

    def _on_floor(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """False [N] for points [N, 3] on top of a ceiling or a bed."""
        if len(self._levels_m):
            good = np.abs(points[:, 1:2] - self._levels_m).min(1) <= _SLACK_M
        else:
            good = points[:, 1] <= self._top_m - _HEADROOM_M
        for centre, half, turn, middle_y in self._boxes:  # not over a box and above its centre
            flat = points - centre
            flat[:, 1] = 0
            local = np.abs(flat @ turn)
            good &= ~((local[:, 0] <= half[0]) & (local[:, 2] <= half[2]) & (points[:, 1] > middle_y))
        return good


def _triangles(pathfinder: Any, island: int) -> NDArray[np.float64]:
    """The triangles of a connected part of the navmesh, [N, 3, 3]."""
    vertices = pathfinder.build_navmesh_vertices(island)
    return np.array([[float(vertex[k]) for k in range(3)] for vertex in vertices]).reshape(-1, 3, 3)


def _areas(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = (triangles[:, k] for k in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
