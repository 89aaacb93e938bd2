"""Numbers: camera_object_distance (metres, to the nearest 0.1) and object_size (longest side, whole centimetres)."""

from __future__ import annotations

from typing import Optional

import numpy as np

from protocol.tasks.scene import SceneDescription
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import PERCEIVE, clear_objects, draw_objects, uniquely_named
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots
from sim_server.questions.language.functions.views import distance_from_camera
from sim_server.questions.views.viewpoints import SingleView

NEAREST_M = 0.8
FARTHEST_M = (2.5, 3.2, 4.0, 5.0, 6.0)  # the farther, the harder to tell
_THIRDS = ("near", "middle", "far")


class CameraObjectDistance(SingleView):
    """From the camera to the closest point of the object's box."""

    name = "camera_object_distance"

    def plan(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        key = draw_key(_THIRDS, rng, kept)
        return Target(key=key, focus=draw_objects(uniquely_named(description), 1, rng, self.name))

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        farthest_m = FARTHEST_M[level]
        for key in clear_objects(world, view, PERCEIVE[level], found):
            distance_m = distance_from_camera(world.objects[key], view)
            if not NEAREST_M <= distance_m <= farthest_m:
                found.refuse(f"an object is not between {NEAREST_M} and {farthest_m} m from the camera")
                continue
            third = int(3 * (distance_m - NEAREST_M) / (farthest_m - NEAREST_M))
            margin = min(distance_m - NEAREST_M, farthest_m - distance_m)
            found.accept(_THIRDS[min(third, 2)], (key,), margin)

    def draft(self, world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        return Draft(
            program=f"round(distance_from_camera(object({a}), view(0)), 0.1)",
            templates=(
                "how far is the {a} from the camera ?",
                "how far from the camera is the {a} ?",
                "how many meters is the {a} from the camera ?",
                "what is the distance from the camera to the {a} ?",
                "from the camera , how far is the {a} ?",
            ),
            slots=name_slots(world, (a,)),
            unit="m",
            show_options=False,
        )


class ObjectSize(SingleView):
    """Length of the longest side of the object's box; the object must lie wholly in the frame."""

    name = "object_size"

    def plan(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        items = uniquely_named(description)
        names = sorted({item.category for item in items})
        key = draw_key(names, rng, kept)
        fitting = [item for item in items if item.category == key]
        return Target(key=key, focus=draw_objects(fitting, 1, rng, self.name))

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        for key in clear_objects(world, view, PERCEIVE[level], found):
            if key in view.cut:
                found.refuse("an object is cut off by the frame")
            else:
                margin = view.seen[key].visible_fraction - PERCEIVE[level].fraction
                found.accept(world.objects[key].category, (key,), margin)

    def draft(self, world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        return draft_size(
            world,
            candidate,
            (
                "how long is the longest side of the {a} ?",
                "what is the length of the longest side of the {a} ?",
                "how many centimeters long is the longest side of the {a} ?",
                "in centimeters , how long is the longest side of the {a} ?",
                "what length does the longest side of the {a} have ?",
            ),
        )


def draft_size(world: Evidence, candidate: Candidate, templates: tuple[str, ...]) -> Draft:
    """The longest side of a candidate's object in centimetres."""
    (a,) = candidate.objects
    return Draft(
        program=f"round(longest_side(object({a})) * 100, 1)",
        templates=templates,
        slots=name_slots(world, (a,)),
        unit="cm",
        show_options=False,
    )
