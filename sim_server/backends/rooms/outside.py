"""What is seen through windows: a soft panorama of sky, hills, trees and lawn, by time of day."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

COLUMNS, ROWS = 1024, 208
RISE_LOW, RISE_HIGH = -0.55, 0.75  # sines of elevation of the lower and the upper edge

_COLORS = {  # linear rgb: zenith, horizon, cloud, hill, tree low, tree high, lawn far, lawn near
    "day": (
        (0.42, 0.78, 1.75), (1.65, 1.85, 2.05), (2.3, 2.3, 2.35), (0.46, 0.62, 0.72),
        (0.10, 0.19, 0.07), (0.34, 0.50, 0.16), (0.52, 0.72, 0.30), (0.34, 0.54, 0.16),
    ),
    "evening": (
        (0.012, 0.022, 0.075), (0.30, 0.17, 0.13), (0.16, 0.11, 0.12), (0.035, 0.038, 0.062),
        (0.008, 0.011, 0.012), (0.018, 0.023, 0.020), (0.030, 0.034, 0.026), (0.016, 0.021, 0.014),
    ),
}  # fmt: skip


def _wave(seed: int, octaves: int, base: int) -> NDArray[np.float64]:
    """Periodic noise in 0..1 over the columns."""
    rng = np.random.default_rng(seed)
    total = np.zeros(COLUMNS)
    for octave in range(octaves):
        cells = base * 2**octave
        if cells > COLUMNS:
            break
        values = rng.random(cells)
        at = np.arange(COLUMNS) * cells / COLUMNS
        index = at.astype(int)
        f = at - index
        f = f * f * (3 - 2 * f)
        total += (values[index] * (1 - f) + values[(index + 1) % cells] * f) * 0.5**octave
    return (total - total.min()) / (total.max() - total.min())


def _field(seed: int, cells_up: int, cells_around: int) -> NDArray[np.float64]:
    """Noise in 0..1, [ROWS, COLUMNS], whose coarsest of five octaves has the given numbers of cells."""
    rng = np.random.default_rng(seed)
    total = np.zeros((ROWS, COLUMNS))
    for octave in range(5):
        rows, columns = cells_up * 2**octave, cells_around * 2**octave
        grid = rng.random((rows + 1, columns))
        r, c = np.arange(ROWS) * rows / ROWS, np.arange(COLUMNS) * columns / COLUMNS
        ir, ic = r.astype(int), c.astype(int)
        fr, fc = (r - ir)[:, None], (c - ic)[None]
        fr, fc = fr * fr * (3 - 2 * fr), fc * fc * (3 - 2 * fc)
        jc = (ic + 1) % columns
        top = grid[ir][:, ic] * (1 - fc) + grid[ir][:, jc] * fc
        low = grid[ir + 1][:, ic] * (1 - fc) + grid[ir + 1][:, jc] * fc
        total += (top * (1 - fr) + low * fr) * 0.5**octave
    return (total - total.min()) / (total.max() - total.min())


def _mix(low: NDArray[np.float64], high: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    return low + (high - low) * np.clip(share, 0, 1)[..., None]


@functools.cache
def panorama(time_of_day: str) -> NDArray[np.float32]:
    """Radiance float32 [ROWS, COLUMNS, 3], read-only. Rows go up evenly in the sine of elevation; columns go once
    around the horizon by the angle that shade.py computes without trigonometry."""
    zenith, horizon, cloud, hill, tree_low, tree_high, far, near = np.array(_COLORS[time_of_day])
    rise = (RISE_LOW + (RISE_HIGH - RISE_LOW) * (np.arange(ROWS) + 0.5) / ROWS)[:, None] * np.ones(COLUMNS)
    picture = _mix(horizon, zenith, np.sqrt(np.clip(rise, 0, 1)) * 1.1)
    clouds = np.clip((_field(3, 4, 16) - 0.52) * 3.2, 0, 1) * np.clip(rise * 5, 0, 1)
    picture = _mix(picture, cloud, clouds * 0.75)
    picture = _mix(picture, hill, (0.02 + 0.075 * _wave(5, 5, 5) - rise) * 90)
    leaves = _field(7, 14, 96)
    for seed, height, shade in ((11, 0.12, 0.75), (13, 0.17, 1.0)):  # two rows of trees, the nearer ones brighter
        crown = height * np.clip(_wave(seed, 7, 9) * 1.5 - 0.42, 0.03, 1) * (0.8 + 0.4 * _wave(seed + 1, 4, 128))
        color = _mix(tree_low, tree_high, (leaves - 0.25) * 1.3 + (rise - crown) * 3) * shade
        picture = np.where((rise < crown)[..., None], color, picture)
    lawn = _mix(far, near, -rise * 3.2) * (0.8 + 0.4 * _field(17, 10, 24))[..., None]
    picture = np.where((rise < -0.012)[..., None], lawn, picture)
    hedge = (rise < -0.045 - 0.02 * _wave(19, 6, 24)) & (rise > -0.15 - 0.01 * _wave(23, 5, 40))
    color = _mix(tree_low, tree_high, (leaves - 0.3) * 1.6 + (rise + 0.12) * 9)
    picture = np.where(hedge[..., None], color, picture)
    under = np.clip(1 - (-0.15 - rise) * 25, 0, 1) * (rise < -0.15)  # the hedge's shadow on the lawn
    picture = picture * (1 - 0.45 * under[..., None])
    out = picture.astype(np.float32)
    out.setflags(write=False)
    return out
