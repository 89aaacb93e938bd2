"""Replay: questions that still have something to teach come back with new answers.

A question is used at most `uses` times, not again within `gap_steps`, and never after the policy has become sure of it.
Its report was sent when it was first answered, so replaying adds no evidence. Memory is bounded; a checkpoint stores
specs and the numbers of their questions only, and a resumed run renders them again.
"""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Sequence

import numpy as np

from learner.policy.checkpoints import ReplayFacts
from learner.settings import ReplaySettings, StreamSettings
from learner.stream.episodes import Task, task_from
from learner.stream.reports import Channel
from learner.stream.screen import is_choice
from protocol.errors import VantageError
from protocol.wire.messages import RenderTask

log = logging.getLogger(__name__)

_RENDERED_AT_ONCE = 16  # of a checkpoint's questions, so that new ones are not delayed


@dataclass
class _Question:
    task: Task
    uses: int
    step: int  # of the last use
    success: float  # expected or measured accuracy at that time


class Replay:
    def __init__(self, settings: ReplaySettings, simulator: Channel, stream: StreamSettings) -> None:
        """`simulator` renders the questions of a checkpoint again, with the codec and deadline of `stream`."""
        self._settings = settings
        self._simulator = simulator
        self._stream = stream
        self._questions: dict[str, _Question] = {}  # by spec id, the oldest first
        self._restored: deque[ReplayFacts] = deque()  # of a checkpoint, not rendered again yet
        self._rendering: list[tuple[ReplayFacts, Future[Any]]] = []
        self.retired = self.used_up = 0

    def __len__(self) -> int:
        return len(self._questions)

    def note(self, task: Task, step: int, success: float) -> None:
        """Record that the policy answered a question with this mean accuracy in a step that trained on it."""
        if not self._settings.share:
            return
        spec_id = task.spec.spec_id
        known = self._questions.pop(spec_id, None)
        uses = 1 + (known.uses if known else 0)
        if success > self._settings.retire_above:
            self.retired += 1
        elif uses >= self._settings.uses:
            self.used_up += 1
        else:
            self._questions[spec_id] = _Question(replace(task, leased=None), uses, step, success)
        while len(self._questions) > self._settings.most:
            del self._questions[next(iter(self._questions))]

    def draw(self, count: int, step: int, rng: np.random.Generator) -> list[Task]:
        """Up to `share` of `count` questions that are due, drawn uniformly."""
        self._render()
        due = [one.task for one in self._questions.values() if step - one.step >= self._settings.gap_steps]
        wanted = min(int(self._settings.share * count), len(due))
        return [due[int(index)] for index in rng.choice(len(due), wanted, replace=False)] if wanted else []

    def success(self, task: Task) -> float:
        """The mean accuracy at the last use of a question that `draw` returned."""
        return self._questions[task.spec.spec_id].success

    def answers(self) -> list[tuple[str, str]]:
        """The skill and the true answer of each choice."""
        tasks = [one.task for one in self._questions.values()]
        return [(task.spec.question.skill, task.question.answer) for task in tasks if is_choice(task)]

    def facts(self) -> list[ReplayFacts]:
        """The questions, for a checkpoint."""
        waiting = [facts for facts, _ in self._rendering]
        ready = [
            ReplayFacts(one.task.spec, one.uses, one.step, one.success, one.task.index)
            for one in self._questions.values()
        ]
        return [*self._restored, *waiting, *ready]

    def restore(self, facts: Sequence[ReplayFacts]) -> None:
        """Continue with the questions of a checkpoint, which become available as they are rendered again."""
        self._questions.clear()
        self._restored = deque(facts)

    def _render(self) -> None:
        """Take the restored questions that were rendered, and order more; drop those that cannot be rendered."""
        done = [pair for pair in self._rendering if pair[1].done()]
        self._rendering = [pair for pair in self._rendering if not pair[1].done()]
        for facts, future in done:
            try:
                codec, questions = self._stream.image_codec, facts.index + 1
                task = _candidate(task_from(future.result(), facts.spec, codec, questions=questions), facts.index)
            except VantageError as error:
                log.info("a question is not replayed any more: %s", error, extra={"spec_id": facts.spec.spec_id})
            else:
                self._questions[facts.spec.spec_id] = _Question(task, facts.uses, facts.step, facts.success)
        while self._restored and len(self._rendering) < _RENDERED_AT_ONCE:
            facts = self._restored.popleft()
            order = RenderTask(facts.spec, image_codec=self._stream.image_codec, questions=facts.index + 1)
            future = self._simulator.submit(order, deadline_s=self._stream.render_deadline_s)
            self._rendering.append((facts, future))


def _candidate(task: Task, index: int) -> Task:
    """The task with the question of this number. Raises VantageError("bad_reply") if the simulator did not ask it."""
    if index > len(task.others):
        raise VantageError(
            "bad_reply", f"the views have {1 + len(task.others)} questions, and number {index} is wanted."
        )
    return task.candidates[index]
