"""Other viewpoints: perspective (from an object, as it faces) and view_choice (the turn that shows an object)."""

from __future__ import annotations

import math
from typing import Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills.levels import SECTORS
from protocol.skills.space import PERSPECTIVE, VIEW_CHOICE
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, name_of, unique_names
from sim_server.questions.families import sectors
from sim_server.questions.families.rules import (
    AMBIGUOUS,
    RELATE,
    is_small,
    need_objects,
    prominent_anywhere,
    shows,
    uniquely_named,
)
from sim_server.questions.families.single.space import BETWEEN_CENTERS
from sim_server.questions.family import PERSON, Candidate, Draft, Findings, Target, draw_key, name_slots, shuffled
from sim_server.questions.geometry import floor_distance_m, in_frame, project
from sim_server.questions.language.functions.moves import bearing_at, place, turned
from sim_server.questions.staging import Staging
from sim_server.questions.views.coverage import covering_poses
from sim_server.questions.views.walks import survey

FRONT_SEEN_DEG = 80.0  # a camera within this angle of an object's front direction sees its front
_TURN_WORDS = {
    90: "left",
    -90: "right",
    180: "back",
    60: "60 degrees left",
    -60: "60 degrees right",
    120: "120 degrees left",
    -120: "120 degrees right",
}


_POSTURES = {
    "armchair": "sitting in",
    PERSON: "in the place of",
    **dict.fromkeys(("sofa", "couch", "chair", "bench", "stool"), "sitting on"),
}


def _turn_rule(turns_deg: Sequence[int]) -> str:
    """The rule of a turn on the spot, which defines the turns that are not named in degrees."""
    if 90 not in turns_deg:
        return "You turn on the spot."
    back = ', and "back" is one by 180 degrees' if 180 in turns_deg else ""
    return f'"Left" and "right" are turns by 90 degrees on the spot{back}.'


