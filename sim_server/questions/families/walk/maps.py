"""Maps: cognitive_map (objects on a grid over the room) and cross_view (a camera on a view from above)."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Optional

import numpy as np

from protocol.answers.scoring import MAP_CELLS
from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills.levels import Clarity
from protocol.skills.space import COGNITIVE_MAP, CROSS_VIEW, CrossViewLevel
from protocol.tasks.scene import Camera, Pose, Room, SceneDescription, SceneObject, Vec3
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, room_at
from sim_server.questions.families.rules import (
    RELATE,
    clear_in_both,
    draw_objects,
    is_small,
    need_rooms,
    prominent_anywhere,
    shows,
    uniquely_named,
)
from sim_server.questions.families.single.perceive import CELLS
from sim_server.questions.families.walk.trajectory import listed
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots, object_list, shuffled
from sim_server.questions.geometry import inside_polygon, pose_from_yaw_pitch
from sim_server.questions.language.functions.places import heading_in, on_map, picture_way, spot
from sim_server.questions.language.functions.words import grid_cell
from sim_server.questions.staging import Staging
from sim_server.questions.views.viewpoints import draw_populated_pose, focus_of
from sim_server.questions.views.walks import survey

EDGE = 0.02  # least distance of an object's centre from the next cell of the map, as a fraction of a cell
IN_NO_ROOM = "the camera is in no room"

SHARED_ABOVE = 2  # least number of objects that both the view from above and the other view show clearly
FROM_ABOVE = Clarity(0.50, 0.002)  # objects are small in a view of the entire room
_ROOM_FRACTION = 0.85  # of the image from above that the room fills
_DRAWS = 6
_MAP_RULE = (
    "The map is the smallest square around that room with its sides parallel to the walls, centered on the room; any "
    "wall may be at the top. The cell of an object is the one that holds its center."
)
_GIVEN = (
    "Image 1 shows the room from above.",
    "Image 1 is a view of the room from above.",
    "Image 1 shows the room from above, and Image 2 shows it from inside.",
)
_ON_THE_MAP = {  # by form: the questions, and the rule
    "half": (
        (
            "On which side of Image 1 is the camera of Image 2?",
            "In which half of Image 1 is the camera of Image 2?",
            "In Image 1, on which side is the camera that took Image 2?",
        ),
        "Left and right are as seen in Image 1.",
    ),
    "heading": (
        (
            "In Image 1, which way does the camera of Image 2 look?",
            "Towards which side of Image 1 does the camera of Image 2 look?",
            "In which direction of Image 1 does the camera of Image 2 point?",
        ),
        'Answer with the closest of the four directions; "up" is towards the top of Image 1.',
    ),
    "cell": (
        (
            "In which part of Image 1 is the camera of Image 2?",
            "Where in Image 1 is the camera of Image 2?",
            "In Image 1, where is the camera that took Image 2?",
        ),
        "Image 1 is divided into three rows and three columns of equal size.",
    ),
}
WORDS = {"half": ("left", "right"), "heading": ("up", "down", "left", "right"), "cell": CELLS}


class CognitiveMap:
    """The cells of objects on a 10 x 10 map of their room; the score does not depend on the rotation of the map."""

    skill = COGNITIVE_MAP
    views = 1

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, _previous: Optional[Target] = None
    ) -> Target:
        count, name = self.skill.levels[level].objects, self.skill.name
        need_rooms(description, name)
        by_room: dict[int, list[SceneObject]] = {}
        for item in uniquely_named(description):
            if not is_small(item):
                by_room.setdefault(item.room_id, []).append(item)
        most = max(map(len, by_room.values()), default=0)
        if most < count:
            raise Infeasible(
                f"{name}: {count} objects with unique names are needed in one room, no room has over {most}"
            )
        rooms = [items for items in by_room.values() if len(items) >= count]
        items = pick(rooms, rng)
        return Target(key="", focus=draw_objects(items, count, rng, name))

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        return survey(self, scene, spec, target, rng, findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        least_m = self.skill.levels[level].apart_m
        room = room_at(evidence.description, evidence.views[0].pose.position_m)
        clear = prominent_anywhere(evidence.with_hidden(), findings)
        centres = {key: evidence.objects[key].box.centre_m for key in evidence.about}
        apart_m = min(math.dist(a[::2], b[::2]) for a, b in combinations(centres.values(), 2))
        if any(key not in clear for key in centres):
            findings.reject("an object of the map is not shown clearly")
        elif apart_m < least_m:
            findings.reject(f"two objects are within {least_m} m of each other")
        elif room is None:
            findings.reject(IN_NO_ROOM)
        elif not inside_polygon(np.array([c[::2] for c in centres.values()]), room.polygon_xz_m).all():
            findings.reject("an object is in another room than the camera")
        elif min(_edge(room, centre) for centre in centres.values()) < EDGE:
            findings.reject("an object is on the border of two cells of the map")
        else:
            findings.accept("", evidence.about, apart_m)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        keys = shuffled(candidate.objects, rng)
        named = listed(len(keys))
        grid = f"a map of the room from above with {MAP_CELLS} columns and {MAP_CELLS} rows"
        taken = "Image 1 was taken" if len(evidence.views) > 1 else "the image was taken"
        return Draft(
            program=f"room_map([{object_list(keys)}])",
            templates=(
                f"Where are {named} on {grid}?",
                f"On {grid}, where are {named}?",
                f"On {grid}, in which column and row are {named}?",
                f"Imagine {grid}. In which column and row are {named}?",
                f"Draw {grid}. In which column and row are {named}?",
                f"In which column and row are {named} on {grid}?",
                f"Place {named} on {grid}.",
                f"Find the column and the row of {named} on {grid}.",
                f"Give the column and the row of {named} on {grid}.",
            ),
            slots=name_slots(evidence, keys),
            rule=f"The room is the one in which {taken}. {_MAP_RULE}",
        )


def _edge(room: Room, centre_m: Vec3) -> float:
    """Distance of a place from the nearest border of its cell on the map of the room, in cells."""
    return min(abs(value - round(value)) for value in on_map(room, centre_m))


class CrossView:
    """Where the second camera is, or which way it looks, in the first image, which shows the room from above."""

    skill = CROSS_VIEW
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        need_rooms(description, self.skill.name)
        form = self.skill.levels[level].asks
        key = draw_key(WORDS[form], rng, previous)
        focus = draw_objects(description.objects, SHARED_ABOVE, rng, self.skill.name)
        return Target(key=key, focus=focus, form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        asked = self.skill.levels[spec.question.level]
        for _ in range(_DRAWS):
            at = (float(rng.uniform(0.3, 0.7)), 0.5)
            pose = draw_populated_pose(scene, spec.camera, focus_of(scene, target.focus), rng, at)
            if pose is None:
                continue
            room = room_at(scene.description, pose.position_m)
            if room is None:
                continue
            # Rotate the map until it gives the target's answer.
            quarters = rng.permutation(4) * (math.pi / 2)
            stray = float(rng.uniform(-math.pi / 4, math.pi / 4)) if asked.any_angle else 0.0
            for yaw in quarters + stray:
                above = pose_above(room, spec.camera, float(yaw))
                word, margin, least = above_answer(above, spec.camera, pose, room.floor_y_m, asked)
                if word == target.key and margin >= least:
                    return (above, pose)
        findings.reject("no standing point gives the drawn answer")
        return None

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked = self.skill.levels[level]
        above, view = evidence.views[:2]
        room = room_at(evidence.description, view.pose.position_m)
        if room is None:
            findings.reject(IN_NO_ROOM)
            return
        word, margin, least = above_answer(above.pose, above.camera, view.pose, room.floor_y_m, asked)
        shared = [key for key in clear_in_both(above, view, FROM_ABOVE) if shows(view, key, RELATE)]
        if len(shared) < SHARED_ABOVE:
            findings.reject(f"the view from above and the other one clearly share fewer than {SHARED_ABOVE} objects")
        elif margin < least:
            findings.reject("the position or heading of the camera is near the border between two answers")
        else:
            findings.accept(word, (), margin, asked.asks)

    def draft(self, _evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        place = "picture_x(view(0), position(view(1)))"
        if candidate.form == "half":
            program = f'if {place} < 0.5 then "left" else "right"'
        elif candidate.form == "heading":
            program = "picture_way(picture_heading(view(0), camera(view(1))))"
        else:
            program = f"grid_cell({place}, picture_y(view(0), position(view(1))))"
        asked, rule = _ON_THE_MAP[candidate.form]
        return Draft(
            program=program,
            templates=tuple(f"{given} {question}" for given in _GIVEN for question in asked),
            slots={},
            options=shuffled(WORDS[candidate.form], rng),
            rule=rule,
        )


def pose_above(room: Room, camera: Camera, yaw_rad: float) -> Pose:
    """The camera that looks straight down on the centre of a room and has all of its floor in the image.

    With a yaw of 0, -z is at the top of the image.
    """
    corners = np.array(room.polygon_xz_m)
    x, z = ((corners.min(0) + corners.max(0)) / 2).tolist()
    right = np.array([math.cos(yaw_rad), -math.sin(yaw_rad)])
    up = np.array([-math.sin(yaw_rad), -math.cos(yaw_rad)])
    offsets = corners - (x, z)
    half_tan = math.tan(camera.hfov_rad / 2) * _ROOM_FRACTION
    height_m = max(
        float(np.abs(offsets @ right).max()) / half_tan,
        float(np.abs(offsets @ up).max()) / (half_tan * camera.height_px / camera.width_px),
    )
    return pose_from_yaw_pitch((x, room.floor_y_m + height_m, z), yaw_rad, -math.pi / 2)


def above_answer(
    above: Pose, camera: Camera, pose: Pose, floor_y_m: float, asked: CrossViewLevel
) -> tuple[str, float, float]:
    """The answer for a camera at `pose` in the view from above, its distance from the nearest border, and the least
    distance that the level allows."""
    if asked.asks == "heading":
        angle = heading_in(above, camera, pose)
        border_deg = abs(math.degrees(angle)) % 90
        return picture_way(angle), abs(border_deg - 45), asked.margin_deg
    # In the view from above, the camera appears farther out than the floor below it: both must give the answer.
    x, y, z = pose.position_m
    spots = [spot(above, camera, point) for point in ((x, y, z), (x, floor_y_m, z))]
    half = asked.asks == "half"
    words = [("left" if u < 0.5 else "right") if half else grid_cell(u, v) for u, v in spots]
    if words[0] != words[1]:
        return words[0], 0.0, math.inf
    if half:
        return words[0], min(abs(u - 0.5) for u, _ in spots), asked.margin
    margin = min(abs(value - border) for at in spots for value in at for border in (1 / 3, 2 / 3))
    return words[0], margin, asked.margin


FAMILIES = (CognitiveMap(), CrossView())
