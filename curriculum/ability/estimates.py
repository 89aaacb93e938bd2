"""Estimates of each cell: the input of a selector."""

from __future__ import annotations

import math

import msgspec

from curriculum.ability.rasch import Cell
from curriculum.record.state import CellState, State
from curriculum.settings import CurriculumSettings
from protocol.tasks.specs import degradations_for

_PROGRESS_SCALE = 0.1  # change of success that counts as full learning progress
_LEAST_DAMPING = 0.1
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
    progress: float  # magnitude of the change of success
    damping: float  # below 1 after a long time without progress
    feasible: float  # fraction of specs that the simulator can realise
    seeing: float  # below 1 if the questions can be answered blind
    learned: bool  # success is more than halfway from chance to 1
    hopeless: bool  # no success in many answers
    waiting: int  # specs issued since this cell was last asked


def cell_estimates(state: State, settings: CurriculumSettings) -> list[CellEstimate]:
    """The estimates of every cell of the settings, in their order.

    If the world lists degradations, the weight of a skill is split between undegraded and degraded images.
    """
    estimates = []
    for skill in settings.skills:
        degraded = degradations_for(settings.world, skill.name)
        share = settings.world.degraded_share if degraded else 0.0
        parts = {"": 1.0 - share, **dict.fromkeys(degraded, share / max(len(degraded), 1))}
        estimates += [
            _estimate(state, settings, Cell(skill.name, level, degradation), skill.weight * part)
            for level in skill.levels
            for degradation, part in parts.items()
            if part
        ]
    return estimates


def _estimate(state: State, settings: CurriculumSettings, cell: Cell, weight: float) -> CellEstimate:
    estimation = settings.estimation
    seen = state.cells.get(str(cell), CellState())
    post = state.posterior(cell, estimation)
    trend = _trend(seen, estimation.window_groups)
    stale = seen.seen - seen.best_at - estimation.patience_groups
    enough = estimation.patience_groups / 4
    return CellEstimate(
        cell=cell,
        weight=weight,
        seen=seen.seen,
        mean=post.mean,
        sd=post.sd,
        signal=post.signal,
        predicted=state.rasch.predict(cell),
        trend=trend,
        progress=min(abs(trend) / _PROGRESS_SCALE, 1.0),
        damping=max(_LEAST_DAMPING, 0.5 ** (max(stale, 0) / estimation.patience_groups)),
        feasible=(seen.seen + seen.blind_asked + 2.0) / (seen.seen + seen.blind_asked + seen.infeasible + 2.0),
        seeing=_seeing(state.cells.get(str(cell.undegraded), CellState()), cell),
        learned=seen.seen >= 4 and post.mean > (1.0 + cell.chance) / 2.0,
        hopeless=seen.seen >= enough and seen.fast.value <= estimation.hopeless,
        waiting=state.next_number - 1 - seen.issued_at,
    )


def _trend(seen: CellState, window: float) -> float:
    if seen.seen < window / 2:
        return 0.0
    change = seen.fast.value - seen.slow.value
    # An average over w groups has the variance of a group / (2w - 1); that of the slow average is negligible.
    noise = math.sqrt(seen.slow.value * (1.0 - seen.slow.value) / 2.0 / (2.0 * window - 1.0))
    return math.copysign(max(abs(change) - noise, 0.0), change)


def _seeing(seen: CellState, cell: Cell) -> float:
    """1 - a lower bound of the blind success, scaled so that chance is 0 and certainty 1."""
    blind = seen.blind
    total = blind.successes + blind.failures
    mean = (blind.successes + 2.0 * cell.chance) / (total + 2.0)
    low = mean - math.sqrt(mean * (1.0 - mean) / (total + 3.0)) - _SHORTCUT_MARGIN
    return 1.0 - max(low - cell.chance, 0.0) / (1.0 - cell.chance)
