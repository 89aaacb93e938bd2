"""Confidence reports survive kills in the outbox and are counted once."""

from __future__ import annotations

import math
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from learner.stream.reports import Outbox, ReportSender, answer_entropy, failure_report, has_spread, report_id
from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import SceneSpec
from protocol.tasks.task import QuestionSpec, TaskSpec
from protocol.wire.messages import ConfidenceReport, Leased, ReportsCounted, SendReports


def leased(number: int) -> Leased:
    spec = TaskSpec(f"s{number}", 0, number, SceneSpec(seed=number), QuestionSpec("view_direction"))
    return Leased(spec, f"lease{number}")


def report(number: int) -> ConfidenceReport:
    return ConfidenceReport(
        report_id(leased(number)), f"s{number}", f"lease{number}", 1, "answered", "view_direction", 0
    )


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
    assert report_id(leased(1)) == report_id(leased(1))
    again = msgspec.structs.replace(leased(1), lease_id="other")
    assert len({report_id(leased(1)), report_id(leased(2)), report_id(again)}) == 3


def test_reports_survive_a_restart_until_they_are_counted(path: Path) -> None:
    outbox = Outbox(path)
    outbox.add([report(1), report(2), report(3)])
    outbox.counted([report_id(leased(2))])
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
    sender = ReportSender(outbox, curriculum)
    outbox.add([report(1), report(2)])
    sender.pump()
    curriculum.answer()
    sender.pump()
    assert len(outbox) == 0
    assert len(curriculum.futures) == 1


def test_a_restart_between_commit_and_answer_counts_reports_once(path: Path) -> None:
    curriculum, outbox = Curriculum(), Outbox(path)
    outbox.add([report(1)])
    ReportSender(outbox, curriculum).pump()
    curriculum.count()  # the learner dies before the answer arrives

    outbox = Outbox(path)
    sender = ReportSender(outbox, curriculum)
    sender.pump()
    curriculum.answer()
    sender.pump()
    assert curriculum.counted == [report_id(leased(1))]
    assert len(outbox) == 0


def test_a_batch_without_an_answer_is_resent(path: Path) -> None:
    curriculum, outbox = Curriculum(), Outbox(path)
    sender = ReportSender(outbox, curriculum)
    outbox.add([report(1)])
    sender.pump()
    curriculum.futures[-1][0].set_exception(VantageError("timeout", "no answer"))
    sender.pump()
    curriculum.answer()
    sender.pump()
    assert len(curriculum.futures) == 2
    assert len(outbox) == 0


def test_permanent_errors_are_raised(path: Path) -> None:
    curriculum, outbox = Curriculum(), Outbox(path)
    sender = ReportSender(outbox, curriculum)
    outbox.add([report(1)])
    sender.pump()
    curriculum.futures[-1][0].set_exception(VantageError("bad_request", "a report of another run"))
    with pytest.raises(VantageError, match="another run"):
        sender.pump()
    assert len(outbox) == 1


def test_reports_added_during_a_request_are_sent_in_the_next_batch(path: Path) -> None:
    curriculum, outbox = Curriculum(), Outbox(path)
    sender = ReportSender(outbox, curriculum)
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


def test_answer_entropy_is_in_nats() -> None:
    assert answer_entropy(["left"] * 8) == 0.0
    assert answer_entropy(["left"] * 8 + ["right"] * 8) == pytest.approx(math.log(2))


def test_spread_of_rewards() -> None:
    assert has_spread([0.5, 0.6, 0.5])
    assert not has_spread([0.5, 0.5, 0.5])


def test_drain_waits_for_all_reports_and_raises_if_the_curriculum_is_gone(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.jsonl")
    outbox.add([report(1), report(2)])

    class Gone(Curriculum):
        def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Any]:
            future = super().submit(message)
            future.set_exception(VantageError("unavailable", "no service answered"))
            return future

    class Present(Curriculum):
        def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Any]:
            future = super().submit(message)
            self.answer()
            return future

    with pytest.raises(VantageError, match="no service answered"):
        ReportSender(outbox, Gone()).drain()
    assert len(outbox) == 2
    curriculum = Present()
    ReportSender(outbox, curriculum).drain()
    assert len(outbox) == 0 and len(curriculum.counted) == 2
