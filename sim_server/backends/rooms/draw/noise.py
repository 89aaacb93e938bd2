"""Value noise on a grid, for patterns and for the view outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_server.jit import jit

Grey = NDArray[np.floating]


@jit
def _add_octave(grid, weight, out):
    """Add `grid`, interpolated to the size of `out`; columns wrap around, rows use one more row of the grid."""
    rows, columns = out.shape
    cells_v, cells_u = grid.shape[0] - 1, grid.shape[1]
    for r in range(rows):
        at = r * cells_v / rows
        iv = int(at)
        fv = at - iv
        fv = fv * fv * (3 - 2 * fv)
        for c in range(columns):
            at = c * cells_u / columns
            iu = int(at)
            fu = at - iu
            fu = fu * fu * (3 - 2 * fu)
            ju = (iu + 1) % cells_u
            low = grid[iv, iu] * (1 - fu) + grid[iv, ju] * fu
            high = grid[iv + 1, iu] * (1 - fu) + grid[iv + 1, ju] * fu
            out[r, c] += np.float32((low * (1 - fv) + high * fv) * weight)


def noise(
    shape: tuple[int, int], seed: int, cells: tuple[int, int], octaves: int = 5, fading: float = 0.5, tiled: bool = True
) -> Grey:
    """Noise in 0..1, float32 of this shape, periodic along columns and, if `tiled`, along rows.

    The coarsest octave has `cells` (rows, columns); the amplitude of each further octave falls by `fading`.
    """
    rng = np.random.default_rng(seed)
    out = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rows, columns = cells[0] << octave, cells[1] << octave
        if rows > shape[0] or columns > shape[1]:
            break
        grid = rng.random((rows + (0 if tiled else 1), columns))
        if tiled:
            grid = np.concatenate([grid, grid[:1]])
        _add_octave(grid, fading**octave, out)
    low, high = out.min(), out.max()
    return (out - low) / (high - low)
