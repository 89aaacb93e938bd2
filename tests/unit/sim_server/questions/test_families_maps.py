"""Families about walks, maps, other viewpoints and changed scenes against an independent oracle, and looks around."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from protocol.errors import Infeasible, VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Pose
from sim_server.questions.audit.oracles import agrees
from sim_server.questions.audit.oracles_maps import ORACLES
from sim_server.questions.evidence import Evidence
from sim_server.questions.language.evaluator import run, verify
from sim_server.questions.realise import realise
from sim_server.questions.views.walks import CLEAR_FRACTION, draw_walk, shortest_look
from sim_server.sensing.observe import ACTIONS, move
from tests.support.questions.cases import CAMERA, realised, scene_for, spec_of
from tests.support.questions.fake_scene import FakeScene
from tests.support.questions.paraphrases import check_paraphrases, paraphrases_of

LOOKING_AROUND = [name for name, skill in CATALOGUE.items() if skill.looks_around]


@pytest.mark.parametrize("skill", ORACLES)
@pytest.mark.parametrize("level", [0, 4])
def test_answers_agree_with_the_oracle_and_names_fit_one_object(skill: str, level: int) -> None:
    cases = realised(skill, level, 4)
    assert cases
    for scene, case in cases:
        question = case.question
        assert agrees(question, scene.description, case.frames), (question.text, question.answer)
        assert case.changes or verify(question, scene.description, case.frames)
        assert run(question.program, Evidence.of(scene.description, case.frames)) == question.answer
        assert (question.frame, question.answer_type) == (CATALOGUE[skill].frame, CATALOGUE[skill].answer_type)
        assert len(set(question.options)) == len(question.options)
        assert len(case.frames.poses) <= CATALOGUE[skill].view_budget
        names = [f"{item.color} {item.category}" for item in scene.description.objects]
        for mention in question.mentions:
            assert names.count(question.text[mention.start : mention.end]) == 1


@pytest.mark.parametrize("skill", ORACLES)
def test_each_paraphrase_asks_the_same(skill: str) -> None:
    for seq in range(8):
        try:
            asked = paraphrases_of(scene_for(skill, seq), spec_of(skill, 0, seq, 3))
        except Infeasible:
            continue
        check_paraphrases(asked)
        return
    pytest.fail("no spec was feasible")


def test_a_walk_is_walkable_has_its_length_and_a_view_at_every_corner() -> None:
    rng = np.random.default_rng(3)
    scene = scene_for("path_length", 3)
    for _ in range(60):
        poses = draw_walk(scene, CAMERA, 6, (0.8, 3.0), rng)
        if poses is None:
            continue
        steps = [math.dist(a.position_m, b.position_m) for a, b in zip(poses, poses[1:])]
        assert len(poses) == 6 and 0.8 - 1e-9 <= sum(steps) <= 3.0 + 1e-9 and min(steps) > 0
        return
    pytest.fail("no walk was drawn")


# ----------------------------------------------------------------------------- features that a backend may lack


class Plain:
    """A scene that cannot be edited."""

    def __init__(self, scene: FakeScene) -> None:
        self.spec, self.description = scene.spec, scene.description
        self.render, self.is_navigable = scene.render, scene.is_navigable
        self.sample_navigable, self.path, self.geodesic_m = scene.sample_navigable, scene.path, scene.geodesic_m

    def close(self) -> None:
        pass


@pytest.mark.parametrize("skill", [name for name, skill in CATALOGUE.items() if "edits" in skill.backend_needs])
def test_a_scene_that_cannot_be_edited_is_infeasible(skill: str) -> None:
    reasons: set[str] = set()
    for seq in range(6):
        try:
            realise(Plain(scene_for(skill, seq)), spec_of(skill, 0, seq))
        except Infeasible as error:
            reasons.add(error.message)
    assert "this simulator cannot remove or move objects; leave out the skills about changes" in reasons


def test_a_scene_without_fronts_or_rooms_is_infeasible() -> None:
    scene = scene_for("perspective", 1)
    bare = Plain(scene)
    bare.description = msgspec.structs.replace(
        scene.description,
        rooms=(),
        objects=tuple(msgspec.structs.replace(item, front=None) for item in scene.description.objects),
    )
    with pytest.raises(Infeasible, match="knows the front of no object"):
        realise(bare, spec_of("perspective", 0, 1))
    for skill in (name for name, skill in CATALOGUE.items() if "room outlines" in skill.backend_needs):
        if CATALOGUE[skill].world_needs:
            continue
        with pytest.raises(Infeasible, match="does not describe the rooms"):
            realise(bare, spec_of(skill, 0, 1))


def test_a_changed_view_shows_the_change_and_nothing_else() -> None:
    for _, case in realised("before_after", 0, 4):
        assert case.frames.ids is not None and len(case.changes) == 2
        (changed,) = case.changes[0] or case.changes[1]
        first, second = case.frames.ids
        elsewhere = (first != changed.object_id) & (second != changed.object_id)
        assert np.array_equal(first[elsewhere], second[elsewhere])
        assert np.any(first == changed.object_id) != np.any(second == changed.object_id)


# ----------------------------------------------------------------------------- a look around


@pytest.mark.parametrize("skill", LOOKING_AROUND)
def test_a_look_around_finds_what_the_first_view_lacks_within_the_budget(skill: str) -> None:
    budget = 6
    cases = realised(skill, 0, 3, look_around=budget)
    assert cases
    for scene, case in cases:
        assert len(case.frames.poses) == 1 and case.frames.ids is not None and len(case.frames.ids) == 1
        assert 1 <= len(case.evidence.hidden) <= budget
        pose = case.frames.poses[0]
        for view in case.evidence.hidden:  # one Observe action from each view to the next
            reached = [after for action in ACTIONS for after, blocked in [move(scene, pose, action)] if not blocked]
            assert any(_same(after, view.pose) for after in reached)
            pose = view.pose
        assert agrees(case.question, scene.description, case.frames)
        shown, everything = (
            {
                key
                for view in views
                for key, truth in view.seen.items()
                if truth.pixels >= CLEAR_FRACTION * view.ids.size
            }
            for views in (case.evidence.views, (*case.evidence.views, *case.evidence.hidden))
        )
        wanted = {mention.object_id for mention in case.question.mentions}
        assert wanted <= everything and not wanted <= shown  # the first view is not enough


def _same(a: Pose, b: Pose) -> bool:
    return np.allclose((*a.position_m, *a.rotation_wxyz), (*b.position_m, *b.rotation_wxyz))


def test_the_search_for_a_look_around_respects_the_budget() -> None:
    _, case = realised("cognitive_map", 0, 3, look_around=6)[0]
    wanted = frozenset(mention.object_id for mention in case.question.mentions)
    scene = scene_for("cognitive_map", int(case.evidence.description.scene_id.split("-")[1]))
    length = len(case.evidence.hidden)
    assert shortest_look(scene, case.frames.poses[0], CAMERA, wanted, length - 1) is None
    way = shortest_look(scene, case.frames.poses[0], CAMERA, wanted, length)
    assert way is not None and len(way) == length


def test_a_skill_without_a_look_around_is_refused_a_budget_of_moves() -> None:
    with pytest.raises(VantageError, match="set look_around to 0"):
        realise(scene_for("depth_order", 1), spec_of("depth_order", 0, 1, look_around=4))
