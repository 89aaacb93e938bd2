"""Estimates cell by cell, straight from their definitions: slow, for comparison with the arrays."""

from __future__ import annotations

import math

from curriculum.ability.estimates import CellEstimate
from curriculum.ability.rasch import Cell
from curriculum.record.state import CellState, State
from curriculum.settings import CurriculumSettings


def reference_estimate(state: State, settings: CurriculumSettings, cell: Cell, weight: float) -> CellEstimate:
    estimation = settings.estimation
    seen = state.cells.get(str(cell), CellState())
    post = state.posterior(cell, estimation)
    trend = 0.0
    if seen.seen >= estimation.window_groups / 2:
        change, slow = seen.fast.value - seen.slow.value, seen.slow.value
        noise = math.sqrt(slow * (1.0 - slow) / 2.0 / (2.0 * estimation.window_groups - 1.0))
        trend = math.copysign(max(abs(change) - noise, 0.0), change)
    stale = max(seen.seen - seen.best_at - estimation.patience_groups, 0)
    answered = seen.seen + seen.blind_asked
    return CellEstimate(
        cell=cell,
        weight=weight,
        seen=seen.seen,
        mean=post.mean,
        sd=float(post.sd),
        signal=post.signal,
        predicted=state.rasch.predict(cell),
        trend=trend,
        damping=max(0.1, 0.5 ** (stale / estimation.patience_groups)),
        feasible=(answered + 2.0) / (answered + seen.infeasible + 2.0),
        seeing=_seeing(state.cells.get(str(cell.undegraded), CellState()), cell.chance),
        learned=seen.seen >= 4 and post.mean > (1.0 + cell.chance) / 2.0,
        open=_open(state, settings, cell),
        waiting=state.next_number - 1 - seen.issued_at,
    )


def _open(state: State, settings: CurriculumSettings, cell: Cell) -> float:
    listed = {level for skill in settings.skills if skill.name == cell.skill for level in skill.levels}
    easier = [level for level in listed if level < cell.level]
    if not easier:
        return 1.0
    before = Cell(cell.skill, max(easier), cell.degradation, cell.world)
    above = (state.posterior(before, settings.estimation).mean - before.chance) / (1.0 - before.chance)
    return min(max(2.0 * above, 0.0), 1.0)


def _seeing(seen: CellState, chance: float) -> float:
    total = seen.blind.successes + seen.blind.failures
    mean = (seen.blind.successes + 2.0 * chance) / (total + 2.0)
    low = mean - math.sqrt(mean * (1.0 - mean) / (total + 3.0)) - 0.1
    return 1.0 - max(low - chance, 0.0) / (1.0 - chance)
