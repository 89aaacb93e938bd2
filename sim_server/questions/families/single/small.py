"""Small things on furniture, as a ladder: small_presence, small_nearest (to what), small_location (support,
neighbour, side, distance)."""

from __future__ import annotations

import math
from typing import Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.tasks.scene import Pose, SceneDescription, SceneObject
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, ViewEvidence, name_of
from sim_server.questions.families.rules import RELATE, Clarity, clear_objects, is_small
from sim_server.questions.families.single.space import OPTION_COUNT, draft_nearest
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, shuffled
from sim_server.questions.geometry import Array, box_distance_m
from sim_server.questions.language.functions.registry import decimal
from sim_server.questions.views.viewpoints import SingleView, draw_focused_pose, focus_of

SMALL = (  # levels 0..4: as rules.PERCEIVE, for things that are small in any picture
    Clarity(0.90, 0.0040),
    Clarity(0.75, 0.0030),
    Clarity(0.60, 0.0020),
    Clarity(0.45, 0.0015),
    Clarity(0.30, 0.0010),
)
NEAR_M = (1.6, 1.8, 2.0, 2.4, 2.8)  # a camera stands so near to a small thing that it is looked for

SMALL_GAP_M = (0.60, 0.45, 0.30, 0.20, 0.15)  # between any two options' distances
LOCATION_OPTIONS = (2, 3, 3, 4, 4)
SIDE_APART = (0.12, 0.09, 0.07, 0.05, 0.03)  # between the thing and its neighbour, as a share of the picture's width
NEIGHBOUR_GAP_M = 0.15  # the neighbour is nearer than any other thing by so much
WRONG_BY_M = (0.6, 0.5, 0.5, 0.4, 0.3)  # a wrong distance is wrong by at least this
FARTHEST_NEIGHBOUR_M = 1.5


def small_things(description: SceneDescription, name: str) -> list[SceneObject]:
    """Small things on other objects, each with a name of its own. Raises Infeasible where there are none."""
    keys = {item.id for item in description.objects}
    names = [name_of(item) for item in description.objects]
    small = [
        item
        for item in description.objects
        if is_small(item) and item.support_id in keys and names.count(name_of(item)) == 1
    ]
    if not small:
        raise Infeasible(f"{name} needs small things that stand on furniture: raise the scene's clutter")
    return small


class _CloseView(SingleView):
    """A picture from near a small thing."""

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        centre = np.asarray(focus_of(scene, plan.focus)[0].box.centre_m)
        near_m = NEAR_M[spec.question.level]

        def fits(eyes: Array, _yaws: Array) -> NDArray[np.bool_]:
            return np.hypot(*(eyes - centre)[:, [0, 2]].T) <= near_m

        pose = draw_focused_pose(scene, spec.camera, plan, rng, found, fits)
        return None if pose is None else (pose,)


