"""The interface of selectors, which assign shares of upcoming specs to cells, and drawing a batch from shares."""

from __future__ import annotations

import abc
import functools
from typing import Mapping, Optional, Sequence, Union

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.ability.rasch import Cell
from curriculum.selectors import SELECTORS
from curriculum.settings import CurriculumSettings

Choice = tuple[Cell, str]  # a cell, and the purpose of asking it
Weights = Union[np.ndarray, Sequence[float]]  # one per cell, non-negative, at any scale
Shares = dict[str, np.ndarray]  # purpose -> fraction (0..1) of upcoming specs for each cell


class Selector(abc.ABC):
    """A selector sees only the estimates, so that a restart changes nothing."""

    repeats: Optional[int] = None  # length of the list of specs to repeat; None: every spec is new

    def __init__(self, settings: CurriculumSettings) -> None:
        self.settings = settings

    def shares(self, estimates: Estimates) -> Shares:
        """Shares that sum to 1. By default proportional to `weights`, with the blind share in the same proportions."""
        return split({"learn": (1.0, self.weights(estimates))}, self.settings.shares.blind)

    @abc.abstractmethod
    def weights(self, estimates: Estimates) -> Weights:
        """The weight of each cell."""


def make_selector(settings: CurriculumSettings) -> Selector:
    """The selector that `settings.selector` names. Raises VantageError("bad_config") if it cannot be imported."""
    return SELECTORS.load(settings.selector)(settings)


def split(parts: Mapping[str, tuple[float, Weights]], blind: float) -> Shares:
    """Shares from parts {purpose: (size, weight of each cell)}, scaled to leave `blind` for blind questions.

    The size of a part whose weights are all zero goes to the other parts; if all are, every cell gets the same.
    """
    arrays = {purpose: (size, np.asarray(weights, dtype=float)) for purpose, (size, weights) in parts.items()}
    totals = {purpose: float(weights.sum()) for purpose, (_, weights) in arrays.items()}
    live = {purpose: part for purpose, part in arrays.items() if part[0] > 0 and totals[purpose] > 0}
    if not live:
        cells = len(next(iter(arrays.values()))[1])
        live, totals = {"coverage": (1.0, np.ones(cells))}, {"coverage": float(cells)}
    sizes = sum(size for size, _ in live.values())
    shares = {
        purpose: weights * ((1.0 - blind) * size / sizes / totals[purpose]) for purpose, (size, weights) in live.items()
    }
    if blind:
        shares["blind"] = cell_shares(shares) * (blind / (1.0 - blind))
    return shares


def cell_shares(shares: Shares) -> np.ndarray:
    """Total share of each cell, blind questions excluded."""
    first, *others = (part for purpose, part in shares.items() if purpose != "blind")
    return functools.reduce(np.add, others, first)


def draw(cells: Sequence[Cell], shares: Shares, count: int, rng: np.random.Generator) -> list[Choice]:
    """Systematic sampling: each share gets its expected number of draws, rounded down or up without bias."""
    edges = [np.cumsum(part) for part in shares.values()]
    ends = np.cumsum([edge[-1] for edge in edges])
    ticks = (np.arange(count) + rng.random()) * (ends[-1] / count)
    of_part = np.searchsorted(ends[:-1], ticks, side="right")
    choices = []
    for part, (purpose, edge) in enumerate(zip(shares, edges)):
        rows = edge.searchsorted(ticks[of_part == part] - (ends[part] - edge[-1]), side="right")
        last = edge.searchsorted(edge[-1])  # that has a share
        choices += [(cells[row], purpose) for row in np.minimum(rows, last).tolist()]
    return choices


def feasible_weight(estimates: Estimates) -> np.ndarray:
    """The weight of the skill times the fraction of feasible specs, of each cell."""
    return estimates.weight * estimates.feasible
