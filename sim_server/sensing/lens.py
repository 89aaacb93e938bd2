"""Barrel distortion of a lens, and its inverse.

With r the distance from the image centre in units of half the diagonal, a point at r in the distorted image is at
r (1 + k r^2) / (1 + k) in the pinhole image (one radial term, Brown 1966). The corners are fixed, so that the distorted
image has no empty border; the centre is magnified by 1 + k and straight lines bow outwards.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NEWTON_STEPS = 8


@functools.lru_cache(maxsize=8)
def sources(height_px: int, width_px: int, k: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The source of each pixel of the distorted image.

    Returns its position in the pinhole image, float32 [H, W, 2] as (row, column) with pixel centres at whole numbers,
    and the index of the nearest pixel in the flattened image, int64 [H, W].
    """
    rows, columns = np.mgrid[0:height_px, 0:width_px].astype(np.float64)
    middle_row, middle_column = (height_px - 1) / 2, (width_px - 1) / 2
    rows -= middle_row
    columns -= middle_column
    corner = middle_row**2 + middle_column**2
    scale = (1 + k * (rows**2 + columns**2) / max(corner, 1.0)) / (1 + k)
    rows = np.clip(rows * scale + middle_row, 0, height_px - 1)
    columns = np.clip(columns * scale + middle_column, 0, width_px - 1)
    nearest = np.rint(rows).astype(np.int64) * width_px + np.rint(columns).astype(np.int64)
    return np.stack([rows, columns], -1).astype(np.float32), nearest


def bend(u: Array, v: Array, k: float, width_px: int, height_px: int) -> tuple[Array, Array]:
    """Distort points (u, v) of the pinhole image, 0..1 from left and top inside the image; any value is allowed."""
    x, y = (u - 0.5) * width_px, (v - 0.5) * height_px
    wanted = np.hypot(x, y) / (np.hypot(width_px, height_px) / 2)
    # Solve r (1 + k r^2) = (1 + k) wanted. The function is convex: Newton's method from above converges to the root.
    target = (1 + k) * wanted
    r = np.minimum(target, np.cbrt(target / k))
    for _ in range(_NEWTON_STEPS):
        r -= (r + k * r**3 - target) / (1 + 3 * k * r**2)
    scale = np.where(wanted > 1e-9, r / np.maximum(wanted, 1e-9), 1 + k)
    return 0.5 + x * scale / width_px, 0.5 + y * scale / height_px
