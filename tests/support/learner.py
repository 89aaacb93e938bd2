"""Minimal simulator, curriculum and rollout engine for tests of the learner."""

from __future__ import annotations

import itertools
import math
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

import msgspec
import numpy as np

from learner.rollouts.base import Completion, Prompt, Rollout, Sampling
from protocol.errors import VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Pose, SceneSpec
from protocol.tasks.task import Episode, Mention, Question, QuestionSpec, TaskSpec, View
from protocol.wire.codec import ArraySink, Packet
from protocol.wire.messages import (
    MOST_LEASED,
    Leased,
    LeaseSpecs,
    Observation,
    Observe,
    RenderTask,
    ReportsCounted,
    SendReports,
    SpecBatch,
)

END = 2


class Channel:
    """Answers immediately with the result or error of `answer`."""

    def __init__(self, answer: Callable[[Any], Packet]) -> None:
        self.answer = answer

    def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(self.answer(message))
        except VantageError as error:
            future.set_exception(error)
        return future

    def request(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Any:
        return self.submit(message, deadline_s).result()


class Curriculum:
    """Leases any number of view_direction specs, every `blind_every`th one blind, and records counted reports."""

    def __init__(self, blind_every: int = 0, look_around: int = 0) -> None:
        self._numbers = itertools.count()
        self._look_around = look_around
        self._blind_every = blind_every
        self.counted: dict[str, Any] = {}

    def __call__(self, message: Any) -> Packet:
        if isinstance(message, LeaseSpecs):
            assert 1 <= message.count <= MOST_LEASED
            specs = tuple(self._lease(next(self._numbers)) for _ in range(message.count))
            return Packet(b"", SpecBatch(specs, "left and right"), [])
        assert isinstance(message, SendReports)
        names = [report.report_id for report in message.reports]
        assert not set(names) & set(self.counted), "a report was sent again after it was counted"
        self.counted.update((report.report_id, report) for report in message.reports)
        return Packet(b"", ReportsCounted(tuple(names)), [])

    def _lease(self, number: int) -> Leased:
        spec = TaskSpec(f"s{number:05d}", 0, number, SceneSpec(seed=number), QuestionSpec("view_direction"))
        spec = msgspec.structs.replace(spec, look_around=self._look_around)
        blind = bool(self._blind_every) and number % self._blind_every == 0
        return Leased(spec, f"lease{number}", blind)


def question(answer: str = "left", skill: str = "view_direction", level: int = 0) -> Question:
    text = "is the red chair left or right of the blue box ?"
    frame = CATALOGUE[skill].frame
    return Question(skill, level, text, answer, "choice", "program", ("left", "right"), show_options=False, frame=frame)


def simulator(
    fail_render: Callable[[TaskSpec], Optional[VantageError]] = lambda _: None,
    fail_observe: Callable[[Observe], Optional[VantageError]] = lambda _: None,
    change: Callable[[Episode], Episode] = lambda episode: episode,
) -> Callable[[Any], Packet]:
    """Return a handler of RenderTask and Observe; `fail_...` return errors to raise, `change` alters an episode.

    RenderTask: one view, red if the answer is left, blue if it is right; the text of further questions ends with their
    number. Observe: a view with grey level
    `index`; forward is blocked, every other action moves the camera up by one metre.
    """

    def answer(message: Any) -> Packet:
        if isinstance(message, Observe):
            return observe(message)
        assert isinstance(message, RenderTask)
        error = fail_render(message.spec)
        if error is not None:
            raise error
        truth = "left" if message.spec.seq % 2 else "right"
        spec = message.spec
        image = np.zeros((spec.camera.height_px, spec.camera.width_px, 3), np.uint8)
        image[..., 0 if truth == "left" else 2] = 200
        sink = ArraySink()
        view = View(Pose((0, 0, 0), (1, 0, 0, 0)), spec.camera, sink.add(image))
        asked = question(truth, spec.question.skill, spec.question.level)
        others = tuple(
            msgspec.structs.replace(asked, text=f"{asked.text} {number}", mentions=(Mention(number, 0, 2),))
            for number in range(1, message.questions)
        )
        episode = Episode(spec.spec_id, (view,), asked, "scene", "digest", others=others)
        return Packet(b"", change(episode), [memoryview(blob) for blob in sink.blobs])

    def observe(message: Observe) -> Packet:
        error = fail_observe(message)
        if error is not None:
            raise error
        sink = ArraySink()
        shape = (message.camera.height_px, message.camera.width_px, 3)
        blocked = message.action == "forward"
        x, y, z = message.pose.position_m
        pose = message.pose if blocked else Pose((x, y + 1, z), message.pose.rotation_wxyz)
        view = View(pose, message.camera, sink.add(np.full(shape, message.index, np.uint8)))
        return Packet(b"", Observation(view, blocked), [memoryview(blob) for blob in sink.blobs])

    return answer


class Encoder:
    """One token per word."""

    eos = END

    def plain(self, text: str) -> str:
        return text

    def answer(self, answer: str) -> tuple[int, ...]:
        return (3 if answer == "left" else 4, END)


class Engine:
    """Answers "left" in the first `lefts(i)` samples of question i and "right" in the others."""

    name = "scripted"
    live = True

    def __init__(self, lefts: Callable[[int], int]) -> None:
        self._lefts = lefts
        self.words = ("left", "right")
        self._asked = itertools.count()
        self.prompts: list[Prompt] = []
        self.scored: list[Prompt] = []
        self.confidence: Callable[[Prompt], float] = lambda _: 0.5  # probability of the true answer

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        self.prompts += prompts
        rollouts = []
        for prompt in prompts:
            lefts = self._lefts(next(self._asked))
            words = [self.words[0]] * lefts + [self.words[1]] * (n - lefts)
            answers = tuple(
                Completion((3 if word == self.words[0] else 4, END), (-0.7, 0.0), word, True) for word in words
            )
            mean = math.log(self.confidence(prompt)) / max(len(prompt.truth), 1)
            rollouts.append(Rollout(prompt, (1, 1), answers, truth_logprob=mean))
        return rollouts

    def score_truth(self, prompts: Sequence[Prompt]) -> list[float]:
        """Mean log-probability of the two tokens of the truth: their product is `confidence`."""
        self.scored += prompts
        return [math.log(self.confidence(prompt)) / 2 for prompt in prompts]

    def load_adapter(self, name: str, path: Path) -> None: ...

    def close(self) -> None: ...
