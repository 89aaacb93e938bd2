"""A group: the answers to one question with their rewards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from learner.rollouts.base import Prompt, Rollout
from protocol.answers.scoring import Reward


@dataclass(frozen=True)
class Group:
    """The answers to one question.

    `rollout` is the first turn of every answer. `later` holds the further turns of each answer if the policy looked
    around, else it is empty. `rewards` has one entry per answer.
    """

    rollout: Rollout
    rewards: tuple[Reward, ...]
    later: tuple[tuple[Rollout, ...], ...] = ()

    @property
    def prompt(self) -> Prompt:
        """The prompt of the first turn."""
        return self.rollout.prompt

    def turns(self, sample: int) -> tuple[Rollout, ...]:
        first = self.rollout.only(sample)
        return (first, *self.later[sample]) if self.later else (first,)

    @property
    def last(self) -> list[Rollout]:
        """The last turn of each answer."""
        return [turns[-1] for turns in self]

    def token_ids(self, sample: int) -> list[int]:
        """All tokens that the policy wrote in this answer, turn by turn."""
        return [token for turn in self.turns(sample) for token in turn.completion.token_ids]

    def logprobs(self, sample: int) -> list[float]:
        """Log-probabilities of `token_ids` under the sampling distribution of the engine."""
        return [value for turn in self.turns(sample) for value in turn.completion.logprobs]

    def __iter__(self) -> Iterator[tuple[Rollout, ...]]:
        """Iterate over the turns of each answer."""
        return map(self.turns, range(len(self.rollout.completions)))
