"""`weakest_first`: the lower the smoothed success, the larger the share, with a floor; over feasible cells.

The scheduler of SpatialEvo (arXiv 2604.14144): weight max(0.05, 1 - success), success smoothed by two prior answers.
"""

from __future__ import annotations

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.selectors.base import Selector, feasible_weight

_FLOOR = 0.05


class WeakestFirstSelector(Selector):
    def weights(self, estimates: Estimates) -> np.ndarray:
        return feasible_weight(estimates) * np.maximum(_FLOOR, 1.0 - estimates.mean)
