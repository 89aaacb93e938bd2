"""Watches the trainer from outside: budget, status, metrics, and the evaluations before, during and after."""

from __future__ import annotations

import resource
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

import msgspec
from transformers import TrainerCallback

from learner.evaluate.held_out import Evaluator, first_per_skill, write_results
from learner.grpo.clock import StepClock
from learner.grpo.schedule import rate
from learner.ranks.orders import Ranks
from learner.settings import LearnerSettings
from learner.stream.collect import Collector
from learner.stream.episodes import Task, TaskStream, asked_to_stop
from protocol.run.directory import RunDir
from protocol.run.sealed import verify_folder

_STATUS_EVERY_S = 0.5


class Monitor(TrainerCallback):
    """A callback of the trainer. `loop_s` is the time spent in the loop over all starts, evaluations not counted."""

    def __init__(self, run: RunDir, settings: LearnerSettings, clock: StepClock, stop: threading.Event) -> None:
        self._run = run
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._said_at = 0.0
        self._reward: Optional[float] = None
        self._held_out: Optional[float] = None
        self._tasks: Optional[list[Task]] = None
        self._word = ""
        self._lap_start = self._optimizer_start = time.monotonic()
        self._step_s = 0.0
        self.step = 0
        self.loop_s = 0.0

    def attach(
        self,
        evaluator: Evaluator,
        questions: Callable[[Callable[[str], None]], list[Task]],
        stream: TaskStream,
        collector: Collector,
        ranks: Ranks,
    ) -> None:
        self._evaluator = evaluator
        self._questions = questions
        self._stream = stream
        self._collector = collector
        self._ranks = ranks

    # ------------------------------------------------------------------------- what the loop asks

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    @property
    def budget_met(self) -> bool:
        return self.used >= 1

    @property
    def used(self) -> float:
        """The share of the budget that is used up, of steps or of minutes, whichever is further."""
        budget = self._settings.budget
        return max(self.step / budget.steps, self.loop_s / (60 * budget.minutes))

    def rate(self, step: int) -> float:
        """The learning rate of a step as a share of the configured one."""
        return rate(step, self.used, self._settings.grpo)

    def resumed(self, checkpoint: Optional[Path]) -> None:
        """Take up the counters of the newest checkpoint."""
        if checkpoint is not None:
            facts = verify_folder(checkpoint)
            self.step, self.loop_s = facts["step"], facts["loop_s"]

    def facts(self) -> dict[str, Any]:
        """What a checkpoint's manifest records."""
        return {"step": self.step, "loop_s": round(self.loop_s, 3)}

    def summary(self) -> dict[str, Any]:
        return {**self.facts(), "held_out": self._held_out}

    def between_steps(self) -> None:
        """Called before a step's questions are asked, when the step before is on disk."""
        every = self._settings.evaluate.every_steps
        if every and self.step and self.step % every == 0:
            start = time.monotonic()
            self.evaluate("during")
            self._lap_start += time.monotonic() - start
        self.say("training")

    def say(self, state: str) -> None:
        """What the process does now, for the terminal; written at most twice a second unless the state changes."""
        now = time.monotonic()
        word = state.split(",")[0]
        if now - self._said_at < _STATUS_EVERY_S and word == self._word:
            return
        self._said_at, self._word = now, word
        status = {
            "state": state,
            "step": self.step,
            "steps": self._settings.budget.steps,
            "loop_s": round(self.loop_s, 1),
            "budget_s": 60 * self._settings.budget.minutes,
            "reward": self._reward,
            "held_out": self._held_out,
        }
        self._run.write_status("learner", status)

    def say_or_stop(self, state: str) -> None:
        """`say` within work that may take minutes. Raises VantageError("draining") where a stop was asked for."""
        if self.stopped:
            raise asked_to_stop()
        self.say(state)

    # ------------------------------------------------------------------------- evaluation

    def evaluate(self, label: str) -> None:
        """Answer the held-out questions; `label` is before, after, or during for a part of them, greedily."""
        settings = self._settings.evaluate
        name = label if label != "during" else f"step_{self.step:06d}"
        path = self._run.path / "evaluations" / f"{name}.json"
        if label == "before" and path.exists():
            return
        if self._tasks is None:
            self.say("rendering held-out questions")
            self._tasks = self._questions(self.say_or_stop)
        tasks: Sequence[Task] = self._tasks
        samples, blind = settings.samples, settings.blind_per_skill
        if label == "during":
            chosen = first_per_skill(range(len(tasks)), tasks, settings.periodic_per_skill)
            tasks, samples, blind = [tasks[index] for index in chosen], 0, 0
        start = time.monotonic()
        rows, questions = self._evaluator.evaluate(tasks, samples, blind, self.say_or_stop)
        summary = {"label": label, "step": self.step, "rows": [msgspec.to_builtins(row) for row in rows]}
        by_skill: dict[str, list[float]] = {}
        for row in rows:
            by_skill.setdefault(row.skill, []).append(row.greedy)
        self._held_out = round(sum(sum(own) / len(own) for own in by_skill.values()) / len(by_skill), 4)
        took = round(time.monotonic() - start, 2)
        # The file comes last: it is what says at the next start that this evaluation is done.
        self._run.append_metrics("learner", {"event": "evaluated", "seconds": took, **summary})
        write_results(path, summary, questions)

    # ------------------------------------------------------------------------- the trainer's events

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._lap_start = time.monotonic()
        self.say("training")

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._optimizer_start = time.perf_counter()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._clock.spent_s["optimizer"] += time.perf_counter() - self._optimizer_start

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.step = state.global_step
        self._step_s = time.monotonic() - self._lap_start
        self._lap_start += self._step_s
        self.loop_s += self._step_s
        if self._ranks.agree(self.budget_met or self.stopped):
            control.should_training_stop = True
            control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        if logs is None or "reward" not in logs:
            return
        self._reward = round(logs["rewards/_accuracy/mean"], 4)
        counts = self._collector.counts
        seconds = {name: round(value, 4) for name, value in self._clock.take().items()}
        seconds["other"] = round(self._step_s - sum(seconds.values()), 4)
        record = {
            "event": "step",
            "step": self.step,
            "version": self.step,
            "reward": self._reward,
            "groups": counts.asked - counts.blind,
            **asdict(counts),
            "infeasible": self._stream.infeasible,
            "broken": self._stream.broken,
            "stale": self._stream.stale,
            "loss": logs.get("loss"),
            "grad_norm": logs.get("grad_norm"),
            "entropy": logs.get("entropy"),
            "mismatch": logs.get("sampling/sampling_logp_difference/mean", logs["mismatch"]),
            "step_s": round(self._step_s, 4),
            "seconds": seconds,
            "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        self._run.append_metrics("learner", record)
        self.say("training")
