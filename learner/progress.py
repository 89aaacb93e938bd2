"""Progress of the loop: steps, time, budget, and the status that the terminal shows."""

from __future__ import annotations

import threading
import time
from typing import Any, Optional

from learner.grpo.schedule import rate
from learner.policy.checkpoints import Facts
from learner.settings import LearnerSettings
from learner.stream.episodes import stop_requested
from protocol.run.directory import RunDir
from protocol.run.stall import Stalls

_STATUS_EVERY_S = 0.5


class Progress:
    """Counters of the loop. `loop_s` is the time spent in it over all starts, without evaluations."""

    def __init__(self, run: RunDir, settings: LearnerSettings, stop: threading.Event, stalls: Stalls) -> None:
        """`stalls` are shown in the status."""
        self._run = run
        self._stalls = stalls
        self._settings = settings
        self._stop = stop
        self._guard = threading.Lock()  # rollouts may run in another thread
        self._written_at = 0.0
        self._activity = ""
        self.step = 0
        self.loop_s = 0.0
        self.reward: Optional[float] = None  # of the last step
        self.held_out: Optional[float] = None  # of the last evaluation

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    @property
    def budget_met(self) -> bool:
        return self.used >= 1

    @property
    def used(self) -> float:
        """Fraction of the budget used up, in steps or in minutes, whichever is larger."""
        budget = self._settings.budget
        return max(self.step / budget.steps, self.loop_s / (60 * budget.minutes))

    def rate(self, step: int) -> float:
        """Learning rate of a step as a fraction of the configured rate."""
        return rate(step, self.used, self._settings.grpo)

    def resume(self, facts: Facts) -> None:
        """Restore the counters from a checkpoint."""
        self.step, self.loop_s = facts.step, facts.loop_s

    def facts(self) -> dict[str, Any]:
        """Entries for the manifest of a checkpoint."""
        return {"step": self.step, "loop_s": round(self.loop_s, 3)}

    def summary(self) -> dict[str, Any]:
        return {**self.facts(), "held_out": self.held_out}

    def show(self, state: str) -> None:
        """Write the status, at most twice a second unless the activity (the text before a comma) changes."""
        with self._guard:
            self._show(state)

    def _show(self, state: str) -> None:
        now = time.monotonic()
        activity = state.split(",")[0]
        if now - self._written_at < _STATUS_EVERY_S and activity == self._activity:
            return
        self._written_at, self._activity = now, activity
        status = {
            "state": state,
            "step": self.step,
            "steps": self._settings.budget.steps,
            "loop_s": round(self.loop_s, 1),
            "budget_s": 60 * self._settings.budget.minutes,
            "reward": self.reward,
            "held_out": self.held_out,
            "stalls": self._stalls.reports(),
        }
        self._run.write_status("learner", status)

    def show_unless_stopped(self, state: str) -> None:
        """Call `show` during long work. Raises VantageError("draining") if a stop was requested."""
        if self.stopped:
            raise stop_requested()
        self.show(state)
