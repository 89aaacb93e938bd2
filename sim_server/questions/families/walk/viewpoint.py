"""Other places to look from: perspective (as an object sees it) and view_choice (which turn shows an object)."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, unique_names
from sim_server.questions.families import sectors
from sim_server.questions.families.rules import (
    AMBIGUOUS,
    RELATE,
    is_small,
    need_objects,
    prominent_anywhere,
    uniquely_named,
)
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots, shuffled
from sim_server.questions.geometry import floor_distance_m, in_frame, project
from sim_server.questions.language.functions.moves import bearing_at, place, turned
from sim_server.questions.staging import Staging
from sim_server.questions.views.coverage import covering_poses
from sim_server.questions.views.walks import survey

# Furniture mostly faces into the room: what is behind it is rare, what is ahead of it is not.
FORM = ("side", "side", "side_or_ahead", "side_or_ahead", "side_or_ahead")
MARGIN_DEG = (40.0, 20.0, 16.0, 10.0, 5.0)  # from a border between two answers
FRONT_SEEN_DEG = 80.0  # a camera sees an object's front that stands within this angle of where it faces

TURNS_DEG = ((90, -90), (90, -90), (90, -90, 180), (90, -90, 180), (60, -60, 120, -120))
FRAME_MARGIN = (0.20, 0.10, 0.12, 0.06, 0.04)  # of the picture, from the middle of the object to its border
_TURN_WORDS = {
    90: "left",
    -90: "right",
    180: "back",
    60: "60 degrees left",
    -60: "60 degrees right",
    120: "120 degrees left",
    -120: "120 degrees right",
}


class Perspective:
    """Where is an object for one who sits where another is and looks as that one faces."""

    name = "perspective"
    views = 1
    looks_around = True

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        items = uniquely_named(description)
        if not any(item.front for item in items):
            raise Infeasible(f"{self.name}: no object here has a front that the simulator knows")
        form = FORM[level]
        key = draw_key(sectors.WORDS[form], rng, kept)
        # Who sits or stands at a thing looks as it faces; small things have no such place.
        stands = [item for item in items if item.front and not is_small(item)]
        pairs = [
            (stand.id, target.id)
            for stand in stands
            for target in items
            if floor_distance_m(stand.box.centre_m, target.box.centre_m) >= sectors.LEAST_APART_M
            for angle in [math.degrees(bearing_at(place(stand), target.box.centre_m))]
            if sectors.word(form, angle) == key and sectors.margin_deg(form, angle) >= MARGIN_DEG[level]
        ]
        if not pairs:
            raise Infeasible(f"{self.name} level {level}: no object of the scene is {key} of where another one faces")
        return Target(key=key, focus=pick(pairs, rng), form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[Staging]:
        return survey(self, scene, spec, plan, rng, found)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        everything = world.with_hidden()
        clear = prominent_anywhere(everything, found)
        stand, target = (world.objects[key] for key in world.about)
        shows_front = [
            abs(math.degrees(bearing_at(place(stand), view.pose.position_m))) <= FRONT_SEEN_DEG
            for view in everything.views
            if RELATE.holds(stand.id, view)
        ]
        angle = math.degrees(bearing_at(place(stand), target.box.centre_m))
        margin = sectors.margin_deg(FORM[level], angle)
        if stand.id not in clear or target.id not in clear:
            found.refuse("one of the two objects is not shown clearly")
        elif not any(shows_front):
            found.refuse("no view shows where the object faces")
        elif margin < MARGIN_DEG[level]:
            found.refuse(sectors.near_border(MARGIN_DEG[level]))
        else:
            found.accept(sectors.word(FORM[level], angle), world.about, margin, FORM[level])

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        stand, target = candidate.objects
        return Draft(
            program=f"{candidate.form}(bearing_at(place(object({stand})), centre(object({target}))))",
            templates=(
                "as the {a} faces , where is the {b} from it ?",
                "you are at the {a} and look the way it faces . where is the {b} ?",
                "stand at the {a} with your back to its back . where is the {b} ?",
                "seen from the {a} , looking where it faces , where is the {b} ?",
                "the {a} looks to its front . on which side of it is the {b} ?",
            ),
            slots=name_slots(world, candidate.objects),
            options=shuffled(sectors.WORDS[candidate.form], rng),
        )


class ViewChoice:
    """Which turn of the first picture's camera would show an object that other pictures show."""

    name = "view_choice"
    views = 2
    looks_around = False

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        if kept is not None:
            return kept
        need_objects(description.objects, 1, self.name)
        turns = TURNS_DEG[level]
        return Target(key=_TURN_WORDS[pick(turns, rng)], focus=())

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[Staging]:
        views = covering_poses(scene, spec.camera, spec.max_views, rng)
        turns = TURNS_DEG[spec.question.level]
        right = next(turn for turn in turns if _TURN_WORDS[turn] == plan.key)
        centres = np.array([item.box.centre_m for item in scene.description.objects])
        for first in rng.permutation(len(views)):
            start = views[int(first)]
            u, v, depth_m = project(turned(start, right), spec.camera, centres)
            if len(views) > 1 and in_frame(u, v, depth_m).any():
                others = tuple(view for index, view in enumerate(views) if index != first)
                return Staging((start, *others), tuple(turned(start, turn) for turn in turns))
        found.refuse("no turn of the camera would show an object")
        return None

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        start, turns = world.views[0], TURNS_DEG[level]
        names = unique_names(world.with_hidden())
        others = Evidence(world.description, world.views[1:], world.objects)
        for key in prominent_anywhere(others, found):
            if key not in names:
                found.refuse(AMBIGUOUS)
                continue
            if key in start.seen:
                found.refuse("the first picture shows the object already")
                continue
            shows = [RELATE.holds(key, view) for view in world.hidden]
            margins = [self._margin(world, key, view.pose) for view in world.hidden]
            if shows.count(True) != 1:
                found.refuse("not one turn alone shows the object clearly")
                continue
            right = shows.index(True)
            least = min([margins[right], *(-margin for index, margin in enumerate(margins) if index != right)])
            if least < FRAME_MARGIN[level] or any(
                key in view.seen for index, view in enumerate(world.hidden) if index != right
            ):
                found.refuse("the object is near the border of what a turn shows")
            else:
                found.accept(_TURN_WORDS[turns[right]], (key,), least, "", tuple(map(float, turns)))

    @staticmethod
    def _margin(world: Evidence, key: int, pose: Pose) -> float:
        """How far the middle of the object lies inside a picture, as a share of it; negative outside."""
        camera = world.views[0].camera
        u, v, z = (float(value[0]) for value in project(pose, camera, np.array([world.objects[key].box.centre_m])))
        return min(u, 1 - u, v, 1 - v) if z > 0 else -math.inf

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        (key,) = candidate.objects
        turns = [int(turn) for turn in candidate.numbers]
        program = f'"{_TURN_WORDS[turns[-1]]}"'
        for turn in reversed(turns[:-1]):
            seen = f"in_frame(turned(camera(view(0)), {turn}), object({key}))"
            program = f'if {seen} then "{_TURN_WORDS[turn]}" else {program}'
        return Draft(
            program=program,
            templates=(
                "you see the first picture now . which way do you turn to see the {a} ?",
                "from the view of the first picture , which way would you turn to see the {a} ?",
                "the first picture is your view . to look at the {a} , which way do you turn ?",
                "where would you turn from the first picture to look at the {a} ?",
                "which turn from the first picture shows the {a} ?",
            ),
            slots=name_slots(world, (key,)),
            options=tuple(_TURN_WORDS[turn] for turn in shuffled(turns, rng)),
        )
