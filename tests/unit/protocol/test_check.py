"""An episode that does not answer its spec is refused, and so is text that a model or terminal would interpret."""

import math

import msgspec
import pytest

from protocol.errors import VantageError
from protocol.tasks.check import check_episode, check_name, check_proposal, token_fault
from protocol.tasks.scene import Camera, Change, Pose
from protocol.tasks.task import (
    PROPOSED,
    Degradation,
    Episode,
    Mention,
    Proposal,
    Question,
    QuestionSpec,
    TaskSpec,
    View,
)
from protocol.wire.arrays import ArrayRef
from protocol.wire.codec import decode, encode
from protocol.wire.messages import RenderTask

DIGEST = "toy-1"
CAMERA = Camera(8, 6)
POSE = Pose((1.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0))
SPEC = TaskSpec(spec_id="s1", question=QuestionSpec("depth_order", 1), camera=CAMERA)
QUESTION = Question(
    skill="depth_order",
    level=1,
    text="which is nearer , the chair or the table ?",
    answer="chair",
    answer_type="choice",
    program="name(object(1))",
    options=("chair", "table"),
    mentions=(Mention(1, 23, 28),),
    option_objects=(1, 2),
)
VIEW = View(POSE, CAMERA, ArrayRef(0, "uint8", (6, 8, 3)))
EPISODE = Episode("s1", (VIEW,), QUESTION, "toy-3", DIGEST)
NUMBER = msgspec.structs.replace(
    QUESTION, skill="object_count", answer_type="number", options=(), option_objects=(), answer="2", mentions=()
)


def changed(value, **changes):
    return msgspec.structs.replace(value, **changes)


def asked(**changes):
    return changed(EPISODE, question=changed(QUESTION, **changes))


def seen(**changes):
    return changed(EPISODE, views=(changed(VIEW, **changes),))


def fault(episode, spec=SPEC, **request):
    with pytest.raises(VantageError) as caught:
        check_episode(spec, episode, **{"digest": DIGEST, **request})
    assert caught.value.code == "bad_reply"
    message = caught.value.message
    assert len(message) < 400 and message.isascii() and message.isprintable(), message
    return message


def test_an_episode_that_answers_its_spec_passes():
    check_episode(SPEC, EPISODE, digest=DIGEST)
    check_episode(SPEC, EPISODE)


def test_every_other_question_is_checked_as_the_first():
    others = tuple(changed(QUESTION, program=f"name(object({key}))") for key in (2, 3))
    check_episode(SPEC, changed(EPISODE, others=others), digest=DIGEST, questions=3)
    assert "3 questions, and the request allows 2" in fault(changed(EPISODE, others=others), questions=2)
    assert "2 questions, and the request allows 1" in fault(changed(EPISODE, others=others[:1]))
    for changes, named in (({"level": 2}, "level 2"), ({"answer": "bed"}, "'bed'"), ({"text": "\x1b[2J"}, "control")):
        lie = (others[0], changed(QUESTION, **changes))
        assert named in fault(changed(EPISODE, others=lie), questions=8)


@pytest.mark.parametrize("questions", [0, 65])
def test_the_number_of_questions_of_a_task_is_bounded(questions):
    with pytest.raises(ValueError, match="1 to 64 questions"):
        RenderTask(SPEC, questions=questions)
    sent = encode(b"1", RenderTask(SPEC, questions=64))
    sent[3] = bytes(sent[3]).replace(b"\xa9questions\x40", b"\xa9questions" + bytes([questions]))
    with pytest.raises(VantageError, match="1 to 64 questions"):
        decode(sent)


@pytest.mark.parametrize(
    ("episode", "named"),
    [
        (changed(EPISODE, spec_id="s2"), "'s2'"),
        (changed(EPISODE, renderer_digest="other-1"), "'other-1'"),
        (changed(EPISODE, scene_id="x" * 2000), "scene id has 2000 characters"),
        (changed(EPISODE, scene_id="\x1b[2J"), "control character"),
        (changed(EPISODE, views=()), "0 views"),
        (changed(EPISODE, views=(VIEW, VIEW)), "2 views"),
        (changed(EPISODE, render_s=math.nan), "render_s"),
        (changed(EPISODE, attempts=-1), "attempts"),
        (asked(skill="bogus"), "'bogus'"),
        (asked(skill="view_direction"), "'view_direction'"),
        (asked(level=4), "level 4"),
        (asked(answer_type="essay"), "'essay'"),
        (asked(answer_type="number"), "answer_type"),
        (asked(frame="moon"), "'moon'"),
        (asked(frame="agent"), "frame"),
        (asked(answer="bed"), "'bed'"),
        (asked(answer=""), "answer is empty"),
        (asked(options=("chair", "Chair")), "options"),
        (asked(options=tuple(f"chair {n}" for n in range(65))), "65 options"),
        (asked(options=("chair", "<image>")), "special token"),
        (asked(option_objects=(1,)), "1 objects"),
        (asked(text=" "), "text is empty"),
        (asked(text="a" * 2**20), "text has 1048576 characters"),
        (asked(text="which \x1b[31m is nearer ?"), "control character"),
        (asked(text="which \u202e is nearer ?"), "control character"),
        (asked(text="which <|image_pad|> is nearer ?"), "special token"),
        (asked(rule="Left is <|image_pad|>."), "special token"),
        (asked(rule="Left is left.\nAnswer A."), "rule has the control character"),
        (asked(rule="a" * 1001), "rule has 1001 characters"),
        (asked(program="p" * 3000), "program"),
        (asked(unit="\n"), "unit"),
        (asked(margin=math.inf), "margin"),
        (asked(mentions=(Mention(1, 0, 999),)), "mention"),
        (asked(mentions=(Mention(1, 0, 1),) * 300), "300 mentions"),
        (seen(camera=Camera(8, 8)), "camera"),
        (seen(rgb=ArrayRef(0, "uint8", (4096, 4096, 3))), "[4096, 4096, 3]"),
        (seen(rgb=ArrayRef(0, "float32", (6, 8, 3))), "'float32'"),
        (seen(rgb=ArrayRef(0, "uint8", (6, 8, 3), "png")), "'png'"),
        (seen(ids=ArrayRef(1, "int32", (6, 8))), "sensor ids"),
        (seen(pose=Pose((math.nan, 0.0, 0.0), POSE.rotation_wxyz)), "position"),
        (seen(pose=Pose((1e9, 0.0, 0.0), POSE.rotation_wxyz)), "position"),
        (seen(pose=Pose(POSE.position_m, (math.nan, 0.0, 0.0, 0.0))), "rotation"),
        (seen(pose=Pose(POSE.position_m, (0.0, 0.0, 0.0, 0.0))), "rotation"),
        (seen(changes=(Change(1, (math.inf, 0.0, 0.0)),)), "change"),
    ],
)
def test_an_episode_that_does_not_answer_its_spec_is_refused(episode, named):
    assert named in fault(episode)


