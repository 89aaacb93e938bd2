"""The questions of a split of a configuration, by number, rendered by the simulator of a run."""

from __future__ import annotations

import itertools
from collections import deque
from concurrent.futures import Future
from typing import Any, Iterator, Optional

from learner.stream.episodes import task_from
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.tasks.specs import cells_of, world_of
from protocol.tasks.task import TaskSpec
from protocol.wire.client import Client
from protocol.wire.messages import RenderTask
from vantage.envs.questions import OpenQuestion, open_question
from vantage.numbered import NumberedSpecs

_RENDER_S = 120.0


class Split:
    """Question `number` of a split is the same in every process and every start."""

    def __init__(self, run: RunDir, simulator: Client, split: str, seed: int, ahead: int) -> None:
        """Raises VantageError("bad_request") for an unknown split."""
        self._run = run
        self._simulator = simulator
        self._ahead = ahead
        world = world_of(run.config).model_dump(mode="json")
        self._specs = NumberedSpecs(split, tuple(cells_of(run.config)), world, seed)

    def question(self, number: int) -> OpenQuestion:
        """The question with this number, or with the next one that is feasible. Raises errors of the simulator."""
        for candidate in itertools.count(number):
            spec = self._specs[candidate]
            if (question := self._received(spec, self._submit(spec))) is not None:
                return question
        raise AssertionError

    def questions(self, n: Optional[int] = None) -> Iterator[OpenQuestion]:
        """The feasible questions with the numbers below `n`, or without end, in order."""
        numbers = itertools.count() if n is None else iter(range(n))
        waiting: deque[tuple[TaskSpec, Future[Any]]] = deque()
        while True:
            for number in itertools.islice(numbers, self._ahead - len(waiting)):
                spec = self._specs[number]
                waiting.append((spec, self._submit(spec)))
            if not waiting:
                return
            if (question := self._received(*waiting.popleft())) is not None:
                yield question

    def _submit(self, spec: TaskSpec) -> Future[Any]:
        return self._simulator.submit(RenderTask(spec), deadline_s=_RENDER_S)

    def _received(self, spec: TaskSpec, future: Future[Any]) -> Optional[OpenQuestion]:
        """None if the spec is infeasible."""
        try:
            return open_question(self._run.path, task_from(future.result(), spec, "raw"))
        except VantageError as error:
            if error.code != "infeasible":
                raise
            return None
