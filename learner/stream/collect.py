"""Collects the groups of one training step.

    replayed questions ────────────────────┐
    take candidates -> screen -> chosen ───┴─> sample answers -> score by rule -> reports into the outbox, synced
                        └> the others: reports                          └> groups with gradient, true answers -> TRL

Groups with equal rewards have no gradient: they are counted, reported, and, unless true answers are taught, replaced by
further questions up to a bound.
A question whose views cannot be rendered while the policy looks around is reported as broken and replaced as well.
Blind questions (without images) are reported and never trained on.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import compress
from statistics import fmean
from typing import Sequence

import msgspec

from learner.grpo.clock import StepClock
from learner.rollouts.answerer import Answerer
from learner.rollouts.base import Sampling, TruthScorer
from learner.rollouts.group import Group
from learner.settings import LearnerSettings
from learner.stream.episodes import FATAL, SEE_SIMULATOR, EpisodeLog, Task, TaskStream, is_stalled
from learner.stream.outbox import Outbox, ReportSender
from learner.stream.replay import Replay
from learner.stream.reports import answer_entropy, failure_report, has_spread, report_on
from learner.stream.screen import (
    Confidence,
    candidates_of,
    choose,
    confidence,
    is_choice,
    rank,
    screened_report,
)
from learner.stream.truths import truth_of, with_likelihoods
from protocol.answers.scoring import Reward
from protocol.errors import VantageError
from protocol.run.stall import Stalls
from protocol.seeds import rng_for
from protocol.tasks.kinds import skill_shown
from protocol.wire.messages import ConfidenceReport

log = logging.getLogger(__name__)

_LEAST_GRADIENT_FRACTION = 0.4  # lower bound of the expected fraction of groups with gradient
_Answered = tuple[Task, Group]
_GALLERY_PER_STEP = 2
_VIEWS = "views for a policy that looks around"
_READABLE = "answers that can be read"
_SEE_STYLE = "Check learner.policy.style and learner.rollout.max_answer_tokens."
_SHOWN = 60  # characters of an answer in a sentence
_LONGEST_REASONING = 4000  # characters of reasoning in the record of an episode
_CUT_OFF = (
    "all %d answers of step %d were cut off at learner.rollout.max_answer_tokens = %d: raise it, or choose a policy "
    "that answers more briefly"
)


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
    answers: int = 0  # sampled, those for screening included
    rewarded: int = 0  # answers with a reward; the following counts are of these
    well_formed: int = 0  # with reasoning in the exact form
    truncated: int = 0  # cut off
    overlong: int = 0  # with a penalty for their length
    answer_tokens: int = 0
    staleness_steps: float = 0.0
    candidates: int = 0  # questions from the simulator
    screened: int = 0  # of them, those left out
    left_out: dict[str, int] = field(default_factory=dict)  # why -> candidates
    replayed: int = 0
    before_replay: float = 0.0  # sum of the success of the replayed questions at their last use
    after_replay: float = 0.0  # and in this step
    success_by_skill: dict[str, float] = field(default_factory=dict)


@dataclass
class Collector:
    """Collects the groups of each step. `score_truth` scores true answers for screening, and if the engine does not."""

    stream: TaskStream
    answerer: Answerer
    outbox: Outbox
    sender: ReportSender
    episodes: EpisodeLog
    settings: LearnerSettings
    run_seed: int
    clock: StepClock
    stalls: Stalls
    score_truth: TruthScorer
    replay: Replay
    counts: StepCounts = field(default_factory=StepCounts, init=False)
    _gradient_fraction: float = field(default=0.5, init=False)
    _last_answer: str = field(default="", init=False)

    def collect(self, step: int) -> list[Group]:
        """Return the groups of training step `step`. Their reports are on disk when this returns."""
        self.counts = StepCounts()
        grpo = self.settings.grpo
        pairs, flat = self._replay(step)
        wanted = grpo.groups - len(pairs)
        bound = wanted + int(wanted * grpo.replacements)
        portion = 1
        while (len(pairs) < grpo.groups and self.counts.asked < bound) or not (pairs or flat):
            useful_fraction = 1.0 if grpo.teaches else max(self._gradient_fraction, _LEAST_GRADIENT_FRACTION)
            missing = math.ceil((grpo.groups - len(pairs)) / useful_fraction)
            useful, useless = self._ask(min(missing, max(1, bound - self.counts.asked)), step, portion)
            pairs += useful
            flat += useless
            portion += 1
        # Trim to a number that splits evenly into passes over all ranks; repeat groups if there are too few.
        unit = self.settings.passes // math.gcd(self.settings.passes, grpo.rows)
        pairs = (pairs or flat)[: grpo.groups]
        pairs = pairs[: len(pairs) // unit * unit] or (pairs * unit)[:unit]
        for task, group in pairs:
            self.replay.note(task, step, _expected(task, group))
        self.counts.kept = len(pairs)
        self._check_readable(step)
        return [group.teaching() if grpo.teaches else group for _, group in pairs]

    def _useful(self, pairs: Sequence[_Answered]) -> tuple[list[_Answered], list[_Answered]]:
        """Split answered tasks into those with a gradient and the others. A true answer always has one."""
        if self.settings.grpo.teaches:
            return list(pairs), []
        spread = [self._has_gradient(group) for _, group in pairs]
        return list(compress(pairs, spread)), [pair for pair, has in zip(pairs, spread) if not has]

    def _has_gradient(self, group: Group) -> bool:
        """Whether the rewards of the answers that are trained on differ."""
        grpo = self.settings.grpo
        counted = [reward for reward in group.rewards if not (grpo.masks and reward.truncated)]
        return len(counted) > 1 and has_spread(self._totals(counted))

    def _totals(self, rewards: Sequence[Reward]) -> list[float]:
        grpo = self.settings.grpo
        return [reward.total(grpo.format_weight, grpo.likelihood_weight) for reward in rewards]

    def _replay(self, step: int) -> tuple[list[_Answered], list[_Answered]]:
        """Answer the questions that are replayed in this step. Their reports were sent before."""
        tasks = self.replay.draw(self.settings.grpo.groups, step, rng_for(self.run_seed, "replay", step))
        if not tasks:
            return [], []
        with self.clock("rollout"):
            answers = self.answerer.answer(tasks, self.settings.grpo.samples, self._sampling(step, 0))
            pairs = [(task, group) for task, group in zip(tasks, answers) if isinstance(group, Group)]
            if self.settings.grpo.likelihood_weight:
                groups = with_likelihoods([group for _, group in pairs], self.score_truth)
                pairs = [(task, group) for (task, _), group in zip(pairs, groups)]
        self.counts.replayed = len(pairs)
        self.counts.before_replay = sum(self.replay.success(task) for task, _ in pairs)
        self.counts.after_replay = sum(_expected(*pair) for pair in pairs)
        self._count_readable([group for _, group in pairs])
        useful, useless = self._useful(pairs)
        for task, group in useless:
            self.replay.note(task, step, _expected(task, group))
        return useful, useless

    def _sampling(self, step: int, portion: int) -> Sampling:
        seed = int(rng_for(self.run_seed, "rollout", step, portion).integers(2**31))
        return Sampling(self.settings.rollout.temperature, self.settings.rollout.max_answer_tokens, seed)

    def _count_readable(self, groups: Sequence[Group]) -> None:
        counts, rewards = self.counts, [reward for group in groups for reward in group.rewards]
        counts.answers += len(rewards)
        counts.rewarded += len(rewards)
        counts.readable += sum(reward.readable for reward in rewards)
        counts.well_formed += sum(reward.form == 1.0 for reward in rewards)
        counts.truncated += sum(reward.truncated for reward in rewards)
        counts.overlong += sum(reward.length < 0 for reward in rewards)
        for group in groups:
            self._last_answer = group.last[-1].completion.text
            counts.answer_tokens += sum(len(turn.completion.token_ids) for turns in group for turn in turns)

    def _check_readable(self, step: int) -> None:
        """Count a step without a readable answer as a failed attempt: the policy cannot learn from it."""
        counts = self.counts
        if counts.rewarded and counts.truncated == counts.rewarded:
            log.warning(_CUT_OFF, counts.rewarded, step, self.settings.rollout.max_answer_tokens)
        if self.counts.readable:
            self.stalls.progressed(_READABLE)
        elif self.counts.asked:
            self.stalls.failed(_READABLE, f"an answer was {self._last_answer[:_SHOWN]!r}", _SEE_STYLE)

    def _ask(self, count: int, step: int, portion: int) -> tuple[list[_Answered], list[_Answered]]:
        sampling = self._sampling(step, portion)
        tasks, evidence = self._screened(count, step, portion)
        blind = [_is_blind(task) for task in tasks]
        with self.clock("rollout"):
            answers = self.answerer.answer(tasks, self.settings.grpo.samples, sampling, blind)
            failed = [(task, error) for task, error in zip(tasks, answers) if isinstance(error, VantageError)]
            answered = [(task, group) for task, group in zip(tasks, answers) if isinstance(group, Group)]
            self._report_failures(failed, step, all_failed=not answered)
            tasks, groups = [task for task, _ in answered], [group for _, group in answered]
            groups = with_likelihoods(groups, self.score_truth)
            truths = [truth_of(group) for group in groups]
        self.stream.pump(step)
        with self.clock("report"):
            reports = [
                self._report(task, group, truth, step, evidence.get(task.spec.spec_id, ()))
                for task, group, truth in zip(tasks, groups, truths)
            ]
            self.outbox.add(reports)
            self.sender.pump()
            self._log_episodes(tasks, groups, reports, step)
        self._count(tasks, reports, step)
        self._count_readable(groups)
        sighted = [(task, group) for task, group in zip(tasks, groups) if not _is_blind(task)]
        useful, useless = self._useful(sighted)
        if sighted:
            self._gradient_fraction += 0.2 * (len(useful) / len(sighted) - self._gradient_fraction)
        return useful, useless

    def _screened(self, count: int, step: int, portion: int) -> tuple[list[Task], dict[str, list[Confidence]]]:
        """Take candidates and return the `count` most informative, after the blind ones; the others are reported.

        Also returns the confidence in all candidates of each spec, by its id.
        """
        settings = self.settings.screen
        tasks = self._candidates(count * settings.candidates, step)
        self.counts.candidates += len(tasks)
        if settings.candidates == 1:
            return tasks, {}
        blind = [task for task in tasks if _is_blind(task)]
        candidates = [task for task in tasks if not _is_blind(task)]
        with self.clock("screen"):
            sampling = self._sampling(step, -portion)
            found = confidence(candidates, self.answerer, self.score_truth, settings, sampling)
            failed = [(task, error) for task, error in zip(candidates, found) if isinstance(error, VantageError)]
            judged = [(task, known) for task, known in zip(candidates, found) if isinstance(known, Confidence)]
            self._report_failures(failed, step, all_failed=bool(failed) and not judged)
            each = settings.samples if self.answerer.reasons else 0
            self.counts.answers += sum(each or len(known.accuracies) for _, known in judged)
            rng = rng_for(self.run_seed, "screen", step, portion)
            screened = choose(rank(judged), count, settings, rng, self.replay.answers())
            chosen = [judged[index][0] for index in screened.chosen]
            evidence: dict[str, list[Confidence]] = defaultdict(list)
            for task, known in judged:
                evidence[task.spec.spec_id].append(known)
            without: dict[str, tuple[Task, str]] = {}  # specs of which none is chosen: the best candidate, and why not
            for index, why in screened.left_out.items():
                task, _ = judged[index]
                without.setdefault(task.spec.spec_id, (task, why))
            for task in chosen:
                without.pop(task.spec.spec_id, None)
            self.outbox.add(
                [screened_report(task, evidence[spec_id], step, why) for spec_id, (task, why) in without.items()]
            )
        self.counts.screened += len(screened.left_out)
        self.counts.left_out = dict(Counter(self.counts.left_out) + Counter(screened.left_out.values()))
        return blind + chosen, evidence

    def _candidates(self, wanted: int, step: int) -> list[Task]:
        """Take specs until there are `wanted` questions about their views."""
        found: list[Task] = []
        with self.clock("render wait"):
            while len(found) < wanted:
                specs = math.ceil((wanted - len(found)) / self.settings.screen.questions)
                found += [one for task in self.stream.take(specs, step) for one in task.candidates]
        return found

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

    def _report(
        self, task: Task, group: Group, truth: tuple[float, float], step: int, known: Sequence[Confidence]
    ) -> ConfidenceReport:
        """The report on an answered task; `known` is the confidence in all candidates of its spec."""
        assert task.leased is not None
        return report_on(
            task.leased,
            step,
            "answered",
            frame=task.question.frame,
            rewards=tuple(self._totals(group.rewards)),
            success_rate=_success(group),
            truth_likelihood=truth[0],
            truth_probability=truth[1],
            answer_entropy=answer_entropy(group.answers),
            had_gradient=self._has_gradient(group),
            renderer_digest=task.renderer_digest,
            **candidates_of(known),
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
        for skill in {skill_shown(report.skill) for report in sighted}:
            rates = [report.success_rate for report in sighted if skill_shown(report.skill) == skill]
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
                "index": task.index,
                "scene_seed": task.spec.scene.seed,
                "skill": skill_shown(report.skill),
                "level": report.level,
                "purpose": task.leased.purpose if task.leased else "",
                "blind": report.blind,
                "question": group.prompt.text,
                "options": task.question.options,
                "truth": task.question.answer,
                "program": task.question.program,
                "answers": [text.strip() for text in group.answers],
                "success_rate": round(report.success_rate, 4),
                "truth_likelihood": round(report.truth_likelihood, 4),
                "had_gradient": report.had_gradient,
            }
            images = task.images
            if group.said:
                record["reasoning"] = group.last[0].completion.text[:_LONGEST_REASONING]  # of the first answer
            if group.later:
                record["moves"] = [[turn.completion.text.strip() for turn in turns[:-1]] for turns in group]
                images = max((turns[-1].prompt.images for turns in group), key=len)
            self.episodes.add(record, images, index in chosen)


def _is_blind(task: Task) -> bool:
    return task.leased is not None and task.leased.blind


def _success(group: Group) -> float:
    return fmean(reward.accuracy for reward in group.rewards)


def _expected(task: Task, group: Group) -> float:
    """The expected accuracy: the probability of the only right answer if it was scored, else a mean of samples.

    A few samples of a choice are often all right by luck.
    """
    logprob = group.rollout.truth_logprob
    if not is_choice(task) or (logprob is None and not group.truth_logprobs):
        return _success(group)
    if logprob is None:
        return truth_of(group).probability
    return math.exp(logprob * len(group.prompt.truth))
