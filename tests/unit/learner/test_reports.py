"""Confidence reports survive kills in the outbox and are counted once."""

from __future__ import annotations

import json
import math
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from learner.stream.outbox import Outbox, ReportSender
from learner.stream.reports import answer_entropy, failure_report, has_spread, report_id
from protocol.errors import Infeasible, VantageError
from protocol.run.stall import Stalls
from protocol.tasks.scene import SceneSpec
from protocol.tasks.task import QuestionSpec, TaskSpec
from protocol.wire.codec import Packet, encode
from protocol.wire.messages import (
    ConfidenceReport,
    CurriculumStatus,
    GetCurriculumStatus,
    Leased,
    ReportsCounted,
    SendReports,
)
from tests.support.damage import damaged


def leased(number: int) -> Leased:
    spec = TaskSpec(f"s{number}", 0, number, SceneSpec(seed=number), QuestionSpec("view_direction"))
    return Leased(spec, f"lease{number}")


def id_of(number: int) -> str:
    return report_id(f"lease{number}", f"s{number}")


def report(number: int) -> ConfidenceReport:
    return ConfidenceReport(id_of(number), f"s{number}", f"lease{number}", 1, "answered", "view_direction", 0)


class Curriculum:
    """Counts each report once; replies when `answer` is called."""

    def __init__(self) -> None:
        self.counted: list[str] = []
        self.futures: list[tuple[Future[Any], SendReports]] = []

    def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Any]:
        assert isinstance(message, SendReports)
        future: Future[Any] = Future()
        self.futures.append((future, message))
        return future

    def request(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Any:
        raise NotImplementedError

    def count(self) -> None:
        """Commit the last batch without answering."""
        names = [report.report_id for report in self.futures[-1][1].reports]
        self.counted += [name for name in names if name not in self.counted]

    def answer(self) -> None:
        future, message = self.futures[-1]
        names = tuple(report.report_id for report in message.reports)
        new = tuple(name for name in names if name not in self.counted)
        self.count()

        class Reply:
            message = ReportsCounted(new, tuple(name for name in names if name not in new))

        future.set_result(Reply())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.jsonl"


def test_report_ids_are_unique_per_lease() -> None:
    assert id_of(1) == id_of(1)
    assert len({id_of(1), id_of(2), report_id("other", "s1")}) == 3


def test_reports_survive_a_restart_until_they_are_counted(path: Path) -> None:
    outbox = Outbox(path)
    outbox.add([report(1), report(2), report(3)])
    outbox.counted([id_of(2)])
    assert [waiting.spec_id for waiting in Outbox(path).waiting()] == ["s1", "s3"]


def test_a_line_truncated_by_a_kill_is_ignored(path: Path) -> None:
    Outbox(path).add([report(1)])
    with open(path, "ab") as file:
        file.write(b'{"report": {"report_id": "r-')
    outbox = Outbox(path)
    outbox.add([report(2)])
    assert [waiting.spec_id for waiting in Outbox(path).waiting()] == ["s1", "s2"]


def test_counted_reports_leave_the_sender_idle(path: Path) -> None:
    outbox, curriculum = Outbox(path), Curriculum()
    sender = ReportSender(outbox, curriculum, Stalls("learner"))
    outbox.add([report(1), report(2)])
    sender.pump()
    curriculum.answer()
    sender.pump()
    assert len(outbox) == 0
    assert len(curriculum.futures) == 1


def test_a_restart_between_commit_and_answer_counts_reports_once(path: Path) -> None:
    curriculum, outbox = Curriculum(), Outbox(path)
    outbox.add([report(1)])
    ReportSender(outbox, curriculum, Stalls("learner")).pump()
    curriculum.count()  # the learner dies before the answer arrives

    outbox = Outbox(path)
    sender = ReportSender(outbox, curriculum, Stalls("learner"))
    sender.pump()
    curriculum.answer()
    sender.pump()
    assert curriculum.counted == [id_of(1)]
    assert len(outbox) == 0


def test_a_batch_without_an_answer_is_resent(path: Path) -> None:
    curriculum, outbox = Curriculum(), Outbox(path)
    sender = ReportSender(outbox, curriculum, Stalls("learner"))
    outbox.add([report(1)])
    sender.pump()
    curriculum.futures[-1][0].set_exception(VantageError("timeout", "no answer"))
    sender.pump()
    sender.drain(
        lambda: None if len(curriculum.futures) < 2 or curriculum.futures[-1][0].done() else curriculum.answer()
    )
    assert len(curriculum.futures) == 2 and len(outbox) == 0


def test_permanent_errors_are_raised(path: Path) -> None:
    curriculum, outbox = Curriculum(), Outbox(path)
    sender = ReportSender(outbox, curriculum, Stalls("learner"))
    outbox.add([report(1)])
    sender.pump()
    curriculum.futures[-1][0].set_exception(VantageError("version", "another protocol"))
    with pytest.raises(VantageError, match="another protocol"):
        sender.pump()
    assert len(outbox) == 1


class Strict(Curriculum):
    """Answers at once, and refuses a batch with one of these specs."""

    def __init__(self, *refused: str) -> None:
        super().__init__()
        self._refused = set(refused)

    def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Any]:
        future = super().submit(message)
        bad = self._refused & {report.spec_id for report in self.futures[-1][1].reports}
        if bad:
            future.set_exception(VantageError("bad_request", f"report on {min(bad)} names an unknown skill"))
        else:
            self.answer()
        return future

    def request(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Any:
        assert isinstance(message, GetCurriculumStatus)
        return Packet(b"", CurriculumStatus("frontier", 9, 0, len(self.counted), 0, 0, ()), [])


def refused_lines(path: Path) -> list[str]:
    side = path.with_name("outbox.jsonl.refused")
    return [json.loads(line)["line"] for line in side.read_text().splitlines()] if side.exists() else []


@pytest.mark.timeout(60)
def test_a_report_that_the_curriculum_refuses_moves_aside_and_the_others_count(path: Path) -> None:
    outbox, curriculum, stalls = Outbox(path), Strict("s7", "s30"), Stalls("learner")
    outbox.add([report(number) for number in range(40)])
    ReportSender(outbox, curriculum, stalls).drain()
    assert len(curriculum.counted) == outbox.total == 38
    assert len(curriculum.futures) < 40
    assert ["s7" in refused_lines(path)[0], "s30" in refused_lines(path)[1]] == [True, True]
    assert not Outbox(path).waiting() and Outbox(path).total == 38
    assert not stalls.current


@pytest.mark.parametrize(
    "poison",
    [
        b"garbage",
        b'{"report": 1}',
        b"{}",
        b'{"counted": "r-1"}',
        b'{"report": {"report_id": "r", "spec_id": "s", "lease_id": "l", "policy_version": "one"}}',
        msgspec.json.encode({"report": {**msgspec.to_builtins(report(3)), "level": 2**70}}),
        msgspec.json.encode({"report": msgspec.to_builtins(report(3))}).replace(b'"s3"', b'"\\ud800"'),
    ],
    ids=range(7),
)
def test_a_line_of_the_outbox_that_cannot_be_used_ends_no_start(path: Path, poison: bytes) -> None:
    Outbox(path).add([report(1)])
    with open(path, "ab") as file:
        file.write(poison + b"\n")
    assert [waiting.spec_id for waiting in Outbox(path).waiting()] == ["s1"]
    assert len(refused_lines(path)) == 1
    assert [waiting.spec_id for waiting in Outbox(path).waiting()] == ["s1"]
    assert len(refused_lines(path)) == 1


def test_no_damage_of_the_outbox_ends_a_start(path: Path) -> None:
    outbox = Outbox(path)
    outbox.add([report(number) for number in range(5)])
    outbox.counted([report(2).report_id])
    for copy in damaged(path.read_bytes(), 200):
        path.write_bytes(copy)
        outbox = Outbox(path)
        outbox.add([report(9)])
        assert outbox.waiting()[-1].spec_id == "s9"
        encode(b"", SendReports(tuple(outbox.waiting())))
        outbox.close()


def test_a_folder_in_place_of_the_outbox_is_reported(path: Path) -> None:
    path.mkdir()
    with pytest.raises(VantageError, match="outbox.jsonl is a folder, not a regular file; move it away") as caught:
        Outbox(path)
    assert caught.value.code == "bad_request" and not caught.value.retryable


def test_a_curriculum_that_lost_counted_reports_is_refused(path: Path) -> None:
    outbox, curriculum = Outbox(path), Strict()
    outbox.add([report(number) for number in range(5)])
    sender = ReportSender(outbox, curriculum, Stalls("learner"))
    sender.check_history(0)
    sender.drain()
    again = ReportSender(Outbox(path), curriculum, Stalls("learner"))
    again.check_history(5)
    with pytest.raises(VantageError, match="has 5 reports of this run, but it counted 6") as caught:
        again.check_history(6)  # according to the checkpoint
    assert caught.value.code == "corrupt"
    curriculum.counted.pop()
    with pytest.raises(VantageError, match="has 4 reports of this run, but it counted 5"):
        again.check_history(0)  # according to the outbox


def test_duplicates_are_not_expected_in_the_history_of_the_curriculum(path: Path) -> None:
    """The curriculum also acknowledges reports on specs that were answered under another lease, without counting."""
    outbox, curriculum = Outbox(path), Strict()
    curriculum.counted.append(report(1).report_id)
    outbox.add([report(1), report(2)])
    ReportSender(outbox, curriculum, Stalls("learner")).drain()
    assert len(outbox) == len(Outbox(path)) == 0
    assert outbox.total == Outbox(path).total == 1


def test_a_curriculum_that_does_not_answer_is_shown_as_the_reason(path: Path) -> None:
    outbox, stalls = Outbox(path), Stalls("learner", attempts=2)
    outbox.add([report(1)])

    class Gone(Curriculum):
        def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Any]:
            future = super().submit(message)
            future.set_exception(VantageError("unavailable", "no service answered"))
            return future

    def stop_if_stalled() -> None:
        if stalls.current:
            raise VantageError("draining", "stopping")

    with pytest.raises(VantageError, match="stopping"):
        ReportSender(outbox, Gone(), stalls).drain(stop_if_stalled)
    (stall,) = stalls.current
    assert stall.missing == "counted reports" and stall.error == "no service answered"
    assert len(outbox) == 1


