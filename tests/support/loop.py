"""A collector with its stream, outbox and replay, between scripted services."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Callable, Optional

from learner.grpo.clock import StepClock
from learner.rollouts.answerer import Answerer
from learner.settings import GrpoSettings, LearnerSettings, ReplaySettings, ScreenSettings, StreamSettings
from learner.stream.collect import Collector
from learner.stream.episodes import EpisodeLog, TaskStream
from learner.stream.outbox import Outbox, ReportSender
from learner.stream.replay import Replay
from protocol.errors import VantageError
from protocol.run.stall import Stalls
from protocol.tasks.task import Episode, TaskSpec
from protocol.wire.messages import ConfidenceReport, Observe
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
        change: Callable[[Episode], Episode] = lambda episode: episode,
        screen: Optional[ScreenSettings] = None,
        replay: Optional[ReplaySettings] = None,
    ) -> None:
        self.curriculum = curriculum or Curriculum()
        self.engine = Engine(lefts)
        self.stop = threading.Event()
        self.stalls = Stalls("learner")
        self.waited: list[str] = []
        self.outbox = Outbox(folder / "outbox.jsonl")
        stream = stream or StreamSettings(in_flight=8, ahead=16)
        channel = Channel(self.curriculum)
        views = Channel(simulator(fail_render, fail_observe, change))
        self.stream = TaskStream(
            channel,
            views,
            stream,
            "learner",
            lambda report: self.outbox.add([report]),
            self.stop,
            self.stalls,
            self.waited.append,
            screen.questions if screen else 1,
        )
        self.sender = ReportSender(self.outbox, channel, self.stalls)
        self.folder = folder / "episodes"
        self.settings = LearnerSettings(
            grpo=grpo or GrpoSettings(groups=8, samples=4, replacements=1.0),
            screen=screen or ScreenSettings(),
            replay=replay or ReplaySettings(),
        )
        self.collector = Collector(
            stream=self.stream,
            answerer=Answerer(self.engine, Encoder(), "words", views, stream),  # type: ignore[arg-type]
            outbox=self.outbox,
            sender=self.sender,
            episodes=EpisodeLog(self.folder, stream),
            settings=self.settings,
            run_seed=0,
            clock=StepClock(),
            stalls=self.stalls,
            score_truth=self.engine.score_truth,
            replay=Replay(self.settings.replay, views, stream),
        )

    def reports(self) -> list[ConfidenceReport]:
        self.sender.drain()
        return list(self.curriculum.counted.values())