class Perspective:
    """Where an object is for an observer at another object who looks the way that object faces."""

    skill = PERSPECTIVE
    views = 1

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        items = uniquely_named(description)
        if not any(item.front for item in items):
            raise Infeasible(f"{self.skill.name}: this simulator knows the front of no object in the scene")
        form, least_deg = self.skill.levels[level].sectors, self.skill.levels[level].margin_deg
        key = draw_key(SECTORS[form], rng, previous)
        # An observer cannot be at a small object.
        stands = [item for item in items if item.front and not is_small(item)]
        pairs = [
            (stand.id, target.id)
            for stand in stands
            for target in items
            if floor_distance_m(stand.box.centre_m, target.box.centre_m) >= sectors.LEAST_APART_M
            for angle in [math.degrees(bearing_at(place(stand), target.box.centre_m))]
            if sectors.word(form, angle) == key and sectors.margin_deg(form, angle) >= least_deg
        ]
        if not pairs:
            raise Infeasible(f"{self.skill.name} level {level}: no object is {key} of another one, as that one faces")
        return Target(key=key, focus=pick(pairs, rng), form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        return survey(self, scene, spec, target, rng, findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        form, least_deg = self.skill.levels[level].sectors, self.skill.levels[level].margin_deg
        everything = evidence.with_hidden()
        clear = prominent_anywhere(everything, findings)
        stand, target = (evidence.objects[key] for key in evidence.about)
        shows_front = [
            abs(math.degrees(bearing_at(place(stand), view.pose.position_m))) <= FRONT_SEEN_DEG
            for view in everything.views
            if shows(view, stand.id, RELATE)
        ]
        angle = math.degrees(bearing_at(place(stand), target.box.centre_m))
        margin = sectors.margin_deg(form, angle)
        if stand.id not in clear or target.id not in clear:
            findings.reject("one of the two objects is not shown clearly")
        elif not any(shows_front):
            findings.reject("no view shows the front of the object")
        elif margin < least_deg:
            findings.reject(sectors.near_border(least_deg))
        else:
            findings.accept(sectors.word(form, angle), evidence.about, margin, form)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        stand, target = candidate.objects
        faced = f"the direction in which the {name_of(evidence.objects[stand])} faces"
        faces = "they face" if evidence.objects[stand].category == PERSON else "it faces"
        posture = _POSTURES.get(evidence.objects[stand].category.split()[-1], "standing at")
        return Draft(
            program=f"{candidate.form}(bearing_at(place(object({stand})), centre(object({target}))))",
            templates=(
                f"Imagine you are {posture} the {{a}}, looking the way {faces}. Where is the {{b}}?",
                f"You are {posture} the {{a}}, looking the way {faces}. Where is the {{b}}?",
                f"Someone is {posture} the {{a}}, looking the way {faces}. Where is the {{b}} for them?",
                f"If you are {posture} the {{a}} and look the way {faces}, where is the {{b}}?",
                f"Suppose you are {posture} the {{a}}, looking the way {faces}. Where is the {{b}}?",
                "From the point of view of the {a}, where is the {b}?",
                "Take the point of view of the {a}. Where is the {b}?",
                "Where is the {b} from the point of view of the {a}?",
                "Seen from the point of view of the {a}, where is the {b}?",
            ),
            slots=name_slots(evidence, candidate.objects),
            options=shuffled(SECTORS[candidate.form], rng),
            rule=f"{sectors.meaning(candidate.form, faced)} {BETWEEN_CENTERS}",
        )


class ViewChoice:
    """Which turn of the first camera would show an object that other images show."""

    skill = VIEW_CHOICE
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        if previous is not None:
            return previous
        need_objects(description.objects, 1, self.skill.name)
        return Target(key=_TURN_WORDS[pick(self.skill.levels[level].turns_deg, rng)], focus=())

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        views = covering_poses(scene, spec.camera, spec.max_views, rng)
        turns = self.skill.levels[spec.question.level].turns_deg
        right = next(turn for turn in turns if _TURN_WORDS[turn] == target.key)
        centres = np.array([item.box.centre_m for item in scene.description.objects])
        for first in rng.permutation(len(views)):
            start = views[int(first)]
            u, v, depth_m = project(turned(start, right), spec.camera, centres)
            if len(views) > 1 and in_frame(u, v, depth_m).any():
                others = tuple(view for index, view in enumerate(views) if index != first)
                return Staging((start, *others), tuple(turned(start, turn) for turn in turns))
        findings.reject("no turn of the camera would show an object")
        return None

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked, start = self.skill.levels[level], evidence.views[0]
        names = unique_names(evidence.with_hidden())
        others = Evidence(evidence.description, evidence.views[1:], evidence.objects)
        for key in prominent_anywhere(others, findings):
            if key not in names:
                findings.reject(AMBIGUOUS)
                continue
            if key in start.seen:
                findings.reject("the first image shows the object already")
                continue
            shown = [shows(view, key, RELATE) for view in evidence.hidden]
            margins = [self._margin(evidence, key, view.pose) for view in evidence.hidden]
            if shown.count(True) != 1:
                findings.reject("not exactly one turn shows the object clearly")
                continue
            right = shown.index(True)
            least = min([margins[right], *(-margin for index, margin in enumerate(margins) if index != right)])
            if least < asked.margin or any(
                key in view.seen for index, view in enumerate(evidence.hidden) if index != right
            ):
                findings.reject("the object is near the border of the image after a turn")
            else:
                findings.accept(_TURN_WORDS[asked.turns_deg[right]], (key,), least)

    @staticmethod
    def _margin(evidence: Evidence, key: int, pose: Pose) -> float:
        """Distance of the object's centre from the border of an image, as a fraction of it; negative outside."""
        camera = evidence.views[0].camera
        u, v, z = (float(value[0]) for value in project(pose, camera, np.array([evidence.objects[key].box.centre_m])))
        return min(u, 1 - u, v, 1 - v) if z > 0 else -math.inf

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        (key,) = candidate.objects
        turns = self.skill.levels[level].turns_deg
        program = f'"{_TURN_WORDS[turns[-1]]}"'
        for turn in reversed(turns[:-1]):
            seen = f"in_frame(turned(camera(view(0)), {turn}), object({key}))"
            program = f'if {seen} then "{_TURN_WORDS[turn]}" else {program}'
        return Draft(
            program=program,
            templates=(
                "Image 1 is your view. Which way do you turn to see the {a}?",
                "Image 1 is your view. Which turn brings the {a} into view?",
                "Image 1 is your view. To look at the {a}, which way do you turn?",
                "From the view of Image 1, which way do you turn to see the {a}?",
                "From the view of Image 1, which turn would show you the {a}?",
                "You are at the camera of Image 1. Which way do you turn to face the {a}?",
                "Which way must the camera of Image 1 turn to show the {a}?",
                "Which turn of the camera of Image 1 would bring the {a} into view?",
            ),
            slots=name_slots(evidence, (key,)),
            options=tuple(_TURN_WORDS[turn] for turn in shuffled(turns, rng)),
            rule=_turn_rule(turns),
        )


FAMILIES = (Perspective(), ViewChoice())
