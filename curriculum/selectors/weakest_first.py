"""`weakest_first`: the lower the smoothed success, the larger the share, with a floor; over feasible cells.

The scheduler of SpatialEvo (arXiv 2604.14144): weight max(0.05, 1 - success), success smoothed by two prior answers.
"""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellEstimate
from curriculum.selectors.base import Selector, feasible_weight

_FLOOR = 0.05


class WeakestFirstSelector(Selector):
    def weights(self, estimates: Sequence[CellEstimate]) -> list[float]:
        return [feasible_weight(estimate) * max(_FLOOR, 1.0 - estimate.mean) for estimate in estimates]
