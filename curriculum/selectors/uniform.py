"""`uniform`: every cell alike, whatever is known about it. A control."""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellEstimate
from curriculum.selectors.base import Selector


class UniformSelector(Selector):
    def weights(self, views: Sequence[CellEstimate]) -> list[float]:
        return [view.weight for view in views]
