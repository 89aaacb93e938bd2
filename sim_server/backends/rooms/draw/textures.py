"""The bank of procedural patterns, built once per process: grey values in 0..1 with mip levels.

A pattern has no colour: a material blends two colours by it, so that one wood pattern serves all woods.
"""

from __future__ import annotations

import functools
import math
from typing import Callable

import numpy as np
from numpy.typing import NDArray

SIZE = 256
LEVELS = 7  # 256 .. 4
Grey = NDArray[np.float64]


def _noise(seed: int, octaves: int = 5, base: int = 4, stretch: int = 1) -> Grey:
    """Tileable value noise in 0..1; `stretch` > 1 elongates it along u."""
    rng = np.random.default_rng(seed)
    total = np.zeros((SIZE, SIZE))
    for octave in range(octaves):
        cells_v = base * 2**octave
        cells_u = max(3, cells_v // stretch)
        if cells_v > SIZE:
            break
        grid = rng.random((cells_v, cells_u))
        v, u = np.arange(SIZE) * cells_v / SIZE, np.arange(SIZE) * cells_u / SIZE
        iv, iu = v.astype(int), u.astype(int)
        fv, fu = v - iv, u - iu
        fv, fu = (fv * fv * (3 - 2 * fv))[:, None], (fu * fu * (3 - 2 * fu))[None, :]
        jv, ju = (iv + 1) % cells_v, (iu + 1) % cells_u
        low = grid[iv][:, iu] * (1 - fu) + grid[iv][:, ju] * fu
        high = grid[jv][:, iu] * (1 - fu) + grid[jv][:, ju] * fu
        total += (low * (1 - fv) + high * fv) * 0.5**octave
    return (total - total.min()) / (total.max() - total.min())


def _grain(seed: int) -> Grey:
    """Growth rings, fading on one side and sharp on the other, with fibres along u."""
    v = np.arange(SIZE)[:, None] / SIZE
    phase = (v * 9.0 + _noise(seed, 3, 2, 2) * 0.9 + _noise(seed + 2, 5, 8, 8) * 0.2) % 1.0
    ring = np.where(phase < 0.85, (phase / 0.85) ** 2, (1 - phase) / 0.15)
    fibres = _noise(seed + 1, 6, 16, 32)
    return np.clip(0.74 - 0.24 * ring + 0.55 * (fibres - 0.5) + 0.25 * (_noise(seed + 3, 3, 2) - 0.5), 0, 1)


def _planks(rows: int, seed: int) -> Grey:
    """Boards along u with staggered ends, each from a different part of the grain."""
    rng = np.random.default_rng(seed)
    grain, height, out = _grain(seed), SIZE // rows, np.empty((SIZE, SIZE))
    for row in range(rows):
        band = np.roll(grain[row * height : (row + 1) * height], int(rng.integers(SIZE)), 1)
        cut = int(rng.integers(SIZE))
        shade = np.where((np.arange(SIZE) - cut) % SIZE < SIZE // 2, rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7))
        band = 0.45 * band + 0.75 * shade - 0.1
        band[:1] *= 0.25
        band[:, [cut, (cut + SIZE // 2) % SIZE]] *= 0.3
        out[row * height : (row + 1) * height] = band
    return np.clip(out, 0, 1)


def _tiles(count: int, joint: int, seed: int) -> Grey:
    rng = np.random.default_rng(seed)
    cell = SIZE // count
    out = np.kron(rng.uniform(0.62, 0.8, (count, count)), np.ones((cell, cell))) + 0.12 * _noise(seed, 5) - 0.06
    index = np.arange(SIZE) % cell < joint
    out[index] = 0.1
    out[:, index] = 0.1
    return out


def _herringbone(seed: int) -> Grey:
    """Short boards at right angles in a stepped pattern."""
    rng = np.random.default_rng(seed)
    cell, ratio = SIZE // 16, 4
    v, u = np.mgrid[0:SIZE, 0:SIZE]
    iv, iu = v // cell, u // cell
    phase = (iu - iv) % (2 * ratio)
    across = phase < ratio
    key = np.where(across, (iv * 37 + (iu - phase) * 11) % 97, (iu * 53 + (iv + phase) * 29) % 97 + 97)
    shade = rng.uniform(0.3, 0.75, 194)[key]
    line = np.where(
        across, (v % cell == 0) | ((phase == 0) & (u % cell == 0)), (u % cell == 0) | ((phase == 7) & (v % cell == 0))
    )
    fine = _noise(seed, 6, 16)
    return np.clip(np.where(line, 0.12, shade + 0.25 * (fine - 0.5)), 0, 1)


def _weave(period: int, seed: int) -> Grey:
    v, u = np.mgrid[0:SIZE, 0:SIZE] * (2 * math.pi / period)
    return np.clip(0.5 + 0.18 * np.sin(u) * np.sin(v) + 0.55 * (_noise(seed, 6, 8) - 0.5), 0, 1)


def _wicker(seed: int) -> Grey:
    v, u = np.mgrid[0:SIZE, 0:SIZE]
    band = (v // 16) % 2
    strand = np.abs(np.sin((u + band * 16) * math.pi / 32)) * np.abs(np.sin(v * math.pi / 16))
    return np.clip(0.15 + 0.8 * strand + 0.15 * (_noise(seed, 6, 16) - 0.5), 0, 1)


_PATTERNS: dict[str, Callable[[], Grey]] = {
    "plain": lambda: np.full((SIZE, SIZE), 0.5),
    "paint": lambda: 0.5 + 0.3 * (_noise(4, 7, 4) - 0.5),
    "wood": lambda: _grain(7),
    "planks": lambda: _planks(8, 11),
    "boards": lambda: _planks(16, 13),
    "herringbone": lambda: _herringbone(17),
    "tiles": lambda: _tiles(4, 3, 19),
    "small_tiles": lambda: _tiles(8, 2, 23),
    "carpet": lambda: np.clip(0.5 + 0.9 * (_noise(29, 4, 32) - 0.5) + 0.2 * (_noise(31, 3, 2) - 0.5), 0, 1),
    "fabric": lambda: _weave(8, 37),
    "linen": lambda: 0.5 + 0.4 * (_noise(41, 6, 4) - 0.5),
    "wicker": lambda: _wicker(43),
    "leaf": lambda: _noise(47, 5, 4, 2),
    "marble": lambda: np.abs(_noise(53, 6, 2) - 0.5) ** 0.5 * 1.4,
    "mirror": lambda: np.full((SIZE, SIZE), 0.5),  # plain; marks glass for mirrors.py
}
NAMES = tuple(_PATTERNS)


@functools.cache
def bank() -> NDArray[np.float32]:
    """All patterns, [pattern, mip levels flattened from 256 x 256 down to 4 x 4], read-only."""
    rows = []
    for make in _PATTERNS.values():
        level = np.clip(make(), 0, 1)
        flat = [level.ravel()]
        for _ in range(LEVELS - 1):
            level = level.reshape(level.shape[0] // 2, 2, level.shape[1] // 2, 2).mean((1, 3))
            flat.append(level.ravel())
        rows.append(np.concatenate(flat))
    out = np.stack(rows).astype(np.float32)
    out.setflags(write=False)
    return out
