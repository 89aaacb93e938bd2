"""Sets of views chosen by their probe images, for questions about several views."""

from __future__ import annotations

from collections import Counter
from itertools import compress
from typing import Iterable, Iterator, Optional, Sequence, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.seeds import pick
from protocol.tasks.scene import Camera, Pose
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence
from sim_server.questions.family import Candidate, Family, Findings, Target, fitting, shuffled
from sim_server.questions.staging import Staging
from sim_server.questions.views.coverage import draw_poses_around, greedy_cover, voxels_shown
from sim_server.questions.views.viewpoints import PLACES, PROBE_PX, probe

LEAST_OBJECT = 0.01  # of an image: the least that its largest object covers
Set = TypeVar("Set", bound=Sequence[int])
_COVERS = 8  # covering sets tried among the poses of one draw


class Shots(msgspec.Struct, frozen=True):
    """Poses around a scene and the evidence of their probe images."""

    poses: tuple[Pose, ...]
    evidence: Evidence

    def of(self, chosen: Sequence[int], target: Target) -> Evidence:
        """The evidence of some of the views, placed for this target."""
        views = tuple(self.evidence.views[index] for index in chosen)
        return Evidence(self.evidence.description, views, self.evidence.objects, (), target.focus, target.numbers)

    def seeing(self, key: int) -> list[int]:
        """Indices of the views with at least one pixel of this object."""
        return [index for index, view in enumerate(self.evidence.views) if key in view.seen]


def shoot(scene: Scene, camera: Camera, rng: np.random.Generator) -> Shots:
    """Probe images from up to 2 x PLACES poses that look in all directions.

    Images of bare walls are left out: a viewer cannot tell where they were taken.
    """
    shots = shots_of(scene, camera, draw_poses_around(scene, camera, rng))
    every = shots.evidence
    least = LEAST_OBJECT * PROBE_PX * probe(camera).height_px
    shown = [any(truth.pixels >= least for truth in view.seen.values()) for view in every.views]
    views = tuple(compress(every.views, shown))
    return Shots(tuple(compress(shots.poses, shown)), Evidence(every.description, views, every.objects))


def shots_of(scene: Scene, camera: Camera, poses: Sequence[Pose]) -> Shots:
    """Probe images from these poses."""
    frames = scene.render(poses, probe(camera), EVIDENCE_SENSORS)
    return Shots(tuple(poses), Evidence.of(scene.description, frames))


def first_fitting(
    family: Family,
    spec: TaskSpec,
    target: Target,
    shots: Shots,
    sets: Iterable[Sequence[int]],
    findings: Findings,
) -> Optional[tuple[Pose, ...]]:
    """The poses of the first set whose probe images have a candidate that fits the target.

    Returns None, and adds the rule that rejected most to `findings`, if there is none.
    """
    rejected: Counter[str] = Counter()
    for chosen in sets:
        wanted, rule = fitting(family, shots.of(chosen, target), spec.question.level, target)
        if wanted:
            return tuple(shots.poses[index] for index in chosen)
        rejected[rule] += 1
    findings.reject(rejected.most_common(1)[0][0] if rejected else "no set of views shows what the answer needs")
    return None


def every_fitting(
    family: Family, spec: TaskSpec, target: Target, shots: Shots, sets: Iterable[Set]
) -> tuple[list[tuple[Set, Candidate]], str]:
    """All candidates that fit the target, each with its set, and the rule that rejected most sets, "" if none did."""
    found: list[tuple[Set, Candidate]] = []
    rejected: Counter[str] = Counter()
    for chosen in sets:
        candidates, rule = fitting(family, shots.of(chosen, target), spec.question.level, target)
        found += [(chosen, item) for item in candidates]
        if not candidates:
            rejected[rule] += 1
    return found, rejected.most_common(1)[0][0] if rejected else ""


def evenly_fitting(
    family: Family,
    spec: TaskSpec,
    target: Target,
    shots: Shots,
    sets: Iterable[Sequence[int]],
    rng: np.random.Generator,
    findings: Findings,
) -> Optional[Staging]:
    """One of the sets and one of its candidates, whose objects become `about`: the form and then the key are uniform.

    Only forms that some sets give one key and some another are drawn, so that the form does not give the key away.
    Returns None, and adds the rule that rejected most to `findings`, if there is no such form.
    """
    found: dict[str, dict[str, list[tuple[Sequence[int], Candidate]]]] = {}
    candidates, rule = every_fitting(family, spec, target, shots, sets)
    for chosen, item in candidates:
        found.setdefault(item.form, {}).setdefault(item.key, []).append((chosen, item))
    forms = sorted(form for form, keys in found.items() if len(keys) > 1)
    if not forms:
        findings.reject(rule or "all views give the same answer")
        return None
    keys = found[pick(forms, rng)]
    chosen, item = pick(keys[pick(sorted(keys), rng)], rng)
    return Staging(tuple(shots.poses[index] for index in chosen), about=item.objects)


class Choice(msgspec.Struct, frozen=True):
    """In one situation, the right option and those that could be the wrong ones; `place` is where to look from."""

    right: int
    wrong: tuple[int, ...]
    place: tuple[int, ...]


def even_choice(choices: Sequence[Choice], options: int, rng: np.random.Generator) -> Optional[Choice]:
    """One of the choices with `options` - 1 of its wrong options, so that no option is right more often than others.

    First draws two objects of which either is right while the other is wrong in some situation, then which is right,
    then the situation. If there are no two such objects, draws a wrong option that is right in some situation. Further
    wrong options are such ones too if there are enough. None if no wrong option is ever right.
    """
    places: dict[tuple[int, int], list[Choice]] = {}
    for choice in choices:
        for wrong in choice.wrong if len(choice.wrong) >= options - 1 else ():
            places.setdefault((choice.right, wrong), []).append(choice)
    rights = {right for right, _ in places}
    either = sorted(pair for pair in places if pair[::-1] in places)
    pairs = either or sorted(pair for pair in places if pair[1] in rights)
    if not pairs:
        return None
    right, wrong = pick(pairs, rng)
    choice = pick(places[right, wrong], rng)
    others = sorted(shuffled([key for key in choice.wrong if key != wrong], rng), key=lambda key: key not in rights)
    return Choice(right, (wrong, *others[: options - 2]), choice.place)


def covering_sets(
    shots: Shots, most: int, rng: np.random.Generator, least: int = 2, only: tuple[int, ...] = ()
) -> Iterator[list[int]]:
    """Sets of `least` to `most` overlapping views that together show much of the scene, or of the objects `only`.

    Each set is a greedy maximum coverage of the surface shown by a random half of the views.
    """
    description = shots.evidence.description
    shown: list[NDArray[np.int64]] = [
        voxels_shown(description, view.pose, view.camera, view.depth_m) for view in shots.evidence.views
    ]
    wanted = shown
    if only:
        wanted = [
            voxels_shown(description, view.pose, view.camera, view.depth_m, np.isin(view.ids, only))
            for view in shots.evidence.views
        ]
    for _ in range(_COVERS):
        some = rng.permutation(len(shown))[:PLACES].tolist()
        cover = greedy_cover([wanted[index] for index in some], most, [shown[index] for index in some])
        chosen = [some[index] for index in cover]
        if len(chosen) >= least:
            yield chosen


def drawn_sets(among: Sequence[int], count: int, tries: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """`tries` random sets of `count` of these views; no set if there are fewer views."""
    for _ in range(tries if len(among) >= count else 0):
        yield [among[int(index)] for index in rng.choice(len(among), count, replace=False)]
