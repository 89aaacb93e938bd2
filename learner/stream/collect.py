"""Collects the groups of one training step: ask, answer, score, report, and keep what has a gradient.

    take tasks -> sample answers -> score by rule -> reports into the outbox, synced -> groups with spread to TRL

A question whose views cannot be rendered in the middle of a look around is reported as broken and replaced, too.
Groups whose rewards do not differ carry no gradient: they are counted, reported, and replaced by further questions up
to a bound. Blind questions (no picture) are reported and never trained on.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from statistics import fmean
from typing import Optional, Sequence

import msgspec

from learner.grpo.clock import StepClock
from learner.grpo.groups import Group
from learner.rollouts.answerer import Answerer, Answers, score_completion
from learner.rollouts.base import Sampling, TruthScorer
from learner.settings import GrpoSettings, RolloutSettings
from learner.stream.episodes import EpisodeLog, Task, TaskStream
from learner.stream.reports import Outbox, ReportSender, answer_entropy, has_spread, refusal, report_id
from protocol.answers.prompt import Style
from protocol.errors import VantageError
from protocol.seeds import rng_for
from protocol.tasks.task import degradation_label
from protocol.wire.messages import ConfidenceReport

log = logging.getLogger(__name__)

_LEAST_SPREAD_SHARE = 0.4  # how pessimistic the first portion of a step is about groups without gradient
_GALLERY_PER_STEP = 2


@dataclass
class StepCounts:
    """What a step's collection saw; the shares are over seeing (not blind) groups."""

    asked: int = 0
    blind: int = 0
    no_gradient: int = 0
    all_right: int = 0
    all_wrong: int = 0
    kept: int = 0
    staleness_steps: float = 0.0
    success_by_skill: dict[str, float] = field(default_factory=dict)


