"""Coat racks and shoe racks."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, soft_box, sphere, tube


def coat_rack(rng: np.random.Generator) -> Model:
    """A pole with hooks, and a coat on one of them."""
    height = rng.uniform(1.45, 1.95)
    model = Model(main="wood", coat="coat", second="wood")
    model.add(cylinder(0.022, height, (0, 0, 0), 10))
    for k in range(4):
        angle = math.pi / 2 * k + 0.4
        x, z = math.sin(angle), math.cos(angle)
        model.add(tube([(0, 0.2, 0), (x * 0.24, 0.0, z * 0.24)], 0.018, 8))
        model.add(
            tube(
                [(0, height - 0.12, 0), (x * 0.1, height - 0.13, z * 0.1), (x * 0.15, height - 0.05, z * 0.15)],
                0.011,
                6,
            )
        )
    model.add(sphere(0.035, (0, height, 0), 12))
    for k in range(int(rng.integers(1, 3))):
        side = 1 - 2 * k
        outline = [(0.0, 0.0), (0.17, 0.0), (0.15, 0.5), (0.11, 0.72), (0.03, 0.8), (0.0, 0.8)]
        cloth = revolve(outline, 14)
        flat = cloth._replace(positions=cloth.positions * np.array([0.55, 1, 1], np.float32))
        model.add(flat.moved((side * 0.12, height - 0.9, 0.04)), "coat")
    return model


def clothes_rail(rng: np.random.Generator) -> Model:
    """A rail between two posts with coats on hangers."""
    width, height = rng.uniform(0.7, 1.5), rng.uniform(1.3, 1.75)
    model = Model(main="metal", coat="coat", other="curtain", second="wood")
    for x in (-1, 1):
        at = x * width / 2
        model.add(cylinder(0.014, height, (at, 0, 0), 8))
        model.add(tube([(at, 0.014, -0.2), (at, 0.014, 0.2)], 0.014, 8))
    model.add(tube([(-width / 2 - 0.03, height, 0), (width / 2 + 0.03, height, 0)], 0.014, 8))
    count = int(rng.integers(2, 6))
    for k in range(count):
        x, long = (k - (count - 1) / 2) * width * 0.16, rng.uniform(0.55, 0.85)
        outline = [(0.0, 0.0), (0.2, 0.0), (0.19, long - 0.14), (0.15, long - 0.04), (0.03, long), (0.0, long)]
        cloth = revolve(outline, 12)
        flat = cloth._replace(positions=cloth.positions * np.array([0.2, 1, 1], np.float32))
        model.add(flat.moved((x, height - 0.07 - long, 0)), "coat" if k % 2 else "other")
        model.add(tube([(x, height - 0.08, 0), (x, height + 0.01, 0)], 0.004, 5))
    model.add(box((width - 0.02, 0.02, 0.3), (0, 0.12, 0), 0.004), "second")
    return model


def shoe_rack(rng: np.random.Generator) -> Model:
    """A low open rack; its shelves carry pairs of shoes."""
    width, depth, height = rng.uniform(0.55, 1.2), rng.uniform(0.28, 0.34), rng.uniform(0.42, 0.56)
    model = Model(main="wood")
    for x in (-1, 1):
        model.add(box((0.025, height, depth), (x * (width - 0.025) / 2, height / 2, 0), 0.004))
    levels = (0.07, height * 0.53, height - 0.012)
    for y in levels:
        model.add(box((width - 0.05, 0.02, depth), (0, y, 0), 0.003))
    model.surface(height, width, depth, 0.4)
    for y, above in zip(levels, levels[1:]):
        model.surface(y + 0.01, width - 0.06, depth + 0.05, above - y - 0.03, holds="pair of shoes")
    return model


def bench_rack(rng: np.random.Generator) -> Model:
    """A padded bench with one shelf for shoes below it."""
    width, depth, height = rng.uniform(0.6, 1.3), rng.uniform(0.32, 0.4), rng.uniform(0.44, 0.52)
    model = Model(main="wood", second="fabric")
    for x in (-1, 1):
        model.add(box((0.04, height - 0.08, depth), (x * (width - 0.04) / 2, (height - 0.08) / 2, 0), 0.004))
    for y in (0.1, height - 0.09):
        model.add(box((width - 0.06, 0.024, depth - 0.01), (0, y, 0), 0.003))
    model.add(soft_box((width, 0.08, depth), (0, height - 0.04, 0), 0.03), "second")
    model.surface(0.112, width - 0.08, depth + 0.02, height - 0.24, holds="pair of shoes")
    return model


def shoe_cabinet(rng: np.random.Generator) -> Model:
    """A slim closed shoe cabinet with two or three flaps."""
    width, depth, flaps = rng.uniform(0.5, 0.95), rng.uniform(0.2, 0.3), int(rng.integers(2, 4))
    height = 0.06 + 0.38 * flaps
    model = Model(main="wood", second="lacquer", detail="metal")
    model.add(box((width, height - 0.05, depth), (0, height / 2 + 0.025, 0)))
    for x in (-1, 1):
        model.add(box((0.04, 0.06, depth - 0.04), (x * (width / 2 - 0.05), 0.03, 0)), "detail")
    for k in range(flaps):
        y = 0.06 + 0.37 * (k + 0.5)
        model.add(box((width - 0.03, 0.35, 0.018), (0, y, depth / 2 + 0.006), 0.004), "second")
        model.add(
            cylinder(0.014, 0.022, (0, 0, 0), 10)
            .turned(rotation_x(math.pi / 2))
            .moved((0, y + 0.12, depth / 2 + 0.012)),
            "detail",
        )
    model.surface(height, width, depth, 0.4)
    return model
