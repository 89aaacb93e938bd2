"""`difficulty_pools`: fixed weights per pool of success rate as in prime-rl: 1 for rates in (0.25, 0.75], else 0.2."""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellEstimate
from curriculum.selectors.base import Selector, feasible_weight


class DifficultyPoolsSelector(Selector):
    def weights(self, estimates: Sequence[CellEstimate]) -> list[float]:
        return [feasible_weight(estimate) * (1.0 if 0.25 < estimate.mean <= 0.75 else 0.2) for estimate in estimates]
