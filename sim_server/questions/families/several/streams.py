"""Several cameras at once, about what no single stream tells: cameras_shared, cameras_count, cameras_nearest."""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np

from protocol.seeds import pick
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, ViewEvidence, unique_names
from sim_server.questions.families.rules import RELATE, clear_anywhere, need_objects, uniquely_named
from sim_server.questions.families.several.scene import (
    NOT_JOINED,
    draft_count,
    plan_scene_count,
    propose_count,
)
from sim_server.questions.family import Candidate, Draft, Findings, Target, draft_which, draw_key, name_slots, shuffled
from sim_server.questions.geometry import point_box_distance
from sim_server.questions.language.functions.views import distance_from_camera
from sim_server.questions.views.coverage import joined
from sim_server.questions.views.sets import drawn_sets, first_fitting, shoot
from sim_server.questions.views.viewpoints import focus_of

CAMERAS = (2, 2, 3, 3, 4)
SHARED_OPTIONS = (2, 3, 3, 4, 4)
IN_TWO = (0, 1, 1, 2, 2)  # of the counted things so many are seen by two cameras or more: adding up counts them twice
NEAREST_GAP_M = (1.2, 0.8, 0.6, 0.4, 0.3)  # between the nearest camera's distance and the next one's
NTH = ("first", "second", "third", "fourth")
COUNT_RANGE = ((2, 3), (3, 4), (2, 5), (3, 6), (3, 8))  # two cameras, a thing in both, none sees all: 3 at least
_SETS_TRIED = 150


def _cameras(level: int, spec: TaskSpec) -> int:
    return min(CAMERAS[level], spec.max_views)


def _in_all(views: Sequence[ViewEvidence]) -> set[int]:
    return set.intersection(*(set(view.seen) for view in views))


class CamerasShared:
    """Which of the options every camera sees: there is exactly one such thing."""

    name = "cameras_shared"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, _kept: Optional[Target] = None
    ) -> Target:
        named = uniquely_named(description)
        need_objects(named, SHARED_OPTIONS[level], self.name)
        return Target(key="", focus=(pick(named, rng).id,), form=str(SHARED_OPTIONS[level]))

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        shots = shoot(scene, spec.camera, rng)
        count = _cameras(spec.question.level, spec)
        sets = drawn_sets(shots.seeing(plan.focus[0]), count, _SETS_TRIED, rng)
        return first_fitting(self, spec, plan, shots, sets, found)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        shared = _in_all(world.views)
        if len(shared) != 1:
            found.refuse("not exactly one thing is in every picture")
            return
        clear = clear_anywhere(world, RELATE, found)
        others = [key for key in clear if key not in shared]
        if not all(RELATE.holds(key, view) for view in world.views for key in shared):
            found.refuse(f"the thing that all cameras see shows less than {RELATE}")
        elif not shared <= clear.keys() or len(others) < SHARED_OPTIONS[level] - 1:
            found.refuse(f"fewer than {SHARED_OPTIONS[level]} things to choose from")
        else:
            (key,) = shared
            least = min(view.seen[key].visible_fraction for view in world.views)
            found.accept(clear[key], (key, *others), least - RELATE.fraction, str(SHARED_OPTIONS[level]))

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        shared, *others = candidate.objects
        drawn = shuffled(others, rng)[: int(candidate.form) - 1]
        return draft_which(
            world,
            shuffled([shared, *drawn], rng),
            "argmax({}, o: times_seen(o))",
            (
                "which of these do all the cameras see ?",
                "which of these is in all the pictures ?",
                "each picture is from another camera . which of these do all of them see ?",
                "which thing does each of the cameras see ?",
                "look at all the pictures . which of these is in each of them ?",
            ),
        )


