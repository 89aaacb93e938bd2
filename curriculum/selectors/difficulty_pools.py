"""`difficulty_pools`: fixed weights per pool of success rate as in prime-rl: 1 for rates in (0.25, 0.75], else 0.2."""

from __future__ import annotations

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.selectors.base import Selector, feasible_weight


class DifficultyPoolsSelector(Selector):
    def weights(self, estimates: Estimates) -> np.ndarray:
        middle = (estimates.mean > 0.25) & (estimates.mean <= 0.75)
        return feasible_weight(estimates) * np.where(middle, 1.0, 0.2)
