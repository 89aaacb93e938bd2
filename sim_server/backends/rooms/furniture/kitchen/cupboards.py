"""Wall cupboards and extractor hoods. The lower edge of a model is at y = 0; it is hung by the caller."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, raised_panel, rotation_x


def cupboard(rng: np.random.Generator, width_m: float = 0.0, panelled: bool = False) -> Model:
    """A wall cupboard with one door per 0.45 m of width."""
    width, height, depth = width_m or rng.uniform(0.4, 1.3), 0.7, 0.34
    model = Model(main="lacquer", second="stone", detail="metal", dark="dark")
    model.add(box((width - 0.002, height, depth - 0.024), (0, height / 2, -0.012), 0.002))
    doors = max(1, round(width / 0.45))
    for k in range(doors):
        x = -width / 2 + width / doors * (k + 0.5)
        model.add(box((width / doors - 0.008, height - 0.008, 0.02), (x, height / 2, depth / 2 - 0.01), 0.003))
        if panelled:
            model.add(raised_panel(width / doors - 0.1, height - 0.1, (x, height / 2, depth / 2), 0.01, 0.025))
        side = -1 if k % 2 else 1
        at = (x + side * (width / doors / 2 - 0.05), 0.12, depth / 2 + 0.008)
        model.add(box((0.014, 0.14, 0.026), at, 0.004), "detail")
    return model


def open_cupboard(rng: np.random.Generator, width_m: float = 0.0) -> Model:
    """An open case with a shelf; both of its levels carry small objects."""
    width, height, depth = width_m or rng.uniform(0.5, 1.1), rng.uniform(0.55, 0.75), rng.uniform(0.26, 0.32)
    model = Model(main="wood")
    for x in (-1, 1):
        model.add(box((0.022, height, depth), (x * (width - 0.022) / 2, height / 2, 0), 0.004))
    for y in (0.011, height / 2, height - 0.011):
        model.add(box((width - 0.04, 0.022, depth), (0, y, 0), 0.004))
    model.add(box((width - 0.04, height - 0.02, 0.01), (0, height / 2, -depth / 2 + 0.006), 0.002))
    for y in (0.022, height / 2 + 0.011):
        model.surface(y, width - 0.044, depth - 0.02, height / 2 - 0.04)
    return model


def glazed_cupboard(rng: np.random.Generator, width_m: float = 0.0) -> Model:
    """A wall cupboard whose doors have panes of frosted glass in wooden frames."""
    width, height, depth = width_m or rng.uniform(0.5, 1.2), 0.7, 0.34
    model = Model(main="lacquer", glass="pane", detail="metal")
    model.add(box((width - 0.002, height, depth - 0.024), (0, height / 2, -0.012), 0.002))
    doors = max(1, round(width / 0.45))
    for k in range(doors):
        x, wide, tall = -width / 2 + width / doors * (k + 0.5), width / doors - 0.008, height - 0.008
        model.add(box((wide, tall, 0.02), (x, height / 2, depth / 2 - 0.01), 0.003))
        model.add(box((wide - 0.1, tall - 0.1, 0.006), (x, height / 2, depth / 2 - 0.001), 0.001), "glass")
        model.add(box((0.016, tall - 0.1, 0.01), (x, height / 2, depth / 2), 0.002))
        side = -1 if k % 2 else 1
        model.add(box((0.014, 0.1, 0.026), (x + side * (wide / 2 - 0.025), 0.1, depth / 2 + 0.008), 0.004), "detail")
    return model


def hood(rng: np.random.Generator) -> Model:
    """An extractor hood: a wide pyramid with a control strip at its front edge, and a chimney to the ceiling."""
    width, depth, tall = rng.uniform(0.58, 0.95), rng.uniform(0.42, 0.5), rng.uniform(0.5, 0.75)
    model = Model(main="steel", dark="dark", detail="metal")
    model.add(box((width, 0.07, depth), (0, 0.035, 0), 0.004))
    model.add(box((width - 0.1, 0.006, depth - 0.1), (0, -0.001, 0), 0.001), "dark")
    for k in range(4):
        model.add(box((0.024, 0.012, 0.006), (-0.06 + 0.04 * k, 0.035, depth / 2 + 0.002), 0.001), "dark")
    slope = box((width, 0.2, depth), (0, 0.17, 0), 0.004)
    narrow = 1 - (slope.positions[:, 1:2] - 0.07) / 0.2 * np.array([[1 - 0.24 / width, 1 - 0.24 / depth]])
    moved = slope.positions.copy()
    moved[:, 0] *= narrow[:, 0]
    moved[:, 2] = (moved[:, 2] + depth / 2) * narrow[:, 1] - depth / 2
    model.add(slope._replace(positions=moved.astype(np.float32)))
    model.add(box((0.24, tall, 0.22), (0, 0.25 + tall / 2, -depth / 2 + 0.11), 0.004))
    return model


def slanted_hood(rng: np.random.Generator) -> Model:
    """An extractor hood with a slanted dark glass plate in front of a column."""
    width, tall = rng.uniform(0.55, 0.9), rng.uniform(0.5, 0.7)
    model = Model(main="dark", second="steel")
    tilt = rotation_x(-0.9)
    model.add(box((width, 0.03, 0.52), (0, 0, 0), 0.004).turned(tilt).moved((0, 0.24, 0.0)))
    model.add(box((width - 0.04, 0.04, 0.1), (0, 0.02, -0.1), 0.004), "second")
    model.add(box((width - 0.1, 0.4, 0.1), (0, 0.22, -0.18), 0.004), "second")
    model.add(box((0.3, tall, 0.16), (0, 0.36 + (tall - 0.6) / 2, -0.15), 0.004), "second")
    return model


def canopy_hood(rng: np.random.Generator) -> Model:
    """A box-shaped hood with a rounded front, a wide grille below and a lamp strip."""
    width, height, depth = rng.uniform(0.5, 0.9), rng.uniform(0.2, 0.5), rng.uniform(0.38, 0.5)
    model = Model(main="enamel", dark="dark", lit="paper", second="steel")
    model.add(box((width, height, depth - 0.06), (0, height / 2 + 0.01, -0.03), 0.01))
    model.add(box((width, 0.08, depth), (0, 0.05, 0), 0.02), "second")
    for k in range(5):
        model.add(box((width - 0.08, 0.008, 0.03), (0, 0.008, -depth / 2 + 0.08 + 0.06 * k), 0.002), "dark")
    model.add(box((width * 0.5, 0.006, 0.02), (0, 0.009, depth / 2 - 0.05), 0.001), "lit")
    return model