class CamerasCount:
    """How many different things all cameras together see: more than any one of them."""

    name = "cameras_count"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        return kept or plan_scene_count(self.name, description, COUNT_RANGE[level], rng)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        shots = shoot(scene, spec.camera, rng)
        count = _cameras(spec.question.level, spec)
        sets = drawn_sets(range(len(shots.poses)), count, 2 * _SETS_TRIED, rng)
        return first_fitting(self, spec, plan, shots, sets, found)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        judged = Findings()
        propose_count(world, level, COUNT_RANGE[level], judged)
        spread = [item for item in judged.accepted if _spread(world.views, item.objects, level)]
        found.refused += judged.refused
        if judged.accepted and not spread:
            found.refuse("one camera sees all that is counted, or too few of it are seen by two cameras")
        elif spread and not joined(world.description, world.views):  # asked last: it takes longest
            found.refuse(NOT_JOINED)
        else:
            found.accepted += spread

    def draft(self, world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        return draft_count(
            world,
            candidate,
            (
                "over all the cameras , how many different {a} are seen ?",
                "each picture is from another camera . how many different {a} do they see in all ?",
                "how many different {a} do the cameras see ?",
                "look at the pictures of all the cameras . how many different {a} are there ?",
                "what is the number of {a} that the cameras see , each one counted once ?",
            ),
        )


def _spread(views: Sequence[ViewEvidence], keys: Sequence[int], level: int) -> bool:
    """Whether no camera sees all of the things, and enough of them are seen by two cameras or more."""
    in_two = sum(sum(key in view.seen for view in views) >= 2 for key in keys)
    return in_two >= IN_TWO[level] and not any(all(key in view.seen for key in keys) for view in views)


class CamerasNearest:
    """Which camera is nearest to a thing that all of them see."""

    name = "cameras_nearest"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        named = uniquely_named(description)
        need_objects(named, 1, self.name)
        key = draw_key(NTH[: CAMERAS[level]], rng, kept)
        return Target(key=key, focus=(pick(named, rng).id,), form=str(CAMERAS[level]))

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        (item,) = focus_of(scene, plan.focus)
        shots = shoot(scene, spec.camera, rng)
        count = _cameras(spec.question.level, spec)
        any_order = Target(key="", focus=plan.focus, form=plan.form)
        sets = drawn_sets(shots.seeing(item.id), count, _SETS_TRIED, rng)
        poses = first_fitting(self, spec, any_order, shots, sets, found)
        if poses is None:
            return None
        eyes = np.array([pose.position_m for pose in poses])
        ordered = list(poses)
        ordered.insert(NTH.index(plan.key), ordered.pop(int(point_box_distance(eyes, item.box).argmin())))
        return tuple(ordered)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        names = unique_names(world)
        for key in _in_all(world.views):
            distances = [distance_from_camera(world.objects[key], view) for view in world.views]
            if key not in names:
                found.refuse("a name would fit more than one visible object")
            elif not all(RELATE.holds(key, view) for view in world.views):
                found.refuse(f"an object shows less than {RELATE} to some camera")
            elif _gap_m(distances) < NEAREST_GAP_M[level]:
                found.refuse(f"two cameras' distances differ by less than {NEAREST_GAP_M[level]} m")
            else:
                found.accept(NTH[int(np.argmin(distances))], (key,), _gap_m(distances), str(len(distances)))

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        words = NTH[: int(candidate.form)]
        away = [f"distance_from_camera(object({a}), view({index}))" for index in range(len(words))]
        program = f'"{words[-1]}"'
        for index in reversed(range(len(words) - 1)):
            nearer = " and ".join(f"{away[index]} < {other}" for other in away[index + 1 :])
            program = f'if {nearer} then "{words[index]}" else {program}'
        return Draft(
            program=program,
            templates=(
                "which camera is nearest to the {a} ?",
                "which of the cameras is closest to the {a} ?",
                "each picture is from another camera . which one is nearest to the {a} ?",
                "the {a} is in each picture . which camera is closest to it ?",
                "to which camera is the {a} nearest ?",
            ),
            slots=name_slots(world, (a,)),
            options=shuffled(words, rng),
        )


def _gap_m(distances_m: Sequence[float]) -> float:
    """By how much the least distance stands out."""
    nearest, second = sorted(distances_m)[:2]
    return second - nearest
