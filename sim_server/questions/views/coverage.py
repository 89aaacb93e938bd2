"""Several views that together show as much of a scene as possible: greedy maximum coverage of its visible surface."""

from __future__ import annotations

import math
from typing import Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Camera, Pose, SceneDescription
from sim_server.backends.base import Scene
from sim_server.questions.evidence import ViewEvidence
from sim_server.questions.geometry import Array, pose_from_yaw_pitch, unproject
from sim_server.questions.views.viewpoints import PLACES, draw_eyes, eye_heights_m, pitches_rad, probe

VOXELS = 20  # along the scene's longest side, as in arXiv 2505.23747
LOOK_RAD = (-0.55, -0.05)  # pitches of the views to choose from: slightly down, where the objects are
LEAST_OVERLAP = 0.15  # of a further view with a chosen one
LEAST_JOINT = 0.10  # the same, checked on the rendered views
LEAST_GAIN = 0.02  # a further view must add this fraction of the surface that all views show


def covering_poses(
    scene: Scene,
    camera: Camera,
    most: int,
    rng: np.random.Generator,
    only: Optional[frozenset[int]] = None,
) -> tuple[Pose, ...]:
    """Up to `most` poses: first the one that shows most surface, then each time the one that adds most.

    They are chosen by probe images among 2 x PLACES poses in navigable space that look in all directions. Surface is
    counted in voxels of 1/VOXELS of the scene; `only` restricts it to these objects. Each view overlaps a previous one
    (LEAST_OVERLAP), so that a viewer can relate them. Empty if no pose shows any surface.
    """
    poses = draw_poses_around(scene, camera, rng)
    small = probe(camera)
    frames = scene.render(poses, small, ("depth", "ids"))
    depth_m, ids = frames.depth, frames.ids
    assert depth_m is not None and ids is not None
    shown = [voxels_shown(scene.description, pose, small, depth_m[index]) for index, pose in enumerate(poses)]
    wanted = shown
    if only is not None:
        masks = np.isin(ids, list(only))
        wanted = [
            voxels_shown(scene.description, pose, small, depth_m[index], masks[index])
            for index, pose in enumerate(poses)
        ]
    return tuple(poses[index] for index in greedy_cover(wanted, most, shown))


def draw_poses_around(scene: Scene, camera: Camera, rng: np.random.Generator) -> list[Pose]:
    """2 x PLACES poses at eye height over navigable floor: two that look in opposite directions at each of PLACES."""
    eyes, looks = draw_eyes(scene, rng, eye_heights_m(camera)), pitches_rad(camera, LOOK_RAD)
    yaws, pitches = rng.uniform(-math.pi, math.pi, PLACES), rng.uniform(*looks, (2, PLACES))
    return [
        pose_from_yaw_pitch((float(x), float(y), float(z)), float(yaws[place]) + turn * math.pi, float(pitch[place]))
        for turn, pitch in enumerate(pitches)
        for place, (x, y, z) in enumerate(eyes)
    ]


def voxels_shown(
    description: SceneDescription,
    pose: Pose,
    camera: Camera,
    depth_m: NDArray[np.float32],
    mask: Optional[NDArray[np.bool_]] = None,
) -> NDArray[np.int64]:
    """Ascending indices of the voxels whose surface a depth image [H, W] shows, optionally inside a mask."""
    low, high = extent(description)
    side_m = max(float((high - low).max()), 1e-6) / VOXELS
    wanted = depth_m > 0 if mask is None else (depth_m > 0) & mask
    points = unproject(pose, camera, depth_m)[wanted.ravel()]
    x, y, z = np.floor((points - low) / side_m).astype(np.int64).T + 1
    inside = (np.minimum(np.minimum(x, y), z) >= 0) & (np.maximum(np.maximum(x, y), z) <= VOXELS + 1)
    shown = np.zeros(64**3, bool)
    shown[(x + 64 * y + 64 * 64 * z)[inside]] = True
    return np.flatnonzero(shown)


def overlap(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Fraction of the voxels of the smaller set that are in the other set too."""
    least = min(len(first), len(second))
    return len(np.intersect1d(first, second, assume_unique=True)) / least if least else 0.0


def joined(description: SceneDescription, views: Sequence[ViewEvidence]) -> bool:
    """Whether overlaps of at least LEAST_JOINT connect every view with the first one."""
    shown = [_voxels_of(description, view) for view in views]
    reached, waiting = [0], list(range(1, len(views)))
    for index in reached:
        near = [other for other in waiting if overlap(shown[index], shown[other]) >= LEAST_JOINT]
        reached += near
        waiting = [other for other in waiting if other not in near]
    return not waiting


def _voxels_of(description: SceneDescription, view: ViewEvidence) -> NDArray[np.int64]:
    """The voxels that a view shows. Views are judged in many sets, so it remembers them."""
    if view.voxels is None:
        view.voxels = voxels_shown(description, view.pose, view.camera, view.depth_m)
    return view.voxels


def extent(description: SceneDescription) -> tuple[Array, Array]:
    """Lowest and highest corner [3] of the scene's rooms in metres, or of its objects' centres if it has no rooms."""
    points = [
        (x, y, z)
        for room in description.rooms
        for x, z in room.polygon_xz_m
        for y in (room.floor_y_m, room.ceiling_y_m)
    ] or [item.box.centre_m for item in description.objects]
    return np.min(points, axis=0), np.max(points, axis=0)


def greedy_cover(
    sets: Sequence[NDArray[np.int64]], most: int, joined_by: Optional[Sequence[NDArray[np.int64]]] = None
) -> list[int]:
    """Indices of up to `most` sets, each time the set that adds most to the previous ones (the first of equals).

    The coverage is at least 1 - 1/e of the optimum (Nemhauser et al. 1978). Stops when a set would add less than
    LEAST_GAIN of the total. With `joined_by`, the entry of a further set must overlap that of a chosen one.
    """
    everything = len(np.unique(np.concatenate(sets))) if sets else 0
    chosen: list[int] = []
    covered = np.zeros(0, np.int64)
    reachable = np.ones(len(sets), bool)
    while everything and len(chosen) < most:
        gains = [len(np.setdiff1d(cells, covered, assume_unique=True)) for cells in sets]
        best = int(np.argmax(np.where(reachable, gains, 0)))
        if not reachable[best] or gains[best] < max(1, LEAST_GAIN * everything):
            break
        chosen.append(best)
        covered = np.union1d(covered, sets[best])
        if joined_by is not None:
            joins = np.array([overlap(entry, joined_by[best]) >= LEAST_OVERLAP for entry in joined_by])
            reachable = joins if len(chosen) == 1 else reachable | joins
    return chosen