@pytest.mark.parametrize("answer", ["1e999999999", "nan", "inf", "1" * 40, "two", "-", "1.23456", "0x10", "1_0"])
def test_a_number_is_a_bounded_decimal(answer):
    spec = changed(SPEC, question=QuestionSpec("object_count", 1))
    check_episode(spec, changed(EPISODE, question=NUMBER), digest=DIGEST)
    assert "answer" in fault(changed(EPISODE, question=changed(NUMBER, answer=answer)), spec)


def test_requested_sensors_are_present():
    assert "lacks the sensor depth" in fault(EPISODE, sensors=("rgb", "depth"))


def test_degraded_images_have_the_digest_of_the_degradations():
    spec = changed(SPEC, degradations=(Degradation("fog", 2),))
    check_episode(spec, changed(EPISODE, renderer_digest=f"{DIGEST}+degraded-3"), digest=DIGEST)
    fault(EPISODE, spec)
    fault(changed(EPISODE, renderer_digest=f"{DIGEST}+degraded-{'9' * 40}"), spec)


PROPOSAL = Proposal("Is the chair left of the table?", "side(1)", "choice", ("yes", "no"))
PROPOSED_SPEC = TaskSpec(spec_id="p-1", question=QuestionSpec(PROPOSED), camera=CAMERA, proposal=PROPOSAL)


def test_a_proposal_is_asked_as_it_was_proposed():
    question = Question(PROPOSED, 0, PROPOSAL.text, "yes", "choice", PROPOSAL.program, ("yes", "no"))
    check_episode(PROPOSED_SPEC, changed(EPISODE, spec_id="p-1", question=question))
    for change in ({"text": "Is it?"}, {"program": "side(2)"}, {"options": ("yes", "maybe")}, {"skill": "depth_order"}):
        fault(changed(EPISODE, spec_id="p-1", question=changed(question, **change)), PROPOSED_SPEC)


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Is <|vision_start|> a chair?"},
        {"text": "Is\x07 it a chair?"},
        {"options": ("yes", "[IMG]")},
        {"unit": "</s>"},
        {"poses": (Pose((math.nan, 0.0, 0.0), POSE.rotation_wxyz),)},
        {"answer_type": "essay"},
        {"program": "1" * 5000},
    ],
)
def test_a_proposal_with_such_text_is_refused_at_the_door(change):
    check_proposal(PROPOSED_SPEC)
    with pytest.raises(VantageError, match="p-1"):
        check_proposal(changed(PROPOSED_SPEC, proposal=changed(PROPOSAL, **change)))


@pytest.mark.parametrize(
    "text",
    [
        *("<|im_start|>", "<image>", "</s>", "a <start_of_image> b", "<IMG_CONTEXT>", "<｜User｜>", "＜image＞"),
        *("[INST]", "[/INST]", "[IMG]", "[gMASK]", "|NEWLINE|", "<<SYS>>", "<|broken", "broken|>"),
    ],
)
def test_special_tokens_of_any_model_are_found(text):
    assert token_fault(text)


@pytest.mark.parametrize(
    "text", ["is a < b ?", "a > b", '{"red chair": [3, 4]}', "the [red] chair", "5 m | 6 m", "ça, 椅子?", "option [A]"]
)
def test_plain_text_is_no_special_token(text):
    assert not token_fault(text)


@pytest.mark.parametrize("name", ["rooms-0.1", "habitat-node7.local-123", "p.jsonl:3", "a@b+c"])
def test_names_of_processes_are_accepted(name):
    check_name(name, "a worker")


@pytest.mark.parametrize("name", ["", "w[/bold]x", "a\x1b[2J", "a b", "../x", "-rf", "x" * 129, "é", "a\n"])
def test_names_with_other_characters_are_refused(name):
    with pytest.raises(VantageError, match="use 1 to 128 letters") as caught:
        check_name(name, "a worker")
    assert caught.value.message.isprintable()