class Collector:
    def __init__(
        self,
        stream: TaskStream,
        answerer: Answerer,
        style: Style,
        outbox: Outbox,
        sender: ReportSender,
        episodes: EpisodeLog,
        grpo: GrpoSettings,
        rollout: RolloutSettings,
        run_seed: int,
        clock: StepClock,
        score_truth: Optional[TruthScorer] = None,
        passes: int = 1,
    ) -> None:
        """`score_truth` gives the mean log-probability of each prompt's true answer where the engine does not.

        A step's answers must fall into `passes` equal parts: forward passes, over all ranks.
        """
        self._stream = stream
        self._answerer = answerer
        self._style: Style = style
        self._outbox = outbox
        self._sender = sender
        self._episodes = episodes
        self._grpo = grpo
        self._rollout = rollout
        self._run_seed = run_seed
        self._clock = clock
        self._score_truth = score_truth
        self._passes = passes
        self._spread_share = 0.5
        self.counts = StepCounts()

    def collect(self, step: int) -> list[Group]:
        """The groups of training step `step`; their reports are on disk when this returns."""
        self.counts = StepCounts()
        wanted = self._grpo.groups
        bound = wanted + int(wanted * self._grpo.replacements)
        kept: list[Group] = []
        flat: list[Group] = []
        portion = 0
        while (len(kept) < wanted and self.counts.asked < bound) or not (kept or flat):
            missing = math.ceil((wanted - len(kept)) / max(self._spread_share, _LEAST_SPREAD_SHARE))
            with_gradient, without = self._ask(min(missing, max(1, bound - self.counts.asked)), step, portion)
            kept += with_gradient
            flat += without
            portion += 1
        kept = (kept or flat)[:wanted]
        # As many as fall into equal passes, over all ranks; too few are taken more than once.
        unit = self._passes // math.gcd(self._passes, self._grpo.samples)
        kept = kept[: len(kept) // unit * unit] or (kept * unit)[:unit]
        self.counts.kept = len(kept)
        return kept

    def _ask(self, count: int, step: int, portion: int) -> tuple[list[Group], list[Group]]:
        with self._clock("render wait"):
            tasks = self._stream.take(count, step)
        seed = int(rng_for(self._run_seed, "rollout", step, portion).integers(2**31))
        sampling = Sampling(self._rollout.temperature, self._rollout.max_answer_tokens, seed)
        blind = [task.leased is not None and task.leased.blind for task in tasks]
        with self._clock("rollout"):
            answers = self._answerer.answer(tasks, self._grpo.samples, sampling, blind)
            self._give_up([(task, found.failure) for task, found in zip(tasks, answers) if found.failure], step)
            kept = [(task, found) for task, found in zip(tasks, answers) if found.failure is None]
            tasks, answers = [task for task, _ in kept], [found for _, found in kept]
            likelihoods = self._likelihoods(answers)
        self._stream.pump(step)
        with self._clock("score"):
            groups = [
                Group(found, tuple(score_completion(task, turn.completion, self._style) for turn in found.last))
                for task, found in zip(tasks, answers)
            ]
        with self._clock("report"):
            reports = [self._report(*row, step) for row in zip(tasks, groups, likelihoods)]
            self._outbox.add(reports)
            self._sender.pump()
            self._log_episodes(tasks, groups, reports, step)
        self._count(tasks, reports, step)
        seeing = [(group, report) for group, report in zip(groups, reports) if not report.blind]
        with_gradient = [group for group, report in seeing if report.had_gradient]
        if seeing:
            self._spread_share += 0.2 * (len(with_gradient) / len(seeing) - self._spread_share)
        return with_gradient, [group for group, report in seeing if not report.had_gradient]

    def _give_up(self, lost: Sequence[tuple[Task, Optional[VantageError]]], step: int) -> None:
        """Report tasks whose views could not be rendered: our own fault, and no wrong answers."""
        reports = []
        for task, error in lost:
            assert task.leased is not None and error is not None
            log.warning("a look around broke: %s", error, extra={"spec_id": task.spec.spec_id})
            reports.append(refusal(task.leased, step, error))
        if reports:
            self._outbox.add(reports)

    def _likelihoods(self, answers: Sequence[Answers]) -> list[float]:
        """Per task the likelihood of the true answer, exp(mean log p of its tokens), in the turn in which it was
        answered; the mean over the answers where these came in different turns."""
        turns = {id(turn.rollout): turn.rollout for found in answers for turn in found.last}
        known = {key: rollout.truth_logprob for key, rollout in turns.items()}
        unknown = [key for key, value in known.items() if value is None]
        if unknown:
            assert self._score_truth is not None, "this engine needs a scorer of true answers"
            known.update(zip(unknown, self._score_truth([turns[key].prompt for key in unknown])))
        likelihood = {key: math.exp(value) for key, value in known.items() if value is not None}
        return [fmean(likelihood[id(turn.rollout)] for turn in found.last) for found in answers]

    def _report(self, task: Task, group: Group, truth_likelihood: float, step: int) -> ConfidenceReport:
        leased = task.leased
        assert leased is not None
        totals = [reward.total(self._grpo.format_weight) for reward in group.rewards]
        return ConfidenceReport(
            report_id=report_id(leased),
            spec_id=task.spec.spec_id,
            lease_id=leased.lease_id,
            policy_version=step,
            outcome="answered",
            skill=task.question.skill,
            level=task.question.level,
            frame=task.question.frame,
            blind=leased.blind,
            rewards=tuple(totals),
            success_rate=sum(reward.accuracy for reward in group.rewards) / len(group.rewards),
            truth_likelihood=truth_likelihood,
            answer_entropy=answer_entropy(turn.completion.text for turn in group.answers.last),
            had_gradient=has_spread(totals),
            renderer_digest=task.renderer_digest,
            degradation=degradation_label(task.spec.degradations),
        )

    def _count(self, tasks: Sequence[Task], reports: Sequence[ConfidenceReport], step: int) -> None:
        counts = self.counts
        before = counts.asked
        counts.asked += len(reports)
        counts.blind += sum(report.blind for report in reports)
        seeing = [report for report in reports if not report.blind]
        counts.no_gradient += sum(not report.had_gradient for report in seeing)
        counts.all_right += sum(not report.had_gradient and report.success_rate > 0.5 for report in seeing)
        counts.all_wrong += sum(not report.had_gradient and report.success_rate <= 0.5 for report in seeing)
        lag = sum(step - task.leased_at_step for task in tasks)
        counts.staleness_steps = (counts.staleness_steps * before + lag) / max(counts.asked, 1)
        for skill in {report.skill for report in seeing}:
            rates = [report.success_rate for report in seeing if report.skill == skill]
            counts.success_by_skill[skill] = sum(rates) / len(rates)

    def _log_episodes(
        self, tasks: Sequence[Task], groups: Sequence[Group], reports: Sequence[ConfidenceReport], step: int
    ) -> None:
        order = rng_for(self._run_seed, "gallery", step).permutation(len(tasks))
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
                "answers": [turn.completion.text.strip() for turn in group.answers.last],
                "success_rate": round(report.success_rate, 4),
                "truth_likelihood": round(report.truth_likelihood, 4),
                "had_gradient": report.had_gradient,
            }
            seen = task.images
            if group.answers.later:
                walks = [group.answers.turns(sample) for sample in range(len(group.rewards))]
                record["moves"] = [[turn.completion.text.strip() for turn in turns[:-1]] for turns in walks]
                seen = max((turns[-1].rollout.prompt.images for turns in walks), key=len)
            self._episodes.add(record, seen, index in chosen)
