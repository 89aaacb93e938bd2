"""Several views that together show as much of a scene as can be: greedy maximum coverage of its visible surface."""

from __future__ import annotations

import math
from typing import Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.scene import Camera, Pose, SceneDescription
from sim_server.backends.base import Frames, Scene
from sim_server.questions.geometry import Array, pose_from_yaw_pitch, unproject
from sim_server.questions.viewpoints import PLACES, draw_eyes

VOXELS = 20  # along the scene's longest side, as in arXiv 2505.23747
PROBE_PX = 48  # width of the pictures that coverage is measured in
LOOK_RAD = (-0.55, -0.05)  # pitches of the views to choose from: slightly down, where the things are
LEAST_GAIN = 0.02  # a further view must show this share of what all views together show


def covering_poses(
    scene: Scene, camera: Camera, most: int, rng: np.random.Generator, only: Optional[frozenset[int]] = None
) -> tuple[Pose, ...]:
    """Up to `most` poses, the one that shows most surface first, each next one that which adds most.

    Chosen among 2 x PLACES poses in navigable space that look every way, by what the renderer shows in small pictures:
    surface counts in voxels of a twentieth of the scene, with `only` that of these objects alone. Empty where no pose
    shows any. Costs 2 x PLACES renderings of depth and ids, PROBE_PX wide.
    """
    poses = draw_poses_around(scene, rng)
    small = Camera(PROBE_PX, max(1, round(PROBE_PX * camera.height_px / camera.width_px)), camera.hfov_rad)
    shown = surface_shown(scene.description, scene.render(poses, small, ("depth", "ids")), only)
    return tuple(poses[index] for index in greedy_cover(shown, most))


def draw_poses_around(scene: Scene, rng: np.random.Generator) -> list[Pose]:
    """2 x PLACES poses at eye height over navigable floor: at each of PLACES points one, and one that looks back."""
    eyes = draw_eyes(scene, rng)
    yaws, pitches = rng.uniform(-math.pi, math.pi, PLACES), rng.uniform(*LOOK_RAD, (2, PLACES))
    return [
        pose_from_yaw_pitch((float(x), float(y), float(z)), float(yaws[place]) + turn * math.pi, float(pitch[place]))
        for turn, pitch in enumerate(pitches)
        for place, (x, y, z) in enumerate(eyes)
    ]


def surface_shown(
    description: SceneDescription, frames: Frames, only: Optional[frozenset[int]] = None
) -> list[NDArray[np.int64]]:
    """Per view the numbers of the voxels that hold surface seen in it, ascending; frames need depth and ids."""
    assert frames.depth is not None and frames.ids is not None
    low, high = extent(description)
    side_m = max(float((high - low).max()), 1e-6) / VOXELS
    shown: list[NDArray[np.int64]] = []
    for index, pose in enumerate(frames.poses):
        wanted = frames.depth[index] > 0
        if only is not None:
            wanted &= np.isin(frames.ids[index], list(only))
        points = unproject(pose, frames.camera, frames.depth[index])[wanted.ravel()]
        cells = np.floor((points - low) / side_m).astype(np.int64)
        inside = ((cells >= 0) & (cells <= VOXELS)).all(1)
        shown.append(np.unique(cells[inside] @ (1, 64, 64 * 64)))
    return shown


def extent(description: SceneDescription) -> tuple[Array, Array]:
    """Lowest and highest corner [3] of the scene's rooms in metres; of its objects' centres where it has no rooms."""
    points = [
        (x, y, z)
        for room in description.rooms
        for x, z in room.polygon_xz_m
        for y in (room.floor_y_m, room.ceiling_y_m)
    ] or [item.box.centre_m for item in description.objects]
    return np.min(points, axis=0), np.max(points, axis=0)


def greedy_cover(shown: Sequence[NDArray[np.int64]], most: int) -> list[int]:
    """Indices of up to `most` sets, each time the one that adds most to those before it (ties: the first).

    Within 1 - 1/e of the best choice (Nemhauser et al. 1978). Ends early when a set would add less than LEAST_GAIN
    of everything.
    """
    everything = len(np.unique(np.concatenate(shown))) if shown else 0
    chosen: list[int] = []
    covered = np.zeros(0, np.int64)
    while everything and len(chosen) < most:
        gains = [len(np.setdiff1d(cells, covered, assume_unique=True)) for cells in shown]
        best = int(np.argmax(gains))
        if gains[best] < max(1, LEAST_GAIN * everything):
            break
        chosen.append(best)
        covered = np.union1d(covered, shown[best])
    return chosen
