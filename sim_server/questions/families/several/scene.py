"""The scene over several pictures: object_distance, scene_count, scene_size, scene_relative_distance and _direction.

Nothing is asked about one picture: the pictures together cover the scene, and share enough to be joined.
"""

from __future__ import annotations

from itertools import combinations
from typing import Optional, Sequence, cast

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import (
    MAX_NAMED,
    PERCEIVE,
    RELATE,
    Clarity,
    clear_anywhere,
    is_small,
    need_objects,
    prominent_anywhere,
    uniquely_named,
)
from sim_server.questions.families.single.measures import draft_size
from sim_server.questions.families.single.perceive import counted, groups, plan_count
from sim_server.questions.families.single.space import RelativeDirection, RelativeDistance, large_room
from sim_server.questions.family import Candidate, Draft, Family, Findings, Target, name_slots, shuffled
from sim_server.questions.geometry import box_distance_m
from sim_server.questions.views.coverage import LEAST_JOINT, joined
from sim_server.questions.views.sets import covering_sets, first_fitting, shoot

PICTURES = (2, 3, 2, 3, 4)
APART_FROM_LEVEL = 2  # from here on no picture shows all that the question names
SCENE_COUNT_RANGE = ((2, 3), (2, 4), (2, 5), (3, 6), (3, 8))  # a scene-level count is never 1
DISTANCE_BORDERS_M = (1.0, 2.0)  # near, middle and far are asked equally often
LEAST_DISTANCE_M = 0.3
_DISTANCES = ("near", "middle", "far")
NOT_JOINED = f"the pictures share less than {LEAST_JOINT:.0%} of what they show: who sees them cannot join them"
TOGETHER = "one picture shows all that the question names"


class SceneViews:
    """For families about few pictures: some that together show much of the scene, and what the plan wants."""

    views = 2

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        shots = shoot(scene, spec.camera, rng)
        most = min(spec.max_views, PICTURES[spec.question.level])
        family = cast(Family, self)  # a part of one
        return first_fitting(family, spec, plan, shots, covering_sets(shots, most, rng), found)


def shown_together(world: Evidence, keys: Sequence[int], clarity: Clarity = RELATE) -> bool:
    """Whether some view clearly shows all of these objects."""
    return any(all(clarity.holds(key, view) for key in keys) for view in world.views)


def may_be_asked(world: Evidence, level: int, keys: Sequence[int], found: Findings) -> bool:
    """Whether the objects are spread over the pictures as the level wants it; else why not is added to `found`."""
    if level >= APART_FROM_LEVEL and shown_together(world, keys):
        found.refuse(TOGETHER)
        return False
    return True


def _named(world: Evidence, found: Findings) -> list[int]:
    """Ids of the objects that may stand in a relation, the largest first; none where the views do not join."""
    if not joined(world.description, world.views):
        found.refuse(NOT_JOINED)
        return []
    clear = prominent_anywhere(world, found)
    pixels = {key: max(view.seen[key].pixels for view in world.views if key in view.seen) for key in clear}
    return sorted(clear, key=lambda key: (-pixels[key], key))[:MAX_NAMED]


