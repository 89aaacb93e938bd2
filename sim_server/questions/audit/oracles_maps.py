"""Oracles of the skills about walks, maps, other viewpoints and changed scenes."""

from __future__ import annotations

import cmath
import itertools
import json
import math
import re
from typing import Callable

import numpy as np

from protocol.skills.space import APPEARANCE_ORDER
from protocol.tasks.scene import Pose, SceneDescription, SceneObject
from protocol.tasks.task import Question
from sim_server.backends.base import Frames
from sim_server.questions.audit.measure import cell_of, in_program
from sim_server.questions.audit.oracles_views import inside_outline
from sim_server.questions.geometry import rotation_matrix

Oracle = Callable[[Question, SceneDescription, Frames], str]


def plan_of(point: tuple[float, float, float]) -> complex:
    """A point of the floor plan as a complex number with -z as +i: multiplying by i turns left."""
    return complex(point[0], -point[2])


def heading_of(pose: Pose) -> complex:
    ahead = -rotation_matrix(pose.rotation_wxyz)[:, 2]
    direction = complex(ahead[0], -ahead[2])
    return direction / abs(direction)


def named(question: Question, description: SceneDescription) -> list[SceneObject]:
    """The objects that the text names, each once, in the order of their first mentions."""
    objects = {item.id: item for item in description.objects}
    return [objects[key] for key in dict.fromkeys(mention.object_id for mention in question.mentions)]


def options_of(question: Question, description: SceneDescription) -> list[SceneObject]:
    objects = {item.id: item for item in description.objects}
    return [objects[key] for key in question.option_objects]


def phrase(item: SceneObject) -> str:
    return " ".join(word for word in (item.color, item.category) if word)


def _appearance(question: Question, description: SceneDescription, frames: Frames) -> str:
    assert frames.ids is not None
    in_view = {
        item.id: (frames.ids == item.id).mean(axis=(1, 2)) >= APPEARANCE_ORDER.levels[question.level].image_fraction
        for item in named(question, description)
    }
    ordered = sorted(named(question, description), key=lambda item: int(np.flatnonzero(in_view[item.id])[0]))
    return ", ".join(map(phrase, ordered))


def _length(question: Question, description: SceneDescription, frames: Frames) -> str:
    places = [plan_of(pose.position_m) for pose in frames.poses]
    return f"{sum(abs(b - a) for a, b in zip(places, places[1:])):.3f}"


def _after_moves(question: Question, description: SceneDescription, frames: Frames) -> str:
    place, heading = plan_of(frames.poses[-1].position_m), heading_of(frames.poses[-1])
    for move, amount in zip(itertools.cycle(("turn", "walk")), re.findall(r", (-?[\d.]+)\)", question.program)):
        if move == "walk":
            place += heading * float(amount)
        else:
            heading *= cmath.rect(1, math.radians(float(amount)))
    (item,) = named(question, description)
    angle_deg = math.degrees(cmath.phase((plan_of(item.box.centre_m) - place) / heading))
    side = "left" if angle_deg > 0 else "right"
    if len(question.options) == 4:
        return f"{'front' if abs(angle_deg) < 90 else 'back'} {side}"
    return "behind" if len(question.options) == 3 and abs(angle_deg) > 135 else side


def _turns(question: Question, description: SceneDescription, frames: Frames) -> str:
    way = [plan_of(item.box.centre_m) for item in in_program(question, description)]
    words = []
    for a, b, c in zip(way, way[1:], way[2:]):
        angle_deg = math.degrees(cmath.phase((c - b) / (b - a)))
        words.append("back" if abs(angle_deg) > 135 else "left" if angle_deg > 0 else "right")
    return ", then ".join(words)


