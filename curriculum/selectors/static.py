"""`static`: a fixed list of specs, all cells equally, in shuffled epochs: a dataset that ignores the policy."""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellEstimate
from curriculum.selectors.base import Selector, Shares
from curriculum.settings import CurriculumSettings


class StaticSelector(Selector):
    def __init__(self, settings: CurriculumSettings) -> None:
        super().__init__(settings)
        self.repeats = settings.static_specs

    def shares(self, estimates: Sequence[CellEstimate]) -> Shares:
        return {(estimate.cell, "static"): 1.0 / len(estimates) for estimate in estimates}

    def weights(self, estimates: Sequence[CellEstimate]) -> list[float]:
        return [1.0] * len(estimates)
