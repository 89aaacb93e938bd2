"""The rollout engine of a learner of several processes: each rank answers an equal part of the questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional, Sequence

from learner.ranks.orders import Answer, LoadAdapter, Ranks, Score
from learner.rollouts.base import Prompt, Rollout, RolloutEngine, Sampling, TruthScorer


class ShardedEngine:
    """Runs on rank 0; the others answer in learner/ranks/follow.py. `live` selects which of their engines they use.

    Without `truths` no rank scores true answers.
    """

    def __init__(self, own: RolloutEngine, ranks: Ranks, truths: Optional[TruthScorer]) -> None:
        self.name = own.name
        self.live = own.live
        self._own = own
        self._ranks = ranks
        self._truths = truths

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        parts = _split(prompts, self._ranks.size)
        samplings = [replace(sampling, seed=(sampling.seed + rank) % 2**31) for rank in range(self._ranks.size)]
        self._ranks.send([Answer(part, n, own, self.live) for part, own in zip(parts[1:], samplings[1:])])
        answers = answer_part(self._own, self._truths, parts[0], n, samplings[0])
        return [*answers, *(rollout for reply in self._ranks.replies() for rollout in reply)]

    def load_adapter(self, name: str, path: Path) -> None:
        self._own.load_adapter(name, path)
        if not self.live:
            self._ranks.send_all(LoadAdapter(name, str(path)))

    def close(self) -> None:
        self._own.close()


def sharded_truths(truths: TruthScorer, ranks: Ranks) -> TruthScorer:
    """Score an equal part of the true answers on each rank; called on rank 0.

    Every rank scores at least one, since all must take part if the model is sharded.
    """

    def score(prompts: Sequence[Prompt]) -> list[float]:
        if not prompts:
            return []
        parts = _split(prompts, ranks.size)
        first, *others = [part or prompts[:1] for part in parts]
        ranks.send([Score.of(part) for part in others])
        scores = [truths(first), *ranks.scores()]
        return [value for part, own in zip(parts, scores) for value in own[: len(part)]]

    return score


def _split(prompts: Sequence[Prompt], size: int) -> list[tuple[Prompt, ...]]:
    bounds = [len(prompts) * rank // size for rank in range(size + 1)]
    return [tuple(prompts[start:stop]) for start, stop in zip(bounds, bounds[1:])]


def answer_part(
    engine: RolloutEngine, truths: Optional[TruthScorer], prompts: Sequence[Prompt], n: int, sampling: Sampling
) -> list[Rollout]:
    """Answer this rank's part of the questions. `truths` scores true answers that the engine does not score."""
    if not prompts:
        return []
    rollouts = engine.generate(prompts, n, sampling)
    if truths is None:
        return rollouts
    unscored = [
        index for index, rollout in enumerate(rollouts) if rollout.prompt.truth and rollout.truth_logprob is None
    ]
    if unscored:
        scores = truths([rollouts[index].prompt for index in unscored])
        for index, score in zip(unscored, scores):
            rollouts[index] = replace(rollouts[index], truth_logprob=score)
    return rollouts
