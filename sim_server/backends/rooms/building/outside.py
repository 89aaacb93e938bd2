"""The view through windows: a soft panorama of sky, hills, trees and lawn, by time of day."""

from __future__ import annotations

import functools
from typing import Union

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
_COLUMNS, _ROWS = 1024, 208
RISE_LOW, RISE_HIGH = -0.55, 0.75  # sine of elevation at the lower and the upper edge

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


def _wave(columns: int, seed: int, octaves: int, base: int) -> Floats:
    """Periodic noise in 0..1 over the columns."""
    rng = np.random.default_rng(seed)
    total = np.zeros(columns)
    for octave in range(octaves):
        cells = base * 2**octave
        if cells > columns:
            break
        values = rng.random(cells)
        at = np.arange(columns) * cells / columns
        index = at.astype(int)
        f = at - index
        f = f * f * (3 - 2 * f)
        total += (values[index] * (1 - f) + values[(index + 1) % cells] * f) * 0.5**octave
    return (total - total.min()) / (total.max() - total.min())


def _field(seed: int, cells_up: int, cells_around: int) -> Floats:
    """Noise in 0..1, [_ROWS, _COLUMNS], of five octaves; the coarsest has the given numbers of cells."""
    rng = np.random.default_rng(seed)
    total = np.zeros((_ROWS, _COLUMNS))
    for octave in range(5):
        rows, columns = cells_up * 2**octave, cells_around * 2**octave
        grid = rng.random((rows + 1, columns))
        r, c = np.arange(_ROWS) * rows / _ROWS, np.arange(_COLUMNS) * columns / _COLUMNS
        ir, ic = r.astype(int), c.astype(int)
        fr, fc = (r - ir)[:, None], (c - ic)[None]
        fr, fc = fr * fr * (3 - 2 * fr), fc * fc * (3 - 2 * fc)
        jc = (ic + 1) % columns
        top = grid[ir][:, ic] * (1 - fc) + grid[ir][:, jc] * fc
        low = grid[ir + 1][:, ic] * (1 - fc) + grid[ir + 1][:, jc] * fc
        total += (top * (1 - fr) + low * fr) * 0.5**octave
    return (total - total.min()) / (total.max() - total.min())


def _mix(low: Floats, high: Floats, weight: Floats) -> Floats:
    return low + (high - low) * np.clip(weight, 0, 1)[..., None]


def _doubled(field: Floats) -> Floats:
    """The field with twice as many rows and columns, interpolated linearly and periodically along both axes."""
    for axis in (0, 1):
        sides = [0.75 * field + 0.25 * np.roll(field, way, axis) for way in (1, -1)]
        shape = list(field.shape)
        shape[axis] *= 2
        field = np.stack(sides, axis + 1).reshape(shape)
    return field


def _over(image: Floats, color: Floats, opacity: Floats) -> Floats:
    """The colour blended over the image; opacity 0 and 1 return one of them bit for bit."""
    opacity = opacity[..., None]
    return np.where(opacity == 1.0, color, np.where(opacity == 0.0, image, image + (color - image) * opacity))


@functools.cache
def panorama(time_of_day: str, plain: bool = False) -> NDArray[np.float32]:
    """Radiance float32 [rows, columns, 3], read-only.

    Rows are evenly spaced in the sine of elevation, upwards; columns go once around the horizon by the angle that
    shade.py computes without trigonometry. `plain`: hard outlines, for plain rooms (style.py); otherwise the resolution
    is twice as high and outlines are soft.
    """
    finer, kind = (1, np.float64) if plain else (2, np.float32)
    rows, columns = _ROWS * finer, _COLUMNS * finer
    zenith, horizon, cloud, hill, tree_low, tree_high, far, near = np.array(
        _COLORS["evening" if time_of_day in ("evening", "night") else "day"], kind
    )
    rise = (RISE_LOW + (RISE_HIGH - RISE_LOW) * (np.arange(rows) + 0.5) / rows)[:, None] * np.ones(columns)
    rise = rise.astype(kind)
    soft = (RISE_HIGH - RISE_LOW) / rows

    def below(edge: Union[Floats, float]) -> Floats:
        """Fraction of a texel below an edge."""
        return (rise < edge).astype(kind) if plain else np.clip((edge - rise) / soft + 0.5, 0, 1)

    def wave(seed: int, octaves: int, base: int) -> Floats:
        return _wave(columns, seed, octaves, base).astype(kind)

    def field(seed: int, cells_up: int, cells_around: int) -> Floats:
        noise = _field(seed, cells_up, cells_around)
        return noise if plain else _doubled(noise.astype(kind))

    image = _mix(horizon, zenith, np.sqrt(np.clip(rise, 0, 1)) * 1.1)
    clouds = np.clip((field(3, 4, 16) - 0.52) * 3.2, 0, 1) * np.clip(rise * 5, 0, 1)
    image = _mix(image, cloud, clouds * 0.75)
    image = _mix(image, hill, (0.02 + 0.075 * wave(5, 5, 5) - rise) * 90)
    leaves = field(7, 14, 96)
    for seed, height, shade in ((11, 0.12, 0.75), (13, 0.17, 1.0)):  # two rows of trees, the nearer ones brighter
        outline = np.clip(wave(seed, 7, 9) * 1.5 - 0.42, 0.03, 1)
        crown = height * outline * (0.8 + 0.4 * wave(seed + 1, 4, 128))
        if not plain:
            crown = crown + 0.035 * outline * (leaves - 0.5)
        color = _mix(tree_low, tree_high, (leaves - 0.25) * 1.3 + (rise - crown) * 3) * shade
        image = _over(image, color, below(crown))
    lawn = _mix(far, near, -rise * 3.2) * (0.8 + 0.4 * field(17, 10, 24))[..., None]
    image = _over(image, lawn, below(-0.012))
    hedge = below(-0.045 - 0.02 * wave(19, 6, 24)) * (1 - below(-0.15 - 0.01 * wave(23, 5, 40)))
    color = _mix(tree_low, tree_high, (leaves - 0.3) * 1.6 + (rise + 0.12) * 9)
    image = _over(image, color, hedge)
    under = np.clip(1 - (-0.15 - rise) * 25, 0, 1) * (rise < -0.15)  # the hedge's shadow on the lawn
    image = image * (1 - 0.45 * under[..., None])
    out = image.astype(np.float32)
    out.setflags(write=False)
    return out
