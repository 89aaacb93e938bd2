"""A scene over a few images: object_distance, scene_count, scene_size, scene_relative_distance and _direction.

The images cover the scene together, and overlap enough for a viewer to relate them.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain, combinations
from typing import Any, Optional, Sequence, cast

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills.levels import Clarity
from protocol.skills.scene import (
    OBJECT_DISTANCE,
    SCENE_COUNT,
    SCENE_RELATIVE_DIRECTION,
    SCENE_RELATIVE_DISTANCE,
    SCENE_SIZE,
)
from protocol.skills.single import CountLevel
from protocol.skills.skill import Skill
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import (
    IN_PART,
    MAX_NAMED,
    RELATE,
    SEPARATE,
    Comparable,
    clear_anywhere,
    prominent_anywhere,
    shown_in_part,
    shows,
    uniquely_named,
)
from sim_server.questions.families.single.measures import USUAL_SIZE, by_size_class, draft_size
from sim_server.questions.families.single.perceive import COUNT_RULE, NO_STRUCTURE, counted, groups
from sim_server.questions.families.single.space import RelativeDirection, RelativeDistance
from sim_server.questions.family import (
    NO_SUCH_ANSWER,
    NO_TARGET,
    Candidate,
    Draft,
    Family,
    Findings,
    Target,
    name_slots,
    shuffled,
)
from sim_server.questions.geometry import box_distance_m
from sim_server.questions.nouns import countable
from sim_server.questions.sizes import size_class
from sim_server.questions.staging import Staging
from sim_server.questions.views.coverage import LEAST_JOINT, joined
from sim_server.questions.views.sets import covering_sets, drawn_sets, evenly_fitting, first_fitting, shoot

DISTANCE_BORDERS_M = (1.0, 2.0)  # near, middle and far are asked equally often
LEAST_DISTANCE_M = 0.3
_DISTANCES = ("near", "middle", "far")
NOTICED = Clarity(0.25, 0.001)  # least visibility of a counted object in every image that shows anything of it
_SETS_TRIED = 60
NOT_JOINED = f"the overlap of the images is below {LEAST_JOINT:.0%}, too little to relate them"
TOGETHER = "one image shows all objects of the question"


class SceneViews:
    """Mixin of the families about a few images, which together show much of the scene and fit the target."""

    skill: Skill[Any]  # its levels have `images`
    views = 2

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        shots = shoot(scene, spec.camera, rng)
        most = min(spec.max_views, self.skill.levels[spec.question.level].images)
        family = cast(Family, self)  # the class that mixes this in is one
        return first_fitting(family, spec, target, shots, covering_sets(shots, most, rng), findings)


def shown_together(evidence: Evidence, keys: Sequence[int], clarity: Clarity = RELATE) -> bool:
    """Whether some view clearly shows all of these objects."""
    return any(all(shows(view, key, clarity) for key in keys) for view in evidence.views)


def may_be_asked(evidence: Evidence, spread: bool, keys: Sequence[int], findings: Findings) -> bool:
    """Whether the objects are spread over the images, if the level asks for it; if not, `findings` gets the rule."""
    if spread and shown_together(evidence, keys):
        findings.reject(TOGETHER)
        return False
    return True


def _named(evidence: Evidence, findings: Findings) -> list[int]:
    """Ids of the objects that relations can be about, the largest first; none if the views do not overlap enough."""
    if not joined(evidence.description, evidence.views):
        findings.reject(NOT_JOINED)
        return []
    clear = prominent_anywhere(evidence, findings)
    pixels = {key: max(view.seen[key].pixels for view in evidence.views if key in view.seen) for key in clear}
    return sorted(clear, key=lambda key: (-pixels[key], key))[:MAX_NAMED]


class ObjectDistance(SceneViews):
    """Metres between the closest points of two objects."""

    skill = OBJECT_DISTANCE

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        if previous is not None:
            return previous
        comparable = Comparable(description)
        pairs = [pair for pair in combinations(uniquely_named(description), 2) if comparable(*pair)]
        keys = sorted({_third(box_distance_m(a.box, b.box)) for a, b in pairs} - {""})
        if not keys:
            raise Infeasible(f"{self.skill.name}: no two objects of a room are {LEAST_DISTANCE_M} m apart")
        return Target(key=pick(keys, rng), focus=())

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        spread, comparable = self.skill.levels[level].spread, Comparable(evidence.description)
        for a, b in combinations(_named(evidence, findings), 2):
            distance_m = box_distance_m(evidence.objects[a].box, evidence.objects[b].box)
            if not comparable(evidence.objects[a], evidence.objects[b]):
                findings.reject(SEPARATE)
            elif distance_m < LEAST_DISTANCE_M:
                findings.reject(f"two objects are within {LEAST_DISTANCE_M} m of each other")
            elif may_be_asked(evidence, spread, (a, b), findings):
                findings.accept(_third(distance_m), (a, b), distance_m - LEAST_DISTANCE_M)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        keys = shuffled(candidate.objects, rng)
        return Draft(
            program="round(closest_distance(object({}), object({})), 0.1)".format(*keys),
            templates=(
                "How far is the {a} from the {b}?",
                "How far apart are the {a} and the {b}?",
                "How many meters is the {a} from the {b}?",
                "How many meters are there between the {a} and the {b}?",
                "What is the distance between the {a} and the {b}?",
                "What is the distance from the {a} to the {b}?",
                "In meters, how far is the {a} from the {b}?",
                "In meters, how far apart are the {a} and the {b}?",
            ),
            slots=name_slots(evidence, keys),
            unit="m",
            show_options=False,
            rule="The distance is measured in a straight line between the closest points of the objects, in meters.",
        )


def _third(distance_m: float) -> str:
    """The class of a distance, "" if it is too short to be asked."""
    if distance_m < LEAST_DISTANCE_M:
        return ""
    return _DISTANCES[sum(distance_m >= border for border in DISTANCE_BORDERS_M)]


class SceneCount:
    """How many different objects of a kind the images show in total."""

    skill = SCENE_COUNT
    views = 2

    def target(
        self, description: SceneDescription, _level: int, _rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        return previous or scene_count_target(self.skill, description)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        shots = shoot(scene, spec.camera, rng)
        most = min(spec.max_views, self.skill.levels[spec.question.level].images)
        some = sorted({index for key in target.focus for index in shots.seeing(key)})
        sets = chain(covering_sets(shots, most, rng), drawn_sets(some, most, _SETS_TRIED, rng))
        return evenly_fitting(self, spec, NO_TARGET, shots, sets, rng, findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked, judged = self.skill.levels[level], Findings()
        judge_count(evidence, asked, asked.spread, judged)
        add_joined(evidence, judged, findings)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        return draft_count(
            evidence,
            candidate,
            (
                "How many {a} do the images show in total?",
                "How many different {a} do the images show?",
                "How many different {a} are visible in the images?",
                "How many different {a} are there in these images?",
                "In total, how many {a} do the images show?",
                "Look at all images. How many different {a} are there?",
                "What is the total number of {a} in the images?",
                "Count the {a} in all images.",
            ),
        )


def scene_count_target(skill: Skill[CountLevel], description: SceneDescription) -> Target:
    """The objects that can be counted; the choice of the views decides which kind, and how many of it.

    Raises Infeasible if no two objects are of a kind: every answer would be 1.
    """
    items = [item for item in description.objects if countable(item.category)]
    counts = Counter(chain((item.category for item in items), (item.color for item in items if item.color)))
    if max(counts.values(), default=0) < 2:
        raise Infeasible(f"{skill.name}: the scene has no two objects of a kind")
    return Target(key="", focus=tuple(item.id for item in items))


def judge_count(evidence: Evidence, asked: CountLevel, spread: bool, findings: Findings) -> None:
    """Accept every kind whose number fits the level and whose objects are each shown clearly in some image.

    No image may show only a sliver of one of them. With `spread`, the images must be counted together.
    """
    for form, items in groups([evidence.objects[key] for key in evidence.seen()], findings):
        keys = [item.id for item in items]
        if evidence.about and set(keys) != set(evidence.about):
            findings.reject(NO_SUCH_ANSWER)
        elif len(keys) > asked.most:
            findings.reject(f"the images show more than {asked.most} of a kind")
        elif not all(shown_together(evidence, (key,), asked.clarity) for key in keys):
            findings.reject(f"a counted object is not shown clearly enough ({asked.clarity}) in any image")
        elif any(shown_in_part(evidence, key, NOTICED) for key in keys):
            findings.reject(f"{IN_PART} ({NOTICED})")
        elif spread and not counts_over_images(evidence, keys):
            findings.reject(TOGETHER)
        else:
            best = [max(v.seen[key].visible_fraction for v in evidence.views if key in v.seen) for key in keys]
            findings.accept(str(len(keys)), tuple(keys), min(best) - asked.clarity.visible_fraction, form)


def counts_over_images(evidence: Evidence, keys: Sequence[int]) -> bool:
    """Whether no image shows all of these objects, or several images show the only one."""
    showing = [sum(key in view.seen for key in keys) for view in evidence.views]
    return sum(showing) > 1 if len(keys) == 1 else max(showing) < len(keys)


def add_joined(evidence: Evidence, judged: Findings, findings: Findings) -> None:
    """Add what was judged, unless the views overlap too little; this is the slowest rule, so it comes last."""
    findings.rejected += judged.rejected
    if judged.accepted and not joined(evidence.description, evidence.views):
        findings.reject(NOT_JOINED)
    else:
        findings.accepted += judged.accepted


def draft_count(evidence: Evidence, candidate: Candidate, templates: tuple[str, ...]) -> Draft:
    """Ask for the number of different objects that the views show."""
    more = () if candidate.form.startswith("category") else (NO_STRUCTURE,)
    phrase, kind = counted(evidence.objects[candidate.objects[0]], candidate.form)
    return Draft(
        program=f"count(where(seen(){kind}))",
        templates=templates,
        slots={"a": (0, phrase)},
        show_options=False,
        rule=" ".join((COUNT_RULE, "Count it once if several images show it.", *more)),
    )


class SceneSize(SceneViews):
    """Length of the longest side of an object that some image shows entirely."""

    skill = SCENE_SIZE

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        if previous is not None:
            return previous
        return Target(key=pick(sorted(by_size_class(description)), rng), focus=())

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        clarity = self.skill.levels[level].clarity
        for key in clear_anywhere(evidence, clarity, findings):
            entire = [
                view.seen[key].visible_fraction
                for view in evidence.views
                if key not in view.cut and shows(view, key, clarity)
            ]
            size = size_class(evidence.objects[key], evidence.description)
            if not size:
                findings.reject(USUAL_SIZE)
            elif not entire:
                findings.reject("an object is cut off by the border of every image that shows it clearly")
            else:
                findings.accept(size, (key,), max(entire) - clarity.visible_fraction)

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
                "How long is the {a} along its longest side?",
                "Look at all images. How long is the longest side of the {a}?",
                "Find the {a} in the images. How long is its longest side?",
            ),
        )


class SceneRelativeDistance(SceneViews, RelativeDistance):
    """relative_distance over a few images."""

    skill = SCENE_RELATIVE_DISTANCE

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        judged = Findings()
        items = [evidence.objects[key] for key in _named(evidence, judged)]
        self.judge_objects(items, level, judged, evidence.description)
        _add_spread(evidence, self.skill.levels[level].spread, judged, findings)


class SceneRelativeDirection(SceneViews, RelativeDirection):
    """relative_direction over a few images."""

    skill = SCENE_RELATIVE_DIRECTION

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        judged = Findings()
        items = [evidence.objects[key] for key in _named(evidence, judged)]
        self.judge_objects(items, level, judged, evidence.description)
        _add_spread(evidence, self.skill.levels[level].spread, judged, findings)


def _add_spread(evidence: Evidence, spread: bool, judged: Findings, findings: Findings) -> None:
    """Add the judged candidates whose objects are spread over the images as the level asks."""
    findings.rejected += judged.rejected
    for item in judged.accepted:
        if may_be_asked(evidence, spread, item.objects, findings):
            findings.accepted.append(item)


FAMILIES = (ObjectDistance(), SceneCount(), SceneSize(), SceneRelativeDistance(), SceneRelativeDirection())
