"""`uniform`: all cells equally, whatever their estimates. A control."""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellEstimate
from curriculum.selectors.base import Selector


class UniformSelector(Selector):
    def weights(self, estimates: Sequence[CellEstimate]) -> list[float]:
        return [estimate.weight for estimate in estimates]
