"""How far the loop is: steps, time, budget, and the status that the terminal shows."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Optional

from learner.grpo.schedule import rate
from learner.settings import LearnerSettings
from learner.stream.episodes import asked_to_stop
from protocol.run.directory import RunDir
from protocol.run.sealed import verify_folder

_STATUS_EVERY_S = 0.5


class Progress:
    """`loop_s` is the time spent in the loop over all starts, evaluations excluded."""

    def __init__(self, run: RunDir, settings: LearnerSettings, stop: threading.Event) -> None:
        self._run = run
        self._settings = settings
        self._stop = stop
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
        """The fraction of the budget that is used up, of steps or of minutes, whichever is larger."""
        budget = self._settings.budget
        return max(self.step / budget.steps, self.loop_s / (60 * budget.minutes))

    def rate(self, step: int) -> float:
        """The learning rate of a step as a fraction of the configured one."""
        return rate(step, self.used, self._settings.grpo)

    def resume(self, checkpoint: Optional[Path]) -> None:
        """Restore the counters of this checkpoint, if there is one."""
        if checkpoint is not None:
            facts = verify_folder(checkpoint)
            self.step, self.loop_s = facts["step"], facts["loop_s"]

    def facts(self) -> dict[str, Any]:
        """What a checkpoint's manifest records."""
        return {"step": self.step, "loop_s": round(self.loop_s, 3)}

    def summary(self) -> dict[str, Any]:
        return {**self.facts(), "held_out": self.held_out}

    def show(self, state: str) -> None:
        """Write the status for the terminal; at most twice a second unless the activity (up to a comma) changes."""
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
        }
        self._run.write_status("learner", status)

    def show_or_stop(self, state: str) -> None:
        """`show` during work that may take minutes. Raises VantageError("draining") if a stop was requested."""
        if self.stopped:
            raise asked_to_stop()
        self.show(state)
