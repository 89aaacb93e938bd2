"""Collects the groups of a step while the step before it trains, if the engine has its own weights and device.

    start(step)      collect the groups of a step in a thread
    take()           wait for them
    collect(step)    collect the groups of a step now
    last             the groups taken or collected last: those that train

The groups of step n + 1 are sampled with the weights after step n - 1: one step behind, which truncated importance
sampling corrects. Between `take` and `start` nothing is collected, so that the caller can publish weights and evaluate.
"""

from __future__ import annotations

import logging
import threading
from typing import Mapping, NamedTuple, Optional, Sequence

from learner.grpo.clock import StepClock
from learner.policy.checkpoints import ReplayFacts
from learner.rollouts.group import Group
from learner.stream.collect import Collector, StepCounts
from protocol.errors import VantageError

log = logging.getLogger(__name__)


class Collected(NamedTuple):
    """The groups of a step and the state of the collector after it."""

    groups: Sequence[Group]
    counts: StepCounts
    replay: tuple[ReplayFacts, ...]
    seconds: Mapping[str, float]  # of the collector's clock, if it has one of its own


class Ahead:
    """`clock` is that of the collector, if not the clock of the training step."""

    def __init__(self, collector: Collector, clock: Optional[StepClock] = None) -> None:
        self._collector = collector
        self._clock = clock
        self._thread: Optional[threading.Thread] = None
        self._found: Optional[Collected] = None
        self._error: Optional[BaseException] = None
        self.last = Collected((), StepCounts(), (), {})  # taken

    def start(self, step: int) -> None:
        """Begin to collect a step."""
        assert self._thread is None
        self._thread = threading.Thread(target=self._run, args=(step,), name="rollouts", daemon=True)
        self._thread.start()

    @property
    def started(self) -> bool:
        return self._thread is not None

    def take(self) -> None:
        """Wait for the step that was started and put it into `last`. Raises the errors of its collection."""
        assert self._thread is not None
        self._thread.join()
        self._thread = None
        if self._error is not None:
            raise self._error
        assert self._found is not None
        self.last, self._found = self._found, None

    def collect(self, step: int) -> None:
        """Collect a step now, into `last`."""
        self.last = self._collect(step)

    def close(self) -> None:
        """Wait for a step that was started, and discard its groups. Its reports count."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            if isinstance(self._error, VantageError) and self._error.code != "draining":
                log.warning("the questions of a further step, which is not trained, failed: %s", self._error.message)

    def _run(self, step: int) -> None:
        try:
            self._found = self._collect(step)
        except BaseException as error:  # raised again by `take`
            self._error = error

    def _collect(self, step: int) -> Collected:
        groups = self._collector.collect(step)
        seconds = self._clock.take() if self._clock is not None else {}
        return Collected(groups, self._collector.counts, tuple(self._collector.replay.facts()), seconds)
