"""Specs of every skill on fake scenes that suit it, and the questions that they are realised as."""

from __future__ import annotations

from functools import cache
from typing import Iterator

from protocol.errors import Infeasible
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Camera, SceneSpec
from protocol.tasks.task import QuestionSpec, TaskSpec
from sim_server.questions.audit.oracles_maps import ORACLES as OF_MAPS
from sim_server.questions.evidence import Realised
from sim_server.questions.realise import realise
from tests.support.questions.fake_scene import FakeScene

CAMERA = Camera(48, 48)
SENSORS = ("rgb", "depth", "ids", "amodal")


@cache
def _scene(seed: int, needs: tuple[str, ...], min_objects: int) -> FakeScene:
    rooms, clutter = (2 if "rooms" in needs else 1), (1.0 if "clutter" in needs else 0.0)
    return FakeScene(SceneSpec(seed=seed, min_objects=min_objects, max_objects=6, rooms=rooms, clutter=clutter))


def scene_for(skill: str, seq: int) -> FakeScene:
    """A scene with what the skill needs; maps and walks get scenes with more objects."""
    if skill in OF_MAPS:
        return _scene(seq % 12, (), 5)
    return _scene(seq % 30, CATALOGUE[skill].world_needs if skill in CATALOGUE else (), 4)


def spec_of(skill: str, level: int, seq: int, paraphrase: int = -1, look_around: int = 0) -> TaskSpec:
    question = QuestionSpec(skill, level, paraphrase)
    scene, budget = scene_for(skill, seq).spec, CATALOGUE[skill].view_budget
    return TaskSpec("t", 7, seq, scene, question, CAMERA, max_views=budget, look_around=look_around)


def each(skill: str, level: int, count: int, look_around: int = 0) -> Iterator[tuple[FakeScene, Realised]]:
    """The feasible ones of `count` specs, with their scenes."""
    for seq in range(count):
        scene = scene_for(skill, seq)
        try:
            yield scene, realise(scene, spec_of(skill, level, seq, look_around=look_around), SENSORS)
        except Infeasible:
            continue


@cache
def realised(skill: str, level: int, count: int, look_around: int = 0) -> list[tuple[FakeScene, Realised]]:
    """The list of `each`, cached: not for a test that changes a rule."""
    return list(each(skill, level, count, look_around))
