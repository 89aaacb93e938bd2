"""Motifs of pictures and screens: grey values in 0..1, centred on the corner of the tile, where objects have their
texture origin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.draw.noise import Grey
from sim_server.backends.rooms.draw.patterns import SIZE, tiled


def _frame() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """y (up) and x of every texel, -0.5..0.5 around the centre of the motif."""
    at = (np.arange(SIZE) + 0.5) / SIZE - 0.5
    return at[:, None] + 0 * at, at + 0 * at[:, None]


def _centred(motif: NDArray[np.floating]) -> Grey:
    return np.roll(np.clip(motif, 0, 1).astype(np.float32), (SIZE // 2, SIZE // 2), (0, 1))


def shore(seed: int) -> Grey:
    """A sea under clouds with a headland."""
    y, x = _frame()
    sky = 0.62 + 0.5 * y + 0.45 * (tiled(seed, 6, 3, 2) - 0.5)
    water = 0.42 + 0.7 * (tiled(seed + 1, 6, 24, 8) - 0.5)
    land = y + 0.06 < 0.18 * (x - 0.05) + 0.09 * (tiled(seed + 2, 6, 4)[0] - 0.3)
    picture = np.where(y > -0.06, sky, water)
    return _centred(np.where(land & (y > -0.06), 0.16, picture))


def summits(seed: int) -> Grey:
    """Ranges of mountains, paler with distance."""
    y, _ = _frame()
    picture = 0.95 - 0.25 * (y + 0.5)
    for k in range(5):
        ridge = 0.24 - 0.13 * k + 0.26 * (tiled(seed + k, 6, 3, 1, 0.45)[k] - 0.5)
        picture = np.where(y < ridge, 0.75 - 0.16 * k, picture)
    return _centred(picture + 0.06 * (tiled(seed + 9, 4, 32) - 0.5))


def portrait(seed: int) -> Grey:
    """A head and shoulders before a plain ground."""
    y, x = _frame()
    ground = 0.35 + 0.3 * (tiled(seed, 5, 3) - 0.5)
    shoulders = np.hypot(x / 0.32, (y + 0.5) / 0.38) < 1
    head = np.hypot(x / 0.13, (y - 0.06) / 0.18) < 1
    hair = (np.hypot(x / 0.155, (y - 0.1) / 0.19) < 1) & (y > 0.12 - 1.2 * np.abs(x) ** 1.5)
    picture = np.where(shoulders, 0.2 + 0.15 * (x > 0), ground)
    picture = np.where(head | ((np.abs(x) < 0.05) & (y < 0) & (y > -0.2)), 0.8 - 0.9 * np.abs(x + 0.05), picture)
    return _centred(np.where(hair, 0.1, picture))


def blossoms(seed: int) -> Grey:
    """A botanical print: a branch with round blossoms."""
    rng = np.random.default_rng(seed)
    y, x = _frame()
    picture = np.full((SIZE, SIZE), 0.92)
    for _ in range(5):
        bend, lean = rng.uniform(-0.3, 0.3), rng.uniform(-0.5, 0.5)
        path = lean * (y + 0.5) + bend * (y + 0.5) ** 2
        picture = np.where(np.abs(x - path) < 0.006, 0.3, picture)
        for _ in range(5):
            top = rng.uniform(-0.3, 0.42)
            at = lean * (top + 0.5) + bend * (top + 0.5) ** 2
            radius, angle = np.hypot(x - at, y - top), np.arctan2(y - top, x - at)
            size = rng.uniform(0.03, 0.06) * (1 + 0.25 * np.cos(5 * angle))
            picture = np.where(radius < size, 0.25 + 0.5 * radius / 0.06, picture)
    return _centred(picture)


def shapes(seed: int) -> Grey:
    """Overlapping discs, arcs and bars."""
    rng = np.random.default_rng(seed)
    y, x = _frame()
    picture = np.full((SIZE, SIZE), 0.88)
    for k in range(7):
        cy, cx = rng.uniform(-0.35, 0.35, 2)
        size, tone = rng.uniform(0.1, 0.24), rng.uniform(0, 0.8)
        radius = np.hypot(x - cx, y - cy)
        bar = (np.abs(x - cx) < 0.05) & (np.abs(y - cy) < size)
        picture = np.where((radius < size, np.abs(radius - size) < 0.025, bar)[k % 3], tone, picture)
    return _centred(picture + 0.05 * (tiled(seed, 4, 32) - 0.5))


def strokes(seed: int) -> Grey:
    """Broad brush strokes."""
    v = tiled(seed, 6, 6, 3) + 0.35 * np.sin(tiled(seed + 1, 4, 3) * 19)
    return _centred(0.5 + (v - v.mean()) * 0.9)


def poster(seed: int) -> Grey:
    """A heading, lines of text and a block of colour."""
    rng = np.random.default_rng(seed)
    y, x = _frame()
    picture = np.where((np.abs(x) < 0.3) & (y > -0.12) & (y < 0.2), 0.25 + 0.4 * tiled(seed, 5, 4), 0.9)
    picture = np.where((np.abs(x) < 0.26) & (np.abs(y - 0.29) < 0.035), 0.05 + 0.85 * _letters(rng, x, 34), picture)
    for k in range(7):
        line = np.abs(y + 0.18 + 0.035 * k) < 0.007
        picture = np.where(line & (np.abs(x) < rng.uniform(0.2, 0.3)), 0.15 + 0.7 * _letters(rng, x, 90), picture)
    return _centred(picture)


def _letters(rng: np.random.Generator, x: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Gaps between letters along x."""
    return (rng.random(count) < 0.3)[((x + 0.5) * count).astype(np.int64) % count].astype(float)


def film(seed: int) -> Grey:
    """A frame of a film: a bright figure before a dim landscape."""
    y, x = _frame()
    picture = np.where(y > 0.02, 0.55 + 0.5 * (tiled(seed, 6, 3, 2) - 0.4), 0.2 + 0.25 * tiled(seed + 1, 6, 8))
    figure = (np.hypot((x - 0.14) / 0.05, (y - 0.12) / 0.06) < 1) | (np.hypot((x - 0.14) / 0.11, (y + 0.12) / 0.2) < 1)
    return _centred(np.where(figure, 0.85 + 0.8 * (x - 0.14), picture))


def windows(seed: int) -> Grey:
    """A desktop: two windows with text over a wallpaper."""
    rng = np.random.default_rng(seed)
    y, x = _frame()
    picture = 0.25 + 0.3 * tiled(seed, 4, 2)
    for left, right, low, high in ((-0.26, 0.06, -0.14, 0.16), (-0.04, 0.24, -0.18, 0.08)):
        inside = (x > left) & (x < right) & (y > low) & (y < high)
        picture = np.where(inside, np.where(y > high - 0.02, 0.55, 0.93), picture)
        for k in range(9):
            line = (np.abs(y - high + 0.045 + 0.022 * k) < 0.005) & inside
            long = (x > left + 0.015) & (x < left + (right - left) * rng.uniform(0.4, 0.95))
            picture = np.where(line & long, 0.2 + 0.7 * _letters(rng, x, 200), picture)
    return _centred(picture)
