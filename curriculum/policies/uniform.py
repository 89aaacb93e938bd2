"""`uniform`: every cell alike, whatever is known about it. A control."""

from __future__ import annotations

from typing import Sequence

from curriculum.policies.base import Policy
from curriculum.views import CellView


class UniformPolicy(Policy):
    def weights(self, views: Sequence[CellView]) -> list[float]:
        return [view.weight for view in views]
