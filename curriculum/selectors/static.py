"""`static`: a fixed list of specs, every cell alike, in shuffled epochs: a data set, which does not know the policy."""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellEstimate
from curriculum.selectors.base import Selector, Share
from curriculum.settings import CurriculumSettings


class StaticSelector(Selector):
    def __init__(self, settings: CurriculumSettings) -> None:
        super().__init__(settings)
        self.repeats = settings.static_specs

    def shares(self, views: Sequence[CellEstimate]) -> list[Share]:
        return [Share(view.cell, "static", 1.0 / len(views)) for view in views]

    def weights(self, views: Sequence[CellEstimate]) -> list[float]:
        return [1.0] * len(views)
