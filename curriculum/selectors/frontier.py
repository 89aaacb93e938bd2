"""`frontier`: ask where the next gradient is largest.

In GRPO the gradient of a question grows with the variance of the rewards in its group, p(1-p) for binary rewards (zero
if all answers are right or all wrong). The weight of a cell is therefore

    expected variance within a group x damping x feasibility x need for the image x openness

- damping: a cell whose success stays constant for long is noise, not frontier;
- openness: a level opens as the next easier one of its skill is learned. While the policy guesses there, the variance
  at harder levels is that of guessing, and the easiest questions show most clearly what is asked;
- separate shares: coverage keeps every cell measured, retest counters forgetting, blind questions detect shortcuts;
- no cell gets more than a fifth: a batch of one cell makes the policy forget the others before retests detect it.

Single questions that are too easy, or hopeless, are left to screening (learner/stream/screen.py).
"""

from __future__ import annotations

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.selectors.base import Selector, Shares, feasible_weight, split

_SHARPNESS = 2.0  # exponent of the weights; above 1 favours the best cells
_LARGEST_SHARE = 0.2  # of the frontier's share; larger with fewer than ten cells
_LEAST_OPENNESS = 0.1


class FrontierSelector(Selector):
    def shares(self, estimates: Estimates) -> Shares:
        sizes = self.settings.shares
        return split(
            {
                "frontier": (1.0 - sizes.coverage - sizes.retest, self.weights(estimates)),
                "coverage": (sizes.coverage, feasible_weight(estimates)),
                "retest": (sizes.retest, _retest_weights(estimates)),
            },
            sizes.blind,
        )

    def weights(self, estimates: Estimates) -> np.ndarray:
        gain = estimates.signal * estimates.damping * estimates.seeing * np.maximum(estimates.open, _LEAST_OPENNESS)
        weights = feasible_weight(estimates) * gain**_SHARPNESS
        return bounded(weights, max(_LARGEST_SHARE, 2.0 / len(estimates)))


def bounded(weights: np.ndarray, largest: float) -> np.ndarray:
    """Shares in these proportions, none above `largest`; the excess is distributed proportionally to the others.

    If all cells with a weight are at `largest`, the shares sum to less than 1.
    """
    free = weights  # of the cells below the bound, else 0
    held = np.zeros(len(weights), dtype=bool)
    while True:
        rest = float(free.sum())
        left = 1.0 - largest * int(held.sum())
        over = free * left > largest * rest
        if not over.any():
            break
        held |= over
        free = np.where(held, 0.0, weights)
    return np.where(held, largest, weights * (left / rest) if rest > 0 else 0.0)


def _retest_weights(estimates: Estimates) -> np.ndarray:
    """Weights of learned cells, larger the longer they were not asked and the lower their success.

    A policy that is confident in a cell can, while it learns others, collapse to one wrong answer for all questions of
    the cell; from there no group has a gradient.
    """
    waited = 1.0 + np.minimum(estimates.waiting / 256.0, 4.0)
    return estimates.learned * feasible_weight(estimates) * waited * (1.0 + 4.0 * (1.0 - estimates.mean))
