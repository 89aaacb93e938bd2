"""`uniform`: every cell alike, whatever is known about it. A control."""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellView
from curriculum.selectors.base import Policy


class UniformPolicy(Policy):
    def weights(self, views: Sequence[CellView]) -> list[float]:
        return [view.weight for view in views]
