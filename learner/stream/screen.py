"""Screening: of several candidates for each new question, train on those with the largest variance of the reward.

GRPO's gradient of a question grows with the variance of the rewards in its group: a question that the policy surely
answers right, or surely wrong, teaches little. One forward pass gives the probability p of the true answer before
anything is sampled; the variance of a choice is p (1 - p). If several answers score (numbers, sequences, maps) or the
policy looks around, a few sampled answers estimate the variance of the reward; if it reasons, p is the mean after a few
samples of short reasoning.

Every candidate is evidence about the policy, chosen or not. Several candidates can be about the same views, which are
then rendered and encoded once; at most one of them is chosen, since their spec has one report. If none is chosen the
spec is reported as "screened". Either way the report holds the expected accuracy of all candidates: the chosen one is
the most uncertain, and its success alone would draw every estimate to 1/2.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from statistics import fmean, variance
from typing import Any, Hashable, Iterable, NamedTuple, Sequence, Union

import numpy as np

from learner.rollouts.answerer import Answerer
from learner.rollouts.base import Sampling, TruthScorer
from learner.rollouts.group import Group
from learner.settings import ScreenSettings
from learner.stream.episodes import Task
from learner.stream.reports import report_on
from learner.stream.truths import truth_of, with_likelihoods
from protocol.errors import VantageError
from protocol.tasks.task import degradation_label
from protocol.wire.messages import ConfidenceReport

# Why a candidate is left out.
INFORMATIVE, CELL_FULL, DUPLICATE = "less informative", "enough of its cell", "near-duplicate"
ONE_SIDED = "enough with its answer"
SAME_VIEWS = "another question about its views"


class Confidence(NamedTuple):
    """Confidence of the policy in one question, before it is trained on."""

    probability: float  # of the whole true answer
    likelihood: float  # exp(mean log p) of its tokens
    success: float  # expected accuracy
    variance: float  # of the accuracy
    accuracies: tuple[float, ...] = ()  # of the sampled answers, if any


class Candidate(NamedTuple):
    """What the choice between candidates depends on."""

    cell: tuple[Hashable, ...]  # the skill first
    key: Hashable  # equal for near-duplicates
    variance: float
    spec_id: str
    answer: str = ""  # the true answer of a choice


Sided = tuple[Hashable, str]  # a skill, and the true answer to a choice


class Screened(NamedTuple):
    """The result of screening: indices into the candidates, and why each of the others was left out."""

    chosen: list[int]
    left_out: dict[int, str]


def confidence(
    tasks: Sequence[Task], answerer: Answerer, score_truth: TruthScorer, settings: ScreenSettings, sampling: Sampling
) -> list[Union[Confidence, VantageError]]:
    """The policy's confidence in each task; the error of a task whose views could not be rendered."""
    if answerer.reasons:
        return reasoned_confidence(tasks, answerer, score_truth, settings, sampling)
    samples = settings.samples
    prompts = [answerer.first_prompt(task) for task in tasks]
    means = score_truth(prompts)
    sampled = [index for index, task in enumerate(tasks) if not is_choice(task)]
    answers = dict(zip(sampled, answerer.answer([tasks[index] for index in sampled], samples, sampling, truth=False)))
    found: list[Union[Confidence, VantageError]] = []
    for index, (prompt, mean) in enumerate(zip(prompts, means)):
        probability, answered = math.exp(mean * len(prompt.truth)), answers.get(index)
        if isinstance(answered, VantageError):
            found.append(answered)
        elif isinstance(answered, Group):
            accuracies = tuple(reward.accuracy for reward in answered.rewards)
            found.append(Confidence(probability, math.exp(mean), fmean(accuracies), variance(accuracies), accuracies))
        else:
            found.append(Confidence(probability, math.exp(mean), probability, probability * (1 - probability)))
    return found


def reasoned_confidence(
    tasks: Sequence[Task], answerer: Answerer, score_truth: TruthScorer, settings: ScreenSettings, sampling: Sampling
) -> list[Union[Confidence, VantageError]]:
    """Like `confidence`, for a policy that reasons: the mean over a few samples.

    A choice is scored after reasoning of at most `thought_tokens` tokens, which is ended if it is not done; if several
    answers score, complete answers are sampled.
    """
    short = replace(sampling, max_tokens=min(sampling.max_tokens, settings.thought_tokens))
    found: dict[int, Union[Confidence, VantageError]] = {}
    for choices, own in ((True, short), (False, sampling)):
        indices = [index for index, task in enumerate(tasks) if is_choice(task) == choices]
        answers = answerer.answer([tasks[index] for index in indices], settings.samples, own)
        groups = with_likelihoods([answer for answer in answers if isinstance(answer, Group)], score_truth)
        scored = iter(groups)
        for index, answer in zip(indices, answers):
            if isinstance(answer, VantageError):
                found[index] = answer
                continue
            group = next(scored)
            truth, accuracies = truth_of(group), tuple(reward.accuracy for reward in group.rewards)
            p = truth.probability
            found[index] = (
                Confidence(p, truth.likelihood, p, p * (1 - p))
                if choices
                else Confidence(p, truth.likelihood, fmean(accuracies), variance(accuracies), accuracies)
            )
    return [found[index] for index in range(len(tasks))]


