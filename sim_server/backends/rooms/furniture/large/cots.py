"""Cribs and dog beds."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, soft_box, sphere, tube


def crib(rng: np.random.Generator) -> Model:
    """A cot with bars all around."""
    width, depth, height = rng.uniform(0.85, 1.5), rng.uniform(0.55, 0.78), rng.uniform(0.8, 1.05)
    model = Model(main="wood", linen="linen", second="fabric")
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(box((0.05, height, 0.05), (x * (width / 2 - 0.025), height / 2, z * (depth / 2 - 0.025)), 0.006))
    for y in (0.25, height - 0.04):
        for z in (-1, 1):
            model.add(box((width - 0.1, 0.05, 0.03), (0, y, z * (depth / 2 - 0.025)), 0.005))
        for x in (-1, 1):
            model.add(box((0.03, 0.05, depth - 0.1), (x * (width / 2 - 0.025), y, 0), 0.005))
    for x in np.linspace(-width / 2 + 0.1, width / 2 - 0.1, 12):
        for z in (-1, 1):
            model.add(cylinder(0.009, height - 0.3, (float(x), 0.26, z * (depth / 2 - 0.025)), 6))
    for z in np.linspace(-depth / 2 + 0.11, depth / 2 - 0.11, 5):
        for x in (-1, 1):
            model.add(cylinder(0.009, height - 0.3, (x * (width / 2 - 0.025), 0.26, float(z)), 6))
    model.add(soft_box((width - 0.12, 0.12, depth - 0.12), (0, 0.33, 0), 0.03), "linen")
    model.add(soft_box((width * 0.5, 0.05, depth - 0.1), (width * 0.15, 0.4, 0), 0.02), "second")
    return model


def panel_crib(rng: np.random.Generator) -> Model:
    """A cot with closed ends and bars on its long sides only."""
    width, depth, height = rng.uniform(0.85, 1.5), rng.uniform(0.55, 0.78), rng.uniform(0.8, 1.05)
    model = Model(main="lacquer", linen="linen", second="fabric", bar="wood")
    for x in (-1, 1):
        model.add(soft_box((0.04, height - 0.06, depth), (x * (width / 2 - 0.02), height / 2 + 0.03, 0), 0.018))
        for z in (-1, 1):
            model.add(cylinder(0.02, 0.07, (x * (width / 2 - 0.02), 0, z * (depth / 2 - 0.06)), 10), "bar")
    for z in (-1, 1):
        for y in (0.2, height * 0.86):
            model.add(box((width - 0.06, 0.05, 0.028), (0, y, z * (depth / 2 - 0.02)), 0.005), "bar")
        for x in np.linspace(-width / 2 + 0.12, width / 2 - 0.12, 10):
            model.add(cylinder(0.01, height * 0.86 - 0.2, (float(x), 0.2, z * (depth / 2 - 0.02)), 6), "bar")
    model.add(soft_box((width - 0.09, 0.12, depth - 0.07), (0, 0.3, 0), 0.03), "linen")
    model.add(soft_box((width * 0.45, 0.04, depth - 0.06), (width * 0.18, 0.36, 0), 0.018), "second")
    return model


def dog_bed(rng: np.random.Generator) -> Model:
    """A round cushion with a thick rim that is open at the front."""
    radius = rng.uniform(0.26, 0.5)
    model = Model(main="fabric", second="linen")
    path = [
        (math.sin(a) * (radius - 0.08), 0.09, math.cos(a) * (radius - 0.08))
        for a in np.linspace(0.5, 2 * math.pi - 0.5, 24)
    ]
    model.add(tube(path, 0.085, 10))
    for end in (path[0], path[-1]):
        model.add(sphere(0.085, end, 12))
    model.add(
        revolve([(0, 0.0), (radius - 0.1, 0.0), (radius - 0.06, 0.05), (radius - 0.12, 0.09), (0, 0.1)], 24), "second"
    )
    return model


def bolster_bed(rng: np.random.Generator) -> Model:
    """A rectangular dog bed with bolsters on three sides."""
    width, depth = rng.uniform(0.55, 1.1), rng.uniform(0.45, 0.72)
    model = Model(main="fabric", second="linen")
    model.add(soft_box((width - 0.08, 0.11, depth - 0.06), (0, 0.055, 0.02), 0.045, 2, 0.02), "second")
    model.add(soft_box((width, 0.2, 0.16), (0, 0.1, -depth / 2 + 0.08), 0.075))
    for x in (-1, 1):
        model.add(soft_box((0.15, 0.17, depth - 0.04), (x * (width / 2 - 0.075), 0.085, 0.02), 0.07))
    return model
