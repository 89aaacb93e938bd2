"""The stream of tasks: leased from the curriculum and rendered by the simulator before they are needed.

    curriculum --lease--> specs --RenderTask (many in flight)--> tasks --take()--> the training step

Only `take` blocks. An infeasible or broken spec is reported as such, never as a wrong answer, and replaced by the next
one. The number of tasks ahead and their age are bounded.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence, TypeVar

import numpy as np
from PIL import Image

from learner.rollouts.base import RgbImage
from learner.settings import StreamSettings
from learner.stream.reports import Channel, failure_report
from protocol.answers.prompt import STYLES, read_answer, write_answer, write_prompt
from protocol.answers.scoring import score
from protocol.errors import VantageError
from protocol.run.directory import disk_guard, open_to_append, write_all, write_atomic
from protocol.run.files import make_folder
from protocol.run.lines import read_lines
from protocol.run.stall import Stalls
from protocol.tasks.check import check_episode, check_view, shown
from protocol.tasks.scene import Pose
from protocol.tasks.task import Episode, Question, TaskSpec
from protocol.wire.messages import (
    MOST_LEASED,
    ConfidenceReport,
    Leased,
    LeaseSpecs,
    Observation,
    RenderTask,
    SpecBatch,
)

log = logging.getLogger(__name__)

# Errors that every spec would hit, unless one worker of several is wrong: they end the run if they repeat.
FATAL = ("version", "backend_missing", "bad_config")
Message = TypeVar("Message")

QUESTIONS, SPECS = "questions from the simulator", "specs from the curriculum"  # what a learner waits for
SEE_SIMULATOR = "See `sim-server status` and the log of the simulator."
_RETRY_S = 1.0  # until the next request to a curriculum without specs, or to a simulator without questions
_INFEASIBLE_IN_A_ROW = 16  # infeasible specs without a question between them that count as one failed attempt


def stop_requested() -> VantageError:
    return VantageError("draining", "the learner is stopping; the same command resumes the run.")


def is_stalled(stalls: Stalls, missing: str) -> bool:
    return any(stall.missing == missing for stall in stalls.current)


@dataclass(frozen=True)
class Task:
    """A rendered spec: the question with its views and true answer.

    `index` is the number of the question about the views: 0 for that of the spec, from 1 for the `others`.
    """

    spec: TaskSpec
    question: Question
    images: tuple[RgbImage, ...]
    renderer_digest: str = ""
    leased: Optional[Leased] = None  # None if held out
    leased_at_step: int = 0
    pose: Optional[Pose] = None  # of the last view: the start of looking around
    index: int = 0
    others: tuple[Question, ...] = ()

    @property
    def candidates(self) -> list[Task]:
        """A task for each question about the views."""
        first = replace(self, others=())
        return [first, *(replace(first, question=one, index=index) for index, one in enumerate(self.others, start=1))]


def task_from(
    packet: Any, spec: TaskSpec, codec: str, leased: Optional[Leased] = None, step: int = 0, questions: int = 1
) -> Task:
    """Build a task from the simulator's answer. Copies the images, so that the message can be freed.

    `codec` is that of the requested images, `questions` the largest number of questions. Raises
    VantageError("bad_reply") if the answer is not an episode of this spec, and "bad_request" if an image cannot be
    decoded.
    """
    episode = _expect(packet.message, Episode)
    check_episode(spec, episode, image_codec=codec, questions=questions)
    for question in (episode.question, *episode.others):
        check_answerable(question)
    images = tuple(np.array(packet.array(view.rgb)) for view in episode.views)
    return Task(
        spec,
        episode.question,
        images,
        episode.renderer_digest,
        leased,
        step,
        episode.views[-1].pose,
        others=episode.others,
    )


def observed_from(packet: Any, spec: TaskSpec, codec: str) -> tuple[Observation, RgbImage]:
    """The simulator's answer to Observe, and a copy of its image. Raises VantageError as `task_from` does."""
    observation = _expect(packet.message, Observation)
    check_view(observation.view, spec.camera, ("rgb",), codec, f"the view after a move in spec {shown(spec.spec_id)}")
    return observation, np.array(packet.array(observation.view.rgb))


