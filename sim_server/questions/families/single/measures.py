"""Measures: camera_object_distance (metres, to the nearest 0.1) and object_size (longest side, whole centimetres)."""

from __future__ import annotations

from typing import Optional

import numpy as np

from protocol.errors import Infeasible
from protocol.skills.single import CAMERA_OBJECT_DISTANCE, OBJECT_SIZE
from protocol.tasks.scene import SceneDescription, SceneObject
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import clear_objects, draw_objects, uniquely_named
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots
from sim_server.questions.language.functions.views import distance_from_camera
from sim_server.questions.sizes import size_class
from sim_server.questions.views.viewpoints import SingleView

USUAL_SIZE = "the kind of an object gives its size away"
_THIRDS = ("near", "middle", "far")


class CameraObjectDistance(SingleView):
    """Distance from the camera to the closest point of an object's box."""

    skill = CAMERA_OBJECT_DISTANCE

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        key = draw_key(_THIRDS, rng, previous)
        return Target(key=key, focus=draw_objects(uniquely_named(description), 1, rng, self.skill.name))

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, asked = evidence.views[0], self.skill.levels[level]
        nearest_m, farthest_m = asked.nearest_m, asked.farthest_m
        for key in clear_objects(evidence, view, asked.clarity, findings):
            distance_m = distance_from_camera(evidence.objects[key], view)
            if not nearest_m <= distance_m <= farthest_m:
                findings.reject(f"an object is not between {nearest_m} and {farthest_m} m from the camera")
                continue
            third = int(3 * (distance_m - nearest_m) / (farthest_m - nearest_m))
            margin = min(distance_m - nearest_m, farthest_m - distance_m)
            findings.accept(_THIRDS[min(third, 2)], (key,), margin)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        return Draft(
            program=f"round(distance_from_camera(object({a}), view(0)), 0.1)",
            templates=(
                "How far is the {a} from the camera?",
                "How far from the camera is the {a}?",
                "How far away from the camera is the {a}?",
                "How many meters is the {a} from the camera?",
                "How many meters from the camera is the {a}?",
                "In meters, how far is the {a} from the camera?",
                "What is the distance from the camera to the {a}?",
                "What is the distance between the camera and the {a}?",
                "What is the distance of the {a} from the camera?",
            ),
            slots=name_slots(evidence, (a,)),
            unit="m",
            show_options=False,
            rule="The distance is measured in meters, from the camera to the closest point of the object.",
        )


class ObjectSize(SingleView):
    """Length of the longest side of the box of an object that is entirely inside the image."""

    skill = OBJECT_SIZE

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        by_size = by_size_class(description)
        key = draw_key(sorted(by_size), rng, previous)
        return Target(key=key, focus=draw_objects(by_size[key], 1, rng, self.skill.name))

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, clarity = evidence.views[0], self.skill.levels[level].clarity
        for key in clear_objects(evidence, view, clarity, findings):
            size = size_class(evidence.objects[key], evidence.description)
            if not size:
                findings.reject(USUAL_SIZE)
            elif key in view.cut:
                findings.reject("an object is cut off by the border of the image")
            else:
                margin = view.seen[key].visible_fraction - clarity.visible_fraction
                findings.accept(size, (key,), margin)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        return draft_size(
            evidence,
            candidate,
            (
                "How long is the longest side of the {a}?",
                "How many centimeters long is the longest side of the {a}?",
                "In centimeters, how long is the longest side of the {a}?",
                "What is the length of the longest side of the {a}?",
                "What is the length of the {a} along its longest side?",
                "What is the length of the {a} in its longest direction?",
                "How long is the {a} along its longest side?",
                "How long is the {a} in its longest direction?",
                "How many centimeters long is the {a} along its longest side?",
            ),
        )


def by_size_class(description: SceneDescription) -> dict[str, list[SceneObject]]:
    """The objects to ask a size of, by their `size_class`. Raises Infeasible if there are none."""
    found: dict[str, list[SceneObject]] = {}
    for item in uniquely_named(description):
        if size := size_class(item, description):
            found.setdefault(size, []).append(item)
    if not found:
        raise Infeasible("the kind of every object of the scene gives its size away")
    return found


def draft_size(evidence: Evidence, candidate: Candidate, templates: tuple[str, ...]) -> Draft:
    """Ask for the longest side of a candidate's object in centimetres."""
    (a,) = candidate.objects
    return Draft(
        program=f"round(longest_side(object({a})) * 100, 1)",
        templates=templates,
        slots=name_slots(evidence, (a,)),
        unit="cm",
        show_options=False,
        rule="The answer is the longest of length, width and height, in centimeters.",
    )


FAMILIES = (CameraObjectDistance(), ObjectSize())