class SmallPresence(_CloseView):
    """Is this small thing in the picture? Where it is not, others are, and the scene has it elsewhere."""

    name = "small_presence"

    def plan(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        small = small_things(description, self.name)
        key = draw_key(("yes", "no"), rng, kept)
        return Target(key=key, focus=(pick(small, rng).id,))

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        clear = {key for key in clear_objects(world, view, SMALL[level], found) if is_small(world.objects[key])}
        if not clear:
            found.refuse(f"no small thing shows {SMALL[level]}")
            return
        for key in clear:
            found.accept("yes", (key,), view.seen[key].visible_fraction - SMALL[level].fraction)
        shown = {name_of(world.objects[key]) for key in view.seen}
        for item in world.description.objects:
            if is_small(item) and name_of(item) not in shown:
                found.accept("no", (item.id,), 1.0)

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        item = world.objects[candidate.objects[0]]
        name, color = name_of(item), f', color="{item.color}"' if item.color else ""
        return Draft(
            program=f'count(where(visible(view(0)), category="{item.category}"{color})) > 0',
            templates=(
                "is there {n} {a} in the picture ?",
                "do you see {n} {a} in the picture ?",
                "does the picture show {n} {a} ?",
                "look at the picture . is there {n} {a} ?",
                "is {n} {a} to be seen in the picture ?",
            ),
            slots={
                "a": (item.id if candidate.key == "yes" else 0, name),
                "n": (0, "an" if name[0] in "aeiou" else "a"),
            },
            options=("yes", "no") if rng.integers(2) else ("no", "yes"),
        )


class SmallNearest(_CloseView):
    """Which of the options a small thing is closest to, between closest points; what it stands on is none of them."""

    name = "small_nearest"

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, _kept: Optional[Target] = None
    ) -> Target:
        small = small_things(description, self.name)
        return Target(key="", focus=(pick(small, rng).id,), form=str(OPTION_COUNT[level]))

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        clear = _clear_with_small(world, view, level, found)
        for key in clear:
            item = world.objects[key]
            if not is_small(item):
                continue
            chosen = _spaced(item, [world.objects[other] for other in clear], SMALL_GAP_M[level])
            if len(chosen) < OPTION_COUNT[level]:
                found.refuse(f"fewer than {OPTION_COUNT[level]} things at distances {SMALL_GAP_M[level]:.2f} m apart")
            else:
                options = chosen[: OPTION_COUNT[level]]
                gap_m = min(after - before for (before, _), (after, _) in zip(options, options[1:]))
                keys = (key, *(other.id for _, other in options))
                found.accept(name_of(options[0][1]), keys, gap_m, str(OPTION_COUNT[level]))

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        return draft_nearest(
            world,
            candidate,
            rng,
            (
                "which of these is the {a} closest to ?",
                "to which of these is the {a} closest ?",
                "which of these is nearest to the {a} ?",
                "look at the {a} . which of these is closest to it ?",
                "what is the {a} nearest to ?",
            ),
        )


def _clear_with_small(world: Evidence, view: ViewEvidence, level: int, found: Findings) -> list[int]:
    """Ids of what may be named: small things by their own floors, all else by those of relations."""
    small = clear_objects(world, view, SMALL[level], found)
    return [key for key in small if is_small(world.objects[key]) or RELATE.holds(key, view)]


def _by_distance(item: SceneObject, others: Sequence[SceneObject]) -> list[tuple[float, SceneObject]]:
    """Other objects by their distance from a small thing; never what it stands on, nor what stands on it."""
    apart = [
        (box_distance_m(item.box, other.box), other)
        for other in others
        if other.id not in (item.id, item.support_id) and other.support_id != item.id
    ]
    return sorted(apart, key=lambda pair: (pair[0], pair[1].id))


def _spaced(item: SceneObject, others: Sequence[SceneObject], gap_m: float) -> list[tuple[float, SceneObject]]:
    """The nearest other object and further ones, each farther than the last by the gap."""
    chosen: list[tuple[float, SceneObject]] = []
    for distance_m, other in _by_distance(item, others):
        if not chosen or distance_m - chosen[-1][0] >= gap_m:
            chosen.append((distance_m, other))
    return chosen


