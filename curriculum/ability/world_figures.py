"""The figures of each world: what the curriculum judges it by."""

from __future__ import annotations

import msgspec
import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.record.state import State


class Figures(msgspec.Struct, frozen=True):
    """What is known about a world: means over its undegraded cells that were asked, or over all if none was."""

    tried: int  # questions that gave evidence, and infeasible specs
    success: float
    signal: float  # expected variance of rewards within a group x damping x feasible fraction
    feasible: float


def figures_of(state: State, estimates: Estimates) -> dict[str, Figures]:
    """The figures of each world of the menu."""
    rows: dict[str, list[int]] = {}
    for row, cell in enumerate(estimates.cells):
        rows.setdefault(cell.world, [])
        if not cell.degradation:
            rows[cell.world].append(row)
    found = {}
    for name, own in rows.items():
        records = [state.cells.get(str(estimates.cells[row])) for row in own]
        tried = np.array([record.seen + record.infeasible if record else 0 for record in records])
        chosen = np.array(own, dtype=np.intp)[tried > 0] if tried.any() else np.array(own, dtype=np.intp)
        feasible = estimates.feasible[chosen]
        signal = estimates.signal[chosen] * estimates.damping[chosen] * feasible
        columns = (estimates.mean[chosen], signal, feasible)
        means = (float(column.mean()) if len(chosen) else 0.0 for column in columns)
        found[name] = Figures(int(tried.sum()), *means)
    return found
