"""Estimates of each cell: the input of a selector.

    events ─▶ State ─▶ Estimator: columns, one row per cell of the menu ─▶ Estimates ─▶ selector

The menu has a cell for every skill, level, world that is asked, and degradation of that world. An event changes the
rows of its cells; one about a world changes the menu. What depends on all events, the prediction of the ability model
and the fading of old answers, is computed for all rows at once.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import msgspec
import numpy as np

from curriculum.ability.design import Design
from curriculum.ability.rasch import Cell, posterior
from curriculum.record.events import Event, ReportedEvent, WorldAddedEvent, WorldRetiredEvent
from curriculum.record.state import CellState, State, cells_of
from curriculum.settings import CurriculumSettings, Estimation
from curriculum.worlds import asked_worlds
from protocol.tasks.specs import World, degradations_for

_LEAST_DAMPING = 0.1
_OF_WAITING = 1.0 / 32  # factor of the weight of a world whose specs fail: it is tried now and then
_SHORTCUT_MARGIN = 0.1  # blind success may exceed chance by this much


class CellEstimate(msgspec.Struct, frozen=True):
    """Estimates of one cell; all but the counts are in 0..1, `trend` in -1..1."""

    cell: Cell
    weight: float  # of the skill with this degradation, from the settings
    seen: int  # questions that gave evidence
    mean: float  # posterior mean of success
    sd: float
    signal: float  # expected variance of rewards within a group
    predicted: float  # success by the ability model alone
    trend: float  # recent minus earlier success, reduced by its standard error
    damping: float  # below 1 after a long time without progress
    feasible: float  # fraction of specs that the simulator can realise
    seeing: float  # below 1 if the questions can be answered blind
    learned: bool  # success is more than halfway from chance to 1
    open: float  # 0 if success at the next easier level is at chance, 1 if that is learned or there is none
    waiting: int  # specs issued since this cell was last asked


_FIELDS = CellEstimate.__struct_fields__[1:]


@dataclass(frozen=True)
class Estimates(Sequence[CellEstimate]):
    """The estimates of all cells: the fields of CellEstimate as arrays [N], in the order of the menu.

    A sequence of CellEstimate too, for what concerns few cells. Valid until the estimator follows another event.
    """

    cells: Sequence[Cell]
    rows: Mapping[Cell, int]  # the position of each cell
    weight: np.ndarray
    seen: np.ndarray
    mean: np.ndarray
    signal: np.ndarray
    predicted: np.ndarray
    trend: np.ndarray
    damping: np.ndarray
    feasible: np.ndarray
    seeing: np.ndarray
    learned: np.ndarray
    open: np.ndarray
    waiting: np.ndarray
    answers: np.ndarray  # that the posterior is worth, the prior included

    @functools.cached_property
    def sd(self) -> np.ndarray:
        return np.sqrt(self.mean * (1.0 - self.mean) / (self.answers + 1.0))

    def __len__(self) -> int:
        return len(self.cells)

    @overload
    def __getitem__(self, index: int) -> CellEstimate: ...
    @overload
    def __getitem__(self, index: slice) -> list[CellEstimate]: ...
    def __getitem__(self, index: int | slice) -> CellEstimate | list[CellEstimate]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        return CellEstimate(self.cells[index], *(getattr(self, name)[index].item() for name in _FIELDS))


class Estimator:
    """Follows the events of one run and estimates the cells of its settings."""

    def __init__(self, state: State, settings: CurriculumSettings) -> None:
        """Start from a state; `follow` each event that is applied to it afterwards."""
        self._state = state
        self._settings = settings
        self._list()

    def _list(self) -> None:
        """Set up the columns for the worlds that are asked now."""
        state, settings = self._state, self._settings
        listed = list(_menu(settings, asked_worlds(state, settings)))
        self.cells = tuple(cell for cell, _ in listed)
        self.rows = {cell: row for row, cell in enumerate(self.cells)}
        self._weight = np.array([weight for _, weight in listed])
        self._design = Design(self.cells, state.rasch)
        self._pairs = {cell: row for row, cell in enumerate(self._design.pairs)}
        self._chance = np.array([cell.chance for cell in self._design.pairs])
        self._columns = _Columns(len(self.cells))
        self._seeing = np.ones(len(self._pairs))
        self._halfway = ((1.0 + self._chance) / 2.0)[self._design.pair]
        self._easier = _easier(self.cells)
        self._design.refresh(state.rasch, state.rasch.terms)
        self._changed: set[Cell] = set()
        self._terms: set[str] = set()  # that may have changed
        self._refresh([cell for cell in (*self.cells, *self._pairs) if str(cell) in state.cells])

    def asks(self, cell: Cell) -> bool:
        """Whether the menu has the skill at this level in this world."""
        return cell.undegraded in self._pairs

    def follow(self, event: Event) -> None:
        """Note an event that was applied to the state."""
        if isinstance(event, (WorldAddedEvent, WorldRetiredEvent)):
            self._list()
        self._changed.update(cells_of(event))
        if isinstance(event, ReportedEvent):
            terms_of = self._state.rasch.terms_of
            self._terms.update(name for cell in set(cells_of(event)) for _, name, _ in terms_of(cell))

    def estimates(self) -> Estimates:
        """The estimates after the last event."""
        self._design.refresh(self._state.rasch, self._terms)
        self._refresh(self._changed)
        self._changed, self._terms = set(), set()
        state, estimation, columns = self._state, self._settings.estimation, self._columns
        predicted = self._design.predict()
        post = posterior(columns, state.groups, predicted, estimation.prior_groups, estimation.fade_groups)
        answers = post.a + post.b
        mean = post.a / answers
        above_chance = 1.0 - (self._halfway - mean) / (1.0 - self._halfway)  # 0 at chance, 1 halfway to certainty
        return Estimates(
            cells=self.cells,
            rows=self.rows,
            weight=self._weights(),
            seen=columns.seen,
            mean=mean,
            signal=post.signal,
            predicted=predicted,
            trend=columns.trend,
            damping=columns.damping,
            feasible=columns.feasible,
            seeing=self._seeing[self._design.pair],
            learned=(mean > self._halfway) & (columns.seen >= 4),
            open=np.where(self._easier < 0, 1.0, np.clip(above_chance, 0.0, 1.0)[self._easier]),
            waiting=state.next_number - 1 - columns.issued_at,
            answers=answers,
        )

    def _weights(self) -> np.ndarray:
        waiting = [bool(self._state.waiting(world)) for world in self._design.worlds]
        if all(waiting) or not any(waiting):
            return self._weight
        return self._weight * np.where(waiting, _OF_WAITING, 1.0)[self._design.world]

    def _refresh(self, cells: Collection[Cell]) -> None:
        """Read the records of these cells again."""
        records = self._state.cells
        if rows := [(self.rows[cell], records[str(cell)]) for cell in cells if cell in self.rows]:
            self._columns.fill(rows, self._settings.estimation)
        if pairs := [(self._pairs[cell], records[str(cell)].blind) for cell in cells if cell in self._pairs]:
            index = np.array([row for row, _ in pairs])
            blind = np.array([(counts.successes, counts.failures) for _, counts in pairs])
            self._seeing[index] = _seeing(blind[:, 0], blind[:, 1], self._chance[index])


def _easier(cells: Sequence[Cell]) -> np.ndarray:
    """For each cell the row of the next easier level of its skill in its world and degradation; -1 for the easiest."""
    others = [(cell.skill, cell.world, cell.degradation) for cell in cells]
    rows = sorted(range(len(cells)), key=lambda row: (others[row], cells[row].level))
    easier = np.full(len(cells), -1)
    for before, row in zip(rows, rows[1:]):
        if others[before] == others[row]:
            easier[row] = before
    return easier


class _Columns:
    """What follows from the record of a cell alone, as arrays [N]; a cell without a record has the values of an empty
    one."""

    def __init__(self, size: int) -> None:
        self.successes, self.failures, self.spread, self.groups, self.at, self.trend = np.zeros((6, size))
        self.damping, self.feasible = np.ones((2, size))
        self.seen, self.issued_at = np.zeros(size, dtype=np.int64), np.full(size, -1)

    def fill(self, records: Sequence[tuple[int, CellState]], estimation: Estimation) -> None:
        """Set the rows of these (row, record)."""
        rows = np.array([row for row, _ in records])
        raw = np.array([_figures(record) for _, record in records]).T
        self.successes[rows], self.failures[rows], self.spread[rows], self.groups[rows], self.at[rows] = raw[:5]
        seen, self.issued_at[rows], blind_asked, infeasible, fast, slow, best_at = raw[5:]
        self.seen[rows] = seen
        self.trend[rows] = _trend(seen, fast, slow, estimation.window_groups)
        stale = np.maximum(seen - best_at - estimation.patience_groups, 0.0)
        self.damping[rows] = np.maximum(_LEAST_DAMPING, 0.5 ** (stale / estimation.patience_groups))
        answered = seen + blind_asked
        self.feasible[rows] = (answered + 2.0) / (answered + infeasible + 2.0)


def damping_of(record: CellState, estimation: Estimation) -> float:
    """The damping of one cell."""
    stale = max(record.seen - record.best_at - estimation.patience_groups, 0)
    return max(_LEAST_DAMPING, 0.5 ** (stale / estimation.patience_groups))


def _figures(record: CellState) -> tuple[float, ...]:
    counts = record.seeing
    return (
        *(counts.successes, counts.failures, counts.spread, counts.groups, counts.at),
        *(record.seen, record.issued_at, record.blind_asked, record.infeasible),
        *(record.fast.value, record.slow.value, record.best_at),
    )


def _trend(seen: np.ndarray, fast: np.ndarray, slow: np.ndarray, window: float) -> np.ndarray:
    change = fast - slow
    # An average over w groups has the variance of a group / (2w - 1); that of the slow average is negligible.
    noise = np.sqrt(np.maximum(slow * (1.0 - slow), 0.0) / 2.0 / (2.0 * window - 1.0))
    return np.where(seen < window / 2, 0.0, np.copysign(np.maximum(np.abs(change) - noise, 0.0), change))


def _seeing(successes: np.ndarray, failures: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """1 - a lower bound of the blind success, scaled so that chance is 0 and certainty 1."""
    total = successes + failures
    mean = (successes + 2.0 * chance) / (total + 2.0)
    low = mean - np.sqrt(mean * (1.0 - mean) / (total + 3.0)) - _SHORTCUT_MARGIN
    return 1.0 - np.maximum(low - chance, 0.0) / (1.0 - chance)


def _menu(settings: CurriculumSettings, worlds: Mapping[str, World]) -> Iterator[tuple[Cell, float]]:
    """Every cell that can be asked, and its weight.

    If a world lists degradations, the weight of a skill is split between undegraded and degraded images.
    """
    for skill in settings.skills:
        for name, world in worlds.items():
            degraded = degradations_for(world, skill.name)
            share = world.degraded_share if degraded else 0.0
            parts = {"": 1.0 - share, **dict.fromkeys(degraded, share / max(len(degraded), 1))}
            for level in skill.levels:
                for degradation, part in parts.items():
                    if part:
                        yield Cell(skill.name, level, degradation, name), skill.weight * part
