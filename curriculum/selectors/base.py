"""The interface of selectors, which assign shares of upcoming specs to cells, and drawing a batch from shares."""

from __future__ import annotations

import abc
from typing import Mapping, Optional, Sequence

import numpy as np

from curriculum.ability.estimates import CellEstimate
from curriculum.ability.rasch import Cell
from curriculum.selectors import SELECTORS
from curriculum.settings import CurriculumSettings

Choice = tuple[Cell, str]  # a cell, and the purpose of asking it
Shares = dict[Choice, float]  # fractions (0..1) of upcoming specs


class Selector(abc.ABC):
    """A selector is stateless: it sees only the estimates, so that a restart changes nothing."""

    repeats: Optional[int] = None  # length of the list of specs to repeat; None: every spec is new

    def __init__(self, settings: CurriculumSettings) -> None:
        self.settings = settings

    def shares(self, estimates: Sequence[CellEstimate]) -> Shares:
        """Shares that sum to 1. By default proportional to `weights`, with the blind share in the same proportions."""
        return split(estimates, {"learn": (1.0, self.weights(estimates))}, self.settings.shares.blind)

    @abc.abstractmethod
    def weights(self, estimates: Sequence[CellEstimate]) -> list[float]:
        """Non-negative weight of each cell, at any scale."""


def make_selector(settings: CurriculumSettings) -> Selector:
    """The selector that `settings.selector` names. Raises VantageError("bad_config") if it cannot be imported."""
    return SELECTORS.load(settings.selector)(settings)


def split(
    estimates: Sequence[CellEstimate], parts: Mapping[str, tuple[float, Sequence[float]]], blind: float
) -> Shares:
    """Shares from parts {purpose: (size, weight per cell)}, scaled to leave `blind` for blind questions.

    The size of a part whose weights are all zero goes to the other parts; if all are, every cell gets the same.
    """
    live = {purpose: (size, weights) for purpose, (size, weights) in parts.items() if size > 0 and sum(weights) > 0}
    if not live:
        live = {"coverage": (1.0, [1.0] * len(estimates))}
    whole = sum(size for size, _ in live.values())
    shares = {
        (estimate.cell, purpose): (1.0 - blind) * size / whole * weight / sum(weights)
        for purpose, (size, weights) in live.items()
        for estimate, weight in zip(estimates, weights)
        if weight > 0
    }
    if blind:
        shares |= {(cell, "blind"): blind / (1.0 - blind) * share for cell, share in cell_shares(shares).items()}
    return shares


def cell_shares(shares: Shares) -> dict[Cell, float]:
    """Total share of each cell, blind questions excluded."""
    total: dict[Cell, float] = {}
    for (cell, purpose), share in shares.items():
        if purpose != "blind":
            total[cell] = total.get(cell, 0.0) + share
    return total


def draw(shares: Shares, count: int, rng: np.random.Generator) -> list[Choice]:
    """Systematic sampling: each share gets its expected number of draws, rounded down or up without bias."""
    choices, edges = list(shares), np.cumsum(list(shares.values()))
    ticks = (np.arange(count) + rng.random()) * (edges[-1] / count)
    picks = np.minimum(np.searchsorted(edges, ticks, side="right"), len(shares) - 1)
    return [choices[int(index)] for index in picks]


def feasible_weight(estimate: CellEstimate) -> float:
    """The weight of the skill times the fraction of feasible specs."""
    return estimate.weight * estimate.feasible
