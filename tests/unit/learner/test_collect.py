"""Which groups of a step are trained on, replaced and reported."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Callable, Optional

import pytest

from learner.grpo.clock import StepClock
from learner.rollouts.answerer import Answerer
from learner.settings import GrpoSettings, LearnerSettings, StreamSettings
from learner.stream.collect import Collector
from learner.stream.episodes import EpisodeLog, TaskStream
from learner.stream.reports import Outbox, ReportSender
from protocol.errors import Infeasible, VantageError
from protocol.run.directory import read_jsonl
from protocol.tasks.task import TaskSpec
from protocol.wire.messages import Observe
from tests.support.learner import Channel, Curriculum, Encoder, Engine, simulator


class Loop:
    def __init__(
        self,
        folder: Path,
        lefts: Callable[[int], int],
        grpo: Optional[GrpoSettings] = None,
        curriculum: Optional[Curriculum] = None,
        fail_render: Callable[[TaskSpec], Optional[VantageError]] = lambda _: None,
        fail_observe: Callable[[Observe], Optional[VantageError]] = lambda _: None,
        stream: Optional[StreamSettings] = None,
    ) -> None:
        self.curriculum = curriculum or Curriculum()
        self.engine = Engine(lefts)
        self.stop = threading.Event()
        self.outbox = Outbox(folder / "outbox.jsonl")
        stream = stream or StreamSettings(in_flight=8, ahead=16)
        channel = Channel(self.curriculum)
        views = Channel(simulator(fail_render, fail_observe))
        self.stream = TaskStream(
            channel,
            views,
            stream,
            "learner",
            lambda report: self.outbox.add([report]),
            self.stop,
        )
        self.sender = ReportSender(self.outbox, channel)
        self.folder = folder / "episodes"
        self.collector = Collector(
            stream=self.stream,
            answerer=Answerer(self.engine, Encoder(), "words", views, stream),  # type: ignore[arg-type]
            outbox=self.outbox,
            sender=self.sender,
            episodes=EpisodeLog(self.folder, stream),
            settings=LearnerSettings(grpo=grpo or GrpoSettings(groups=8, samples=4, replacements=1.0)),
            run_seed=0,
            clock=StepClock(),
        )

    def reports(self):
        self.sender.drain()
        return list(self.curriculum.counted.values())


def test_groups_without_gradient_are_replaced(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda index: 2 if index % 2 else 4)  # all answers of every second group are equal
    groups = loop.collector.collect(0)
    assert len(groups) == 8
    assert all(len({reward.accuracy for reward in group.rewards}) == 2 for group in groups)
    counts = loop.collector.counts
    assert counts.kept == 8
    assert counts.no_gradient == counts.asked - sum(report.had_gradient for report in loop.reports())


def test_replacement_is_bounded(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda index: 2 if index == 0 else 4)
    groups = loop.collector.collect(0)
    assert loop.collector.counts.asked == 16
    assert len(groups) == 1


def test_a_step_without_gradient_still_has_a_group(tmp_path: Path) -> None:
    assert Loop(tmp_path, lambda _: 4).collector.collect(0)


def test_leases_are_split_into_allowed_sizes(tmp_path: Path) -> None:
    stream = StreamSettings(in_flight=8, ahead=8192)
    assert Loop(tmp_path, lambda _: 2, stream=stream).collector.collect(0)


def test_every_question_is_reported_once(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda index: 1 + index % 4)
    for step in range(3):
        loop.collector.collect(step)
    reports = loop.reports()
    assert len(reports) == len(loop.engine.prompts)
    assert len({report.report_id for report in reports}) == len(reports)
    assert len(loop.outbox) == 0


def test_reports_are_on_disk_when_collect_returns(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2)
    loop.collector.collect(0)
    records, _ = read_jsonl(tmp_path / "outbox.jsonl")
    assert sum("report" in record for record in records) >= 8


def test_success_rate_follows_the_truth(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 1)  # one "left" of four; "left" is the true answer of specs with odd numbers
    loop.collector.collect(0)
    for report in loop.reports():
        odd = int(report.spec_id[1:]) % 2
        assert report.success_rate == (0.25 if odd else 0.75)
        assert report.truth_likelihood == pytest.approx(0.4966, abs=1e-3)


def test_blind_questions_have_no_images_and_are_never_trained_on(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2, curriculum=Curriculum(blind_every=3))
    groups = loop.collector.collect(0)
    assert all(group.prompt.images for group in groups)
    blind = [report for report in loop.reports() if report.blind]
    assert blind
    assert len(blind) == sum(not prompt.images for prompt in loop.engine.prompts)


def test_infeasible_and_broken_specs_are_replaced_and_reported(tmp_path: Path) -> None:
    def fail_render(spec: TaskSpec) -> Optional[VantageError]:
        if spec.seq % 5 == 0:
            return Infeasible("no view shows it")
        return VantageError("poison", "it killed three workers") if spec.seq % 7 == 0 else None

    loop = Loop(tmp_path, lambda _: 2, fail_render=fail_render)
    assert len(loop.collector.collect(0)) == 8
    outcomes = {report.spec_id: report.outcome for report in loop.reports()}
    assert outcomes["s00000"] == outcomes["s00005"] == "infeasible"
    assert outcomes["s00007"] == "broken"
    assert all(report.rewards == () for report in loop.reports() if report.outcome != "answered")


def test_a_failed_view_while_looking_around_is_not_a_wrong_answer(tmp_path: Path) -> None:
    def fail_observe(message: Observe) -> Optional[VantageError]:
        return VantageError("poison", "it killed three workers") if message.seq % 3 == 0 else None

    loop = Loop(tmp_path, lambda _: 2, curriculum=Curriculum(look_around=1), fail_observe=fail_observe)
    loop.engine.words = ("turn left", "left")  # the first two answers look around first
    assert len(loop.collector.collect(0)) >= 1
    reports = {int(report.spec_id[1:]): report for report in loop.reports()}
    assert {seq % 3 == 0 for seq, report in reports.items() if report.outcome == "broken"} == {True}
    assert {seq % 3 == 0 for seq, report in reports.items() if report.outcome == "answered"} == {False}
    records, _ = read_jsonl(loop.folder / "episodes.jsonl")
    assert all(record["moves"] == [["turn left"], ["turn left"], [], []] for record in records)


def test_a_missing_backend_ends_the_run(tmp_path: Path) -> None:
    loop = Loop(
        tmp_path, lambda _: 2, fail_render=lambda _: VantageError("backend_missing", "habitat is not installed")
    )
    with pytest.raises(VantageError, match="habitat"):
        loop.collector.collect(0)


def test_stale_tasks_are_dropped(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2, stream=StreamSettings(in_flight=8, ahead=16, max_staleness_steps=2))
    loop.collector.collect(0)
    loop.collector.collect(9)
    assert loop.stream.stale > 0
    assert loop.collector.counts.staleness_steps <= 2


def test_the_number_of_tasks_ahead_is_bounded(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2, stream=StreamSettings(in_flight=4, ahead=12))
    loop.collector.collect(0)
    asked = len(loop.engine.prompts)
    leased = next(loop.curriculum._numbers)
    assert asked <= leased <= asked + 12


def test_a_stop_request_ends_waiting(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2, fail_render=lambda _: Infeasible("nothing can be seen"))
    loop.stop.set()
    with pytest.raises(VantageError) as caught:
        loop.collector.collect(0)
    assert caught.value.code == "draining"


def test_the_gallery_keeps_the_newest_views_and_their_answers(tmp_path: Path) -> None:
    stream = StreamSettings(in_flight=8, ahead=16, keep_images=3, keep_episodes=20)
    loop = Loop(tmp_path, lambda _: 2, stream=stream)
    for step in range(4):
        loop.collector.collect(step)
    records, _ = read_jsonl(loop.folder / "episodes.jsonl")
    assert len(list((loop.folder / "images").iterdir())) == 3
    assert 20 <= len(records) <= 20 + 2 * 4  # two per step are for the gallery
    *_, shown = (record for record in records if record["images"])
    assert shown["step"] == 3
    assert (loop.folder / shown["images"][0]).exists()
    assert sorted(shown["answers"]) == ["left", "left", "right", "right"]
    assert {"question", "truth", "program", "options", "step"} <= shown.keys()
