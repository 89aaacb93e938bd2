"""Decide the batches of a past run again under another selector, and compare.

For each batch the other selector receives the estimates that the run had at that moment. What it would have taught is
unknown, so the estimates remain those of the run: the comparison shows how the choices differ, not their outcome.
"""

from __future__ import annotations

from typing import Sequence

import msgspec
import numpy as np

from curriculum.ability.estimates import Estimates, Estimator
from curriculum.record.events import Issue, LeasedEvent, WorldAddedEvent, WorldRetiredEvent
from curriculum.record.state import State
from curriculum.record.store import Store
from curriculum.selectors.base import Selector, cell_shares, make_selector
from curriculum.settings import CurriculumSettings
from protocol.errors import VantageError

SPANS = 4
_MOST_DECIDED = 2000  # batches, spread evenly over the run


class Span(msgspec.Struct):
    """Consecutive batches of a run, decided again. Shares are by skill, without blind and proposed questions."""

    first: int  # number of a batch, from 1
    last: int
    asked: dict[str, float]  # what the run asked
    other: dict[str, float]  # what the other selector would have asked
    asked_signal: float  # expected variance of rewards within a group, mean over the questions
    other_signal: float


class _Sums:
    """Sums over the batches of a span."""

    def __init__(self, skills: int) -> None:
        self.batches: list[int] = []
        self.asked, self.other = np.zeros(skills), np.zeros(skills)
        self.signals = np.zeros(2)

    def add(self, batch: int, skill: np.ndarray, asked: np.ndarray, other: np.ndarray, signal: np.ndarray) -> None:
        self.batches.append(batch)
        for sums, shares in ((self.asked, asked), (self.other, other)):
            sums += np.bincount(skill, weights=shares, minlength=len(sums))
        self.signals += asked @ signal, other @ signal


def replay(store: Store, settings: CurriculumSettings, selector: str) -> list[Span]:
    """The run in up to SPANS spans of batches, oldest first.

    Raises VantageError: "bad_config" for an unknown selector, "bad_request" if the run has asked nothing in the cells
    of its settings, and as Store does.
    """
    other = make_selector(settings.model_copy(update={"selector": selector}))
    state = State()
    estimator = Estimator(state, settings)
    names = sorted(skill.name for skill in settings.skills)
    skill = _skills(names, estimator)
    batches = store.count("leased")
    decided = set(np.linspace(1, batches, min(batches, _MOST_DECIDED), dtype=int).tolist())
    spans = [_Sums(len(names)) for _ in range(min(SPANS, len(decided)))]
    for _, event in store.events():
        if isinstance(event, LeasedEvent) and (batch := state.batches + 1) in decided:
            estimates = estimator.estimates()
            asked = _asked(event.issues, estimates)
            if asked.any():
                span = spans[(batch - 1) * len(spans) // batches]
                span.add(batch, skill, asked, _shares(other, estimates), estimates.signal)
        state.apply(event, settings.estimation)
        estimator.follow(event)
        if isinstance(event, (WorldAddedEvent, WorldRetiredEvent)):  # other cells
            skill = _skills(names, estimator)
    found = [_span(sums, names) for sums in spans if sums.batches]
    if not found:
        raise VantageError("bad_request", f"{store.path} has no batch of the configured cells to decide again.")
    return found


def _skills(names: Sequence[str], estimator: Estimator) -> np.ndarray:
    """The place in `names` of the skill of each cell."""
    return np.searchsorted(names, [cell.skill for cell in estimator.cells])


def _span(sums: _Sums, names: Sequence[str]) -> Span:
    count = len(sums.batches)
    asked, other = (dict(zip(names, (part / count).tolist())) for part in (sums.asked, sums.other))
    first_signal, second_signal = (sums.signals / count).tolist()
    return Span(sums.batches[0], sums.batches[-1], asked, other, first_signal, second_signal)


def _asked(issues: Sequence[Issue], estimates: Estimates) -> np.ndarray:
    """The fraction of the new questions of a batch in each cell; zeros if there are none."""
    cells = [issue.cell for issue in issues if not (issue.blind or issue.proposal or issue.reissue)]
    rows = [estimates.rows[cell] for cell in cells if cell in estimates.rows]
    return np.bincount(rows, minlength=len(estimates)) / max(len(rows), 1) if rows else np.zeros(len(estimates))


def _shares(selector: Selector, estimates: Estimates) -> np.ndarray:
    shares = cell_shares(selector.shares(estimates))
    return shares / shares.sum()
