"""Oracles of the skills about pairs, a few views, several cameras and small objects.

They use other methods than the families: alternating projections for distances, complex numbers for directions, id
images for visible objects, and footprints for supports.
"""

from __future__ import annotations

import cmath
import math
import re
from functools import lru_cache
from typing import Callable

import numpy as np

from protocol.tasks.scene import OrientedBox, Pose, Room, SceneDescription, SceneObject, Vec3
from protocol.tasks.task import Question
from sim_server.backends.base import Frames
from sim_server.questions.audit.measure import (
    cell_of,
    in_program,
    kind_in_program,
    mask_centre,
    mentioned,
    surface,
)
from sim_server.questions.geometry import rotation_matrix

_NTH = ("Image 1", "Image 2", "Image 3", "Image 4")


@lru_cache(maxsize=4096)
def projected_distance_m(a: OrientedBox, b: OrientedBox, turns: int = 400) -> float:
    """Distance of two boxes by alternating projections of a point onto them (Cheney and Goldstein 1959)."""

    def onto(box: OrientedBox, point: np.ndarray) -> np.ndarray:
        axes = rotation_matrix(box.rotation_wxyz)
        local = np.clip((point - box.centre_m) @ axes, np.negative(box.half_extents_m), box.half_extents_m)
        return np.asarray(box.centre_m) + local @ axes.T

    there = np.asarray(b.centre_m)
    here = onto(a, there)
    for _ in range(turns):
        before = here
        there = onto(b, here)
        here = onto(a, there)
        if float(np.abs(here - before).max()) < 1e-7:
            break
    return float(np.linalg.norm(here - there))


def _seen(frames: Frames, view: int) -> set[int]:
    assert frames.ids is not None
    return set(np.unique(frames.ids[view]).tolist()) - {0}


def _seen_anywhere(description: SceneDescription, frames: Frames) -> list[SceneObject]:
    seen = set().union(*(_seen(frames, view) for view in range(len(frames.poses))))
    return [item for item in description.objects if item.id in seen]


def _sector(pose: Pose, point: Vec3, options: tuple[str, ...]) -> str:
    """The direction of a point from a camera, in the words of the options. The floor plan is complex, -z is +i."""
    ahead = rotation_matrix(pose.rotation_wxyz) @ [0.0, 0.0, -1.0]
    to = complex(point[0] - pose.position_m[0], pose.position_m[2] - point[2])
    angle = math.degrees(cmath.phase(to / complex(ahead[0], -ahead[2])))
    side = "left" if angle > 0 else "right"
    if "front left" in options:
        return f"{'front' if abs(angle) < 90 else 'back'} {side}"
    return "behind" if "behind" in options and abs(angle) > 135 else side


def _camera_position(question: Question, description: SceneDescription, frames: Frames) -> str:
    return _sector(frames.poses[0], frames.poses[1].position_m, question.options)


def _camera_elevation(question: Question, description: SceneDescription, frames: Frames) -> str:
    # The height of the first camera below the second, in the frame of the second without pitch.
    turn = rotation_matrix(frames.poses[1].rotation_wxyz)
    local = turn.T @ np.subtract(frames.poses[0].position_m, frames.poses[1].position_m)
    rise_m = -float((turn @ local)[1])
    if "the same" in question.options and abs(rise_m) < 0.15:
        return "the same"
    return "higher" if rise_m > 0 else "lower"


def _visibility(question: Question, description: SceneDescription, frames: Frames) -> str:
    assert frames.ids is not None
    if frames.amodal is None:
        raise ValueError("visibility_compare is checked on frames with amodal counts")
    (item,) = mentioned(question, description)
    one, two = (float(np.sum(frames.ids[view] == item.id)) / frames.amodal[view][item.id] for view in (0, 1))
    if "the same" in question.options and abs(one - two) < 0.05:
        return "the same"
    return "Image 1" if one > two else "Image 2"


def _object_from_camera(question: Question, description: SceneDescription, frames: Frames) -> str:
    (item,) = mentioned(question, description)
    return "" if item.id in _seen(frames, 1) else _sector(frames.poses[1], item.box.centre_m, question.options)


def inside_outline(room: Room, points: np.ndarray) -> np.ndarray:
    """Which points [N, 2] are inside a room's outline, by their winding numbers."""
    corners = np.asarray(room.polygon_xz_m)
    around = corners[None] - points[:, None]
    angles = np.arctan2(around[..., 1], around[..., 0])
    turns = np.diff(np.concatenate([angles, angles[:, :1]], 1), axis=1)
    return np.abs(np.sum((turns + np.pi) % (2 * np.pi) - np.pi, 1)) > np.pi


def _floor_points(room: Room, step_m: float = 0.05) -> np.ndarray:
    corners = np.asarray(room.polygon_xz_m)
    low, high = corners.min(0), corners.max(0)
    x, z = (np.arange(low[axis] + step_m / 2, high[axis], step_m) for axis in (0, 1))
    points = np.stack(np.meshgrid(x, z), -1).reshape(-1, 2)
    return points[inside_outline(room, points)]


def _region_from_camera(question: Question, description: SceneDescription, frames: Frames) -> str:
    (item,) = mentioned(question, description)
    (room,) = (room for room in description.rooms if room.id == item.room_id)
    x, z = _floor_points(room).mean(0).tolist()
    return _sector(frames.poses[1], (x, room.floor_y_m, z), question.options)


def _object_match(question: Question, description: SceneDescription, frames: Frames) -> str:
    (item,) = mentioned(question, description)
    return cell_of(*mask_centre(frames, item, 1))


