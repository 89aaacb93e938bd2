"""Camera placement for one image that shows the objects of a question; coverage.py places several cameras."""

from __future__ import annotations

import math
from typing import Callable, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Camera, Pose, SceneObject
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.family import Findings, Target
from sim_server.questions.geometry import Array, inside_polygon, pose_from_yaw_pitch

EYE_HEIGHT_M = (1.3, 1.9)
CROUCHED_M = (0.7, 1.8)  # low viewpoints see more occlusion
PITCH_RAD = (-0.75, 0.10)
NEAREST_M, FARTHEST_M = 0.9, 7.0
FRAME_BORDER = 0.05  # least distance of the objects' centres from the border, as a fraction of the image
PLACES = 16  # standing points tried per draw
PROBE_PX = 48  # width of a probe image
_ROOM_TRIES = 4  # draws again of the standing points in other rooms
ROUGHLY = 0.15  # the aim deviates from the image centre by up to this fraction; less with more objects

NO_PLACE = "no standing point has all the objects in its image"


class SingleView:
    """Mixin of the families about one view: an image that contains the target's objects."""

    views = 1

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        first = draw_focused_pose(scene, spec.camera, target, rng, findings)
        return None if first is None else (first,)


def focus_of(scene: Scene, keys: Sequence[int]) -> list[SceneObject]:
    """The objects with these ids."""
    objects = {item.id: item for item in scene.description.objects}
    return [objects[key] for key in keys]


def draw_focused_pose(
    scene: Scene,
    camera: Camera,
    target: Target,
    rng: np.random.Generator,
    findings: Findings,
    fits: Optional[Callable[[Array, Array], NDArray[np.bool_]]] = None,
) -> Optional[Pose]:
    """`draw_pose` for the target's objects; if it finds none, `findings` gets the rule."""
    pose = draw_pose(scene, camera, focus_of(scene, target.focus), rng, target.at, fits)
    if pose is None:
        findings.reject(NO_PLACE)
    return pose


def draw_pose(
    scene: Scene,
    camera: Camera,
    focus: Sequence[SceneObject],
    rng: np.random.Generator,
    at: Optional[tuple[float, float]] = None,
    fits: Optional[Callable[[Array, Array], NDArray[np.bool_]]] = None,
    height_m: Optional[tuple[float, float]] = None,
) -> Optional[Pose]:
    """A pose in navigable space, without roll and pitched slightly down, whose image has every focus object's centre.

    The middle of the centres is put at `at` (u, v), or near the image centre if `at` is None. `fits` selects among eyes
    [P, 3] and yaws [P]. `height_m` is the range of heights above the floor, `eye_heights_m` if None. Returns None if
    none of PLACES standing points works. Nothing is rendered: the caller checks occlusion.
    """
    poses = draw_poses(scene, camera, focus, rng, at, fits, height_m)
    return poses[0] if poses else None


def draw_poses(
    scene: Scene,
    camera: Camera,
    focus: Sequence[SceneObject],
    rng: np.random.Generator,
    at: Optional[tuple[float, float]] = None,
    fits: Optional[Callable[[Array, Array], NDArray[np.bool_]]] = None,
    height_m: Optional[tuple[float, float]] = None,
) -> list[Pose]:
    """Every pose at PLACES standing points that `draw_pose` would accept."""
    centres = np.array([item.box.centre_m for item in focus])
    eyes = draw_eyes(scene, rng, height_m or eye_heights_m(camera), focus)
    stray = 2 * ROUGHLY / max(len(focus), 2)
    where = np.tile(at, (PLACES, 1)) if at is not None else rng.uniform(0.5 - stray, 0.5 + stray, (PLACES, 2))
    yaws, pitches = aim(eyes, camera, centres, where)
    fitting = in_image(eyes, yaws, pitches, camera, centres).all(axis=1)
    if fits is not None:
        fitting &= fits(eyes, yaws)
    return [_pose(eyes, yaws, pitches, int(index)) for index in np.flatnonzero(fitting)]


def draw_populated_pose(
    scene: Scene, camera: Camera, focus: Sequence[SceneObject], rng: np.random.Generator, at: tuple[float, float]
) -> Optional[Pose]:
    """Like `draw_pose`, but of the standing points that show a focus object, the one that shows most objects."""
    centres = np.array([item.box.centre_m for item in focus])
    everything = np.array([item.box.centre_m for item in scene.description.objects])
    eyes = draw_eyes(scene, rng, eye_heights_m(camera), focus)
    yaws, pitches = aim(eyes, camera, centres, np.tile(at, (PLACES, 1)))
    shown = in_image(eyes, yaws, pitches, camera, everything).sum(axis=1)
    shown[~in_image(eyes, yaws, pitches, camera, centres).any(axis=1)] = 0
    best = int(shown.argmax())
    return _pose(eyes, yaws, pitches, best) if shown[best] else None


