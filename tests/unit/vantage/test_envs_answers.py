"""Answers of a trainer's processes become one report per lease."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from curriculum.record.events import Issue, LeasedEvent, ReportedEvent
from curriculum.record.state import State
from curriculum.settings import Estimation
from protocol.answers.scoring import Reward
from protocol.errors import VantageError
from protocol.tasks.scene import Pose, SceneSpec
from protocol.tasks.task import Degradation, Question, QuestionSpec, TaskSpec
from vantage.envs import Pool, open_pool
from vantage.envs.answers import Answer, AnswerFile, Answers, left_behind, report_of
from vantage.envs.questions import OpenQuestion, Ticket
from vantage.envs.versions import need

POOL = "7-abc"


def ticket(run: Path, lease: str = "s00000001.0", **fields) -> Ticket:
    spec = TaskSpec(lease.partition(".")[0], 0, 1, SceneSpec(seed=1), QuestionSpec("view_direction"))
    question = Question("view_direction", 0, "Is the chair left or right?", "left", "choice", "p", ("left", "right"))
    pose = Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0))
    return Ticket(str(run), spec, question, pose, 1, POOL, lease, **fields)


def test_a_ticket_survives_json_and_other_text_is_refused(tmp_path: Path) -> None:
    made = ticket(tmp_path, renderer_digest="rooms-1")
    assert Ticket.parse(str(made)) == made
    with pytest.raises(VantageError, match="not the ticket"):
        Ticket.parse('{"run": 1}')


def test_an_answer_is_scored_by_rule_and_recorded(tmp_path: Path) -> None:
    made = ticket(tmp_path)
    assert made.answer("A", key="one").accuracy == 1.0
    assert made.answer("The answer is B.", key="two", step=3).accuracy == 0.0
    assert not made.answer("left or right", "words", key="three").readable
    (report,) = left_behind(tmp_path)[tmp_path / "answers" / POOL]
    assert (report.spec_id, report.lease_id, report.skill) == ("s00000001", "s00000001.0", "view_direction")
    assert report.rewards == (1.0, 0.0, 0.0)
    assert report.success_rate == pytest.approx(1 / 3)
    assert (report.policy_version, report.had_gradient) == (3, True)


def test_a_question_without_a_pool_is_scored_and_not_recorded(tmp_path: Path) -> None:
    assert ticket(tmp_path).answer("left", "words").accuracy == 1.0
    before = left_behind(tmp_path)
    lone = Ticket.parse(str(ticket(tmp_path)).replace(POOL, ""))
    assert lone.answer("left", "words").accuracy == 1.0
    assert left_behind(tmp_path) == before


def test_an_answer_with_a_known_key_counts_once_across_files(tmp_path: Path) -> None:
    made, folder = ticket(tmp_path), tmp_path / "answers" / POOL
    for key in ("a", "a", "b"):
        made.answer("left", "words", key=key)
    other = AnswerFile(folder)  # of another process
    other.add(Answer.to(made, "right", Reward(0.0, True), "b", 0))
    answers = Answers(folder)
    assert answers.read() == {"s00000001.0"}
    assert len(answers.take("s00000001.0")) == 2
    assert answers.read() == set()  # nothing is read twice


def test_a_damaged_line_does_not_hide_the_others(tmp_path: Path) -> None:
    ticket(tmp_path).answer("left", "words")
    (file,) = (tmp_path / "answers" / POOL).glob("*.jsonl")
    with open(file, "ab") as appended:
        appended.write(b'{"lease_id": 3}\n')
    ticket(tmp_path, "s00000002.0").answer("left", "words")
    assert {one.spec_id for one in left_behind(tmp_path)[file.parent]} == {"s00000001", "s00000002"}


def test_reports_have_the_id_of_their_lease_whatever_the_answers(tmp_path: Path) -> None:
    first = report_of([Answer.to(ticket(tmp_path), "left", Reward(1.0, True), "", 0)])
    again = report_of([Answer.to(ticket(tmp_path), "right", Reward(0.0, True), "", 4)] * 2)
    other = report_of([Answer.to(ticket(tmp_path, "s00000001.1"), "left", Reward(1.0, True), "", 0)])
    assert first.report_id == again.report_id != other.report_id


def test_a_report_names_the_cell_that_was_leased(tmp_path: Path) -> None:
    made = ticket(tmp_path, blind=True)
    asked, fog = QuestionSpec("depth_order", 1), (Degradation("fog", 2),)
    spec = TaskSpec("s1", 0, 1, SceneSpec(seed=1), asked, degradations=fog, world="flats")
    report = report_of(
        [Answer.to(Ticket(made.run, spec, made.question, made.pose, 1), "left", Reward(1.0, True), "", 0)]
    )
    assert (report.skill, report.level, report.degradation, report.world) == ("depth_order", 1, "fog:2", "flats")


def test_an_unknown_likelihood_is_no_evidence_about_calibration(tmp_path: Path) -> None:
    report = report_of([Answer.to(ticket(tmp_path), "left", Reward(1.0, True), "", 0)])
    state, issue = State(), Issue(1, 1, 1, "view_direction", 0, "frontier")
    state.apply(LeasedEvent(b"a", "trainer", 0, 9.0, (issue,), ""), Estimation())
    state.apply(ReportedEvent(b"b", (report,)), Estimation())
    assert state.counted == 1 and state.cells and not state.calibration


def test_the_parts_of_a_message_tag_several_images(tmp_path: Path) -> None:
    import numpy as np

    images = tuple(np.full((4, 4, 3), level, np.uint8) for level in (1, 2))
    parts = OpenQuestion(ticket(tmp_path), images).parts("letters", "Which?")
    assert [part if isinstance(part, str) else int(part[0, 0, 0]) for part in parts] == [
        *("Image 1: ", 1, "\nImage 2: ", 2, "\nWhich?")
    ]


def test_the_pool_does_without_torch() -> None:
    code = "import sys, vantage.envs, vantage.envs.for_vagen; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    "distribution, least, code, sentence",
    [
        ("no-such-trainer", (1, 0), "unsupported", "needs no-such-trainer 1.0 or newer: install it with pip install"),
        ("numpy", (99, 0), "version", r"needs numpy 99.0 or newer, but \d"),
    ],
)
def test_a_missing_or_old_trainer_is_one_sentence(
    distribution: str, least: tuple[int, int], code: str, sentence: str
) -> None:
    with pytest.raises(VantageError, match=sentence) as refused:
        need(distribution, least, "extra")
    assert refused.value.code == code
    need("numpy", (1, 26), "extra")


@pytest.mark.parametrize("size, key", [(9999, "width_px"), (0, "height_px")])
def test_images_of_a_size_that_the_simulator_refuses_start_nothing(tmp_path: Path, size: int, key: str) -> None:
    with pytest.raises(VantageError, match=key) as refused:
        open_pool("smoke", tmp_path / "run", sets=[f"curriculum.world.{key}={size}"])
    assert refused.value.code == "bad_config" and "\n" not in refused.value.message
    assert not list(tmp_path.iterdir())


def test_gymnasium_refuses_images_of_several_sizes() -> None:
    pytest.importorskip("gymnasium")
    from vantage.envs.for_gymnasium import QuestionEnv

    world = {"width_px": 64, "height_px": 48, "cameras": ["phone", "portrait"]}
    pool = cast("Pool", SimpleNamespace(run=SimpleNamespace(config={"curriculum": {"world": world}})))
    with pytest.raises(VantageError, match="Gymnasium needs images of one size") as refused:
        QuestionEnv(pool=pool)
    assert refused.value.code == "bad_config"
