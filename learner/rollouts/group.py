"""A group: the answers to one question with their rewards."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Iterator, Optional

from learner.rollouts.base import Completion, Prompt, Rollout
from protocol.answers.scoring import Reward


@dataclass(frozen=True)
class Group:
    """The answers to one question.

    `rollout` is the first turn of every answer. `later` holds the further turns of each answer if the policy looked
    around, else it is empty. `rewards` has one entry per answer. `truth` is a turn that ends with the true answer, if
    its likelihood is trained; it counts as one more answer, without a reward.

    If the policy reasons, `said` holds each answer without its reasoning, and `probes` the prompts with the reasoning
    of each answer, after which the true answer is scored. `truth_logprobs` are the mean log-probabilities of the tokens
    of the true answer there, if they were scored.
    """

    rollout: Rollout
    rewards: tuple[Reward, ...]
    later: tuple[tuple[Rollout, ...], ...] = ()
    truth: Optional[Rollout] = None
    said: tuple[str, ...] = ()
    probes: tuple[Prompt, ...] = ()
    truth_logprobs: tuple[float, ...] = ()

    @property
    def prompt(self) -> Prompt:
        """The prompt of the first turn."""
        return self.rollout.prompt

    @property
    def rows(self) -> int:
        """The number of answers to train on."""
        return len(self.rewards) + (self.truth is not None)

    def is_truth(self, sample: int) -> bool:
        """Whether this answer is the true one."""
        return sample == len(self.rewards)

    def turns(self, sample: int) -> tuple[Rollout, ...]:
        if self.truth is not None and self.is_truth(sample):
            return (self.truth,)
        first = self.rollout.only(sample)
        return (first, *self.later[sample]) if self.later else (first,)

    @property
    def last(self) -> list[Rollout]:
        """The last turn of each answer."""
        return [turns[-1] for turns in self]

    @property
    def answers(self) -> tuple[str, ...]:
        """The text of each answer, without reasoning."""
        return self.said or tuple(turn.completion.text for turn in self.last)

    @property
    def scored(self) -> tuple[Prompt, ...]:
        """The prompts after which the true answer is scored, one per answer."""
        return self.probes or tuple(turn.prompt for turn in self.last)

    def teaching(self) -> Group:
        """The group with its true answer.

        It follows the last prompt of the first answer, or else the reasoning of the answer with the best form.
        """
        best = max(range(len(self.rewards)), key=lambda sample: self.rewards[sample].form or 0.0)
        prompt = self.scored[best]
        truth = Completion(prompt.truth, (math.nan,) * len(prompt.truth), "", True)
        return replace(self, truth=Rollout(prompt, self.last[best].prompt_ids, (truth,)))

    def token_ids(self, sample: int) -> list[int]:
        """All tokens that the policy wrote in this answer, turn by turn; those of the true answer for the last one."""
        return [token for turn in self.turns(sample) for token in turn.completion.token_ids]

    def logprobs(self, sample: int) -> list[float]:
        """Log-probabilities of `token_ids` under the sampling distribution of the engine; NaN for the true answer."""
        return [value for turn in self.turns(sample) for value in turn.completion.logprobs]

    def __iter__(self) -> Iterator[tuple[Rollout, ...]]:
        """Iterate over the turns of each sampled answer."""
        return map(self.turns, range(len(self.rollout.completions)))
