"""Further questions about the views of a spec."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from protocol.errors import Infeasible
from protocol.tasks.scene import Camera, Pose
from protocol.tasks.task import Episode, Question, View
from protocol.wire.arrays import ArrayRef
from protocol.wire.codec import Packet
from sim_server.questions.audit.oracles import agrees
from sim_server.questions.evidence import Realised
from sim_server.questions.language.evaluator import verify
from sim_server.questions.realise import realise
from sim_server.service.verify import agree
from tests.support.questions.cases import SENSORS, scene_for, spec_of

SINGLE = ("view_direction", "depth_order", "relative_distance", "object_location")


def asked(skill: str, seq: int, questions: int, look_around: int = 0) -> Realised:
    spec = spec_of(skill, 1, seq, look_around=look_around)
    return realise(scene_for(skill, seq), spec, SENSORS, questions=questions)


@pytest.mark.parametrize("skill", SINGLE)
def test_the_question_of_the_spec_is_the_same_and_the_others_hold(skill: str) -> None:
    several = 0
    for seq in range(8):
        try:
            alone, many = asked(skill, seq, 1), asked(skill, seq, 8)
        except Infeasible:
            continue
        assert alone.others == () and alone.question == many.question
        assert np.array_equal(alone.frames.rgb, many.frames.rgb) and alone.frames.poses == many.frames.poses
        first, *others = (many.question, *many.others)
        assert len({one.program for one in (first, *others)}) == 1 + len(others) <= 8
        for one in others:
            assert (one.skill, one.level, one.frame) == (first.skill, first.level, first.frame)
            assert verify(one, scene_for(skill, seq).description, many.frames)
            assert agrees(one, scene_for(skill, seq).description, many.frames)
        if skill in ("view_direction", "depth_order"):  # whose answers are the classes
            assert {one.answer for one in others} <= {first.answer}
        several += len(others) > 1
    assert several or skill == "object_location"


def test_a_smaller_bound_gives_the_first_of_the_others() -> None:
    many = next(case for seq in range(8) if len((case := asked("depth_order", seq, 8)).others) > 3).others
    seq = next(seq for seq in range(8) if asked("depth_order", seq, 8).others == many)
    assert [asked("depth_order", seq, bound).others for bound in (2, 4)] == [many[:1], many[:3]]
    assert asked("depth_order", seq, 64).others[:7] == many


def test_a_class_with_many_candidates_does_not_crowd_out_the_others() -> None:
    """Views with two objects of a kind have more questions whose answer is 1 than questions whose answer is 2."""
    for seq in range(12):
        try:
            case = asked("object_count", seq, 8)
        except Infeasible:
            continue
        assert {one.answer for one in case.others} <= {case.question.answer}


def test_a_policy_that_looks_around_is_asked_one_question() -> None:
    for seq in range(4):
        try:
            assert asked("perspective", seq, 8, look_around=2).others == ()
        except Infeasible:
            continue


def test_workers_agree_only_if_their_other_questions_do() -> None:
    question = Question("depth_order", 0, "which is nearer ?", "ball", "choice", "name(object(1))", ("ball", "box"))
    view = View(Pose((0, 0, 0), (1, 0, 0, 0)), Camera(2, 2), ArrayRef(0, "uint8", (2, 2, 3)))

    def reply(**changes: Any) -> Packet:
        other = msgspec.structs.replace(question, **{"program": "name(object(2))", **changes})
        return Packet(b"", Episode("s", (view,), question, "scene", "toy", others=(other,)), [memoryview(bytes(12))])

    assert agree(reply(), reply(margin=0.1))
    assert not agree(reply(), reply(answer="box"))