def _cells(question: Question, description: SceneDescription, frames: Frames) -> str:
    eye = frames.poses[0].position_m
    for room in description.rooms:
        here = inside_outline(room, np.array([[eye[0], eye[2]]]))[0]
        if here and room.floor_y_m <= eye[1] < room.ceiling_y_m:
            break
    else:
        raise AssertionError("the camera is in no room")
    xs, zs = zip(*room.polygon_xz_m)
    half = max(max(xs) - min(xs), max(zs) - min(zs)) / 2
    lines = [
        np.linspace((min(values) + max(values)) / 2 - half, (min(values) + max(values)) / 2 + half, 11)
        for values in (xs, zs)
    ]
    cells = {
        phrase(item): [int(np.searchsorted(lines[axis], item.box.centre_m[2 * axis], "right")) - 1 for axis in (0, 1)]
        for item in named(question, description)
    }
    return json.dumps(cells)


def _perspective(question: Question, description: SceneDescription, frames: Frames) -> str:
    stand, target = in_program(question, description)
    assert stand.front is not None
    facing = complex(stand.front[0], -stand.front[2])
    away = plan_of(target.box.centre_m) - plan_of(stand.box.centre_m)
    angle_deg = math.degrees(cmath.phase(away / facing))
    if len(question.options) == 3 and abs(angle_deg) < 45:
        return "ahead"
    return "left" if angle_deg > 0 else "right"


def _which_turn(question: Question, description: SceneDescription, frames: Frames) -> str:
    (item,) = named(question, description)
    start = frames.poses[0]
    away = (plan_of(item.box.centre_m) - plan_of(start.position_m)) / heading_of(start)
    quarter = {"left": 90, "right": -90, "back": 180}

    def degrees_of(option: str) -> float:
        if option in quarter:
            return quarter[option]
        degrees, side = re.fullmatch(r"(\d+) degrees (left|right)", option).groups()  # type: ignore[union-attr]
        return float(degrees) * (1 if side == "left" else -1)

    return min(
        question.options,
        key=lambda option: abs(cmath.phase(away / cmath.rect(1, math.radians(degrees_of(option))))),
    )


def _rim(item: SceneObject, count: int = 60) -> np.ndarray:
    """Points along the edges of the floor plan of an object with an upright box, [N, 2]."""
    steps = np.linspace(-1, 1, count)
    ones = np.ones(count)
    x, _, z = item.box.half_extents_m
    sides = [(steps, ones), (steps, -ones), (ones, steps), (-ones, steps)]
    local = np.concatenate([np.stack([a * x, 0 * a, b * z], -1) for a, b in sides])
    return (np.asarray(item.box.centre_m) + local @ rotation_matrix(item.box.rotation_wxyz).T)[:, ::2]


def _room_for(question: Question, description: SceneDescription, frames: Frames) -> str:
    a, b = named(question, description)
    side_m = float(question.program.removesuffix(")").split(", ")[-1])
    first, second = _rim(a), _rim(b)
    apart = np.linalg.norm(first[:, None] - second[None], axis=2)
    i, j = np.unravel_index(int(apart.argmin()), apart.shape)
    along = (second[j] - first[i]) / apart[i, j]
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 25) * side_m] * 2), -1).reshape(-1, 2)
    points = (first[i] + second[j]) / 2 + grid @ np.array([along, [-along[1], along[0]]])
    (room,) = [room for room in description.rooms if room.id == a.room_id] or description.rooms[:1]
    free = bool(inside_outline(room, points).all())
    for item in description.objects:
        raised = np.insert(points, 1, item.box.centre_m[1], axis=1)
        local = (raised - item.box.centre_m) @ rotation_matrix(item.box.rotation_wxyz)
        low = item.box.centre_m[1] - item.box.half_extents_m[1]
        high = item.box.centre_m[1] + item.box.half_extents_m[1]
        if high > 0.05 and low < 1.6 and (np.abs(local) < item.box.half_extents_m)[:, ::2].all(axis=1).any():
            free = False
    return "yes" if free else "no"


