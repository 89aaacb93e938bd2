"""Estimates the visible fraction of objects in scans, whose mesh cannot be rendered without its surroundings.

When a scene opens, it is rendered from standing points all over the floor; each pixel of an object becomes a point of
its surface. In a view, the points that agree with the depth image are visible. Their fraction among the object's points
in the frame is the visible fraction; visible pixels divided by it are the unoccluded pixels.
"""

from __future__ import annotations

import math
from typing import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Camera, Pose
from sim_server.questions.geometry import pose_from_yaw_pitch, project, unproject

SURVEY_CAMERA = Camera(160, 120, math.radians(90.0))
POINTS_PER_OBJECT = 1500
_NEAR_M = 0.05
_DOWN_RAD = math.radians(-15.0)
_AGREES = 0.02  # tolerance relative to depth
_AGREES_M = 0.03  # minimum tolerance: the depths of neighbouring pixels differ


class Survey:
    """Surface points by object id, world frame, metres."""

    def __init__(self, seed: int = 0) -> None:
        self._points: dict[int, list[NDArray[np.float32]]] = {}
        self._rng = np.random.default_rng(seed)

    def add(self, pose: Pose, camera: Camera, depth: NDArray[np.float32], ids: NDArray[np.int32]) -> None:
        """Add the points of one view: depth [H, W] m, ids [H, W] with 0 = no object."""
        points = unproject(pose, camera, depth).astype(np.float32)
        owners = ids.reshape(-1)
        for object_id in np.unique(owners[owners > 0]):
            self._points.setdefault(int(object_id), []).append(points[owners == object_id])

    def finish(self) -> Mapping[int, NDArray[np.float32]]:
        """Object id -> float32 [N, 3], at most POINTS_PER_OBJECT each."""
        made = {}
        for object_id, parts in self._points.items():
            points = np.concatenate(parts)
            if len(points) > POINTS_PER_OBJECT:
                points = points[self._rng.choice(len(points), POINTS_PER_OBJECT, replace=False)]
            made[object_id] = points
        return made


def estimated_pixels(
    points: Mapping[int, NDArray[np.float32]],
    pose: Pose,
    camera: Camera,
    depth: NDArray[np.float32],
    ids: NDArray[np.int32],
) -> dict[int, int]:
    """For every object visible in the view, the estimated number of pixels that it would cover without occlusion.

    The near and the far side of an object count equally, so that the estimate is at least the number of visible pixels.
    """
    values, counts = np.unique(ids[ids > 0], return_counts=True)
    made = {}
    for object_id, pixels in zip(values.tolist(), counts.tolist()):
        fraction = 1.0
        if object_id in points:
            fraction = _visible_fraction(points[object_id], pose, camera, depth, ids == object_id)
        made[object_id] = max(pixels, round(pixels / fraction)) if fraction > 0 else pixels
    return made


def _visible_fraction(
    points: NDArray[np.float32], pose: Pose, camera: Camera, depth: NDArray[np.float32], own: NDArray[np.bool_]
) -> float:
    """The fraction of the points in the frame that no other object hides.

    Points behind the object's own surface count as visible: a point is hidden only if the nearest surface in its pixel
    belongs to another object.
    """
    u, v, z = project(pose, camera, points.astype(np.float64))
    inside = (z > _NEAR_M) & (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    if not inside.any():
        return 1.0
    rows = (v[inside] * camera.height_px).astype(np.int64)
    columns = (u[inside] * camera.width_px).astype(np.int64)
    nearest = depth[rows, columns]
    behind = (nearest > 0) & (z[inside] > nearest * (1 + _AGREES) + _AGREES_M)
    hidden = behind & ~own[rows, columns]
    return 1.0 - float(hidden.mean())


def look_around(points: list[tuple[float, float, float]], eye_m: float, turns: int = 6) -> list[Pose]:
    """Poses at eye height above each floor point, looking in all directions and slightly down."""
    return [
        pose_from_yaw_pitch((x, y + eye_m, z), 2 * math.pi * turn / turns, _DOWN_RAD)
        for x, y, z in points
        for turn in range(turns)
    ]


Renderer = Callable[[Pose, Camera], tuple[NDArray[np.float32], NDArray[np.int32]]]


def survey(poses: list[Pose], render: Renderer) -> Mapping[int, NDArray[np.float32]]:
    """Surface points of every object seen from the poses; `render` returns depth and ids."""
    found = Survey()
    for pose in poses:
        depth, ids = render(pose, SURVEY_CAMERA)
        found.add(pose, SURVEY_CAMERA, depth, ids)
    return found.finish()
