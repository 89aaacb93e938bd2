"""`confidence_bands`: fixed bands of success, easy above 0.9, hard below 0.1, the frontier between.

The rule of Ouroboros-Spatial (arXiv 2606.11719) applied to cells: most weight goes evenly to the frontier.
"""

from __future__ import annotations

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.selectors.base import Selector, feasible_weight

_EASY, _HARD = 0.9, 0.1
_OUTSIDE = 0.1  # weight of a cell outside the frontier


class ConfidenceBandsSelector(Selector):
    def weights(self, estimates: Estimates) -> np.ndarray:
        frontier = (estimates.mean >= _HARD) & (estimates.mean <= _EASY)
        return feasible_weight(estimates) * np.where(frontier, 1.0, _OUTSIDE)