def rank(judged: Sequence[tuple[Task, Confidence]]) -> list[Candidate]:
    """The candidates with the variances by which they are compared.

    A few samples say little about one question, and would prefer those whose true answers are unusual: all questions
    of a cell that are not choices get their mean variance, so that the choice among them is random.
    """
    sampled: dict[Hashable, list[float]] = defaultdict(list)
    for task, known in judged:
        if not is_choice(task):
            sampled[_cell(task)].append(known.variance)
    means = {cell: fmean(variances) for cell, variances in sampled.items()}
    return [
        Candidate(_cell(task), _key(task), known.variance, task.spec.spec_id, task.question.answer)
        if is_choice(task)
        else Candidate(_cell(task), _key(task), means[_cell(task)], task.spec.spec_id)
        for task, known in judged
    ]


def choose(
    candidates: Sequence[Candidate],
    count: int,
    settings: ScreenSettings,
    rng: np.random.Generator,
    trained: Iterable[Sided] = (),
) -> Screened:
    """Choose `count` of the candidates: some at random, the others by variance.

    Of the candidates of one spec at most one is chosen. There is a bound per cell, near-duplicates are left out, and an
    answer that more than half of the questions of its skill have, those that are `trained` on already included, is not
    chosen again: the most uncertain questions are those whose answer the policy gives too seldom, and a policy that is
    taught only these soon gives no other. These three rules yield if there are too few others.
    """
    unranked = int(count * settings.unranked_share + rng.random())
    order = rng.permutation(len(candidates)).tolist()
    ranked = sorted(order[unranked:], key=lambda index: -candidates[index].variance)
    most = max(2, math.ceil(settings.largest_share * count))
    chosen: list[int] = []
    cells: Counter[Hashable] = Counter()
    answers = Counter(trained)
    skills = Counter(skill for skill, _ in answers.elements())
    alike: set[Hashable] = set()
    specs: set[str] = set()
    left_out: dict[int, str] = {}
    for index in [*order[:unranked], *ranked]:
        one = candidates[index]
        skill = one.cell[0]
        if one.spec_id in specs:
            left_out[index] = SAME_VIEWS
        elif len(chosen) == count:
            left_out[index] = INFORMATIVE
        elif cells[one.cell] == most:
            left_out[index] = CELL_FULL
        elif one.key in alike:
            left_out[index] = DUPLICATE
        elif one.answer and 2 * answers[skill, one.answer] > skills[skill]:
            left_out[index] = ONE_SIDED
        else:
            chosen.append(index)
            cells[one.cell] += 1
            answers[skill, one.answer] += 1
            skills[skill] += 1
            alike.add(one.key)
            specs.add(one.spec_id)
    for index in list(left_out):
        spec_id = candidates[index].spec_id
        if len(chosen) < count and spec_id not in specs:
            del left_out[index]
            chosen.append(index)
            specs.add(spec_id)
    return Screened(chosen, left_out)


def candidates_of(known: Sequence[Confidence]) -> dict[str, Any]:
    """The fields of the report on a spec that hold the confidence in all candidates about its views, if several."""
    if len(known) < 2:
        return {}
    return {
        "candidates": tuple(one.success for one in known),
        "candidate_variance": fmean(one.variance for one in known),
    }


def screened_report(task: Task, known: Sequence[Confidence], version: int, why: str) -> ConfidenceReport:
    """Return the report on a spec of which no candidate was chosen: evidence, but not an answer."""
    assert task.leased is not None
    return report_on(
        task.leased,
        version,
        "screened",
        frame=task.question.frame,
        rewards=known[0].accuracies if len(known) == 1 else (),
        success_rate=fmean(one.success for one in known),
        truth_likelihood=fmean(one.likelihood for one in known),
        truth_probability=fmean(one.probability for one in known),
        reason=why,
        renderer_digest=task.renderer_digest,
        **candidates_of(known),
    )


def is_choice(task: Task) -> bool:
    """Whether exactly one answer scores, given without moves."""
    return task.question.answer_type == "choice" and not task.spec.look_around


def _cell(task: Task) -> tuple[str, int, str]:
    return task.spec.question.skill, task.spec.question.level, degradation_label(task.spec.degradations)


def _key(task: Task) -> tuple[object, ...]:
    """Questions with equal keys ask the same about the same objects of one scene."""
    objects = frozenset(mention.object_id for mention in task.question.mentions)
    scene = (task.spec.scene.asset, task.spec.scene.seed)
    return (scene, task.spec.question.skill, objects, frozenset(task.question.option_objects), task.question.answer)
