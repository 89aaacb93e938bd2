"""The status message, and the line that explains each batch."""

from __future__ import annotations

from collections import Counter
from typing import Sequence

import numpy as np

from curriculum.ability.calibration import Calibration
from curriculum.ability.estimates import Estimates
from curriculum.ability.rasch import Cell
from curriculum.ability.world_figures import figures_of
from curriculum.issues import COMPOSED
from curriculum.kinds import kinds_of
from curriculum.record.events import Issue
from curriculum.record.state import State
from curriculum.selectors.base import Selector, cell_shares
from curriculum.settings import CurriculumSettings
from protocol.tasks.task import PROPOSED
from protocol.wire.messages import CurriculumStatus, WorldStatus
from protocol.wire.proposals import CellStatus

MOST_ROWS = 1000
_NAMED = 3  # cells named in the explanation; the others are counted
_TREND = 0.02
_BESIDE = {
    "retest": "retesting",
    "coverage": "covering",
    "blind": "blind",
    PROPOSED: "proposed from outside",
    COMPOSED: "composed",
}


def status_of(state: State, settings: CurriculumSettings, estimates: Estimates, selector: Selector) -> CurriculumStatus:
    """The state as a message: one row per cell in the order of the menu, and one for proposals.

    Of a wide menu only the MOST_ROWS cells with the largest shares have a row: a message has a size limit.
    """
    shares = cell_shares(selector.shares(estimates))
    shown = np.arange(len(estimates))
    if len(shown) > MOST_ROWS:
        shown = np.sort(np.argpartition(-shares, MOST_ROWS)[:MOST_ROWS])
    figures = {
        skill: (state.calibration[skill].ece, state.calibration[skill].brier)
        for skill in {estimates.cells[index].skill for index in shown.tolist()} & state.calibration.keys()
    }
    columns = (estimates.mean, estimates.predicted, shares)
    rows = []
    for index, mean, predicted, share in zip(shown.tolist(), *(column[shown].tolist() for column in columns)):
        cell = estimates.cells[index]
        seen = state.seen(cell)
        error, brier = figures.get(cell.skill, (None, None))
        rows.append(
            CellStatus(
                skill=cell.skill,
                level=cell.level,
                asked=seen.asked,
                success_rate=mean,
                predicted=predicted,
                share=share,
                infeasible=seen.infeasible,
                no_gradient=seen.no_gradient,
                blind_success=state.blind_success(cell),
                calibration_error=error,
                brier=brier,
                degradation=cell.degradation,
                screened=seen.screened,
                world=cell.world,
            )
        )
    if state.proposed and (state.proposed > sum(record.accepted for record in state.kinds.values())):
        rows.append(_proposed_row(state, settings))
    return CurriculumStatus(
        selector=settings.selector,
        issued=state.issued,
        leased=len(state.leases),
        counted=state.counted,
        infeasible=state.infeasible,
        broken=state.broken,
        screened=state.screened,
        cells=tuple(rows),
        reason=state.reason,
        proposals=state.proposed,
        proposals_waiting=state.proposals_waiting,
        cells_left_out=len(estimates) - len(shown),
        learners=dict(Counter(lease.learner for lease in state.leases.values())),
        kinds=kinds_of(state, settings.estimation),
        worlds=_worlds(state, estimates, shares),
    )


def _worlds(state: State, estimates: Estimates, shares: np.ndarray) -> tuple[WorldStatus, ...]:
    """A row for each world, those that are retired included."""
    asked: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for cell, share in zip(estimates.cells if state.worlds else (), shares.tolist()):
        total[cell.world] += share
        asked[cell.world] += state.cells[str(cell)].asked if str(cell) in state.cells else 0
    figures = figures_of(state, estimates) if state.worlds else {}
    rows = []
    for name, record in state.worlds.items():
        found = figures.get(name)
        rows.append(
            WorldStatus(
                name=name,
                parent=record.parent,
                change=record.change,
                added=record.reason,
                at=record.at,
                asked=asked[name],
                success_rate=found.success if found else 0.0,
                signal=found.signal if found else 0.0,
                share=total[name],
                retired=record.retired,
                retired_at=record.retired_at,
                waiting=state.waiting(name),
                settings=record.world.model_dump_json() if record.parent else "",
            )
        )
    return tuple(rows)


def _proposed_row(state: State, settings: CurriculumSettings) -> CellStatus:
    """The row of all proposals from outside."""
    cell = Cell(PROPOSED, 0)
    seen = state.seen(cell)
    calibration = state.calibration.get(PROPOSED, Calibration())
    return CellStatus(
        skill=PROPOSED,
        level=0,
        asked=seen.asked,
        success_rate=state.posterior(cell, settings.estimation).mean,
        predicted=state.rasch.predict(cell),
        share=settings.proposals.share if state.proposals_waiting else 0.0,
        infeasible=seen.infeasible,
        no_gradient=seen.no_gradient,
        calibration_error=calibration.ece,
        brier=calibration.brier,
    )


def explain(issues: Sequence[Issue], estimates: Estimates) -> str:
    """One line about a batch: "asking depth_order L2 (p≈0.55, rising) 38 %, … and 4 others 20 %; retesting 10 %"."""
    rows = estimates.rows
    asked = Counter(issue.cell for issue in issues if issue.purpose not in _BESIDE and issue.cell in rows)
    parts = [
        f"{_describe(estimates, rows[cell])} {_percent(count, issues)}" for cell, count in asked.most_common(_NAMED)
    ]
    others = asked.most_common()[_NAMED:]
    text = "asking " + ", ".join(parts) if parts else "asking nothing new"
    if others:
        text += f" and {len(others)} others {_percent(sum(count for _, count in others), issues)}"
    beside = Counter(issue.purpose for issue in issues if issue.purpose in _BESIDE)
    extras = [f"{word} {_percent(beside[purpose], issues)}" for purpose, word in _BESIDE.items() if beside[purpose]]
    again = sum(1 for issue in issues if issue.reissue)
    extras += [f"{again} again after a lost lease"] if again else []
    return "; ".join([text, ", ".join(extras)] if extras else [text])


def _describe(estimates: Estimates, row: int) -> str:
    trend = estimates.trend[row]
    change = ", rising" if trend > _TREND else ", falling" if trend < -_TREND else ""
    new = "" if estimates.seen[row] else ", new"
    return f"{estimates.cells[row]} (p≈{estimates.mean[row]:.2f}{change}{new})"


def _percent(count: int, issues: Sequence[Issue]) -> str:
    return f"{100.0 * count / len(issues):.0f} %"
