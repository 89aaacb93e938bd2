"""Low stands for televisions."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, tube


def closed_stand(rng: np.random.Generator) -> Model:
    """A low case with two or three flaps on short feet."""
    width, low, depth = rng.uniform(0.9, 2.2), rng.uniform(0.36, 0.56), rng.uniform(0.36, 0.45)
    model = Model(main="wood", second="wood", dark="dark", detail="metal")
    model.add(box((width, low - 0.08, depth), (0, low / 2 + 0.04, 0)))
    flaps = 2 if width < 1.5 else 3
    for k in range(flaps):
        x = (k - (flaps - 1) / 2) * width / flaps
        model.add(box((width / flaps - 0.03, low - 0.14, 0.02), (x, low / 2 + 0.04, depth / 2 + 0.005)), "second")
        model.add(box((0.12, 0.014, 0.02), (x, low - 0.1, depth / 2 + 0.02), 0.004), "detail")
    for x in (-1, 1):
        model.add(box((0.05, 0.08, depth - 0.06), (x * (width / 2 - 0.1), 0.04, 0)), "dark")
    model.surface(low, width, depth, 1.2)
    return model


def open_stand(rng: np.random.Generator) -> Model:
    """Two boards on a metal frame; a recorder is on the lower one."""
    width, low, depth = rng.uniform(0.8, 2.0), rng.uniform(0.38, 0.56), rng.uniform(0.36, 0.44)
    model = Model(main="wood", second="metal", dark="dark")
    for y in (low - 0.015, 0.16):
        model.add(box((width, 0.03, depth), (0, y, 0), 0.004))
    for x in (-1, 1):
        for z in (-1, 1):
            at = (x * (width / 2 - 0.03), (low - 0.03) / 2, z * (depth / 2 - 0.03))
            model.add(box((0.03, low - 0.03, 0.03), at, 0.003), "second")
    model.add(box((0.4, 0.06, 0.26), (width * 0.2, 0.205, 0.02), 0.006), "dark")
    model.surface(low, width, depth, 1.2)
    return model


def legged_stand(rng: np.random.Generator) -> Model:
    """A case on slanted legs: an open compartment between two doors."""
    width, low, depth = rng.uniform(1.0, 2.1), rng.uniform(0.42, 0.6), rng.uniform(0.36, 0.45)
    leg, t = rng.uniform(0.14, 0.22), 0.022
    model = Model(main="wood", second="wood", detail="brass")
    for y in (leg + t / 2, low - t / 2):
        model.add(box((width, t, depth), (0, y, 0), 0.004))
    model.add(box((width - 0.02, low - leg, 0.012), (0, (low + leg) / 2, -depth / 2 + 0.01), 0.002))
    tall = low - leg - 2 * t
    for x in (-1, 1):
        for at in (width / 2 - t / 2, width / 6):
            model.add(box((t, tall, depth - 0.01), (x * at, (low + leg) / 2, 0), 0.003))
        door = (width / 3 - 0.03, tall - 0.01, 0.018)
        model.add(box(door, (x * width / 3, (low + leg) / 2, depth / 2 - 0.01), 0.004), "second")
        model.add(
            box((0.016, 0.016, 0.02), (x * (width / 6 + 0.05), (low + leg) / 2, depth / 2 + 0.006), 0.005), "detail"
        )
        for z in (-1, 1):
            top = (x * (width / 2 - 0.12), leg + 0.01, z * (depth / 2 - 0.08))
            model.add(tube([(x * (width / 2 - 0.06), 0, z * (depth / 2 - 0.03)), top], 0.018, 6), "second")
    model.surface(low, width, depth, 1.2)
    return model
