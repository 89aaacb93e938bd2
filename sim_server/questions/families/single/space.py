"""Relations between objects that do not depend on the camera: relative_distance and relative_direction."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations
from typing import Optional, Sequence, Union

import numpy as np

from protocol.errors import Infeasible
from protocol.skills.levels import SECTORS, Nearest, Sectors
from protocol.skills.single import RELATIVE_DIRECTION, RELATIVE_DISTANCE
from protocol.skills.skill import Skill
from protocol.tasks.scene import SceneDescription, SceneObject
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.nearest import draw_expectation, judge_nearest
from sim_server.questions.families.rules import neighbours, prominent, uniquely_named
from sim_server.questions.families.sectors import LEAST_APART_M, margin_deg, meaning, near_border, word
from sim_server.questions.family import (
    Candidate,
    Draft,
    Findings,
    Target,
    compared,
    draft_which,
    draw_evenly,
    draw_key,
    name_slots,
    shuffled,
)
from sim_server.questions.geometry import bearing_rad, floor_distance_m, polygon_area_m2
from sim_server.questions.views.viewpoints import SingleView

LARGE_ROOM_M2 = 40.0
LARGE_ROOM_GAP_M = 0.30  # least difference between the distances of two options in a large room
CLOSEST_POINTS = "Distances are measured between the closest points of the objects."
BETWEEN_CENTERS = "Directions are measured on the floor plan, between the centers of the objects."
_POOL = 8  # objects of a neighbourhood among which a relation is sought
_NEIGHBOURHOODS = 6  # neighbourhoods that are tried


def _relation(
    family: Union[RelativeDistance, RelativeDirection],
    description: SceneDescription,
    level: int,
    rng: np.random.Generator,
    key: str = "",
) -> tuple[Optional[Candidate], str]:
    """A relation between neighbours, with this answer if a key is given, and "".

    It holds from any view that shows the objects. If there is none, returns None and the reason.
    """
    rejected: Counter[str] = Counter()
    for _ in range(_NEIGHBOURHOODS):
        findings = Findings()
        family.judge_objects(neighbours(uniquely_named(description), _POOL, rng), level, findings, description)
        wanted = [item for item in findings.accepted if key in ("", item.key)]
        if wanted:
            return draw_evenly(wanted, rng), ""
        rejected += findings.rejected
    rule = rejected.most_common(1)[0][0] if rejected else "the scene has too few objects"
    answer = f" with an answer of class {key!r}" if key else ""
    return None, f"{family.skill.name} level {level}{answer}: {rule}"


def large_room(description: SceneDescription) -> bool:
    """Whether any room has a floor larger than LARGE_ROOM_M2."""
    return any(polygon_area_m2(room.polygon_xz_m) > LARGE_ROOM_M2 for room in description.rooms)


class RelativeDistance(SingleView):
    """Which option is closest to the anchor, between closest points."""

    skill: Skill[Nearest] = RELATIVE_DISTANCE

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        key = draw_expectation(self.skill.levels[level].options, rng, previous)
        relation, why_none = _relation(self, description, level, rng, key)
        if relation is None:
            if previous is not None:
                return previous
            raise Infeasible(why_none)
        return Target(key=key, focus=relation.objects)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        named = [evidence.objects[key] for key in prominent(evidence, evidence.views[0], findings)]
        self.judge_objects(named, level, findings, evidence.description)

    def judge_objects(
        self, items: Sequence[SceneObject], level: int, findings: Findings, description: SceneDescription
    ) -> None:
        """Judge the candidates (anchor, nearest option, other options …) among these objects."""
        asked = self.skill.levels[level]
        gap_m = max(asked.apart_m, LARGE_ROOM_GAP_M) if large_room(description) else asked.apart_m
        judge_nearest(items, items, asked.options, gap_m, description, findings)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        return draft_nearest(
            evidence,
            candidate,
            rng,
            (
                "Which of these objects is closest to the {a}?",
                "Which of these objects is nearest to the {a}?",
                "Which of these is closest to the {a}?",
                "Which of these is nearest to the {a}?",
                "Of these objects, which is closest to the {a}?",
                "Of these objects, which is nearest to the {a}?",
                "Of these, which is closest to the {a}?",
                "Of these, which is nearest to the {a}?",
            ),
        )


def draft_nearest(
    evidence: Evidence, candidate: Candidate, rng: np.random.Generator, templates: tuple[str, ...]
) -> Draft:
    """Ask which of a candidate's other objects is closest to its first."""
    anchor, *others = candidate.objects
    measure = f"argmin({{}}, o: closest_distance(o, object({anchor})))"
    templates = compared(templates, len(others), evidence.description)
    return draft_which(evidence, shuffled(others, rng), measure, templates, (anchor,), CLOSEST_POINTS)


class RelativeDirection(SingleView):
    """The direction of c for an observer who stands at a and faces b; left is counter-clockwise seen from above."""

    skill: Skill[Sectors] = RELATIVE_DIRECTION

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        words = SECTORS[self.skill.levels[level].sectors]
        key = draw_key(words, rng, previous)
        relation, why_none = _relation(self, description, level, rng, key)
        if relation is None:
            if previous is not None:
                return previous
            raise Infeasible(why_none)
        return Target(key=key, focus=relation.objects, form=relation.form)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        named = [evidence.objects[key] for key in prominent(evidence, evidence.views[0], findings)]
        self.judge_objects(named, level, findings, evidence.description)

    def judge_objects(
        self, items: Sequence[SceneObject], level: int, findings: Findings, _description: SceneDescription
    ) -> None:
        """Judge the candidates (standing point, faced object, target) among these objects."""
        form, least_deg = self.skill.levels[level].sectors, self.skill.levels[level].margin_deg
        if len(items) < 3:
            findings.reject("fewer than 3 objects to choose from")
        centres = {item.id: item.box.centre_m for item in items}
        apart = {pair: floor_distance_m(centres[pair[0]], centres[pair[1]]) for pair in permutations(centres, 2)}
        for stand, face, target in permutations(centres, 3):
            if min(apart[stand, face], apart[stand, target]) < LEAST_APART_M:
                findings.reject(f"two objects are within {LEAST_APART_M} m of each other")
                continue
            angle_deg = math.degrees(bearing_rad(centres[stand], centres[face], centres[target]))
            margin = margin_deg(form, angle_deg)
            if margin < least_deg:
                findings.reject(near_border(least_deg))
            else:
                findings.accept(word(form, angle_deg), (stand, face, target), margin, form)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        a, b, c = candidate.objects
        return Draft(
            program=f"{candidate.form}(bearing_from(object({a}), facing=object({b}), to=object({c})))",
            templates=(
                "You stand at the {a} and face the {b}. Where is the {c}?",
                "Stand at the {a} and face the {b}. Where is the {c}?",
                "You are at the {a}, facing the {b}. Where is the {c}?",
                "You are standing at the {a}, facing the {b}. Where is the {c}?",
                "If you stand at the {a} and face the {b}, where is the {c}?",
                "If you stand at the {a} facing the {b}, where is the {c}?",
                "Standing at the {a} and facing the {b}, where is the {c}?",
                "From the {a}, facing the {b}, where is the {c}?",
                "Where is the {c} if you stand at the {a} and face the {b}?",
            ),
            slots=name_slots(evidence, candidate.objects),
            options=shuffled(SECTORS[candidate.form], rng),
            rule=f"{meaning(candidate.form, 'the direction you face')} {BETWEEN_CENTERS}",
        )


FAMILIES = (RelativeDistance(), RelativeDirection())