def _from_above(question: Question, description: SceneDescription, frames: Frames) -> str:
    above, pose = frames.poses
    turn = rotation_matrix(above.rotation_wxyz)
    if "up" in question.options:
        ahead = turn.T @ -rotation_matrix(pose.rotation_wxyz)[:, 2]
        ways = {"right": ahead[0], "left": -ahead[0], "up": ahead[1], "down": -ahead[1]}
        return max(ways, key=lambda way: ways[way])
    right, up, back = turn.T @ np.subtract(pose.position_m, above.position_m)
    half = -back * math.tan(frames.camera.hfov_rad / 2)
    u, v = 0.5 + right / half / 2, 0.5 - up / half / 2 * frames.camera.width_px / frames.camera.height_px
    if len(question.options) == 2:
        return "left" if u < 0.5 else "right"
    return cell_of(u, v)


def _changed(question: Question, description: SceneDescription, frames: Frames) -> str:
    assert frames.ids is not None and frames.depth is not None
    options = options_of(question, description)
    counts = np.array([[(image == item.id).sum() for image in frames.ids] for item in options])
    if "surface_middle" not in question.program:  # the object is new or gone
        (missing,) = np.flatnonzero((counts == 0).any(axis=1))
        return question.options[int(missing)]
    # The median pixel of each mask, unprojected by its depth.
    spots = np.zeros((len(options), 2, 3))
    focal = frames.camera.width_px / 2 / math.tan(frames.camera.hfov_rad / 2)
    for row, item in enumerate(options):
        for view, pose in enumerate(frames.poses):
            rows, columns = np.nonzero(frames.ids[view] == item.id)
            depth = frames.depth[view][rows, columns]
            right = (columns + 0.5 - frames.camera.width_px / 2) / focal * depth
            down = (rows + 0.5 - frames.camera.height_px / 2) / focal * depth
            local = np.median([right, -down, -depth], axis=1)
            spots[row, view] = rotation_matrix(pose.rotation_wxyz) @ local + pose.position_m
    return question.options[int(np.linalg.norm(spots[:, 1] - spots[:, 0], axis=1).argmax())]


def _uncovered(question: Question, description: SceneDescription, frames: Frames) -> str:
    """The option with most points inside its box, not on its sides, behind the object that is taken away."""
    assert frames.ids is not None and frames.depth is not None
    (taken,) = named(question, description)
    (pose,) = frames.poses
    focal = frames.camera.width_px / 2 / math.tan(frames.camera.hfov_rad / 2)
    height, width = frames.ids[0].shape
    steps = np.linspace(-0.95, 0.95, 12)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    fractions = []
    for item in options_of(question, description):
        points = item.box.centre_m + (grid * item.box.half_extents_m) @ rotation_matrix(item.box.rotation_wxyz).T
        local = (points - pose.position_m) @ rotation_matrix(pose.rotation_wxyz)
        depth = -local[:, 2]
        ahead = depth > 0.05
        columns = np.floor(width / 2 + focal * local[ahead, 0] / depth[ahead]).astype(int)
        rows = np.floor(height / 2 - focal * local[ahead, 1] / depth[ahead]).astype(int)
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        rows, columns, depth = rows[inside], columns[inside], depth[ahead][inside]
        fractions.append(
            np.mean((frames.ids[0][rows, columns] == taken.id) & (frames.depth[0][rows, columns] < depth))
            if len(rows)
            else 0.0
        )
    return question.options[int(np.argmax(fractions))]


ORACLES: dict[str, Oracle] = {
    "appearance_order": _appearance,
    "path_length": _length,
    "action_consequence": _after_moves,
    "route_plan": _turns,
    "cognitive_map": _cells,
    "perspective": _perspective,
    "view_choice": _which_turn,
    "fits": _room_for,
    "cross_view": _from_above,
    "before_after": _changed,
    "occlusion_removal": _uncovered,
}
NUMBER_TOLERANCE = {"path_length": 0.051}  # rounding to the nearest 0.1