def check_answerable(question: Question) -> None:
    """Check that the true answer scores full marks in every style: anything else would train on a wrong reward.

    Raises VantageError("bad_reply").
    """
    for style in STYLES:
        try:
            write_prompt(question, style)
            reward = score(question, read_answer(question, write_answer(question, style), style, "strict"))
        except (ValueError, IndexError, ArithmeticError) as error:
            raise VantageError("bad_reply", f"the question cannot be written in style {style!r}: {error}.") from None
        if reward.accuracy < 1:
            raise VantageError("bad_reply", f"the answer {shown(question.answer)} cannot be given in style {style!r}.")


def _expect(message: Any, kind: type[Message]) -> Message:
    if not isinstance(message, kind):
        raise VantageError("bad_reply", f"the simulator answered with {type(message).__name__}, not {kind.__name__}.")
    return message


class TaskStream:
    def __init__(
        self,
        curriculum: Channel,
        simulator: Channel,
        settings: StreamSettings,
        learner: str,
        report_failure: Callable[[ConfidenceReport], None],
        stop: threading.Event,
        stalls: Stalls,
        waiting: Callable[[str], None] = lambda _: None,
        questions: int = 1,
    ) -> None:
        """`report_failure` receives a report on every spec that could not be rendered; `stop` ends all waiting.

        `waiting` is called repeatedly while `take` blocks, with the reason. `questions` is the largest number of
        questions about the views of a spec.
        """
        self._curriculum = curriculum
        self._simulator = simulator
        self._settings = settings
        self._learner = learner
        self._report_failure = report_failure
        self._stop = stop
        self._stalls = stalls
        self._waiting = waiting
        self._questions = questions
        self._infeasible_in_a_row = 0
        self._render_after = 0.0  # monotonic time
        self._leasing: Optional[Future[Any]] = None
        self._lease_after = 0.0
        self._specs: deque[tuple[Leased, int]] = deque()
        self._rendering: dict[Future[Any], tuple[Leased, int]] = {}
        self._ready: deque[Task] = deque()
        self.reason = ""  # explanation of the last specs by the curriculum
        self.infeasible = self.broken = self.stale = 0

    def take(self, count: int, step: int) -> list[Task]:
        """Return the next `count` tasks; blocks until they are ready. `step` is the training step.

        Raises VantageError: errors of the services that a retry cannot fix, and "draining" if a stop is requested.
        """
        tasks: list[Task] = []
        while True:
            self.pump(step)
            while self._ready and len(tasks) < count:
                task = self._ready.popleft()
                if step - task.leased_at_step > self._settings.max_staleness_steps:
                    self.stale += 1  # its lease expires in the curriculum
                else:
                    tasks.append(task)
            self.pump(step)
            if len(tasks) == count:
                return tasks
            if self._stop.is_set():
                raise stop_requested()
            pending = [*self._rendering, *([self._leasing] if self._leasing is not None else [])]
            if pending:
                done = wait(pending, timeout=_RETRY_S, return_when=FIRST_COMPLETED).done
            else:
                done = ()
                time.sleep(_RETRY_S / 10)
            if not done or self._stalls.current:
                self._waiting(f"waiting for {QUESTIONS if self._rendering or self._stalled else SPECS}")

    def pump(self, step: int) -> None:
        """Take replies that have arrived and send further requests. Does not block."""
        self._take_leases(step)
        for future in [future for future in self._rendering if future.done()]:
            self._take_render(future, *self._rendering.pop(future), step)
        # If nothing can be rendered, ask slowly, so that specs are not used up.
        most = 1 if self._stalled else self._settings.in_flight
        while self._specs and len(self._rendering) < most and time.monotonic() >= self._render_after:
            leased, leased_at = self._specs.popleft()
            codec, questions = self._settings.image_codec, self._questions_about(leased)
            message = RenderTask(leased.spec, image_codec=codec, questions=questions)
            future = self._simulator.submit(message, deadline_s=self._settings.render_deadline_s)
            self._rendering[future] = (leased, leased_at)
        missing = self._settings.ahead - len(self._specs) - len(self._rendering) - len(self._ready)
        # Lease in large batches: the curriculum groups a batch by scene, and each request costs a commit.
        enough = missing >= max(1, self._settings.ahead // 4)
        if self._leasing is None and enough and time.monotonic() > self._lease_after:
            message = LeaseSpecs(self._learner, min(missing, MOST_LEASED), step, self._settings.lease_s)
            self._leasing = self._curriculum.submit(message)

    def _questions_about(self, leased: Leased) -> int:
        """The largest number of questions to request. Blind questions are not screened."""
        return 1 if leased.blind else self._questions

    @property
    def _stalled(self) -> bool:
        """Whether the simulator renders nothing."""
        return is_stalled(self._stalls, QUESTIONS)

    def _take_leases(self, step: int) -> None:
        if self._leasing is None or not self._leasing.done():
            return
        future, self._leasing = self._leasing, None
        try:
            batch = future.result().message
        except VantageError as error:
            if not error.retryable:
                raise
            log.info("the curriculum sent no specs, retrying: %s", error)
            self._no_specs(error.message)
            return
        assert isinstance(batch, SpecBatch), batch
        self._specs.extend((leased, step) for leased in batch.specs)
        self.reason = batch.reason or self.reason
        if batch.specs:
            self._stalls.progressed(SPECS)
        else:
            self._no_specs("the curriculum has none to ask")

    def _no_specs(self, reason: str) -> None:
        self._lease_after = time.monotonic() + _RETRY_S
        self._stalls.failed(SPECS, reason, "See the log of the curriculum.")

    def _take_render(self, future: Future[Any], leased: Leased, leased_at: int, step: int) -> None:
        try:
            codec, questions = self._settings.image_codec, self._questions_about(leased)
            self._ready.append(task_from(future.result(), leased.spec, codec, leased, leased_at, questions))
        except VantageError as error:
            report = failure_report(leased, step, error)
            self._failed(report, error)
            if error.code in FATAL and self._stalled:
                raise
            self._report_failure(report)
        else:
            self._infeasible_in_a_row = 0
            self._stalls.progressed(QUESTIONS)

    def _failed(self, report: ConfidenceReport, error: VantageError) -> None:
        if report.outcome == "infeasible":
            self.infeasible += 1
            self._infeasible_in_a_row += 1
        elif report.outcome == "broken":
            self.broken += 1
            log.warning("broken spec: %s", error, extra={"spec_id": report.spec_id})
        if error.code != "infeasible" or self._infeasible_in_a_row % _INFEASIBLE_IN_A_ROW == 0:
            self._stalls.failed(QUESTIONS, error.message, SEE_SIMULATOR)
        if self._stalled:
            self._render_after = time.monotonic() + _RETRY_S


class EpisodeLog:
    """Writes episodes.jsonl and a bounded sample of views for the gallery of the report."""

    def __init__(self, folder: Path, settings: StreamSettings) -> None:
        """Raises VantageError if the folder or its file is not one."""
        self._images = folder / "images"
        path = folder / "episodes.jsonl"
        with disk_guard(folder):
            make_folder(self._images)
            self._file = open_to_append(path)
        self._lines = len(read_lines(path, dict)[0])
        self._saved = deque(sorted(self._images.iterdir(), key=lambda image: image.lstat().st_mtime))
        self._settings = settings

    def add(self, record: Mapping[str, Any], images: Sequence[RgbImage], in_gallery: bool) -> None:
        """Append one episode. For the gallery its views are saved and the oldest views deleted above `keep_images`.

        After `keep_episodes` lines, only episodes with views are added. Raises VantageError("disk_full").
        """
        names: list[str] = []
        with disk_guard(self._images):
            if in_gallery and len(images) <= self._settings.keep_images:
                for index, image in enumerate(images):
                    path = self._images / f"{_file_name(record['spec_id'])}-{index}.png"
                    write_atomic(path, _png(image), durable=False)
                    self._saved.append(path)
                    names.append(f"images/{path.name}")
                while len(self._saved) > self._settings.keep_images:
                    self._saved.popleft().unlink(missing_ok=True)
            if names or self._lines < self._settings.keep_episodes:
                line = json.dumps({**record, "images": names}, ensure_ascii=False, separators=(",", ":"))
                write_all(self._file, line.encode() + b"\n")
                self._lines += 1

    def close(self) -> None:
        os.close(self._file)


def _file_name(spec_id: str) -> str:
    """The id if it can be part of a file name, else a digest of it: ids of proposals come from outside."""
    if re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", spec_id):
        return spec_id
    return hashlib.blake2b(spec_id.encode(), digest_size=12).hexdigest()


def _png(image: RgbImage) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
