"""What a policy is: shares of the next specs by cell and purpose; and how a batch is drawn from shares."""

from __future__ import annotations

import abc
from typing import Mapping, Optional, Sequence

import msgspec
import numpy as np

from curriculum.ability.estimates import CellEstimate
from curriculum.ability.rasch import Cell
from curriculum.selectors import SELECTORS
from curriculum.settings import CurriculumSettings


class Share(msgspec.Struct, frozen=True):
    """This share (0..1) of the next specs goes to `cell` for this purpose."""

    cell: Cell
    purpose: str
    share: float


class Selector(abc.ABC):
    """A policy is stateless: all that it knows stands in the views, so that a restart changes nothing."""

    repeats: Optional[int] = None  # after so many specs the same ones come again; None: every spec is fresh

    def __init__(self, settings: CurriculumSettings) -> None:
        self.settings = settings

    def shares(self, views: Sequence[CellEstimate]) -> list[Share]:
        """Shares that sum to 1. By default every cell by `weights`, and the blind share in the same proportions."""
        return split(views, {"learn": (1.0, self.weights(views))}, self.settings.shares.blind)

    @abc.abstractmethod
    def weights(self, views: Sequence[CellEstimate]) -> list[float]:
        """How much each cell is worth asking, at any scale."""


def make_selector(settings: CurriculumSettings) -> Selector:
    """The selector that `settings.selector` names. Raises VantageError("bad_config") if it cannot be imported."""
    return SELECTORS.load(settings.selector)(settings)


def split(
    views: Sequence[CellEstimate], parts: Mapping[str, tuple[float, Sequence[float]]], blind: float
) -> list[Share]:
    """Shares from parts {purpose: (size, a weight per view)}, scaled to leave `blind` to blind questions.

    A part whose weights are all zero leaves its size to the others; where all are, every cell gets the same.
    """
    live = {purpose: (size, weights) for purpose, (size, weights) in parts.items() if size > 0 and sum(weights) > 0}
    if not live:
        live = {"coverage": (1.0, [1.0] * len(views))}
    whole = sum(size for size, _ in live.values())
    shares = [
        Share(view.cell, purpose, (1.0 - blind) * size / whole * weight / sum(weights))
        for purpose, (size, weights) in live.items()
        for view, weight in zip(views, weights)
        if weight > 0
    ]
    if blind:
        by_cell = cell_shares(shares)
        shares += [Share(cell, "blind", blind / (1.0 - blind) * share) for cell, share in by_cell.items()]
    return shares


def cell_shares(shares: Sequence[Share]) -> dict[Cell, float]:
    """The seeing shares added up by cell."""
    total: dict[Cell, float] = {}
    for share in shares:
        if share.purpose != "blind":
            total[share.cell] = total.get(share.cell, 0.0) + share.share
    return total


def draw(shares: list[Share], count: int, rng: np.random.Generator) -> list[Share]:
    """Systematic sampling: each share gets its expected number of draws, rounded down or up, and right on average."""
    edges = np.cumsum([share.share for share in shares])
    ticks = (np.arange(count) + rng.random()) * (edges[-1] / count)
    picks = np.minimum(np.searchsorted(edges, ticks, side="right"), len(shares) - 1)
    return [shares[int(index)] for index in picks]


def feasible_weight(view: CellEstimate) -> float:
    """How much a cell may be asked: its skill's weight, less where specs are mostly infeasible."""
    return view.weight * view.feasible
