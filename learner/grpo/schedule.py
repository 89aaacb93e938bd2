"""The learning rate over a run."""

from __future__ import annotations

from learner.settings import GrpoSettings

_LOWEST = 0.1  # of the learning rate, when the budget is used up


def rate(step: int, used: float, grpo: GrpoSettings) -> float:
    """The learning rate of a step (from 0) as a share of the configured one: warm-up, a plateau, a straight fall.

    `used` is the share of the budget that is used up. The fall averages out the noise of single steps, which at a
    constant rate is worth points at the end.
    """
    left = (1 - used) / (1 - grpo.decay_from) if grpo.decay_from < 1 else 1.0
    return min(1.0, (step + 1) / max(1, grpo.warmup_steps)) * min(1.0, max(_LOWEST, left))
