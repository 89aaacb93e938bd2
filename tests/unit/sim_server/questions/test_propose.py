"""Proposals become ordinary questions, or are rejected with every reason."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from protocol.answers.scoring import score
from protocol.errors import VantageError
from protocol.tasks.scene import Camera, OrientedBox, Pose, SceneObject, SceneSpec
from protocol.tasks.task import Episode, Proposal, TaskSpec
from protocol.wire.codec import decode, encode
from protocol.wire.messages import Rejected, Rejection, RenderTask
from sim_server import cli
from sim_server.backends.base import Capabilities, Frames
from sim_server.questions.geometry import pose_from_yaw_pitch
from sim_server.questions.language.evaluator import verify
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings
from tests.support import programs
from tests.support.questions.fake_scene import FakeScene

HERE = SceneSpec(seed=1, min_objects=5, max_objects=6)


def thing(key: int, color: str, category: str, x: float, z: float, half: float = 0.3) -> SceneObject:
    return SceneObject(key, category, OrientedBox((x, half, z), (half, half, half)), color, 1)


# A camera at (0, 1.5, 2.5) that looks along -z sees everything except the purple lamp, which is behind it.
THINGS = (
    thing(1, "red", "chair", -1.0, -0.5),
    thing(2, "blue", "table", 0.9, -1.2),
    thing(3, "green", "chair", 1.9, -1.8),
    thing(4, "yellow", "ball", 0.02, -1.5, 0.25),
    thing(5, "purple", "lamp", 2.4, 2.7, 0.2),
)
NORTH = pose_from_yaw_pitch((0.0, 1.5, 2.5), 0.0, -0.25)


class FakeBackend:
    name, digest = "fake", "fake-1"
    capabilities = Capabilities(categories=("piano",))

    def open(self, spec: SceneSpec) -> FakeScene:
        return FakeScene(spec, THINGS if spec.seed == HERE.seed else None)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def core() -> SimCore:
    return SimCore(SimSettings(), FakeBackend())


LEFT_OF = 'if image_x(object(1), view(0)) < image_x(object(2), view(0)) then "left" else "right"'


def proposal(**changes: Any) -> TaskSpec:
    """A valid proposal with these fields of the spec or of its proposal changed."""
    asked: dict[str, Any] = {
        "text": "is the red chair left or right of the blue table ?",
        "program": LEFT_OF,
        "answer_type": "choice",
        "options": ("left", "right"),
        "poses": (NORTH,),
    }
    asked.update((key, changes.pop(key)) for key in list(changes) if key in Proposal.__struct_fields__)
    spec: dict[str, Any] = {"spec_id": "p1", "scene": HERE, "camera": Camera(64, 64), **changes}
    return TaskSpec(**spec, proposal=Proposal(**asked))


def examined(core: SimCore, spec: TaskSpec, sensors: tuple[str, ...] = ("rgb",)):
    return core.handle(RenderTask(spec, sensors, examine=True))


def rejections(core: SimCore, **changes: Any) -> tuple[Rejection, ...]:
    reply, blobs = examined(core, proposal(**changes))
    assert isinstance(reply, Rejected) and not blobs, reply
    assert reply.spec_id == "p1" and reply.rejections
    return reply.rejections


def test_a_valid_proposal_becomes_an_episode(core: SimCore) -> None:
    reply, blobs = examined(core, proposal(), ("rgb", "depth", "ids"))
    packet = decode(encode(b"1", reply, blobs))
    episode = packet.message
    assert isinstance(episode, Episode)
    question = episode.question
    assert (episode.spec_id, question.answer, question.options) == ("p1", "left", ("left", "right"))
    assert [question.text[item.start : item.end] for item in question.mentions] == ["red chair", "blue table"]
    assert [item.object_id for item in question.mentions] == [1, 2]
    assert score(question, "Left.").accuracy == 1 and score(question, "right").accuracy == 0
    (view,) = episode.views
    assert view.depth is not None and view.ids is not None
    depth, ids = packet.array(view.depth)[None], packet.array(view.ids)[None]
    assert verify(question, FakeScene(HERE, THINGS).description, Frames((view.pose,), view.camera, None, depth, ids))


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"poses": ()}, None),  # the simulator chooses a view of both
        ({"poses": (), "max_views": 2, "camera": Camera(24, 24)}, None),
        (
            {
                "text": "how far is the red chair from the blue table ?",
                "program": "round(closest_distance(object(1), object(2)), 0.1)",
                "answer_type": "number",
                "options": (),
                "unit": "m",
            },
            "1.3",
        ),
        (
            {
                "text": "is the yellow ball closer to the blue table than the red chair is ?",
                "program": "closest_distance(object(4), object(2)) < closest_distance(object(1), object(2))",
                "options": (),
            },
            "yes",
        ),
        (
            {
                "text": "which is nearest to the yellow ball ?",
                "program": "name(argmin([object(1), object(2), object(3)], o: closest_distance(o, object(4))))",
                "options": ("red chair", "green chair", "blue table"),
            },
            "blue table",
        ),
    ],
)
def test_a_valid_question_is_accepted(core: SimCore, changes: dict[str, Any], answer: str | None) -> None:
    reply, _ = examined(core, proposal(**changes))
    assert isinstance(reply, Episode), reply
    question = reply.question
    assert answer is None or question.answer == answer
    assert score(question, question.answer).accuracy == 1
    if "name(" in question.program:
        assert question.option_objects == (1, 3, 2)


COUNT = {"answer_type": "number", "options": ()}


@pytest.mark.parametrize(
    ("code", "part", "at", "changes"),
    [
        ("syntax", "program", 4, {"program": "1 + )"}),
        ("type", "program", 4, {"program": "1 + true"}),
        ("cost", "program", 0, {"program": "count(filter(objects(), o: fits_between(o, object(1), 0.5)))"}),
        ("answer_type", "program", 0, {"program": "count(objects())"}),
        ("type", "program", 6, {"program": "color(front_of(object(1)))"}),
        ("run", "program", 6, {"program": "color(support(object(1)))"}),
        ("run", "program", 5, {"program": "name(object(77))"}),
        ("options", "options", -1, {"options": ("left",)}),
        ("options", "options", -1, {"options": ("left", "LEFT ")}),
        ("options", "options", -1, {"options": ("up", "down")}),
        ("options", "options", -1, {**COUNT, "options": ("1", "2"), "program": "count(objects())"}),
        ("unit", "unit", -1, {"unit": "m"}),
        ("text", "text", -1, {"text": "  "}),
        ("text", "text", 2, {"text": "is\u202e the red chair left ?"}),
        ("view", "view", -1, {"max_views": 0}),
        ("view", "view", -1, {"camera": Camera(4096, 4096), "max_views": 16}),
        ("view", "poses", -1, {"poses": (Pose((9.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0)),)}),
        ("view", "poses", -1, {"poses": (Pose((math.nan, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0)),)}),
        ("view", "poses", -1, {"poses": (Pose((0.0, 1.5, 2.5), (math.nan, 0.0, 0.0, 0.0)),)}),
        ("ambiguous", "text", 7, {"text": "is the chair left or right of the blue table ?"}),
        (
            "ambiguous",
            "text",
            6,
            {"text": "which chair is left ?", "program": 'if y(position(view(0))) > 1 then "left" else "right"'},
        ),
        ("unseen", "text", 38, {"text": "is the red chair left or right of the piano ?"}),
        (
            "unused",
            "text",
            12,
            {"text": "seen by the yellow ball , is the red chair left or right of the blue table ?"},
        ),
        ("unnamed", "program", 41, {"text": "is the red chair left or right ?"}),
        ("unnamed", "program", 5, {"program": "name(object(1 + 1))"}),
        ("unseen", "text", 12, {"text": "what is the purple lamp ?", "program": "name(object(5))", "options": ()}),
        ("unseen", "program", 0, {"text": "how many things are there ?", "program": "count(objects())", **COUNT}),
        ("told", "text", -1, {"text": "the red chair , is it left of the blue table ?"}),
        ("told", "text", -1, {"text": "what color is the red chair ?", "program": "color(object(1))", "options": ()}),
        ("constant", "program", 2, {"program": "1 < 2"}),
        ("constant", "program", 0, {"program": LEFT_OF.replace('"right"', '"left"'), "options": ()}),
        (
            "unstable",
            "program",
            0,
            {
                "text": "is the yellow ball left or right of me ?",
                "program": 'if image_x(object(4), view(0)) < 0.505 then "left" else "right"',
            },
        ),
        (
            "guessable",
            "program",
            0,
            {
                "text": "how many yellow balls are there ?",
                "program": 'count(where(visible(view(0)), category="ball", color="yellow"))',
                **COUNT,
            },
        ),
        (
            "untested",
            "program",
            0,
            {
                "text": "is the yellow ball left or right ?",
                "program": 'if abs(x(centre(object(4)))) < 0.03 then "left" else color(support(object(4)))',
            },
        ),
    ],
)
def test_a_rejection_has_a_reason_and_a_position(
    core: SimCore, code: str, part: str, at: int | None, changes: dict[str, Any]
) -> None:
    found = rejections(core, **changes)
    assert code in [one.code for one in found], found
    one = next(one for one in found if one.code == code)
    assert one.part == part and one.message and one.message.isprintable()
    if at is not None:
        assert one.at == at, one


def test_all_faults_are_reported_at_once(core: SimCore) -> None:
    program = 'if pixels(object(4), view(0)) > 0 then "left" else "right"'
    found = rejections(core, text="what is left of the chair ?", program=program)
    assert {one.code for one in found} >= {"ambiguous", "unnamed", "told", "constant", "guessable"}


def test_the_same_proposal_gets_the_same_reply(core: SimCore) -> None:
    order = proposal(poses=(), max_views=1, camera=Camera(24, 24))
    first, second = (examined(SimCore(SimSettings(), FakeBackend()), order)[0] for _ in range(2))
    assert isinstance(first, Episode) and isinstance(second, Episode)
    assert first.question == second.question
    assert [view.pose for view in first.views] == [view.pose for view in second.views]


# ----------------------------------------------------------------------------- hostile proposals

_numbers = st.one_of(st.floats(), st.floats(-3, 3))
_poses = st.builds(Pose, st.tuples(_numbers, _numbers, _numbers), st.sampled_from([(1.0, 0.0, 0.0, 0.0), (0.0,) * 4]))
_WORDS = ("the", "a", "red", "blue", "chair", "chairs", "table", "thing", "piano", "how", "many", "is", "?", "left")
_texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_WORDS)).map(" ".join))
_options = st.one_of(st.text(max_size=9), st.sampled_from(["left", "yes", "red chair"]))
_programs = st.one_of(
    st.text(max_size=60),
    st.randoms(use_true_random=False).map(lambda rng: programs.well_typed(rng, depth=2)),
    st.randoms(use_true_random=False).map(programs.mutated),
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    specs=st.builds(
        TaskSpec,
        scene=st.just(HERE),
        proposal=st.builds(
            Proposal,
            text=_texts,
            program=_programs,
            answer_type=st.sampled_from(["choice", "number", "sequence", "map", "", "\ud800"]),
            options=st.lists(_options, max_size=4).map(tuple),
            unit=st.sampled_from(["", "m", "\x00"]),
            poses=st.lists(_poses, max_size=2).map(tuple),
        ),
        camera=st.sampled_from([Camera(24, 24), Camera(1, 1), Camera(8, 40, 2.8)]),
        max_views=st.sampled_from([-1, 0, 1, 2, 2**40]),
        run_seed=st.integers(-(2**63), 2**63 - 1),
        seq=st.integers(-(2**63), 2**63 - 1),
    )
)
def test_no_proposal_stops_the_simulator(core: SimCore, specs: TaskSpec) -> None:
    try:
        message = decode(encode(b"1", RenderTask(specs, examine=True))).message  # encoded and decoded as on the wire
    except (VantageError, UnicodeEncodeError):
        return
    reply, blobs = core.handle(message)
    assert isinstance(decode(encode(b"1", reply, blobs)).message, (Episode, Rejected))


# ----------------------------------------------------------------------------- files


def test_a_fault_in_a_file_of_proposals_is_marked_with_a_caret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_server.service.core.make_backend", lambda *_: FakeBackend())
    lines = [proposal(spec_id="", poses=(), max_views=1), proposal(program="image_z(object(1))", spec_id="two")]
    path, out = tmp_path / "asked.jsonl", tmp_path / "judged.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines))
    result = CliRunner().invoke(cli.app, ["propose", str(path), "--out", str(out)])
    assert result.exit_code == 1, result.output
    assert "accepted: " in result.output and "1 of 2 accepted" in result.output
    assert "type: there is no function 'image_z'" in result.output
    assert "      line 1, character 1: image_z(object(1))\n      " + " " * 21 + "^" in result.output
    first, second = map(json.loads, out.read_text().splitlines())
    assert first["accepted"] and first["question"]["skill"] == "proposed" and first["poses"]
    assert second["spec_id"] == "two" and second["rejections"][0]["code"] == "type"


def test_a_file_without_a_proposal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "asked.json"
    path.write_text('{"text": "?"}')
    result = CliRunner().invoke(cli.app, ["propose", str(path)])
    assert isinstance(result.exception, VantageError) and "has no `proposal`" in result.exception.message
