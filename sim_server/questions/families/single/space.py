"""Relations in the room, whatever the camera: relative_distance and relative_direction."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations, permutations
from typing import Optional, Sequence, Union

import numpy as np

from protocol.errors import Infeasible
from protocol.tasks.scene import SceneDescription, SceneObject
from sim_server.questions.evidence import Evidence, name_of
from sim_server.questions.families.rules import neighbours, prominent, uniquely_named
from sim_server.questions.families.sectors import LEAST_APART_M, WORDS, margin_deg, near_border, word
from sim_server.questions.family import (
    Candidate,
    Draft,
    Findings,
    Target,
    draft_which,
    draw_evenly,
    draw_key,
    name_slots,
    shuffled,
)
from sim_server.questions.geometry import bearing_rad, box_distance_m, floor_distance_m, polygon_area_m2
from sim_server.questions.views.viewpoints import SingleView

OPTION_COUNT = (2, 2, 3, 3, 4)
GAP_M = (1.00, 0.60, 0.40, 0.25, 0.15)  # between any two options' distances to the anchor
LARGE_ROOM_M2, LARGE_ROOM_GAP_M = 40.0, 0.30

DIRECTION_FORM = ("side", "side", "side_or_behind", "side_or_behind", "quadrant")
SECTOR_MARGIN_DEG = (40.0, 20.0, 25.0, 12.0, 10.0)
_POOL = 8  # objects of one neighbourhood among which a plan looks for a relation
_NEIGHBOURHOODS = 6  # neighbourhoods that a plan looks at


def _relation(
    family: Union[RelativeDistance, RelativeDirection],
    description: SceneDescription,
    level: int,
    rng: np.random.Generator,
    key: str = "",
) -> tuple[Optional[Candidate], str]:
    """A relation that holds between neighbours, whatever the view; the view only has to show them.

    With a key one that has this answer. Where there is none, the second says why.
    """
    refused: Counter[str] = Counter()
    for _ in range(_NEIGHBOURHOODS):
        found = Findings()
        family.judge(neighbours(uniquely_named(description), _POOL, rng), level, found, large_room(description))
        wanted = [item for item in found.accepted if key in ("", item.key)]
        if wanted:
            return draw_evenly(wanted, rng), ""
        refused += found.refused
    rule = refused.most_common(1)[0][0] if refused else "the scene has too few objects"
    answer = f" with an answer of class {key!r}" if key else ""
    return None, f"{family.name} level {level}{answer}: {rule}"


def large_room(description: SceneDescription) -> bool:
    """Whether any room has more than 40 square metres of floor."""
    return any(polygon_area_m2(room.polygon_xz_m) > LARGE_ROOM_M2 for room in description.rooms)


class RelativeDistance(SingleView):
    """Which of the options is closest to the anchor, between closest points."""

    name = "relative_distance"

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, _kept: Optional[Target] = None
    ) -> Target:
        relation, why_none = _relation(self, description, level, rng)
        if relation is None:
            raise Infeasible(why_none)
        return Target(key="", focus=relation.objects)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        named = [world.objects[key] for key in prominent(world, world.views[0], found)]
        self.judge(named, level, found, large_room(world.description))

    def judge(self, items: Sequence[SceneObject], level: int, found: Findings, large: bool) -> None:
        """Candidates are (anchor, nearest option, other options …)."""
        gap_m = max(GAP_M[level], LARGE_ROOM_GAP_M) if large else GAP_M[level]
        count = OPTION_COUNT[level]
        if len(items) <= count:
            found.refuse(f"fewer than {count + 1} objects to choose from")
        for anchor in items:
            ordered = sorted((box_distance_m(anchor.box, item.box), item.id) for item in items if item is not anchor)
            names = {item.id: name_of(item) for item in items}
            for options in combinations(ordered, count):
                margin = min(after[0] - before[0] for before, after in zip(options, options[1:]))
                if margin < gap_m:
                    found.refuse(f"two options lie within {gap_m:.2f} m of each other's distance")
                else:
                    found.accept(names[options[0][1]], (anchor.id, *(item[1] for item in options)), margin)

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        return draft_nearest(
            world,
            candidate,
            rng,
            (
                "which is closest to the {a} ?",
                "which of these is closest to the {a} ?",
                "which thing is closest to the {a} ?",
                "what is closest to the {a} ?",
                "which of these is nearest to the {a} ?",
            ),
        )


def draft_nearest(world: Evidence, candidate: Candidate, rng: np.random.Generator, templates: tuple[str, ...]) -> Draft:
    """Which of the further objects of a candidate is closest to its first."""
    anchor, *others = candidate.objects
    measure = f"argmin({{}}, o: closest_distance(o, object({anchor})))"
    return draft_which(world, shuffled(others, rng), measure, templates, (anchor,))


class RelativeDirection(SingleView):
    """Stand at a, face b: where is c? Left is counter-clockwise seen from above."""

    name = "relative_direction"

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        words = WORDS[DIRECTION_FORM[level]]
        key = draw_key(words, rng, kept)
        relation, why_none = _relation(self, description, level, rng, key)
        if relation is None:
            if kept is not None:
                return kept
            raise Infeasible(why_none)
        return Target(key=key, focus=relation.objects, form=relation.form)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        named = [world.objects[key] for key in prominent(world, world.views[0], found)]
        self.judge(named, level, found, False)

    def judge(self, items: Sequence[SceneObject], level: int, found: Findings, _large: bool) -> None:
        """Candidates are (standing point, facing point, target)."""
        form, least_deg = DIRECTION_FORM[level], SECTOR_MARGIN_DEG[level]
        if len(items) < 3:
            found.refuse("fewer than 3 objects to choose from")
        centres = {item.id: item.box.centre_m for item in items}
        apart = {pair: floor_distance_m(centres[pair[0]], centres[pair[1]]) for pair in permutations(centres, 2)}
        for stand, face, target in permutations(centres, 3):
            if min(apart[stand, face], apart[stand, target]) < LEAST_APART_M:
                found.refuse(f"two objects stand within {LEAST_APART_M} m of each other")
                continue
            angle_deg = math.degrees(bearing_rad(centres[stand], centres[face], centres[target]))
            margin = margin_deg(form, angle_deg)
            if margin < least_deg:
                found.refuse(near_border(least_deg))
            else:
                found.accept(word(form, angle_deg), (stand, face, target), margin, form)

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        a, b, c = candidate.objects
        return Draft(
            program=f"{candidate.form}(bearing_from(object({a}), facing=object({b}), to=object({c})))",
            templates=(
                "stand at the {a} and face the {b} . where is the {c} ?",
                "you stand at the {a} and face the {b} . where is the {c} ?",
                "from the {a} , facing the {b} , where is the {c} ?",
                "where is the {c} from the {a} , facing the {b} ?",
                "you are at the {a} and look at the {b} . where is the {c} ?",
            ),
            slots=name_slots(world, candidate.objects),
            options=shuffled(WORDS[candidate.form], rng),
        )
