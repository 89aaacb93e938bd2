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

from typing import Optional, Sequence

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.ability.rasch import Cell
from curriculum.selectors.base import Selector, Shares, feasible_weight, split
from curriculum.settings import CurriculumSettings

_SHARPNESS = 2.0  # exponent of the weights; above 1 favours the best cells
_LARGEST_SHARE = 0.2  # of the frontier's share; larger with fewer than ten cells


class FrontierSelector(Selector):
    def __init__(self, settings: CurriculumSettings) -> None:
        super().__init__(settings)
        self._easier: Optional[EasierCells] = None

    def shares(self, estimates: Estimates) -> Shares:
        sizes = self.settings.shares
        return split(
            {
                "frontier": (1.0 - sizes.coverage - sizes.retest, self.weights(estimates)),
                "coverage": (sizes.coverage, self._to_easier(estimates, feasible_weight(estimates))),
                "retest": (sizes.retest, _retest_weights(estimates)),
            },
            sizes.blind,
        )

    def weights(self, estimates: Estimates) -> np.ndarray:
        gain = estimates.signal * (1.0 + estimates.progress) * estimates.damping * estimates.seeing
        weights = feasible_weight(estimates) * gain**_SHARPNESS
        return bounded(self._to_easier(estimates, weights), max(_LARGEST_SHARE, 2.0 / len(estimates)))

    def _to_easier(self, estimates: Estimates, weights: np.ndarray) -> np.ndarray:
        """Move the weight of a hopeless cell to the hardest easier cell that is not hopeless, if there is one.

        A tenth stays, or a cell that has become possible would never be detected.
        """
        if self._easier is None or self._easier.cells is not estimates.cells:
            self._easier = EasierCells(estimates.cells)
        hopeless, target = self._easier.targets(estimates.hopeless)
        part = 0.9 * weights[hopeless]
        moved = weights.copy()
        moved[hopeless] -= part
        np.add.at(moved, target, part)
        return moved


class EasierCells:
    """For each hopeless cell, the hardest easier cell that is not hopeless.

    A cache: a skill is searched again only if one of its cells becomes hopeless or possible.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = cells
        self._of_skill: dict[str, list[int]] = {}
        for row, cell in enumerate(cells):
            self._of_skill.setdefault(cell.skill, []).append(row)
        self._hopeless = np.zeros(len(cells), dtype=bool)
        self._target = np.full(len(cells), -1)  # -1: none, or the cell is not hopeless

    def targets(self, hopeless: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The hopeless cells that have such a cell, and these cells."""
        changed = np.flatnonzero(hopeless != self._hopeless)
        for skill in {self.cells[row].skill for row in changed.tolist()}:
            rows = self._of_skill[skill]
            self._target[rows] = [self._easier(row, rows, hopeless) if hopeless[row] else -1 for row in rows]
        self._hopeless[changed] = hopeless[changed]
        found = np.flatnonzero(self._target >= 0)
        return found, self._target[found]

    def _easier(self, row: int, rows: Sequence[int], hopeless: np.ndarray) -> int:
        cells = self.cells
        easier = [other for other in rows if not hopeless[other] and is_easier(cells[other], cells[row])]
        return max(easier, key=lambda other: (cells[other].level, _severity(cells[other])), default=-1)


def is_easier(cell: Cell, than: Cell) -> bool:
    """Whether `cell`, of the same skill, is at most as hard as `than` in level and degradation, and easier in one."""
    if cell.skill != than.skill or cell.level > than.level or cell == than:
        return False
    if not cell.degradation or cell.degradation == than.degradation:
        return True
    kinds = [tuple(item.name for item in one.degradations) for one in (cell, than)]
    return kinds[0] == kinds[1] and _severity(cell) < _severity(than)


def _severity(cell: Cell) -> int:
    return sum(item.severity + 1 for item in cell.degradations)


def bounded(weights: np.ndarray, largest: float) -> np.ndarray:
    """Shares in these proportions, none above `largest`; the excess is distributed proportionally to the others.

    If all cells with a weight are at `largest`, the shares sum to less than 1.
    """
    free = weights  # of the cells below the bound, else 0
    held = np.zeros(len(weights), dtype=bool)
    while True:
        rest = float(free.sum())
        left = 1.0 - largest * int(held.sum())
        over = free * left > largest * rest
        if not over.any():
            break
        held |= over
        free = np.where(held, 0.0, weights)
    return np.where(held, largest, weights * (left / rest) if rest > 0 else 0.0)


def _retest_weights(estimates: Estimates) -> np.ndarray:
    """Weights of learned cells, larger the longer they were not asked and the lower their success.

    A policy that is confident in a cell can, while it learns others, collapse to one wrong answer for all questions of
    the cell; from there no group has a gradient.
    """
    waited = 1.0 + np.minimum(estimates.waiting / 256.0, 4.0)
    return estimates.learned * feasible_weight(estimates) * waited * (1.0 + 4.0 * (1.0 - estimates.mean))