class ObjectDistance(SceneViews):
    """Metres between the closest points of two objects."""

    name = "object_distance"

    def plan(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        if kept is not None:
            return kept
        pairs = combinations(uniquely_named(description), 2)
        keys = sorted({_third(box_distance_m(a.box, b.box)) for a, b in pairs} - {""})
        if not keys:
            raise Infeasible(f"{self.name}: no two objects of the scene are {LEAST_DISTANCE_M} m apart")
        return Target(key=pick(keys, rng), focus=())

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        for a, b in combinations(_named(world, found), 2):
            distance_m = box_distance_m(world.objects[a].box, world.objects[b].box)
            if distance_m < LEAST_DISTANCE_M:
                found.refuse(f"two objects are within {LEAST_DISTANCE_M} m of each other")
            elif may_be_asked(world, level, (a, b), found):
                found.accept(_third(distance_m), (a, b), distance_m - LEAST_DISTANCE_M)

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        keys = shuffled(candidate.objects, rng)
        return Draft(
            program="round(closest_distance(object({}), object({})), 0.1)".format(*keys),
            templates=(
                "how far is the closest part of the {a} from the closest part of the {b} ?",
                "how many meters is the {a} from the {b} , each at its closest part ?",
                "what is the distance between the {a} and the {b} , from closest part to closest part ?",
                "from the closest part of the {a} to the closest part of the {b} , how many meters is it ?",
                "how far apart are the {a} and the {b} , each at its closest part ?",
            ),
            slots=name_slots(world, keys),
            unit="m",
            show_options=False,
        )


def _third(distance_m: float) -> str:
    """The class of a distance, "" for one that is not asked."""
    if distance_m < LEAST_DISTANCE_M:
        return ""
    return _DISTANCES[sum(distance_m >= border for border in DISTANCE_BORDERS_M)]


class SceneCount(SceneViews):
    """How many different things, chairs, red things the pictures show in all."""

    name = "scene_count"

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        return kept or plan_scene_count(self.name, description, SCENE_COUNT_RANGE[level], rng)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        if not joined(world.description, world.views):
            found.refuse(NOT_JOINED)
            return
        propose_count(world, level, SCENE_COUNT_RANGE[level], found)

    def draft(self, world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        return draft_count(
            world,
            candidate,
            (
                "how many {a} do the pictures show in all ?",
                "how many different {a} are in the pictures ?",
                "look at all the pictures . how many {a} are there ?",
                "what is the number of {a} in all the pictures , each one counted once ?",
                "how many {a} are there in the pictures , each one counted once ?",
            ),
        )


def plan_scene_count(
    name: str, description: SceneDescription, limits: tuple[int, int], rng: np.random.Generator
) -> Target:
    """As `plan_count`, with nothing to aim at: what views together show is for the choice of the views. All things
    there are, are counted in scenes alone that have so few."""
    plan = plan_count(name, [description.objects], limits, rng, everything=len(description.objects) <= limits[1])
    return Target(key=plan.key, focus=(), form=plan.form)


def propose_count(world: Evidence, level: int, limits: tuple[int, int], found: Findings) -> None:
    """Every kind whose things are each plain in some picture, as many as the level wants, not all in one picture."""
    low, high = limits
    clarity = PERCEIVE[level]
    for form, _, items in groups([world.objects[key] for key in world.seen()]):
        keys = [item.id for item in items]
        if not low <= len(keys) <= high:
            found.refuse(f"the pictures do not show {low} to {high} of a kind")
        elif not all(shown_together(world, (key,), clarity) for key in keys):
            found.refuse(f"a counted object shows less than {clarity} in every picture")
        elif level >= APART_FROM_LEVEL and any(all(key in view.seen for key in keys) for view in world.views):
            found.refuse(TOGETHER)
        else:
            best = [max(v.seen[key].visible_fraction for v in world.views if key in v.seen) for key in keys]
            found.accept(str(len(keys)), tuple(keys), min(best) - clarity.fraction, form)


def draft_count(world: Evidence, candidate: Candidate, templates: tuple[str, ...]) -> Draft:
    """A count of the different things that any view shows."""
    phrase, kind = counted(world.objects[candidate.objects[0]], candidate.form)
    return Draft(
        program=f"count(where(seen(){kind}))",
        templates=templates,
        slots={"a": (0, phrase)},
        show_options=False,
    )


class SceneSize(SceneViews):
    """Length of an object's longest side; some picture shows the object whole."""

    name = "scene_size"

    def plan(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        if kept is not None:
            return kept
        # Small things hardly have a level's share of a picture that shows much of a room.
        names = sorted({item.category for item in uniquely_named(description) if not is_small(item)})
        need_objects(names, 1, self.name)
        return Target(key=pick(names, rng), focus=())

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        for key in clear_anywhere(world, PERCEIVE[level], found):
            whole = [
                view.seen[key].visible_fraction
                for view in world.views
                if key not in view.cut and PERCEIVE[level].holds(key, view)
            ]
            if not whole:
                found.refuse("an object is cut off by the frame in every picture that shows it well")
            else:
                found.accept(world.objects[key].category, (key,), max(whole) - PERCEIVE[level].fraction)

    def draft(self, world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        return draft_size(
            world,
            candidate,
            (
                "look at all the pictures . how long is the longest side of the {a} ?",
                "how long is the longest side of the {a} in the pictures ?",
                "what is the length of the longest side of the {a} in the pictures ?",
                "in centimeters , how long is the longest side of the {a} in the pictures ?",
                "how many centimeters long is the longest side of the {a} in the pictures ?",
            ),
        )


class SceneRelativeDistance(SceneViews, RelativeDistance):
    """relative_distance over few pictures."""

    name = "scene_relative_distance"

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        judged = Findings()
        items = [world.objects[key] for key in _named(world, judged)]
        self.judge(items, level, judged, large_room(world.description))
        _take(world, level, judged, found)


class SceneRelativeDirection(SceneViews, RelativeDirection):
    """relative_direction over few pictures."""

    name = "scene_relative_direction"

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        judged = Findings()
        self.judge([world.objects[key] for key in _named(world, judged)], level, judged, False)
        _take(world, level, judged, found)


def _take(world: Evidence, level: int, judged: Findings, found: Findings) -> None:
    """What was judged, as far as the level's spread over the pictures lets it be asked."""
    found.refused += judged.refused
    for item in judged.accepted:
        if may_be_asked(world, level, item.objects, found):
            found.accepted.append(item)
