"""Wall cupboards and extractor hoods. The lower edge of a model is at y = 0; it is hung by the caller."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, raised_panel, revolve, rotation_x


def cupboard(rng: np.random.Generator, width_m: float = 0.0, panelled: bool = False) -> Model:
    """A wall cupboard with one door per 0.45 m of width."""
    width, height, depth = width_m or rng.uniform(0.8, 1.2), 0.7, 0.34
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
    """An open case with two shelves of cups and bowls."""
    width, height, depth = width_m or rng.uniform(0.6, 0.9), 0.7, 0.3
    model = Model(main="wood", dishes="ceramic", other="pan")
    for x in (-1, 1):
        model.add(box((0.022, height, depth), (x * (width - 0.022) / 2, height / 2, 0), 0.004))
    for y in (0.011, height / 2, height - 0.011):
        model.add(box((width - 0.04, 0.022, depth), (0, y, 0), 0.004))
    model.add(box((width - 0.04, height - 0.02, 0.01), (0, height / 2, -depth / 2 + 0.006), 0.002))
    for y in (0.022, height / 2 + 0.011):
        for x in np.arange(-width / 2 + 0.12, width / 2 - 0.1, 0.19).tolist():
            kind = rng.random()
            if kind < 0.4:
                bowl = [(0, 0), (0.03, 0), (0.07, 0.06), (0.064, 0.06), (0.0, 0.012)]
                model.add(revolve([(r, h + 0.03 * k) for k in (0, 1) for r, h in bowl], 14, (x, y, 0.02)), "dishes")
            elif kind < 0.85:
                for dx in (-0.042, 0.042):
                    model.add(cylinder(0.036, 0.09, (x + dx, y, 0.03), 10), "dishes" if kind < 0.65 else "other")
    return model


def hood(rng: np.random.Generator) -> Model:
    """An extractor hood with a flat canopy and a chimney."""
    model = Model(main="steel", dark="dark")
    model.add(box((0.6, 0.06, 0.46), (0, 0.03, 0), 0.004))
    model.add(box((0.5, 0.006, 0.36), (0, -0.001, 0), 0.001), "dark")
    for k in range(3):
        size = 0.4 - 0.09 * k
        model.add(box((size, 0.05, size * 0.75), (0, 0.085 + 0.05 * k, -0.02 * k - 0.05), 0.004))
    model.add(box((0.22, rng.uniform(0.5, 0.62), 0.2), (0, 0.5, -0.12), 0.004))
    return model


def slanted_hood(rng: np.random.Generator) -> Model:
    """An extractor hood with a slanted dark glass plate in front of a column."""
    model = Model(main="screen", second="steel", dark="dark")
    tilt = rotation_x(-0.9)
    model.add(box((0.6, 0.03, 0.52), (0, 0, 0), 0.004).turned(tilt).moved((0, 0.24, 0.0)))
    model.add(box((0.56, 0.04, 0.1), (0, 0.02, -0.1), 0.004), "second")
    model.add(box((0.3, rng.uniform(0.55, 0.66), 0.16), (0, 0.36, -0.15), 0.004), "second")
    return model
