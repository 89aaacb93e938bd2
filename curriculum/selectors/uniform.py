"""`uniform`: all cells equally, whatever their estimates. A control."""

from __future__ import annotations

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.selectors.base import Selector


class UniformSelector(Selector):
    def weights(self, estimates: Estimates) -> np.ndarray:
        return estimates.weight
