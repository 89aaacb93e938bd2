"""Records step metrics and runs the evaluations before, during and after training."""

from __future__ import annotations

import logging
import math
import resource
import time
from dataclasses import asdict
from typing import Any, Callable, Optional, Sequence

import msgspec
from transformers import TrainerCallback

from learner.evaluate.held_out import Evaluator, ShowStatus, first_per_skill, write_results
from learner.grpo.ahead import Collected
from learner.grpo.clock import StepClock
from learner.progress import Progress
from learner.ranks.orders import Ranks
from learner.settings import EvaluateSettings
from learner.stream.episodes import Task, TaskStream
from protocol.run.directory import RunDir

log = logging.getLogger(__name__)


class Monitor(TrainerCallback):
    """The callback of the trainer; a start of the learner has one."""

    def __init__(
        self,
        run: RunDir,
        settings: EvaluateSettings,
        progress: Progress,
        clock: StepClock,
        stream: TaskStream,
        collected: Callable[[], Collected],
        mismatch_alarm: float,
        evaluator: Evaluator,
        questions: Callable[[ShowStatus], list[Task]],
        ranks: Ranks,
    ) -> None:
        """`questions` renders the held-out questions, or reads them from disk if they were rendered before.

        `collected` returns the groups of the step that trains; a mismatch above `mismatch_alarm` is logged.
        """
        self._run = run
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._stream = stream
        self._collected = collected
        self._mismatch_alarm = mismatch_alarm
        self._alarmed = False
        self._evaluator = evaluator
        self._questions = questions
        self._ranks = ranks
        self._tasks: Optional[list[Task]] = None
        self._lap_start = self._optimizer_start = time.monotonic()
        self._lap_start_cpu = time.process_time()
        self._step_s = self._step_cpu_s = 0.0

    # ------------------------------------------------------------------------- evaluation

    def between_steps(self) -> None:
        """Evaluate if due. Called after the checkpoint of a step is saved, before the next step is collected."""
        every, step = self._settings.every_steps, self._progress.step
        if every and step and step % every == 0:
            start, start_cpu = time.monotonic(), time.process_time()
            self.evaluate("during")
            self._lap_start += time.monotonic() - start
            self._lap_start_cpu += time.process_time() - start_cpu
        self._progress.show("training")

    def evaluate(self, label: str) -> None:
        """Answer the held-out questions. `label`: "before", "after", or "during" (a subset, greedy answers only)."""
        settings, progress = self._settings, self._progress
        name = label if label != "during" else f"step_{progress.step:06d}"
        path = self._run.path / "evaluations" / f"{name}.json"
        if label == "before" and path.exists():
            return
        if self._tasks is None:
            progress.show("rendering held-out questions")
            self._tasks = self._questions(progress.show_unless_stopped)
        tasks: Sequence[Task] = self._tasks
        samples, blind = settings.samples, settings.blind_per_skill
        if label == "during":
            chosen = first_per_skill(range(len(tasks)), tasks, settings.periodic_per_skill)
            tasks, samples, blind = [tasks[index] for index in chosen], 0, 0
        start = time.monotonic()
        rows, questions = self._evaluator.evaluate(tasks, samples, blind, progress.show_unless_stopped)
        summary = {"label": label, "step": progress.step, "rows": [msgspec.to_builtins(row) for row in rows]}
        by_skill: dict[str, list[float]] = {}
        for row in rows:
            by_skill.setdefault(row.skill, []).append(row.greedy)
        progress.held_out = round(sum(sum(own) / len(own) for own in by_skill.values()) / len(by_skill), 4)
        seconds = round(time.monotonic() - start, 2)
        # Write the file last: its presence at the next start means that this evaluation is done.
        self._run.append_metrics("learner", {"event": "evaluated", "seconds": seconds, **summary})
        write_results(path, summary, questions)

    # ------------------------------------------------------------------------- trainer events

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._lap_start, self._lap_start_cpu = time.monotonic(), time.process_time()
        self._progress.show("training")

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._optimizer_start = time.perf_counter()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._clock.spent_s["optimizer"] += time.perf_counter() - self._optimizer_start

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        progress = self._progress
        progress.step = state.global_step
        self._step_s = time.monotonic() - self._lap_start
        self._lap_start += self._step_s
        self._step_cpu_s = time.process_time() - self._lap_start_cpu
        self._lap_start_cpu += self._step_cpu_s
        progress.loop_s += self._step_s
        if self._ranks.broadcast(progress.budget_met or progress.stopped):
            control.should_training_stop = True
            control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        if logs is None or "reward" not in logs:
            return
        progress, collected, stream = self._progress, self._collected(), self._stream
        counts = collected.counts
        accuracy = logs["rewards/_accuracy/mean"]
        progress.reward = None if math.isnan(accuracy) else round(accuracy, 4)  # every answer is masked
        seconds = {name: round(value, 4) for name, value in self._clock.take().items()}
        seconds["other"] = round(self._step_s - sum(seconds.values()), 4)
        seconds |= {f"ahead: {name}": round(value, 4) for name, value in collected.seconds.items()}
        mismatch = logs.get("sampling/sampling_logp_difference/mean", logs["mismatch"])
        self._alarm(mismatch)
        record = {
            "event": "step",
            "step": progress.step,
            "version": progress.step,
            "reward": progress.reward,
            "groups": counts.asked - counts.blind,
            **asdict(counts),
            "infeasible": stream.infeasible,
            "broken": stream.broken,
            "stale": stream.stale,
            "loss": logs.get("loss"),
            "grad_norm": logs.get("grad_norm"),
            "entropy": logs.get("entropy"),
            "mismatch": mismatch,
            "step_s": round(self._step_s, 4),
            "cpu_s": round(self._step_cpu_s, 4),  # of this process: in a serial run, of the simulator as well
            "seconds": seconds,
            "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        self._run.append_metrics("learner", record)
        progress.show("training")

    def _alarm(self, mismatch: float) -> None:
        """Warn when the mismatch rises above its limit; again only after it has been below."""
        above = mismatch > self._mismatch_alarm
        if above and not self._alarmed:
            log.warning(
                "the log-probabilities of engine and trainer differ by %.2f on average in step %d, more than "
                "learner.grpo.mismatch_alarm: lower learner.grpo.learning_rate, and compare the engine's model and "
                "dtype with the learner's",
                mismatch,
                self._progress.step,
            )
        self._alarmed = above
