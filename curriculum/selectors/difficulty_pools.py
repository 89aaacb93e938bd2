"""`difficulty_pools`: fixed weights per pool of success rate, as prime-rl's: above 0.25 and to 0.75 1, else 0.2."""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellEstimate
from curriculum.selectors.base import Selector, feasible_weight


class DifficultyPoolsSelector(Selector):
    def weights(self, views: Sequence[CellEstimate]) -> list[float]:
        return [feasible_weight(view) * (1.0 if 0.25 < view.mean <= 0.75 else 0.2) for view in views]
