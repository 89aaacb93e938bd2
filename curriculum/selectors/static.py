"""`static`: a fixed list of specs, all cells equally, in shuffled epochs: a dataset that ignores the policy."""

from __future__ import annotations

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.selectors.base import Selector, Shares
from curriculum.settings import CurriculumSettings


class StaticSelector(Selector):
    def __init__(self, settings: CurriculumSettings) -> None:
        super().__init__(settings)
        self.repeats = settings.static_specs

    def shares(self, estimates: Estimates) -> Shares:
        return {"static": np.full(len(estimates), 1.0 / len(estimates))}

    def weights(self, estimates: Estimates) -> np.ndarray:
        return np.ones(len(estimates))
