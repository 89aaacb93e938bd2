"""Sets of views chosen by what their small pictures offer: for questions that need several views at once."""

from __future__ import annotations

from collections import Counter
from typing import Iterable, Iterator, Optional, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Camera, Pose
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence
from sim_server.questions.family import Family, Findings, Target, fitting
from sim_server.questions.views.coverage import draw_poses_around, greedy_cover, voxels_shown
from sim_server.questions.views.viewpoints import PLACES, probe

_COVERS = 8  # sets of covering views tried among the poses of one draw


class Shots(msgspec.Struct, frozen=True):
    """Poses all around a scene, and the world of the small pictures that are seen from them."""

    poses: tuple[Pose, ...]
    world: Evidence

    def of(self, chosen: Sequence[int], about: tuple[int, ...] = (), numbers: tuple[float, ...] = ()) -> Evidence:
        """The same scene with some of the views, placed for these objects and numbers."""
        views = tuple(self.world.views[index] for index in chosen)
        return Evidence(self.world.description, views, self.world.objects, (), about, numbers)

    def seeing(self, key: int) -> list[int]:
        """The views that own a pixel of this object."""
        return [index for index, view in enumerate(self.world.views) if key in view.seen]


def shoot(scene: Scene, camera: Camera, rng: np.random.Generator) -> Shots:
    """Small pictures from 2 x PLACES poses that look every way."""
    return shots_of(scene, camera, draw_poses_around(scene, rng))


def shots_of(scene: Scene, camera: Camera, poses: Sequence[Pose]) -> Shots:
    """Small pictures from these poses."""
    frames = scene.render(poses, probe(camera), EVIDENCE_SENSORS)
    return Shots(tuple(poses), Evidence.of(scene.description, frames))


def first_fitting(
    family: Family,
    spec: TaskSpec,
    plan: Target,
    shots: Shots,
    sets: Iterable[Sequence[int]],
    found: Findings,
    about: tuple[int, ...] = (),
    numbers: tuple[float, ...] = (),
) -> Optional[tuple[Pose, ...]]:
    """The poses of the first set whose small pictures offer what the plan wants, where the views are `about` these
    objects and numbers; None, with the rule that refused most in `found`, where no set does."""
    refused: Counter[str] = Counter()
    for chosen in sets:
        wanted, rule = fitting(family, shots.of(chosen, about, numbers), spec.question.level, plan)
        if wanted:
            return tuple(shots.poses[index] for index in chosen)
        refused[rule] += 1
    found.refuse(refused.most_common(1)[0][0] if refused else "no set of views shows what the answer needs")
    return None


def covering_sets(
    shots: Shots, most: int, rng: np.random.Generator, least: int = 2, only: tuple[int, ...] = ()
) -> Iterator[list[int]]:
    """Sets of `least` to `most` views that together show much, or much of the objects `only`, and can be joined: each
    a greedy maximum coverage of the surface that half of the views show."""
    description = shots.world.description
    shown: list[NDArray[np.int64]] = [
        voxels_shown(description, view.pose, view.camera, view.depth_m) for view in shots.world.views
    ]
    wanted = shown
    if only:
        wanted = [
            voxels_shown(description, view.pose, view.camera, view.depth_m, np.isin(view.ids, only))
            for view in shots.world.views
        ]
    for _ in range(_COVERS):
        some = rng.permutation(len(shown))[:PLACES].tolist()
        cover = greedy_cover([wanted[index] for index in some], most, [shown[index] for index in some])
        chosen = [some[index] for index in cover]
        if len(chosen) >= least:
            yield chosen


def drawn_sets(among: Sequence[int], count: int, tries: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """`tries` sets of `count` different ones of these views; none where there are fewer."""
    for _ in range(tries if len(among) >= count else 0):
        yield [among[int(index)] for index in rng.choice(len(among), count, replace=False)]
