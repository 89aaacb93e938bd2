"""The likelihood of the true answer to each question, under the policy.

It is measured where an answer begins: after the prompt of its last turn or, if the policy reasons, after the reasoning
of each sampled answer.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple, Sequence

from learner.rollouts.base import TruthScorer
from learner.rollouts.group import Group


class Truth(NamedTuple):
    """Means over the answers of a group."""

    likelihood: float  # exp(mean log p) of the tokens of the true answer
    probability: float  # of the whole true answer


def with_likelihoods(groups: Sequence[Group], score_truth: TruthScorer) -> list[Group]:
    """The groups with `truth_logprobs` of their answers, scored by `score_truth` if the engine did not.

    The rewards of answers with a readable answer contain the likelihood after their reasoning.
    """
    known = {id(turn.prompt): turn.truth_logprob for group in groups for turn in group.last}
    unknown = {id(prompt): prompt for group in groups for prompt in group.scored if known.get(id(prompt)) is None}
    known.update(zip(unknown, score_truth(list(unknown.values())) if unknown else []))
    found = []
    for group in groups:
        means = tuple(value for prompt in group.scored if (value := known[id(prompt)]) is not None)
        rewards = group.rewards
        if group.probes:
            rewards = tuple(
                replace(reward, likelihood=math.exp(mean) if reward.readable else 0.0)
                for reward, mean in zip(rewards, means)
            )
        found.append(replace(group, rewards=rewards, truth_logprobs=means))
    return found


def truth_of(group: Group) -> Truth:
    """The likelihood and the probability of the true answer of a group from `with_likelihoods`."""
    pairs = [(mean, len(prompt.truth)) for mean, prompt in zip(group.truth_logprobs, group.scored)]
    return Truth(fmean(math.exp(mean) for mean, _ in pairs), fmean(math.exp(mean * size) for mean, size in pairs))