def test_reports_added_during_a_request_are_sent_in_the_next_batch(path: Path) -> None:
    curriculum, outbox = Curriculum(), Outbox(path)
    sender = ReportSender(outbox, curriculum, Stalls("learner"))
    outbox.add([report(1)])
    sender.pump()
    outbox.add([report(2)])
    curriculum.answer()
    sender.pump()
    assert [sent.spec_id for sent in curriculum.futures[-1][1].reports] == ["s2"]


def test_infeasible_and_broken_specs_have_different_outcomes() -> None:
    assert failure_report(leased(1), 3, Infeasible("no such view")).outcome == "infeasible"
    broken = failure_report(leased(1), 3, VantageError("poison", "it killed three workers"))
    assert (broken.outcome, broken.reason, broken.rewards) == ("broken", "it killed three workers", ())
    missing = VantageError("unsupported", "no worker of the backend habitat has joined", retryable=True)
    assert failure_report(leased(1), 3, missing).outcome == "returned"
    assert failure_report(leased(1), 3, VantageError("unsupported", "no such sensor")).outcome == "broken"


def test_answer_entropy_is_in_nats() -> None:
    assert answer_entropy(["left"] * 8) == 0.0
    assert answer_entropy(["left"] * 8 + ["right"] * 8) == pytest.approx(math.log(2))


def test_spread_of_rewards() -> None:
    assert has_spread([0.5, 0.6, 0.5])
    assert not has_spread([0.5, 0.5, 0.5])
