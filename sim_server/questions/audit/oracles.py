"""Independent oracles: right answers from pixel masks, depth images, dense samples and complex numbers.

An oracle is registered in ORACLES of this module, oracles_views or oracles_maps under the name of its skill.
"""

from __future__ import annotations

import cmath
import math
from typing import Callable

import numpy as np

from protocol.errors import VantageError
from protocol.tasks.scene import SceneDescription, SceneObject
from protocol.tasks.task import Question
from sim_server.backends.base import Frames
from sim_server.questions.audit import oracles_maps, oracles_views
from sim_server.questions.audit.measure import cell_of, in_program, mask_centre, mentioned, surface
from sim_server.questions.geometry import rotation_matrix

Oracle = Callable[[Question, SceneDescription, Frames], str]


def _category(question: Question, description: SceneDescription, frames: Frames) -> str:
    phrase = question.text[question.mentions[0].start : question.mentions[0].end]
    (item,) = [item for item in mentioned(question, description) if phrase == f"{item.color} object"]
    return item.category


def _color(question: Question, description: SceneDescription, frames: Frames) -> str:
    phrase = question.text[question.mentions[0].start : question.mentions[0].end]
    (item,) = [item for item in mentioned(question, description) if phrase == item.category]
    return item.color


def _location(question: Question, description: SceneDescription, frames: Frames) -> str:
    return cell_of(*mask_centre(frames, mentioned(question, description)[0]))


def _camera_distance(question: Question, description: SceneDescription, frames: Frames) -> str:
    points = surface(mentioned(question, description)[0], 24)
    eye = np.asarray(frames.poses[0].position_m)
    return f"{np.linalg.norm(points - eye, axis=1).min():.2f}"  # compared with a tolerance


def _size(question: Question, description: SceneDescription, frames: Frames) -> str:
    points = surface(mentioned(question, description)[0], 3)
    turned = points @ rotation_matrix(mentioned(question, description)[0].box.rotation_wxyz)
    return f"{100 * float(np.ptp(turned, axis=0).max()):.2f}"


def _view_direction(question: Question, description: SceneDescription, frames: Frames) -> str:
    a, b = in_program(question, description)
    (ua, va), (ub, vb) = mask_centre(frames, a), mask_centre(frames, b)
    if "left" in question.options:
        return "left" if ua < ub else "right"
    return "above" if va < vb else "below"


def _depth_order(question: Question, description: SceneDescription, frames: Frames) -> str:
    assert frames.ids is not None and frames.depth is not None
    a, b = in_program(question, description)
    median = [float(np.median(frames.depth[0][frames.ids[0] == item.id])) for item in (a, b)]
    if len(question.options) == 3 and abs(median[0] - median[1]) < 0.15:
        return "the same"
    return "nearer" if median[0] < median[1] else "farther"


def _relative_distance(question: Question, description: SceneDescription, frames: Frames) -> str:
    (anchor,) = mentioned(question, description)
    objects = {item.id: item for item in description.objects}
    points = surface(anchor, 8)

    def sampled(item: SceneObject) -> float:
        return float(np.linalg.norm(points[:, None] - surface(item, 8)[None], axis=2).min())

    distances = [sampled(objects[key]) for key in question.option_objects]
    return question.options[int(np.argmin(distances))]


def _relative_direction(question: Question, description: SceneDescription, frames: Frames) -> str:
    named = in_program(question, description)
    # The floor plan as complex numbers with -z as +i: multiplying by i turns left.
    stand, face, target = (complex(item.box.centre_m[0], -item.box.centre_m[2]) for item in named)
    angle_deg = math.degrees(cmath.phase((target - stand) / (face - stand)))
    if len(question.options) == 2:
        return "left" if angle_deg > 0 else "right"
    if len(question.options) == 3:
        return "behind" if abs(angle_deg) > 135 else "left" if angle_deg > 0 else "right"
    return f"{'front' if abs(angle_deg) < 90 else 'back'} {'left' if angle_deg > 0 else 'right'}"


def _motion(question: Question, description: SceneDescription, frames: Frames) -> str:
    first, second = frames.poses
    turn = rotation_matrix(first.rotation_wxyz)
    if "turn_between" in question.program:
        ahead = turn.T @ -rotation_matrix(second.rotation_wxyz)[:, 2]
        return "right" if ahead[0] > 0 else "left"
    moved = np.subtract(second.position_m, first.position_m)
    ahead = -turn[:, 2] * [1, 0, 1]
    ahead /= np.linalg.norm(ahead)
    along = {"forward": moved @ ahead, "right": moved @ turn[:, 0]}
    along = {**along, "backward": -along["forward"], "left": -along["right"]}
    return max(along, key=lambda word: along[word])


ORACLES: dict[str, Oracle] = {
    "object_category": _category,
    "object_color": _color,
    "object_location": _location,
    "object_count": oracles_views.count_seen,
    "camera_object_distance": _camera_distance,
    "object_size": _size,
    "view_direction": _view_direction,
    "depth_order": _depth_order,
    "relative_distance": _relative_distance,
    "relative_direction": _relative_direction,
    "camera_motion": _motion,
    **oracles_views.ORACLES,
    **oracles_maps.ORACLES,
}
# Largest deviations, from rounding and the spacing of the samples.
NUMBER_TOLERANCE = {
    "camera_object_distance": 0.1,
    "object_size": 0.51,
    **oracles_views.NUMBER_TOLERANCE,
    **oracles_maps.NUMBER_TOLERANCE,
}


def oracle_of(skill: str) -> Oracle:
    """The oracle of this skill. Raises VantageError("unsupported") if it has none."""
    if skill not in ORACLES:
        raise VantageError("unsupported", f"the skill {skill} has no oracle; audit only skills with one")
    return ORACLES[skill]


def agrees(question: Question, description: SceneDescription, frames: Frames) -> bool:
    """Whether the question's answer agrees with the oracle. Raises like `oracle_of`."""
    expected = oracle_of(question.skill)(question, description, frames)
    if question.skill in NUMBER_TOLERANCE:
        return abs(float(expected) - float(question.answer)) <= NUMBER_TOLERANCE[question.skill]
    return expected == question.answer