def probe(camera: Camera) -> Camera:
    """The camera with an image PROBE_PX wide, enough to choose among many poses by the objects they show."""
    return Camera(PROBE_PX, max(1, round(PROBE_PX * camera.height_px / camera.width_px)), camera.hfov_rad)


def eye_heights_m(camera: Camera, crouched: bool = False) -> tuple[float, float]:
    """The range of heights above the floor: that of the mount, or of a person; for a crouched one from CROUCHED_M."""
    if camera.mount is None:
        return CROUCHED_M if crouched else EYE_HEIGHT_M
    low_m, high_m = camera.mount.height_m
    return (min(low_m, CROUCHED_M[0]), high_m) if crouched else (low_m, high_m)


def pitches_rad(camera: Camera, free: tuple[float, float]) -> tuple[float, float]:
    """The range of pitches: that of the mount, or `free` without a mount."""
    return free if camera.mount is None else camera.mount.pitch_rad


def draw_eyes(
    scene: Scene, rng: np.random.Generator, height_m: tuple[float, float], focus: Sequence[SceneObject] = ()
) -> Array:
    """PLACES camera positions [PLACES, 3] over navigable floor, metres, most of them in the rooms of the focus objects.

    From other rooms, walls hide the objects, unless a door is in line.
    """
    eyes = np.array([scene.sample_navigable(rng) for _ in range(PLACES)])
    rooms = scene.description.rooms
    near = [room for room in rooms if any(item.room_id == room.id for item in focus)]
    if len(rooms) > 1 and near:
        for _ in range(_ROOM_TRIES):
            inside = np.any([inside_polygon(eyes[:, [0, 2]], room.polygon_xz_m) for room in near], axis=0)
            for index in np.flatnonzero(~inside):
                eyes[index] = scene.sample_navigable(rng)
    eyes[:, 1] += rng.uniform(*height_m, PLACES)
    return eyes


def aim(eyes_m: Array, camera: Camera, centres_m: Array, at: Array) -> tuple[Array, Array]:
    """Yaws and pitches [P] with which cameras at eyes [P, 3] see the middle of the centres [N, 3] near `at` [P, 2].

    The pitch stays within that of the mount, or PITCH_RAD.
    """
    offsets = centres_m[None] - eyes_m[:, None]
    flat = np.maximum(np.hypot(offsets[..., 0], offsets[..., 2]), 1e-6)
    # The mean direction, not the mean point: a near object must not pull the view away from a far one.
    east, south = (offsets[..., 0] / flat).mean(1), (offsets[..., 2] / flat).mean(1)
    elevation = np.arctan2(offsets[..., 1], flat)
    half = math.tan(camera.hfov_rad / 2)
    yaws = np.arctan2(-east, -south) + np.arctan((2 * at[:, 0] - 1) * half)
    pitches = (elevation.min(1) + elevation.max(1)) / 2
    pitches -= np.arctan((1 - 2 * at[:, 1]) * half * camera.height_px / camera.width_px)
    return yaws, np.clip(pitches, *pitches_rad(camera, PITCH_RAD))


def in_image(eyes_m: Array, yaws: Array, pitches: Array, camera: Camera, centres_m: Array) -> NDArray[np.bool_]:
    """Whether each centre [N, 3] is in the image of each camera, neither too near nor too far, bool [P, N]."""
    offsets = centres_m[None] - eyes_m[:, None]
    x, y, z = offsets[..., 0], offsets[..., 1], offsets[..., 2]
    cos_yaw, sin_yaw = np.cos(yaws)[:, None], np.sin(yaws)[:, None]
    cos_pitch, sin_pitch = np.cos(pitches)[:, None], np.sin(pitches)[:, None]
    right = cos_yaw * x - sin_yaw * z
    ahead = -sin_yaw * x - cos_yaw * z
    depth = cos_pitch * ahead + sin_pitch * y
    up = cos_pitch * y - sin_pitch * ahead
    half = math.tan(camera.hfov_rad / 2) * (1 - 2 * FRAME_BORDER)
    near_far = (depth > NEAREST_M) & (depth < FARTHEST_M)
    aspect = camera.height_px / camera.width_px
    return near_far & (np.abs(right) < half * depth) & (np.abs(up) < half * aspect * depth)


def _pose(eyes: Array, yaws: Array, pitches: Array, index: int) -> Pose:
    x, y, z = (float(value) for value in eyes[index])
    return pose_from_yaw_pitch((x, y, z), float(yaws[index]), float(pitches[index]))
