"""Several cameras at once: cameras_shared, cameras_count and cameras_nearest, which no single camera answers."""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np

from protocol.seeds import pick
from protocol.skills.cameras import CAMERAS_COUNT, CAMERAS_NEAREST, CAMERAS_SHARED
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, ViewEvidence, unique_names
from sim_server.questions.families.rules import (
    AMBIGUOUS,
    IN_PART,
    RELATE,
    clear_anywhere,
    need_objects,
    shown_in_part,
    uniquely_named,
)
from sim_server.questions.families.several.scene import (
    add_joined,
    draft_count,
    judge_count,
    scene_count_target,
)
from sim_server.questions.family import (
    NO_TARGET,
    Candidate,
    Draft,
    Findings,
    Target,
    compared,
    draft_which,
    draw_key,
    fitting,
    name_slots,
    shuffled,
)
from sim_server.questions.geometry import point_box_distance
from sim_server.questions.language.functions.views import distance_from_camera
from sim_server.questions.staging import Staging
from sim_server.questions.views.sets import Choice, drawn_sets, even_choice, evenly_fitting, first_fitting, shoot
from sim_server.questions.views.viewpoints import focus_of

IMAGES = ("Image 1", "Image 2", "Image 3", "Image 4")
_SETS_TRIED = 150
_SHARED_TRIED, _SETS_OF_ONE = 20, 10  # objects that cameras may share, and sets of cameras that see one


def _in_all(views: Sequence[ViewEvidence]) -> set[int]:
    return set.intersection(*(set(view.seen) for view in views))


