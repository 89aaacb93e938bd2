"""`frontier`: ask where the next gradient is largest.

For GRPO the gradient of a question grows with the variance of its group's rewards, p(1-p) for right-or-wrong ones
(zero where all answers are right or all wrong). A cell's weight is therefore

    expected variance within a group x (1 + learning progress) x damping x feasibility x what needs the picture

- learning progress: how far success moved lately, either way, bounded;
- damping: a cell that stays at the same success for long is noise, not frontier;
- shares apart: coverage keeps every cell measured, retest keeps mastered cells from being forgotten, blind questions
  find those that need no picture;
- a hopeless cell (no success in many answers) gives what it would get to the next easier level of its skill.
"""

from __future__ import annotations

from typing import Sequence

from curriculum.policies.base import Policy, Share, feasible_weight, split
from curriculum.views import CellView

_SHARPNESS = 2.0  # above 1 the best cells get more than their proportion


class FrontierPolicy(Policy):
    def shares(self, views: Sequence[CellView]) -> list[Share]:
        sizes = self.settings.shares
        return split(
            views,
            {
                "frontier": (1.0 - sizes.coverage - sizes.retest, self.weights(views)),
                "coverage": (sizes.coverage, self._to_easier(views, [feasible_weight(view) for view in views])),
                "retest": (sizes.retest, [_retest_weight(view) for view in views]),
            },
            sizes.blind,
        )

    def weights(self, views: Sequence[CellView]) -> list[float]:
        return self._to_easier(
            views,
            [
                feasible_weight(view) * (view.signal * (1.0 + view.progress) * view.damping * view.seeing) ** _SHARPNESS
                for view in views
            ],
        )

    def _to_easier(self, views: Sequence[CellView], weights: Sequence[float]) -> list[float]:
        """Move a hopeless cell's weight to the hardest easier level that is not hopeless, where there is one.

        A tenth stays: a cell that is never asked is never found to have become possible.
        """
        moved = list(weights)
        index = {view.cell: position for position, view in enumerate(views)}
        for view in views:
            if not view.hopeless:
                continue
            easier = [
                other
                for other in views
                if other.cell.skill == view.cell.skill and other.cell.level < view.cell.level and not other.hopeless
            ]
            if easier:
                target = max(easier, key=lambda other: other.cell.level)
                part = 0.9 * weights[index[view.cell]]
                moved[index[view.cell]] -= part
                moved[index[target.cell]] += part
        return moved


def _retest_weight(view: CellView) -> float:
    """Mastered cells, those not asked for longest and those that slip most."""
    if not view.mastered:
        return 0.0
    return feasible_weight(view) * (1.0 + min(view.waiting / 256.0, 4.0)) * (1.0 + 4.0 * (1.0 - view.mean))
