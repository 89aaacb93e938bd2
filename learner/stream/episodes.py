"""The stream of questions: leased from the curriculum, realised by the simulator, ready before they are needed.

    curriculum --lease--> specs --RenderTask (many in flight)--> tasks --take()--> the training step

Nothing here waits except `take`. A spec that the simulator refuses or that breaks is reported apart and replaced by
the next one; it is never an answer. How far the stream runs ahead is bounded, and so is how old a spec may become.
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
from learner.stream.reports import Channel, refusal
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

FATAL = ("version", "backend_missing", "bad_config")  # codes of a simulator with which no other spec fares better
_RETRY_S = 1.0  # before asking again a curriculum that had nothing to give


def asked_to_stop() -> VantageError:
    return VantageError("draining", "the learner was asked to stop; the same command resumes the run.")


@dataclass(frozen=True)
class Task:
    """A realised spec: what the policy is asked, and the truth."""

    spec: TaskSpec
    question: Question
    images: tuple[RgbImage, ...]
    renderer_digest: str = ""
    leased: Optional[Leased] = None  # None: held out, nobody's lease
    leased_at_step: int = 0
    pose: Optional[Pose] = None  # of the last view: where a look around starts


def task_from(packet: Any, spec: TaskSpec, leased: Optional[Leased] = None, step: int = 0) -> Task:
    """The task in the simulator's answer. Images are copied, so that the message can be freed."""
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
        refused: Callable[[ConfidenceReport], None],
        stop: threading.Event,
    ) -> None:
        """`refused` is called with the report of every spec that could not be asked; `stop` ends all waiting."""
        self._curriculum = curriculum
        self._simulator = simulator
        self._settings = settings
        self._learner = learner
        self._refused = refused
        self._stop = stop
        self._leasing: Optional[Future[Any]] = None
        self._lease_after = 0.0
        self._specs: deque[tuple[Leased, int]] = deque()
        self._rendering: dict[Future[Any], tuple[Leased, int]] = {}
        self._ready: deque[Task] = deque()
        self.reason = ""  # the curriculum's own words on what it asks for
        self.infeasible = self.broken = self.stale = 0

    def take(self, count: int, step: int) -> list[Task]:
        """The next `count` tasks, waiting for them if need be; `step` is the trainer's.

        Raises the curriculum's or the simulator's VantageError where asking again cannot help, and "draining" when a
        stop is asked for while it waits.
        """
        tasks: list[Task] = []
        while True:
            self.pump(step)
            while self._ready and len(tasks) < count:
                task = self._ready.popleft()
                if step - task.leased_at_step > self._settings.max_staleness_steps:
                    self.stale += 1  # its lease returns to the curriculum when it expires
                else:
                    tasks.append(task)
            self.pump(step)
            if len(tasks) == count:
                return tasks
            if self._stop.is_set():
                raise asked_to_stop()
            pending = [*self._rendering, *([self._leasing] if self._leasing is not None else [])]
            if pending:
                wait(pending, timeout=_RETRY_S, return_when=FIRST_COMPLETED)
            else:
                time.sleep(_RETRY_S / 10)

    def pump(self, step: int) -> None:
        """Take what has arrived and ask for more. Never waits."""
        self._take_leases(step)
        for future in [future for future in self._rendering if future.done()]:
            self._take_render(future, *self._rendering.pop(future), step)
        while self._specs and len(self._rendering) < self._settings.in_flight:
            leased, leased_at = self._specs.popleft()
            message = RenderTask(leased.spec, image_codec=self._settings.image_codec)
            future = self._simulator.submit(message, deadline_s=self._settings.render_deadline_s)
            self._rendering[future] = (leased, leased_at)
        missing = self._settings.ahead - len(self._specs) - len(self._rendering) - len(self._ready)
        # In large portions: the curriculum groups a portion by scene, and each asking costs a commit.
        worth_asking = missing >= max(1, self._settings.ahead // 4)
        if self._leasing is None and worth_asking and time.monotonic() > self._lease_after:
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
            log.warning("no specs from the curriculum, asking again: %s", error)
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
                log.warning("spec broken: %s", error, extra={"spec_id": leased.spec.spec_id})
            self._refused(refusal(leased, step, error))


class EpisodeLog:
    """What was asked and answered: episodes.jsonl and a bounded sample of views, for the report's gallery."""

    def __init__(self, folder: Path, settings: StreamSettings) -> None:
        self._images = folder / "images"
        self._images.mkdir(parents=True, exist_ok=True)
        path = folder / "episodes.jsonl"
        self._lines = path.read_bytes().count(b"\n") if path.exists() else 0
        self._saved = deque(sorted(self._images.iterdir(), key=lambda image: image.stat().st_mtime))
        self._settings = settings
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 -- kept open; `close` closes it

    def add(self, record: Mapping[str, Any], images: Sequence[RgbImage], in_gallery: bool) -> None:
        """Append one episode; views are kept for those of the gallery, the newest ones up to the bound.

        Once `keep_episodes` lines are written, only those with views are added. Raises VantageError("disk_full").
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
