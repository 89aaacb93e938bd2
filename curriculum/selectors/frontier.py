"""`frontier`: ask where the next gradient is largest.

For GRPO the gradient of a question grows with the variance of its group's rewards, p(1-p) for right-or-wrong ones
(zero where all answers are right or all wrong). A cell's weight is therefore

    expected variance within a group x (1 + learning progress) x damping x feasibility x what needs the picture

- learning progress: how far success moved lately, either way, bounded;
- damping: a cell that stays at the same success for long is noise, not frontier;
- shares apart: coverage keeps every cell measured, retest keeps what was learned from being forgotten, blind questions
  find those that need no picture;
- a hopeless cell (no success in many answers) gives what it would get to the next easier one of its skill;
- no cell gets more than a fifth: a batch of one cell makes the policy forget the others faster than retests notice.
"""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellEstimate
from curriculum.ability.rasch import Cell
from curriculum.selectors.base import Selector, Share, feasible_weight, split

_SHARPNESS = 2.0  # above 1 the best cells get more than their proportion
_LARGEST_SHARE = 0.2  # of what is asked at the frontier; more where there are fewer than ten cells


class FrontierSelector(Selector):
    def shares(self, views: Sequence[CellEstimate]) -> list[Share]:
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

    def weights(self, views: Sequence[CellEstimate]) -> list[float]:
        weights = [
            feasible_weight(view) * (view.signal * (1.0 + view.progress) * view.damping * view.seeing) ** _SHARPNESS
            for view in views
        ]
        return bounded(self._to_easier(views, weights), max(_LARGEST_SHARE, 2.0 / len(views)))

    def _to_easier(self, views: Sequence[CellEstimate], weights: Sequence[float]) -> list[float]:
        """Move a hopeless cell's weight to the hardest easier cell that is not hopeless, where there is one.

        A tenth stays: a cell that is never asked is never found to have become possible.
        """
        moved = list(weights)
        index = {view.cell: position for position, view in enumerate(views)}
        for view in views:
            if not view.hopeless:
                continue
            easier = [other for other in views if is_easier(other.cell, view.cell) and not other.hopeless]
            if easier:
                target = max(easier, key=lambda other: (other.cell.level, _severity(other.cell)))
                part = 0.9 * weights[index[view.cell]]
                moved[index[view.cell]] -= part
                moved[index[target.cell]] += part
        return moved


def is_easier(cell: Cell, than: Cell) -> bool:
    """Whether a cell of the same skill is at most as hard in level and in its pictures, and less in one of the two."""
    same, clear = cell.degradation == than.degradation, not cell.degradation
    kinds = [tuple(item.name for item in one.degradations) for one in (cell, than)]
    milder = clear or same or (kinds[0] == kinds[1] and _severity(cell) < _severity(than))
    return cell.skill == than.skill and cell.level <= than.level and milder and cell != than


def _severity(cell: Cell) -> int:
    return sum(item.severity + 1 for item in cell.degradations)


def bounded(weights: Sequence[float], largest: float) -> list[float]:
    """Shares in these proportions, none above `largest`: what is cut off goes to the others in proportion.

    Where all that have a weight are at `largest`, the shares add up to less than 1.
    """
    held: set[int] = set()
    while True:
        rest = sum(weight for index, weight in enumerate(weights) if index not in held)
        left = 1.0 - largest * len(held)
        over = {i for i, weight in enumerate(weights) if i not in held and weight * left > largest * rest}
        if not over:
            break
        held |= over
    return [
        largest if index in held else weight / rest * left if rest > 0 else 0.0 for index, weight in enumerate(weights)
    ]


def _retest_weight(view: CellEstimate) -> float:
    """Learned cells, those not asked for longest and those that slip most.

    A policy that has grown sure in a cell and is then taught others can tip over to one wrong answer for all, and from
    there no group has a gradient that would lead back.
    """
    if not view.learned:
        return 0.0
    return feasible_weight(view) * (1.0 + min(view.waiting / 256.0, 4.0)) * (1.0 + 4.0 * (1.0 - view.mean))
