"""The stream of tasks: leased from the curriculum and rendered by the simulator before they are needed.

    curriculum --lease--> specs --RenderTask (many in flight)--> tasks --take()--> the training step

Only `take` blocks. An infeasible or broken spec is reported as such, never as a wrong answer, and replaced by the next
one. The number of tasks ahead and their age are bounded.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

import numpy as np
from PIL import Image

from learner.rollouts.base import RgbImage
from learner.settings import StreamSettings
from learner.stream.reports import Channel, failure_report
from protocol.errors import VantageError
from protocol.run.directory import disk_guard
from protocol.tasks.scene import Pose
from protocol.tasks.task import Episode, Question, TaskSpec
from protocol.wire.messages import (
    MOST_LEASED,
    ConfidenceReport,
    Leased,
    LeaseSpecs,
    RenderTask,
    SpecBatch,
)

log = logging.getLogger(__name__)

FATAL = ("version", "backend_missing", "bad_config")  # errors that every spec would hit
_RETRY_S = 1.0  # until the next request to a curriculum without specs


def stop_requested() -> VantageError:
    return VantageError("draining", "the learner is stopping; the same command resumes the run.")


@dataclass(frozen=True)
class Task:
    """A rendered spec: the question with its views and true answer."""

    spec: TaskSpec
    question: Question
    images: tuple[RgbImage, ...]
    renderer_digest: str = ""
    leased: Optional[Leased] = None  # None if held out
    leased_at_step: int = 0
    pose: Optional[Pose] = None  # of the last view: the start of looking around


def task_from(packet: Any, spec: TaskSpec, leased: Optional[Leased] = None, step: int = 0) -> Task:
    """Build a task from the simulator's answer. Copies the images, so that the message can be freed."""
    episode = packet.message
    assert isinstance(episode, Episode), episode
    images = tuple(np.array(packet.array(view.rgb)) for view in episode.views)
    return Task(spec, episode.question, images, episode.renderer_digest, leased, step, episode.views[-1].pose)


class TaskStream:
    def __init__(
        self,
        curriculum: Channel,
        simulator: Channel,
        settings: StreamSettings,
        learner: str,
        report_failure: Callable[[ConfidenceReport], None],
        stop: threading.Event,
    ) -> None:
        """`report_failure` receives a report on every spec that could not be rendered; `stop` ends all waiting."""
        self._curriculum = curriculum
        self._simulator = simulator
        self._settings = settings
        self._learner = learner
        self._report_failure = report_failure
        self._stop = stop
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
                wait(pending, timeout=_RETRY_S, return_when=FIRST_COMPLETED)
            else:
                time.sleep(_RETRY_S / 10)

    def pump(self, step: int) -> None:
        """Take replies that have arrived and send further requests. Does not block."""
        self._take_leases(step)
        for future in [future for future in self._rendering if future.done()]:
            self._take_render(future, *self._rendering.pop(future), step)
        while self._specs and len(self._rendering) < self._settings.in_flight:
            leased, leased_at = self._specs.popleft()
            message = RenderTask(leased.spec, image_codec=self._settings.image_codec)
            future = self._simulator.submit(message, deadline_s=self._settings.render_deadline_s)
            self._rendering[future] = (leased, leased_at)
        missing = self._settings.ahead - len(self._specs) - len(self._rendering) - len(self._ready)
        # Lease in large batches: the curriculum groups a batch by scene, and each request costs a commit.
        enough = missing >= max(1, self._settings.ahead // 4)
        if self._leasing is None and enough and time.monotonic() > self._lease_after:
            message = LeaseSpecs(self._learner, min(missing, MOST_LEASED), step, self._settings.lease_s)
            self._leasing = self._curriculum.submit(message)

    def _take_leases(self, step: int) -> None:
        if self._leasing is None or not self._leasing.done():
            return
        future, self._leasing = self._leasing, None
        try:
            batch = future.result().message
        except VantageError as error:
            if not error.retryable:
                raise
            log.warning("the curriculum sent no specs, retrying: %s", error)
            self._lease_after = time.monotonic() + _RETRY_S
            return
        assert isinstance(batch, SpecBatch), batch
        self._specs.extend((leased, step) for leased in batch.specs)
        self.reason = batch.reason or self.reason
        if not batch.specs:
            self._lease_after = time.monotonic() + _RETRY_S

    def _take_render(self, future: Future[Any], leased: Leased, leased_at: int, step: int) -> None:
        try:
            self._ready.append(task_from(future.result(), leased.spec, leased, leased_at))
        except VantageError as error:
            if error.code in FATAL:
                raise
            self.infeasible += error.code == "infeasible"
            self.broken += error.code != "infeasible"
            if error.code != "infeasible":
                log.warning("broken spec: %s", error, extra={"spec_id": leased.spec.spec_id})
            self._report_failure(failure_report(leased, step, error))


class EpisodeLog:
    """Writes episodes.jsonl and a bounded sample of views for the gallery of the report."""

    def __init__(self, folder: Path, settings: StreamSettings) -> None:
        self._images = folder / "images"
        self._images.mkdir(parents=True, exist_ok=True)
        path = folder / "episodes.jsonl"
        self._lines = path.read_bytes().count(b"\n") if path.exists() else 0
        self._saved = deque(sorted(self._images.iterdir(), key=lambda image: image.stat().st_mtime))
        self._settings = settings
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 -- closed by `close`

    def add(self, record: Mapping[str, Any], images: Sequence[RgbImage], in_gallery: bool) -> None:
        """Append one episode. For the gallery its views are saved and the oldest views deleted above `keep_images`.

        After `keep_episodes` lines, only episodes with views are added. Raises VantageError("disk_full").
        """
        names: list[str] = []
        with disk_guard(self._images):
            if in_gallery and len(images) <= self._settings.keep_images:
                for index, image in enumerate(images):
                    path = self._images / f"{record['spec_id']}-{index}.png"
                    Image.fromarray(image).save(path)
                    self._saved.append(path)
                    names.append(f"images/{path.name}")
                while len(self._saved) > self._settings.keep_images:
                    self._saved.popleft().unlink(missing_ok=True)
            if names or self._lines < self._settings.keep_episodes:
                line = json.dumps({**record, "images": names}, ensure_ascii=False, separators=(",", ":"))
                self._file.write(line.encode() + b"\n")
                self._lines += 1

    def close(self) -> None:
        self._file.close()
