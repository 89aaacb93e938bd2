"""Annotated views: the truth equals the pixels, questions are valid in their view, and all views render at once."""

from __future__ import annotations

import numpy as np
import pytest

from protocol.errors import Infeasible, VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Camera, SceneSpec
from protocol.wire.messages import Annotate
from sim_server.questions.annotate import annotate
from sim_server.questions.audit.oracles import agrees
from sim_server.questions.language.evaluator import verify
from tests.support.questions.fake_scene import FakeScene

ASKED = [name for name, skill in CATALOGUE.items() if skill.takes_any_view and not skill.world_needs]
SINGLE = tuple((name, level, 1.0) for name in ASKED for level in (0, 2, 4))


def order(seed: int, skills: tuple = SINGLE, views: int = 2) -> Annotate:
    spec = SceneSpec(seed=seed, min_objects=4, max_objects=6)
    return Annotate(spec, Camera(48, 48), views, 6, skills, run_seed=5, seq=seed)


def test_truth_and_questions_of_every_view() -> None:
    asked: set[str] = set()
    for seed in range(10):
        message = order(seed)
        scene = FakeScene(message.scene)
        found = annotate(scene, message)
        assert len(found) == 2 and scene.renders == 2
        for view in found:
            frames = view.frames
            assert frames.ids is not None and frames.depth is not None and frames.amodal is not None
            for truth in view.objects:
                mask = frames.ids[0] == truth.object_id
                rows, columns = np.nonzero(mask)
                assert truth.pixels == mask.sum()
                assert truth.u == pytest.approx((columns.mean() + 0.5) / 48)
                assert truth.v == pytest.approx((rows.mean() + 0.5) / 48)
                assert truth.visible_fraction == pytest.approx(mask.sum() / frames.amodal[0][truth.object_id])
                depths = np.sort(frames.depth[0][mask])
                assert truth.depth_m == depths[len(depths) // 2]
            assert {truth.object_id for truth in view.objects} == set(np.unique(frames.ids[0]).tolist()) - {0}
            programs = [(question.skill, question.level, question.program) for question in view.questions]
            assert len(set(programs)) == len(programs) <= 6
            for question in view.questions:
                asked.add(question.skill)
                assert verify(question, scene.description, frames)
                assert agrees(question, scene.description, frames), question.text
    assert asked == {name for name, _, _ in SINGLE}


def test_the_same_order_gives_the_same_views_and_questions() -> None:
    first, second = (annotate(FakeScene(order(3).scene), order(3)) for _ in range(2))
    assert [view.questions for view in first] == [view.questions for view in second]
    assert all(np.array_equal(a.frames.rgb, b.frames.rgb) for a, b in zip(first, second))


def test_a_skill_without_weight_is_not_asked() -> None:
    message = order(2, (("object_color", 2, 0.0), ("depth_order", 2, 1.0)), views=4)
    asked = {question.skill for view in annotate(FakeScene(message.scene), message) for question in view.questions}
    assert asked == {"depth_order"}


def test_invalid_orders_are_refused() -> None:
    scene = FakeScene(order(1).scene)
    for skills, says in (
        ((("camera_motion", 0, 1.0),), "single views"),
        ((("riddle", 0, 1.0),), "no question family"),
        ((("depth_order", 0, 0.0),), "weights"),
    ):
        with pytest.raises(VantageError, match=says):
            annotate(scene, order(1, skills))
    with pytest.raises(Infeasible, match="no objects"):
        annotate(FakeScene(scene.spec, []), order(1))
