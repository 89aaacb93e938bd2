"""Learning-rate schedule."""

from __future__ import annotations

from learner.settings import GrpoSettings

_LOWEST = 0.1  # fraction of the learning rate at the end of the budget


def rate(step: int, used: float, grpo: GrpoSettings) -> float:
    """Learning rate of a step (from 0) as a fraction of the configured rate: warm-up, plateau, linear decay.

    `used` is the fraction of the budget that is used up. The decay averages out the noise of single steps; a constant
    rate ends several points lower.
    """
    left = (1 - used) / (1 - grpo.decay_from) if grpo.decay_from < 1 else 1.0
    return min(1.0, (step + 1) / max(1, grpo.warmup_steps)) * min(1.0, max(_LOWEST, left))
