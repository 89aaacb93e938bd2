"""Estimates of made-up cells, for tests of selectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curriculum.ability.estimates import CellEstimate, Estimates


def estimates_of(rows: Sequence[CellEstimate]) -> Estimates:
    """The rows as Estimates."""
    columns = {name: np.array([getattr(row, name) for row in rows]) for name in CellEstimate.__struct_fields__[1:]}
    cells = tuple(row.cell for row in rows)
    return Estimates(cells, {cell: row for row, cell in enumerate(cells)}, **columns)
