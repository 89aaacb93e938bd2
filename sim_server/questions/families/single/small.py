"""Small objects on furniture: small_presence, small_nearest and small_location (support, neighbour, side, distance)."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from itertools import product
from typing import Generic, Optional, Sequence, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills.skill import Skill
from protocol.skills.small import (
    SMALL_LOCATION,
    SMALL_NEAREST,
    SMALL_PRESENCE,
    SmallLevel,
    SmallLocationLevel,
    SmallNearestLevel,
)
from protocol.tasks.scene import Pose, SceneDescription, SceneObject, Vec3
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, ViewEvidence, name_of
from sim_server.questions.families.nearest import judge_nearest
from sim_server.questions.families.rules import (
    RELATE,
    Comparable,
    clear_objects,
    is_small,
    need_objects,
    shows,
    stance,
    uniquely_named,
)
from sim_server.questions.families.single.image import OTHER_SIDE
from sim_server.questions.families.single.space import CLOSEST_POINTS, draft_nearest
from sim_server.questions.family import (
    NO_SUCH_ANSWER,
    NO_TARGET,
    Candidate,
    Draft,
    Family,
    Findings,
    Target,
    draw_key,
    shuffled,
)
from sim_server.questions.geometry import Array, box_distance_m, floor_distance_m
from sim_server.questions.language.functions.registry import decimal
from sim_server.questions.nouns import Naming
from sim_server.questions.staging import Staging
from sim_server.questions.views.sets import Choice, even_choice, every_fitting, shots_of
from sim_server.questions.views.viewpoints import NO_PLACE, draw_poses, focus_of

NEIGHBOUR_GAP_M = 0.15  # the neighbour is nearer than any other object by this much
FARTHEST_NEIGHBOUR_M = 1.5
DISTANCES_APART_M = 0.15  # the right distance and the wrong one, both rounded to 0.1 m, differ by more
OPTIONS_M = 3.0  # largest distance of the options from a small object, between centres on the floor plan
_AIMED_AT = 4  # small objects per draw
_NEAREST_AIMED_AT = 12  # the same if two of them must have each other's right option as a wrong one

SmallLevelT = TypeVar("SmallLevelT", bound=SmallLevel)


def small_objects(description: SceneDescription, name: str) -> list[SceneObject]:
    """Small objects on other objects, with names that fit no other object of the room if there are any.

    Raises Infeasible if there are no small objects.
    """
    keys = {item.id for item in description.objects}
    small = [item for item in uniquely_named(description) if is_small(item) and item.support_id in keys]
    if not small:
        raise Infeasible(f"{name} needs small objects on furniture: increase the scene's clutter")
    return small


def _near(centre_m: Vec3, within_m: float, eyes: Array, _yaws: Array) -> NDArray[np.bool_]:
    """Whether eyes [P, 3] are near a point on the floor plan."""
    return np.hypot(*(eyes - np.asarray(centre_m))[:, [0, 2]].T) <= within_m


class _CloseView(Generic[SmallLevelT]):
    """Mixin of the families about a view from near a small object."""

    skill: Skill[SmallLevelT]
    views = 1

    def _small_target(
        self,
        description: SceneDescription,
        words: Sequence[str],
        rng: np.random.Generator,
        previous: Optional[Target],
    ) -> Target:
        """One of these answers, and small objects to aim at."""
        small = shuffled(small_objects(description, self.skill.name), rng)
        key = draw_key(words, rng, previous)
        return Target(key=key, focus=tuple(item.id for item in small[:_AIMED_AT]))

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        """A view from near one of the focus objects whose probe image has a candidate that fits the target."""
        poses: list[Pose] = []
        for item in focus_of(scene, target.focus):
            near = partial(_near, item.box.centre_m, self.skill.levels[spec.question.level].within_m)
            poses += draw_poses(scene, spec.camera, [item], rng, fits=near)
        if not poses:
            findings.reject(NO_PLACE)
            return None
        shots = shots_of(scene, spec.camera, shuffled(poses, rng))
        sets = [(index,) for index in range(len(poses))]
        fitting, rule = every_fitting(cast(Family, self), spec, NO_TARGET, shots, sets)
        found = [(shots.poses[index], item) for (index,), item in fitting]
        chosen = self.choose(found, spec.question.level, target, rng)
        if chosen is None:
            findings.reject(NO_SUCH_ANSWER if found else rule)
        return chosen

    def choose(
        self, found: Sequence[tuple[Pose, Candidate]], _level: int, target: Target, _rng: np.random.Generator, /
    ) -> Optional[Staging]:
        """A pose with one of the candidates of the probe images; None if none of them suits the target."""
        return next((Staging((pose,)) for pose, item in found if target.fits(item)), None)


class SmallPresence(_CloseView[SmallLevel]):
    """Whether a small object is in the image. If not, others are, and the scene has it elsewhere."""

    skill = SMALL_PRESENCE

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        return self._small_target(description, ("yes", "no"), rng, previous)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, clarity = evidence.views[0], self.skill.levels[level].clarity
        clear = {key for key in clear_objects(evidence, view, clarity, findings) if is_small(evidence.objects[key])}
        if not clear:
            findings.reject(f"no small object is shown clearly enough ({clarity})")
            return
        for key in clear:
            findings.accept("yes", (key,), view.seen[key].visible_fraction - clarity.visible_fraction)
        shown = Naming(evidence.objects[key] for key in view.seen)
        for item in evidence.description.objects:
            if is_small(item) and not shown.fitting(item.category, item.color):
                findings.accept("no", (item.id,), 1.0)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        item = evidence.objects[candidate.objects[0]]
        name, color = name_of(item), f', color="{item.color}"' if item.color else ""
        return Draft(
            program=f'count(where(visible(view(0)), category="{item.category}"{color})) > 0',
            templates=(
                "Is there {n} {a} in the image?",
                "In the image, is there {n} {a}?",
                "Do you see {n} {a} in the image?",
                "Can you see {n} {a} in the image?",
                "Does the image show {n} {a}?",
                "Is {n} {a} visible in the image?",
                "Look at the image. Is there {n} {a} in it?",
                "Look at the image. Do you see {n} {a}?",
            ),
            slots={
                "a": (item.id if candidate.key == "yes" else 0, name),
                "n": (0, "an" if name[0] in "aeiou" else "a"),
            },
            options=("yes", "no") if rng.integers(2) else ("no", "yes"),
            rule="The answer is yes if one is at least partly visible.",
        )


class SmallNearest(_CloseView[SmallNearestLevel]):
    """Which option a small object is closest to, between closest points; its support is not an option.

    The right option is the wrong one for another small object, and the other way round, so that the nouns of the
    options do not give the answer away.
    """

    skill = SMALL_NEAREST

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, _previous: Optional[Target] = None
    ) -> Target:
        """Small objects of one room with enough options nearby."""
        named, comparable = uniquely_named(description), Comparable(description)
        small: list[SceneObject] = []
        for item in small_objects(description, self.skill.name):
            centre_m = item.box.centre_m
            kinds = Counter(
                stance(other)
                for other in named
                if comparable(item, other) and floor_distance_m(centre_m, other.box.centre_m) < OPTIONS_M
            )
            if max(kinds.values(), default=0) >= self.skill.levels[level].options:
                small.append(item)
        need_objects(small, 1, f"{self.skill.name} needs small objects with other ones nearby")
        room = pick(small, rng).room_id
        same = [item.id for item in small if item.room_id == room]
        return Target("", shuffled(same, rng)[:_NEAREST_AIMED_AT])

    def choose(
        self, found: Sequence[tuple[Pose, Candidate]], level: int, _target: Target, rng: np.random.Generator, /
    ) -> Optional[Staging]:
        choices = [
            Choice(right, tuple(wrong), (index, anchor))
            for index, (_, item) in enumerate(found)
            for anchor, right, *wrong in [item.objects]
        ]
        drawn = even_choice(choices, self.skill.levels[level].options, rng)
        if drawn is None:
            return None
        index, anchor = drawn.place
        return Staging((found[index][0],), about=(anchor, drawn.right, *drawn.wrong))

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, asked, judged = evidence.views[0], self.skill.levels[level], Findings()
        clear = [evidence.objects[key] for key in _clear_with_small(evidence, view, asked, findings)]
        if evidence.about:
            clear = [item for item in clear if item.id in evidence.about]
        small = [item for item in clear if is_small(item)]
        judge_nearest(small, clear, asked.options, asked.apart_m, evidence.description, judged)
        findings.rejected += judged.rejected
        for one in judged.accepted:
            if not evidence.about or one.objects[0] == evidence.about[0]:
                findings.accepted.append(one)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        return draft_nearest(
            evidence,
            candidate,
            rng,
            (
                "Which of these objects is closest to the {a}?",
                "Which of these objects is nearest to the {a}?",
                "Which of these is closest to the {a}?",
                "Which of these objects is the {a} closest to?",
                "Which of these is the {a} nearest to?",
                "Of these objects, which is closest to the {a}?",
                "Find the {a}. Which of these objects is closest to it?",
                "Look at the {a}. Which of these objects is nearest to it?",
            ),
        )


def _clear_with_small(evidence: Evidence, view: ViewEvidence, asked: SmallLevel, findings: Findings) -> list[int]:
    """Ids of the objects that can be named: small ones as clear as the level asks, others as clear as for relations."""
    small = clear_objects(evidence, view, asked.clarity, findings)
    return [key for key in small if is_small(evidence.objects[key]) or shows(view, key, RELATE)]


class SmallLocation(_CloseView[SmallLocationLevel]):
    """The full location of a small object: "on the blue table, to the left of the red vase, 0.3 m from it"."""

    skill = SMALL_LOCATION

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        return self._small_target(description, ("left", "right"), rng, previous)

    def choose(
        self, found: Sequence[tuple[Pose, Candidate]], level: int, target: Target, rng: np.random.Generator, /
    ) -> Optional[Staging]:
        """Draw two distances from a neighbour, then which is right: no distance is more often right than wrong."""
        places: dict[float, list[tuple[Pose, Candidate]]] = {}
        for pose, item in found:
            if target.fits(item):
                places.setdefault(item.numbers[0], []).append((pose, item))
        every, asked = sorted({item.numbers[0] for _, item in found}), self.skill.levels[level]
        apart = [pair for pair in product(sorted(places), every) if _differ(*pair, asked)]
        pairs = [pair for pair in apart if pair[::-1] in apart] or apart
        if not pairs:
            return None
        right_m, wrong_m = pick(pairs, rng)
        pose, item = pick(places[right_m], rng)
        return Staging((pose,), about=item.objects, numbers=(wrong_m,))

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, asked = evidence.views[0], self.skill.levels[level]
        clear, comparable = _clear_with_small(evidence, view, asked, findings), Comparable(evidence.description)
        for key in clear:
            item = evidence.objects[key]
            if not is_small(item):
                continue
            near = sorted(
                (box_distance_m(item.box, evidence.objects[other].box), other)
                for other in clear
                if other != key and comparable(item, evidence.objects[other])
            )
            if item.support_id not in clear or is_small(evidence.objects[item.support_id]):
                findings.reject("the support of the small object is not shown clearly")
            elif not near or near[0][0] > FARTHEST_NEIGHBOUR_M or near[0][0] < 0.05:
                findings.reject(f"the small object has no neighbour within {FARTHEST_NEIGHBOUR_M} m")
            elif evidence.about and (key, near[0][1]) != evidence.about:
                findings.reject(NO_SUCH_ANSWER)
            elif len(near) > 1 and near[1][0] - near[0][0] < NEIGHBOUR_GAP_M:
                findings.reject(f"the distances of two neighbours differ by less than {NEIGHBOUR_GAP_M} m")
            else:
                distances_m = (_decimetres(near[0][0]), *evidence.numbers)
                self._judge_side(view, item, evidence.objects[near[0][1]], asked.apart, distances_m, findings)

    @staticmethod
    def _judge_side(
        view: ViewEvidence,
        item: SceneObject,
        neighbour: SceneObject,
        apart: float,
        distances_m: tuple[float, ...],
        findings: Findings,
    ) -> None:
        """Judge the side; `distances_m` are the right distance and, if one was drawn, the wrong one."""
        across = view.seen[item.id].u - view.seen[neighbour.id].u
        along = view.centres[item.id][0] - view.centres[neighbour.id][0]
        if abs(across) < apart:
            findings.reject(f"the neighbours are less than {apart:.2f} of the image width apart")
        elif across * along <= 0:
            findings.reject(OTHER_SIDE)
        else:
            key = "left" if across < 0 else "right"
            findings.accept(key, (item.id, neighbour.id), abs(across), numbers=distances_m)

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        item, neighbour = (evidence.objects[key] for key in candidate.objects)
        a, b = f"object({item.id})", f"object({neighbour.id})"
        side = f'if image_x({a}, view(0)) < image_x({b}, view(0)) then "left" else "right"'
        away = f'join(text(round(closest_distance({a}, {b}), 0.1)), "m from it")'
        return Draft(
            program=f'join("on the", name(support({a})), ", to the", join({side}, "of the", name({b})), ",", {away})',
            templates=(
                "Where is the {a}?",
                "Where exactly is the {a}?",
                "Where in the scene is the {a}?",
                "What is the exact location of the {a}?",
                "Which description of the location of the {a} is correct?",
                "Which of these describes where the {a} is?",
                "Which of these describes the location of the {a}?",
                "Look at the {a}. Which of these describes where it is?",
                "Find the {a} in the image. Where exactly is it?",
            ),
            slots={"a": (item.id, name_of(item))},
            options=self._options(evidence, candidate, self.skill.levels[level], rng),
            rule=f"Left and right are as seen in the image. {CLOSEST_POINTS}",
        )

    @staticmethod
    def _options(
        evidence: Evidence, candidate: Candidate, asked: SmallLocationLevel, rng: np.random.Generator
    ) -> tuple[str, ...]:
        """The right place among wrong ones, on the other side, at another distance, or both.

        The support is the same in all, since the kind of the object makes other ones implausible.
        """
        item, neighbour = (evidence.objects[key] for key in candidate.objects)
        right_m, *drawn_m = candidate.numbers
        sides = (candidate.key, "left" if candidate.key == "right" else "right")
        distances_m = (right_m, drawn_m[0] if drawn_m else pick(_wrong_m(right_m, asked), rng))
        places = [(sides[a], distances_m[b]) for a, b in ((0, 0), *shuffled(((0, 1), (1, 0), (1, 1)), rng))]
        on, beside = name_of(evidence.objects[item.support_id]), name_of(neighbour)
        return shuffled(
            [
                f"on the {on}, to the {side} of the {beside}, {decimal(away_m)} m from it"
                for side, away_m in places[: asked.options]
            ],
            rng,
        )


def _decimetres(distance_m: float) -> float:
    """The result of `round(distance, 0.1)` in the question language."""
    return math.floor(distance_m / 0.1 + 0.5) * 0.1


def _differ(one_m: float, other_m: float, asked: SmallLocationLevel) -> bool:
    """Whether two rounded distances differ by the level's ratio, and by enough that only one of them can be right."""
    low_m, high_m = sorted((one_m, other_m))
    return high_m >= asked.wrong_times * low_m - 1e-6 and high_m - low_m > DISTANCES_APART_M


def _wrong_m(right_m: float, asked: SmallLocationLevel) -> list[float]:
    """Wrong distances for a view that was not placed for the question: the next longer one and, if any, shorter one."""
    tenths = [step * 0.1 for step in range(1, 100) if _differ(step * 0.1, right_m, asked)]
    shorter, longer = [m for m in tenths if m < right_m], [m for m in tenths if m > right_m]
    return shorter[-1:] + longer[:1]


FAMILIES = (SmallPresence(), SmallNearest(), SmallLocation())