def _object_distance(question: Question, description: SceneDescription, frames: Frames) -> str:
    a, b = mentioned(question, description)
    return f"{projected_distance_m(a.box, b.box):.4f}"  # compared with a tolerance


def _room_size(question: Question, description: SceneDescription, frames: Frames) -> str:
    eyes = np.array([pose.position_m for pose in frames.poses])[:, [0, 2]]
    rooms = [room for room in description.rooms if inside_outline(room, eyes).any()]
    return f"{sum(len(_floor_points(room)) for room in rooms) * 0.05**2:.2f}"


def count_seen(question: Question, description: SceneDescription, frames: Frames) -> str:
    """The number of visible objects of the kind that is counted; a coffee table does not count as a table."""
    category, color = kind_in_program(question)
    seen = _seen_anywhere(description, frames)
    counted = [item for item in seen if category in ("", item.category) and color in ("", item.color)]
    return str(len(counted))


def _scene_size(question: Question, description: SceneDescription, frames: Frames) -> str:
    (item,) = mentioned(question, description)
    turned = surface(item, 3) @ rotation_matrix(item.box.rotation_wxyz)
    return f"{100 * float(np.ptp(turned, axis=0).max()):.2f}"


def _nearest_option(question: Question, description: SceneDescription, frames: Frames) -> str:
    (anchor,) = mentioned(question, description)
    objects = {item.id: item for item in description.objects}
    distances = [projected_distance_m(anchor.box, objects[key].box) for key in question.option_objects]
    return question.options[int(np.argmin(distances))]


def _direction(question: Question, description: SceneDescription, frames: Frames) -> str:
    named = in_program(question, description)
    stand, face, target = (np.asarray(item.box.centre_m) for item in named)
    heading = math.atan2(stand[0] - face[0], stand[2] - face[2])  # yaw of an observer at `stand` who faces `face`
    pose = Pose(tuple(stand.tolist()), (math.cos(heading / 2), 0.0, math.sin(heading / 2), 0.0))
    return _sector(pose, tuple(target.tolist()), question.options)


def _cameras_shared(question: Question, description: SceneDescription, frames: Frames) -> str:
    shared = set.intersection(*(_seen(frames, view) for view in range(len(frames.poses))))
    (key,) = shared & set(question.option_objects)
    return question.options[question.option_objects.index(key)]


def _cameras_nearest(question: Question, description: SceneDescription, frames: Frames) -> str:
    (item,) = mentioned(question, description)
    eyes = [OrientedBox(pose.position_m, (0.0, 0.0, 0.0)) for pose in frames.poses]
    return _NTH[int(np.argmin([projected_distance_m(eye, item.box) for eye in eyes]))]


def _small_presence(question: Question, description: SceneDescription, frames: Frames) -> str:
    category, color = kind_in_program(question)
    seen = _seen_anywhere(description, frames)
    return "yes" if any((item.category, item.color) == (category, color) for item in seen) else "no"


def _stands_on(item: SceneObject, description: SceneDescription) -> SceneObject:
    """The support of an object: the object below its footprint centre whose top is nearest to its underside."""
    x, y, z = item.box.centre_m
    foot = np.array([x, y - item.box.half_extents_m[1], z])

    def sinks_m(other: SceneObject) -> float:
        local = (foot - other.box.centre_m) @ rotation_matrix(other.box.rotation_wxyz)
        half = np.asarray(other.box.half_extents_m)
        below = abs(local[0]) <= half[0] + 0.02 and abs(local[2]) <= half[2] + 0.02
        inside = -half[1] <= local[1] <= half[1] + 0.05
        return float(half[1] - local[1]) if below and inside else math.inf

    return min((other for other in description.objects if other.id != item.id), key=sinks_m)


def _small_location(question: Question, description: SceneDescription, frames: Frames) -> str:
    (item,) = mentioned(question, description)
    support = _stands_on(item, description)
    form = r"on the (.+), to the (\w+) of the (.+), (\S+) m from it"
    places = [re.fullmatch(form, option) for option in question.options]
    assert all(places)
    (neighbour,) = {place.group(3) for place in places if place}
    (other,) = (o for o in _seen_anywhere(description, frames) if f"{o.color} {o.category}".strip() == neighbour)
    side = "left" if mask_centre(frames, item)[0] < mask_centre(frames, other)[0] else "right"
    away_m = projected_distance_m(item.box, other.box)
    right = [
        place.group(0)
        for place in places
        if place
        and place.group(1) == f"{support.color} {support.category}".strip()
        and place.group(2) == side
        and abs(float(place.group(4)) - away_m) < 0.06
    ]
    return right[0] if len(right) == 1 else ""


ORACLES: dict[str, Callable[[Question, SceneDescription, Frames], str]] = {
    "camera_position": _camera_position,
    "camera_elevation": _camera_elevation,
    "visibility_compare": _visibility,
    "object_from_camera": _object_from_camera,
    "region_from_camera": _region_from_camera,
    "object_match": _object_match,
    "object_distance": _object_distance,
    "room_size": _room_size,
    "scene_count": count_seen,
    "scene_size": _scene_size,
    "scene_relative_distance": _nearest_option,
    "scene_relative_direction": _direction,
    "cameras_shared": _cameras_shared,
    "cameras_count": count_seen,
    "cameras_nearest": _cameras_nearest,
    "small_presence": _small_presence,
    "small_nearest": _nearest_option,
    "small_location": _small_location,
}
NUMBER_TOLERANCE = {
    "object_distance": 0.06,
    "room_size": 1.0,
    "scene_size": 0.51,
}  # rounding and the spacing of the samples
