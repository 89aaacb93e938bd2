"""An open scene of a Habitat dataset: description, rendering, paths."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import Camera, Pose, SceneDescription, SceneSpec, Vec3
from sim_server.backends.base import SENSORS, Frames
from sim_server.backends.habitat.simulator import DEPTH, IDS, RGB, Simulator
from sim_server.backends.habitat.survey import SURVEY_CAMERA, look_around, survey, unoccluded_pixels
from sim_server.backends.habitat.truth import read_truth
from sim_server.questions.geometry import rotation_matrix

_EYE_M = 1.4
_SURVEY_POINTS = 24
_TRIES = 200
_FLOOR_SLACK_M = 0.35  # a navmesh's height is that of the floor, rounded up to voxels
_HEADROOM_M = 1.0


class HabitatScene:
    """A scene. All scenes of a backend share its Simulator; switching to another one takes a tenth of a second."""

    def __init__(self, spec: SceneSpec, simulator: Simulator, navmesh_cache: Path) -> None:
        """Raises VantageError("bad_request") for an unknown scene, Infeasible if it has no place to stand."""
        self.spec = spec
        self._simulator = simulator
        self._cache = navmesh_cache
        sim = simulator.show(spec.asset, SURVEY_CAMERA)
        truth = read_truth(sim, simulator.is_made_of_objects(spec.asset))
        self._own_ids = truth.ids
        pathfinder = self._pathfinder()
        self.description = SceneDescription(
            scene_id=f"habitat-{spec.asset}",
            backend="habitat",
            rooms=truth.rooms,
            openings=(),
            objects=truth.objects,
            navigable_area_m2=float(pathfinder.navigable_area),
        )
        self._top_m = float(pathfinder.get_bounds()[1][1])
        self._floors_m = tuple(room.floor_y_m for room in truth.rooms)
        rng = np.random.default_rng(spec.seed)
        self._surface = survey(
            look_around([self.sample_navigable(rng) for _ in range(_SURVEY_POINTS)], _EYE_M), self._depth_and_ids
        )

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        """See backends/base.py. `amodal` is an estimate (survey.py).

        Raises VantageError("bad_request") for an unknown sensor or a pose that is not finite.
        """
        unknown = [sensor for sensor in sensors if sensor not in SENSORS]
        if unknown:
            raise VantageError("bad_request", f"unknown sensor {unknown[0]!r}: choose among {', '.join(SENSORS)}.")
        shape = (len(poses), camera.height_px, camera.width_px)
        frames = Frames(
            poses=tuple(poses),
            camera=camera,
            rgb=np.empty((*shape, 3), np.uint8) if "rgb" in sensors else None,
            depth=np.empty(shape, np.float32) if "depth" in sensors else None,
            ids=np.empty(shape, np.int32) if "ids" in sensors else None,
            amodal=[] if "amodal" in sensors else None,
        )
        for k, pose in enumerate(poses):
            seen = self._simulator.observe(self.spec.asset, camera, pose)
            depth, ids = seen[DEPTH], self._translate(seen[IDS])
            if frames.rgb is not None:
                frames.rgb[k] = seen[RGB]
            if frames.depth is not None:
                frames.depth[k] = depth
            if frames.ids is not None:
                frames.ids[k] = ids
            if frames.amodal is not None:
                frames.amodal.append(unoccluded_pixels(self._surface, pose, camera, depth, ids))
        return frames

    def is_navigable(self, point_m: Vec3) -> bool:
        pathfinder = self._pathfinder()
        return bool(pathfinder.is_navigable(np.array(point_m, np.float32), 0.5)) and self._is_floor(point_m)

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        """See backends/base.py. Raises Infeasible if no floor is found in _TRIES attempts."""
        pathfinder = self._pathfinder()
        pathfinder.seed(int(rng.integers(2**31 - 1)))
        for _ in range(_TRIES):
            x, y, z = (float(value) for value in pathfinder.get_random_navigable_point())
            if math.isfinite(x + y + z) and self._is_floor((x, y, z)):
                return (x, y, z)
        raise Infeasible(
            f"scene {self.spec.asset} has no floor to stand on: its navmesh is empty or above the ceiling."
        )

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        _, points = self._simulator.shortest_path(self._pathfinder(), start_m, goal_m)
        return [(float(p[0]), float(p[1]), float(p[2])) for p in points]

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        return self._simulator.shortest_path(self._pathfinder(), start_m, goal_m)[0]

    def close(self) -> None:
        """Nothing to release: the Simulator stays open for the next scene."""

    def _pathfinder(self) -> Any:
        return self._simulator.pathfinder(self.spec.asset, SURVEY_CAMERA, self._cache)

    def _depth_and_ids(self, pose: Pose, camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        seen = self._simulator.observe(self.spec.asset, camera, pose)
        return seen[DEPTH], self._translate(seen[IDS])

    def _translate(self, pixels: NDArray[np.int64]) -> NDArray[np.int32]:
        """Map habitat-sim's ids to object ids of the description; the stage and unnamed objects are 0."""
        values, places = np.unique(pixels, return_inverse=True)
        table = np.array([self._own_ids.get(int(value), 0) for value in values], np.int32)
        return table[places].reshape(pixels.shape)

    def _is_floor(self, point_m: Vec3) -> bool:
        """False on top of a ceiling or a bed, both of which habitat-sim considers navigable."""
        x, y, z = point_m
        if self._floors_m and min(abs(y - floor) for floor in self._floors_m) > _FLOOR_SLACK_M:
            return False
        if not self._floors_m and y > self._top_m - _HEADROOM_M:
            return False
        return not any(_stands_on(item.box, x, y, z) for item in self.description.objects)


def _stands_on(box: Any, x: float, y: float, z: float) -> bool:
    """Whether the point is over the box and not below its centre."""
    local = rotation_matrix(box.rotation_wxyz).T @ (np.array([x, box.centre_m[1], z]) - np.array(box.centre_m))
    over = abs(local[0]) <= box.half_extents_m[0] and abs(local[2]) <= box.half_extents_m[2]
    return over and y > box.centre_m[1] and box.half_extents_m[1] > 0.1