class CamerasShared:
    """The one object among the options that every camera sees."""

    skill = CAMERAS_SHARED
    views = 2

    def target(
        self, description: SceneDescription, level: int, _rng: np.random.Generator, _previous: Optional[Target] = None
    ) -> Target:
        need_objects(uniquely_named(description), self.skill.levels[level].options, self.skill.name)
        return NO_TARGET

    def poses(
        self, scene: Scene, spec: TaskSpec, _target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        """Cameras that share one object, which others share as often among the sets of cameras that were tried."""
        shots, level = shoot(scene, spec.camera, rng), spec.question.level
        asked = self.skill.levels[level]
        count = min(asked.cameras, spec.max_views)
        choices: list[Choice] = []
        keys = [item.id for item in uniquely_named(scene.description)]
        sharing = [shots.seeing(key) for key in shuffled(keys, rng)[:_SHARED_TRIED]]
        for chosen in (chosen for some in sharing for chosen in drawn_sets(some, count, _SETS_OF_ONE, rng)):
            candidates, _ = fitting(self, shots.of(chosen, NO_TARGET), level, NO_TARGET)
            choices += [Choice(item.objects[0], item.objects[1:], tuple(chosen)) for item in candidates]
        drawn = even_choice(choices, asked.options, rng)
        if drawn is None:
            findings.reject("no two objects are each shared by some cameras that do not share the other")
            return None
        return Staging(tuple(shots.poses[index] for index in drawn.place), about=(drawn.right, *drawn.wrong))

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        options, shared = self.skill.levels[level].options, _in_all(evidence.views)
        clear = clear_anywhere(evidence, RELATE, findings)
        sure = [key for key in clear if not shown_in_part(evidence, key, RELATE)]
        if evidence.about:
            sure = [key for key in evidence.about if key in sure]
        others = [key for key in sure if key not in shared]
        if len(others) < options - 1:
            findings.reject(f"fewer than {options} objects to choose from")
            return
        for key in sure:
            if key in shared:
                least = min(view.seen[key].visible_fraction for view in evidence.views)
                findings.accept(clear[key], (key, *others), least - RELATE.visible_fraction)
        if not findings.accepted:
            findings.reject("no object is clearly in every image")

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        shared, *others = candidate.objects
        drawn = shuffled(others, rng)[: self.skill.levels[level].options - 1]
        return draft_which(
            evidence,
            shuffled([shared, *drawn], rng),
            "argmax({}, o: times_seen(o))",
            (
                "Which of these objects is visible in all images?",
                "Which of these objects is visible in every image?",
                "Which of these objects do all images show?",
                "Which of these objects does every image show?",
                "Which of these objects can be seen in each of the images?",
                "Which of these objects do all cameras see?",
                "Each image is from a different camera. Which of these objects do all cameras see?",
                "Look at all images. Which of these objects is in each of them?",
            ),
            rule="An object counts as visible if any part of it is visible.",
        )


class CamerasCount:
    """How many different objects of a kind all cameras see together."""

    skill = CAMERAS_COUNT
    views = 2

    def target(
        self, description: SceneDescription, _level: int, _rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        return previous or scene_count_target(self.skill, description)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        shots = shoot(scene, spec.camera, rng)
        count = min(self.skill.levels[spec.question.level].cameras, spec.max_views)
        some = sorted({index for key in target.focus for index in shots.seeing(key)})
        sets = drawn_sets(some, count, 2 * _SETS_TRIED, rng)
        return evenly_fitting(self, spec, NO_TARGET, shots, sets, rng, findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked, judged = self.skill.levels[level], Findings()
        judge_count(evidence, asked, True, judged)
        twice = [item for item in judged.accepted if _seen_twice(evidence.views, item.objects) >= asked.in_two]
        if judged.accepted and not twice:
            judged.reject("too few of the counted objects are seen by two cameras")
        judged.accepted = twice
        add_joined(evidence, judged, findings)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        return draft_count(
            evidence,
            candidate,
            (
                "How many different {a} do the cameras see in total?",
                "How many different {a} do all cameras together see?",
                "In total, how many different {a} do the cameras see?",
                "Each image is from a different camera. How many different {a} do they see in total?",
                "Each image is from a different camera. How many {a} are there in total?",
                "How many {a} do all cameras together see?",
                "Look at the images of all cameras. How many different {a} are there?",
                "Count the {a} that the cameras see.",
            ),
        )


def _seen_twice(views: Sequence[ViewEvidence], keys: Sequence[int]) -> int:
    """How many of the objects two cameras see, or more."""
    return sum(sum(key in view.seen for view in views) >= 2 for key in keys)


class CamerasNearest:
    """The camera nearest to an object that all of them see."""

    skill = CAMERAS_NEAREST
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        named = uniquely_named(description)
        need_objects(named, 1, self.skill.name)
        key = draw_key(IMAGES[: self.skill.levels[level].cameras], rng, previous)
        return Target(key=key, focus=(pick(named, rng).id,))

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        (item,) = focus_of(scene, target.focus)
        shots = shoot(scene, spec.camera, rng)
        count = min(self.skill.levels[spec.question.level].cameras, spec.max_views)
        any_order = Target(key="", focus=target.focus)
        sets = drawn_sets(shots.seeing(item.id), count, _SETS_TRIED, rng)
        poses = first_fitting(self, spec, any_order, shots, sets, findings)
        if poses is None:
            return None
        eyes = np.array([pose.position_m for pose in poses])
        ordered = list(poses)
        ordered.insert(IMAGES.index(target.key), ordered.pop(int(point_box_distance(eyes, item.box).argmin())))
        return tuple(ordered)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        names, apart_m = unique_names(evidence), self.skill.levels[level].apart_m
        for key in _in_all(evidence.views):
            distances = [distance_from_camera(evidence.objects[key], view) for view in evidence.views]
            if key not in names:
                findings.reject(AMBIGUOUS)
            elif shown_in_part(evidence, key, RELATE):
                findings.reject(IN_PART)
            elif _gap_m(distances) < apart_m:
                findings.reject(f"the distances of two cameras differ by less than {apart_m} m")
            else:
                findings.accept(IMAGES[int(np.argmin(distances))], (key,), _gap_m(distances))

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        words = IMAGES[: len(evidence.views)]
        away = [f"distance_from_camera(object({a}), view({index}))" for index in range(len(words))]
        program = f'"{words[-1]}"'
        for index in reversed(range(len(words) - 1)):
            nearer = " and ".join(f"{away[index]} < {other}" for other in away[index + 1 :])
            program = f'if {nearer} then "{words[index]}" else {program}'
        return Draft(
            program=program,
            templates=compared(
                (
                    "Which image was taken closest to the {a}?",
                    "Which image was taken from the place closest to the {a}?",
                    "Which image was taken by the camera that is closest to the {a}?",
                    "The camera of which image is closest to the {a}?",
                    "The camera of which image is nearest to the {a}?",
                    "Each image is from a different camera. Which camera is closest to the {a}?",
                    "All images show the {a}. Which one was taken closest to it?",
                    "Compare how far the cameras are from the {a}. The camera of which image is closest?",
                ),
                len(words),
                evidence.description,
            ),
            slots=name_slots(evidence, (a,)),
            options=shuffled(words, rng),
            rule="Distances are measured from each camera to the closest point of the object.",
        )


def _gap_m(distances_m: Sequence[float]) -> float:
    """The difference between the two smallest distances."""
    nearest, second = sorted(distances_m)[:2]
    return second - nearest


FAMILIES = (CamerasShared(), CamerasCount(), CamerasNearest())