class SmallLocation(_CloseView):
    """Where a small thing is, in full: "on the blue table , left of the red vase , 0.3 m away"."""

    name = "small_location"

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        small = small_things(description, self.name)
        key = draw_key(("left", "right"), rng, kept)
        return Target(key=key, focus=(pick(small, rng).id,), form=str(level))

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        clear = _clear_with_small(world, view, level, found)
        for key in clear:
            item = world.objects[key]
            if not is_small(item):
                continue
            near = _by_distance(item, [world.objects[other] for other in clear])
            supports = [other for other in clear if not is_small(world.objects[other])]
            if item.support_id not in supports:
                found.refuse("what the small thing stands on is not plain to see")
            elif not near or near[0][0] > FARTHEST_NEIGHBOUR_M or near[0][0] < 0.05:
                found.refuse(f"the small thing has no neighbour within {FARTHEST_NEIGHBOUR_M} m")
            elif len(near) > 1 and near[1][0] - near[0][0] < NEIGHBOUR_GAP_M:
                found.refuse(f"two neighbours lie within {NEIGHBOUR_GAP_M} m of each other's distance")
            else:
                self._judge(view, item, near[0][1], level, found)

    @staticmethod
    def _judge(view: ViewEvidence, item: SceneObject, neighbour: SceneObject, level: int, found: Findings) -> None:
        across = view.seen[item.id].u - view.seen[neighbour.id].u
        along = view.centres[item.id][0] - view.centres[neighbour.id][0]
        if abs(across) < SIDE_APART[level]:
            found.refuse(f"the neighbours are less than {SIDE_APART[level]:.2f} of the picture's width apart")
        elif across * along <= 0:
            found.refuse("what is visible of two objects is on the other side than the objects")
        else:
            found.accept("left" if across < 0 else "right", (item.id, neighbour.id), abs(across), str(level))

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        item, neighbour = (world.objects[key] for key in candidate.objects)
        level = int(candidate.form)
        a, b = f"object({item.id})", f"object({neighbour.id})"
        side = f'if image_x({a}, view(0)) < image_x({b}, view(0)) then "left" else "right"'
        away = f'join(text(round(closest_distance({a}, {b}), 0.1)), "m away")'
        return Draft(
            program=f'join("on the", name(support({a})), ",", join({side}, "of the", name({b})), ",", {away})',
            templates=(
                "where exactly is the {a} ?",
                "where is the {a} : on what , on which side of what , and how far from it ?",
                "look at the {a} . which of these says where it is ?",
                "which of these says where the {a} is ?",
                "on what is the {a} , on which side of what , and how far from it ?",
            ),
            slots={"a": (item.id, name_of(item))},
            options=self._options(world, item, neighbour, candidate.key, level, rng),
        )

    def _options(
        self,
        world: Evidence,
        item: SceneObject,
        neighbour: SceneObject,
        side: str,
        level: int,
        rng: np.random.Generator,
    ) -> tuple[str, ...]:
        """The right place among wrong ones. Two of its parts vary, each between a right and a wrong word, and which of
        the wrong combinations stand beside it is drawn: no option gives itself away by what it shares with others."""
        right = (name_of(world.objects[item.support_id]), side, _decimetres(box_distance_m(item.box, neighbour.box)))
        furniture = [
            name_of(world.objects[key])
            for key in world.views[0].seen
            if key not in (item.support_id, neighbour.id)
            and not is_small(world.objects[key])
            and RELATE.holds(key, world.views[0])
        ]
        wrong = (
            pick(furniture, rng) if furniture else "",
            "left" if side == "right" else "right",
            _wrong_m(world, item, right[2], WRONG_BY_M[level], rng),
        )
        vary = [int(part) for part in rng.permutation([0, 1, 2] if wrong[0] else [1, 2])[:2]]
        combinations = [[0, 0, 0], [0, 0, 0], [0, 0, 0]]
        combinations[0][vary[0]] = combinations[1][vary[1]] = combinations[2][vary[0]] = combinations[2][vary[1]] = 1
        drawn = [combinations[int(index)] for index in rng.permutation(3)[: LOCATION_OPTIONS[level] - 1]]
        places = [tuple((right, wrong)[use][part] for part, use in enumerate(uses)) for uses in [[0, 0, 0], *drawn]]
        listed = [f"on the {on} , {where} of the {name_of(neighbour)} , {away} m away" for on, where, away in places]
        return shuffled(listed, rng)


def _decimetres(distance_m: float) -> str:
    """As `text(round(distance, 0.1))` of the expression language."""
    return decimal(math.floor(distance_m / 0.1 + 0.5) * 0.1)


def _wrong_m(world: Evidence, item: SceneObject, right_m: str, wrong_by_m: float, rng: np.random.Generator) -> str:
    """A wrong distance like the right ones: that of another small thing from its neighbour, or one drawn evenly."""
    objects = world.description.objects
    nearest = [_by_distance(other, objects)[:1] for other in objects if is_small(other) and other.id != item.id]
    drawn = sorted({_decimetres(pair[0][0]) for pair in nearest if pair})
    fitting = [away for away in drawn if abs(float(away) - float(right_m)) >= wrong_by_m - 1e-9]
    if not fitting:
        steps = [_decimetres(step * 0.1) for step in range(1, round(10 * FARTHEST_NEIGHBOUR_M) + 1)]
        fitting = [away for away in steps if abs(float(away) - float(right_m)) >= wrong_by_m - 1e-9]
    return pick(fitting, rng)
