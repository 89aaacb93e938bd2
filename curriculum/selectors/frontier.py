"""`frontier`: ask where the next gradient is largest.

In GRPO the gradient of a question grows with the variance of the rewards in its group, p(1-p) for binary rewards (zero
if all answers are right or all wrong). The weight of a cell is therefore

    expected variance within a group x (1 + learning progress) x damping x feasibility x need for the image

- learning progress: the recent change of success in either direction, bounded;
- damping: a cell whose success stays constant for long is noise, not frontier;
- separate shares: coverage keeps every cell measured, retest counters forgetting, blind questions detect shortcuts;
- a hopeless cell (no success in many answers) passes its weight to the next easier cell of its skill;
- no cell gets more than a fifth: a batch of one cell makes the policy forget the others before retests detect it.
"""

from __future__ import annotations

from typing import Sequence

from curriculum.ability.estimates import CellEstimate
from curriculum.ability.rasch import Cell
from curriculum.selectors.base import Selector, Shares, feasible_weight, split

_SHARPNESS = 2.0  # exponent of the weights; above 1 favours the best cells
_LARGEST_SHARE = 0.2  # of the frontier's share; larger with fewer than ten cells


class FrontierSelector(Selector):
    def shares(self, estimates: Sequence[CellEstimate]) -> Shares:
        sizes = self.settings.shares
        return split(
            estimates,
            {
                "frontier": (1.0 - sizes.coverage - sizes.retest, self.weights(estimates)),
                "coverage": (
                    sizes.coverage,
                    self._to_easier(estimates, [feasible_weight(one) for one in estimates]),
                ),
                "retest": (sizes.retest, [_retest_weight(estimate) for estimate in estimates]),
            },
            sizes.blind,
        )

    def weights(self, estimates: Sequence[CellEstimate]) -> list[float]:
        weights = [
            feasible_weight(one) * (one.signal * (1.0 + one.progress) * one.damping * one.seeing) ** _SHARPNESS
            for one in estimates
        ]
        return bounded(self._to_easier(estimates, weights), max(_LARGEST_SHARE, 2.0 / len(estimates)))

    def _to_easier(self, estimates: Sequence[CellEstimate], weights: Sequence[float]) -> list[float]:
        """Move the weight of a hopeless cell to the hardest easier cell that is not hopeless, if there is one.

        A tenth stays, or a cell that has become possible would never be detected.
        """
        moved = list(weights)
        index = {estimate.cell: position for position, estimate in enumerate(estimates)}
        for estimate in estimates:
            if not estimate.hopeless:
                continue
            easier = [other for other in estimates if is_easier(other.cell, estimate.cell) and not other.hopeless]
            if easier:
                target = max(easier, key=lambda other: (other.cell.level, _severity(other.cell)))
                part = 0.9 * weights[index[estimate.cell]]
                moved[index[estimate.cell]] -= part
                moved[index[target.cell]] += part
        return moved


def is_easier(cell: Cell, than: Cell) -> bool:
    """Whether `cell`, of the same skill, is at most as hard as `than` in level and degradation, and easier in one."""
    same, clear = cell.degradation == than.degradation, not cell.degradation
    kinds = [tuple(item.name for item in one.degradations) for one in (cell, than)]
    milder = clear or same or (kinds[0] == kinds[1] and _severity(cell) < _severity(than))
    return cell.skill == than.skill and cell.level <= than.level and milder and cell != than


def _severity(cell: Cell) -> int:
    return sum(item.severity + 1 for item in cell.degradations)


def bounded(weights: Sequence[float], largest: float) -> list[float]:
    """Shares in these proportions, none above `largest`; the excess is distributed proportionally to the others.

    If all cells with a weight are at `largest`, the shares sum to less than 1.
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


def _retest_weight(estimate: CellEstimate) -> float:
    """Weight of learned cells, larger the longer they were not asked and the lower their success.

    A policy that is confident in a cell can, while it learns others, collapse to one wrong answer for all questions of
    the cell; from there no group has a gradient.
    """
    if not estimate.learned:
        return 0.0
    return feasible_weight(estimate) * (1.0 + min(estimate.waiting / 256.0, 4.0)) * (1.0 + 4.0 * (1.0 - estimate.mean))
