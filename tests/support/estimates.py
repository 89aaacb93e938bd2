"""Estimates of made-up cells, for tests of selectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curriculum.ability.estimates import CellEstimate, Estimates


def estimates_of(rows: Sequence[CellEstimate]) -> Estimates:
    """The rows as Estimates."""
    names = [name for name in CellEstimate.__struct_fields__ if name not in ("cell", "sd")]
    columns = {name: np.array([getattr(row, name) for row in rows]) for name in names}
    columns["answers"] = np.array([row.mean * (1.0 - row.mean) / row.sd**2 - 1.0 for row in rows])
    cells = tuple(row.cell for row in rows)
    return Estimates(cells, {cell: row for row, cell in enumerate(cells)}, **columns)
