"""Collects the groups of one training step.

    take tasks -> sample answers -> score by rule -> reports into the outbox, synced -> groups with gradient to TRL

Groups with equal rewards have no gradient: they are counted, reported, and replaced by further questions up to a bound.
A question whose views cannot be rendered while the policy looks around is reported as broken and replaced as well.
Blind questions (without images) are reported and never trained on.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from statistics import fmean
from typing import Optional, Sequence

import msgspec

from learner.grpo.clock import StepClock
from learner.rollouts.answerer import Answerer
from learner.rollouts.base import Sampling, TruthScorer
from learner.rollouts.group import Group
from learner.settings import LearnerSettings
from learner.stream.episodes import FATAL, SEE_SIMULATOR, EpisodeLog, Task, TaskStream, is_stalled
from learner.stream.outbox import Outbox, ReportSender
from learner.stream.reports import answer_entropy, failure_report, has_spread, report_id
from protocol.errors import VantageError
from protocol.run.stall import Stalls
from protocol.seeds import rng_for
from protocol.tasks.task import degradation_label
from protocol.wire.messages import ConfidenceReport

log = logging.getLogger(__name__)

_LEAST_GRADIENT_FRACTION = 0.4  # lower bound of the expected fraction of groups with gradient
_GALLERY_PER_STEP = 2
_VIEWS = "views for a policy that looks around"
_READABLE = "answers that can be read"
_SEE_STYLE = "Check learner.policy.style and learner.rollout.max_answer_tokens."
_SHOWN = 60  # characters of an answer in a sentence


@dataclass
class StepCounts:
    """Counts of a step; gradients and success are counted over groups with images only."""

    asked: int = 0
    blind: int = 0
    no_gradient: int = 0
    all_right: int = 0
    all_wrong: int = 0
    kept: int = 0
    readable: int = 0  # answers
    staleness_steps: float = 0.0
    success_by_skill: dict[str, float] = field(default_factory=dict)


@dataclass
class Collector:
    """Collects the groups of each step. `score_truth` is required if the engine does not score true answers."""

    stream: TaskStream
    answerer: Answerer
    outbox: Outbox
    sender: ReportSender
    episodes: EpisodeLog
    settings: LearnerSettings
    run_seed: int
    clock: StepClock
    stalls: Stalls
    score_truth: Optional[TruthScorer] = None
    counts: StepCounts = field(default_factory=StepCounts, init=False)
    _gradient_fraction: float = field(default=0.5, init=False)
    _last_answer: str = field(default="", init=False)

    def collect(self, step: int) -> list[Group]:
        """Return the groups of training step `step`. Their reports are on disk when this returns."""
        self.counts = StepCounts()
        wanted = self.settings.grpo.groups
        bound = wanted + int(wanted * self.settings.grpo.replacements)
        groups: list[Group] = []
        flat: list[Group] = []
        portion = 0
        while (len(groups) < wanted and self.counts.asked < bound) or not (groups or flat):
            missing = math.ceil((wanted - len(groups)) / max(self._gradient_fraction, _LEAST_GRADIENT_FRACTION))
            with_gradient, without = self._ask(min(missing, max(1, bound - self.counts.asked)), step, portion)
            groups += with_gradient
            flat += without
            portion += 1
        groups = (groups or flat)[:wanted]
        # Trim to a number that splits evenly into passes over all ranks; repeat groups if there are too few.
        unit = self.settings.passes // math.gcd(self.settings.passes, self.settings.grpo.samples)
        groups = groups[: len(groups) // unit * unit] or (groups * unit)[:unit]
        self.counts.kept = len(groups)
        self._check_readable()
        return groups

    def _check_readable(self) -> None:
        """Count a step without a readable answer as a failed attempt: the policy cannot learn from it."""
        if self.counts.readable:
            self.stalls.progressed(_READABLE)
        elif self.counts.asked:
            self.stalls.failed(_READABLE, f"an answer was {self._last_answer[:_SHOWN]!r}", _SEE_STYLE)

    def _ask(self, count: int, step: int, portion: int) -> tuple[list[Group], list[Group]]:
        with self.clock("render wait"):
            tasks = self.stream.take(count, step)
        seed = int(rng_for(self.run_seed, "rollout", step, portion).integers(2**31))
        sampling = Sampling(self.settings.rollout.temperature, self.settings.rollout.max_answer_tokens, seed)
        blind = [task.leased is not None and task.leased.blind for task in tasks]
        with self.clock("rollout"):
            answers = self.answerer.answer(tasks, self.settings.grpo.samples, sampling, blind)
            failed = [(task, error) for task, error in zip(tasks, answers) if isinstance(error, VantageError)]
            answered = [(task, group) for task, group in zip(tasks, answers) if isinstance(group, Group)]
            self._report_failures(failed, step, all_failed=not answered)
            tasks, groups = [task for task, _ in answered], [group for _, group in answered]
            likelihoods = self._likelihoods(groups)
        self.stream.pump(step)
        with self.clock("report"):
            reports = [self._report(*row, step) for row in zip(tasks, groups, likelihoods)]
            self.outbox.add(reports)
            self.sender.pump()
            self._log_episodes(tasks, groups, reports, step)
        self._count(tasks, reports, step)
        self.counts.readable += sum(reward.readable for group in groups for reward in group.rewards)
        for group in groups:
            self._last_answer = group.last[-1].completion.text
        sighted = [(group, report) for group, report in zip(groups, reports) if not report.blind]
        with_gradient = [group for group, report in sighted if report.had_gradient]
        if sighted:
            self._gradient_fraction += 0.2 * (len(with_gradient) / len(sighted) - self._gradient_fraction)
        return with_gradient, [group for group, report in sighted if not report.had_gradient]

    def _report_failures(self, failed: Sequence[tuple[Task, VantageError]], step: int, all_failed: bool) -> None:
        """Report tasks whose views could not be rendered; they do not count as wrong answers.

        Raises the last error if all tasks fail several times in a row with errors that no task can avoid.
        """
        reports = []
        for task, error in failed:
            assert task.leased is not None
            log.warning(
                "a view could not be rendered while looking around: %s", error, extra={"spec_id": task.spec.spec_id}
            )
            reports.append(failure_report(task.leased, step, error))
        if reports:
            self.outbox.add(reports)
        if not all_failed:
            self.stalls.progressed(_VIEWS)
        else:
            last = failed[-1][1]
            self.stalls.failed(_VIEWS, last.message, SEE_SIMULATOR)
            if last.code in FATAL and is_stalled(self.stalls, _VIEWS):
                raise last

    def _likelihoods(self, groups: Sequence[Group]) -> list[float]:
        """Return the likelihood of the true answer of each group, exp(mean log p of its tokens).

        It is measured in the last turn of each answer and averaged over answers.
        """
        turns = {id(turn.prompt): turn for group in groups for turn in group.last}
        known = {key: turn.truth_logprob for key, turn in turns.items()}
        unknown = [key for key, value in known.items() if value is None]
        if unknown:
            assert self.score_truth is not None, "the engine does not score true answers, so score_truth is required"
            known.update(zip(unknown, self.score_truth([turns[key].prompt for key in unknown])))
        likelihood = {key: math.exp(value) for key, value in known.items() if value is not None}
        return [fmean(likelihood[id(turn.prompt)] for turn in group.last) for group in groups]

    def _report(self, task: Task, group: Group, truth_likelihood: float, step: int) -> ConfidenceReport:
        leased = task.leased
        assert leased is not None
        totals = [reward.total(self.settings.grpo.format_weight) for reward in group.rewards]
        return ConfidenceReport(
            report_id=report_id(leased),
            spec_id=task.spec.spec_id,
            lease_id=leased.lease_id,
            policy_version=step,
            outcome="answered",
            skill=task.spec.question.skill,
            level=task.spec.question.level,
            frame=task.question.frame,
            blind=leased.blind,
            rewards=tuple(totals),
            success_rate=sum(reward.accuracy for reward in group.rewards) / len(group.rewards),
            truth_likelihood=truth_likelihood,
            answer_entropy=answer_entropy(turn.completion.text for turn in group.last),
            had_gradient=has_spread(totals),
            renderer_digest=task.renderer_digest,
            degradation=degradation_label(task.spec.degradations),
        )

    def _count(self, tasks: Sequence[Task], reports: Sequence[ConfidenceReport], step: int) -> None:
        counts = self.counts
        before = counts.asked
        counts.asked += len(reports)
        counts.blind += sum(report.blind for report in reports)
        sighted = [report for report in reports if not report.blind]
        counts.no_gradient += sum(not report.had_gradient for report in sighted)
        counts.all_right += sum(not report.had_gradient and report.success_rate > 0.5 for report in sighted)
        counts.all_wrong += sum(not report.had_gradient and report.success_rate <= 0.5 for report in sighted)
        lag = sum(step - task.leased_at_step for task in tasks)
        counts.staleness_steps = (counts.staleness_steps * before + lag) / max(counts.asked, 1)
        for skill in {report.skill for report in sighted}:
            rates = [report.success_rate for report in sighted if report.skill == skill]
            counts.success_by_skill[skill] = sum(rates) / len(rates)

    def _log_episodes(
        self, tasks: Sequence[Task], groups: Sequence[Group], reports: Sequence[ConfidenceReport], step: int
    ) -> None:
        order = rng_for(self.run_seed, "gallery", step).permutation(len(tasks))
        chosen = set(order[:_GALLERY_PER_STEP].tolist()) if self.counts.asked == 0 else set()
        for index, (task, group, report) in enumerate(zip(tasks, groups, reports)):
            record = {
                "step": step,
                "spec_id": report.spec_id,
                "spec": msgspec.to_builtins(task.spec),
                "scene_seed": task.spec.scene.seed,
                "skill": report.skill,
                "level": report.level,
                "purpose": task.leased.purpose if task.leased else "",
                "blind": report.blind,
                "question": group.prompt.text,
                "options": task.question.options,
                "truth": task.question.answer,
                "program": task.question.program,
                "answers": [turn.completion.text.strip() for turn in group.last],
                "success_rate": round(report.success_rate, 4),
                "truth_likelihood": round(report.truth_likelihood, 4),
                "had_gradient": report.had_gradient,
            }
            images = task.images
            if group.later:
                record["moves"] = [[turn.completion.text.strip() for turn in turns[:-1]] for turns in group]
                images = max((turns[-1].prompt.images for turns in group), key=len)
            self.episodes.add(record, images, index in chosen)
