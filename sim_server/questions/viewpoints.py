"""Where to put the camera so that a picture shows what a question is about."""

from __future__ import annotations

import math
from typing import Optional, Sequence

import numpy as np

from protocol.scene import Camera, Pose, SceneObject, Vec3
from sim_server.backends.base import Scene
from sim_server.questions.geometry import pose_from_yaw_pitch, project

EYE_HEIGHT_M = (1.3, 1.9)
PITCH_RAD = (-0.75, 0.10)
NEAREST_M, FARTHEST_M = 0.9, 7.0
FRAME_BORDER = 0.05  # centres of the objects asked about keep this share of the picture from its border
PLACES = 8  # standing points tried per draw


def draw_pose(
    scene: Scene,
    camera: Camera,
    focus: Sequence[SceneObject],
    rng: np.random.Generator,
    at: Optional[tuple[float, float]] = None,
    together: bool = True,
) -> Optional[Pose]:
    """A pose in navigable space at eye height that looks at the focus objects, slightly down.

    The middle of their centres is put at `at` (u, v in the picture), near its middle where `at` is None. Of PLACES
    standing points the first that shows every centre is taken. Where none does the answer is None, or with
    `together` off the one that shows most. No pixel is drawn: occlusion is the caller's to check.
    """
    centres = np.array([item.box.centre_m for item in focus])
    best: Optional[Pose] = None
    most = 0
    for _ in range(PLACES):
        x, floor_m, z = scene.sample_navigable(rng)
        eye = (x, floor_m + rng.uniform(*EYE_HEIGHT_M), z)
        where = at if at is not None else (rng.uniform(0.35, 0.65), rng.uniform(0.35, 0.65))
        pose = aimed_pose(eye, camera, centres, where)
        shown = count_shown(pose, camera, centres)
        if shown == len(focus):
            return pose
        if shown > most:
            best, most = pose, shown
    return None if together else best


def aimed_pose(eye_m: Vec3, camera: Camera, centres_m: np.ndarray, at: tuple[float, float]) -> Pose:
    """A level camera at `eye_m` that sees the middle of the centres [N, 3] near `at`, within PITCH_RAD."""
    offsets = centres_m - np.asarray(eye_m)
    flat = np.maximum(np.hypot(offsets[:, 0], offsets[:, 2]), 1e-6)
    # The mean direction, not the mean point: a near object must not pull the view off a far one.
    east, north = float(np.mean(offsets[:, 0] / flat)), float(np.mean(offsets[:, 2] / flat))
    elevation = np.arctan2(offsets[:, 1], flat)
    pitch = 0.5 * float(elevation.min() + elevation.max())
    half = math.tan(camera.hfov_rad / 2)
    yaw = math.atan2(-east, -north) + math.atan((2 * at[0] - 1) * half)
    pitch -= math.atan((1 - 2 * at[1]) * half * camera.height_px / camera.width_px)
    return pose_from_yaw_pitch(eye_m, yaw, float(np.clip(pitch, *PITCH_RAD)))


def count_shown(pose: Pose, camera: Camera, centres_m: np.ndarray) -> int:
    """How many of the centres lie within the frame, neither too near nor too far."""
    u, v, depth_m = project(pose, camera, centres_m)
    low, high = FRAME_BORDER, 1 - FRAME_BORDER
    inside = (u > low) & (u < high) & (v > low) & (v < high) & (depth_m > NEAREST_M) & (depth_m < FARTHEST_M)
    return int(np.count_nonzero(inside))
