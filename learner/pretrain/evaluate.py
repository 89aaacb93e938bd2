"""Accuracy of a policy on held-out annotated views, per skill, greedy and sampled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from learner.policy.packed import PackedPolicy
from learner.pretrain.batches import MASKED, Tokens, choose, pack
from learner.pretrain.data import Pool
from learner.pretrain.truth import Names
from protocol.seeds import rng_for

_VIEWS_PER_BATCH = 32
_QUESTIONS_PER_VIEW = 12


class Accuracy(NamedTuple):
    questions: int
    greedy: float  # fraction with the most likely token right at every position, end token included
    sampled: float  # mean probability of the right answer at temperature 1


def mean(table: dict[str, Accuracy], skills: Sequence[str]) -> float:
    """Mean greedy accuracy of these skills."""
    values = [table[name].greedy for name in skills if name in table]
    return float(np.mean(values)) if values else 0.0


@torch.no_grad()
def evaluate(
    packed: PackedPolicy,
    pool: Pool,
    views: int,
    skills: Sequence[str],
    header: Sequence[int],
    tokens: Tokens,
    names: Names,
    blind: bool = False,
) -> dict[str, Accuracy]:
    """Accuracy on the first `views` views of the pool.

    `header` is the prompt before the question, with expanded image tokens. With `blind`, no images are given.
    """
    right: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for start in range(0, min(views, len(pool)), _VIEWS_PER_BATCH):
        indices = np.arange(start, min(start + _VIEWS_PER_BATCH, views, len(pool)))
        shard = pool.take(indices)
        rng = rng_for(0, "pretrain-evaluation", start)
        chosen = [choose(t.questions, dict.fromkeys(skills, 1.0), _QUESTIONS_PER_VIEW, rng) for t in shard.truths]
        if not any(chosen):
            continue
        questions = pack(shard, chosen, [[True] * len(row) for row in chosen], tokens, names)
        images = None if blind else packed.encode(shard.rgb)
        prompt = [token for token in header if token != packed.image_token_id] if blind else header
        prefix = packed.prefill([prompt] * len(indices), images)
        logits = packed.logits(packed.branch(prefix, questions.ids, at=questions.at))
        scored = questions.labels != MASKED
        hit = ((logits.argmax(-1) == questions.labels) | ~scored).all(-1)
        logp = logits.log_softmax(-1).gather(-1, questions.labels.clamp(min=0)[..., None])[..., 0]
        likelihood = (logp * scored).sum(-1).exp()
        for view, row in enumerate(chosen):
            for k, question in enumerate(row):
                right[question.skill].append((bool(hit[view, k]), float(likelihood[view, k])))
    return {
        name: Accuracy(len(results), *(float(np.mean(column)) for column in zip(*results)))
        for name, results in sorted(right.items())
    }
