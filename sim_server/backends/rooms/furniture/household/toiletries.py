"""Soap, toilet paper and towels."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.decor.textiles import drape
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, soft_box, tube


def soap(rng: np.random.Generator) -> Model:
    """A bottle with a pump."""
    width, height = rng.uniform(0.06, 0.075), rng.uniform(0.13, 0.16)
    model = Model(main="lotion", dark="dark")
    model.add(soft_box((width, height, width * 0.75), (0, height / 2, 0), 0.018, 3))
    model.add(cylinder(0.012, 0.04, (0, height, 0), 10), "dark")
    model.add(box((0.016, 0.014, 0.06), (0, height + 0.042, 0.02), 0.004), "dark")
    return model


def soap_dispenser(rng: np.random.Generator) -> Model:
    """A round bottle with a label, a collar and a bent spout."""
    radius, height = rng.uniform(0.035, 0.042), rng.uniform(0.12, 0.15)
    model = Model(main="lotion", second="metal", paper="paper")
    bottle = [(0, 0), (radius, 0), (radius, height * 0.9), (radius * 0.4, height), (0, height)]
    model.add(revolve(bottle, 20))
    model.add(revolve([(radius + 0.001, height * 0.25), (radius + 0.001, height * 0.65)], 20), "paper")
    model.add(cylinder(0.012, 0.03, (0, height, 0), 12), "second")
    spout = [(0, height + 0.02, 0), (0, height + 0.055, 0), (0, height + 0.058, 0.02), (0, height + 0.045, 0.05)]
    model.add(tube(spout, 0.006, 8), "second")
    return model


def toilet_paper(rng: np.random.Generator) -> Model:
    """An upright roll."""
    radius = rng.uniform(0.045, 0.058)
    model = Model(main="paper", dark="dark")
    model.add(revolve([(0.02, 0), (radius, 0), (radius, 0.1), (0.02, 0.1)], 20))
    model.add(cylinder(0.0205, 0.099, (0, 0, 0), 12), "dark")
    return model


def paper_stack(rng: np.random.Generator) -> Model:
    """Three rolls in a pyramid."""
    radius = rng.uniform(0.048, 0.055)
    model = Model(main="paper", dark="dark")
    for x, y in ((-radius, 0.0), (radius, 0.0), (0.0, radius * 1.74)):
        roll = revolve([(0.02, 0), (radius, 0), (radius, 0.1), (0.02, 0.1)], 18)
        core = cylinder(0.0205, 0.098, (0, 0.001, 0), 10)
        for part, slot in ((roll, "main"), (core, "dark")):
            model.add(part.turned(rotation_x(math.pi / 2)).moved((x, y + radius, -0.05)), slot)
    return model


def towel(rng: np.random.Generator) -> Model:
    """A towel folded over a rail."""
    width, height = rng.uniform(0.42, 0.6), rng.uniform(0.5, 0.62)
    model = Model(main="curtain", second="metal")
    y = height
    model.add(tube([(-width / 2 - 0.06, y, 0.03), (width / 2 + 0.06, y, 0.03)], 0.01, 8), "second")
    for x in (-1, 1):
        model.add(tube([(x * (width / 2 + 0.05), y, 0.03), (x * (width / 2 + 0.05), y, -0.035)], 0.008, 6), "second")
    model.add(box((width, height, 0.014), (0, height / 2, 0.046), 0.006))
    model.add(box((width, height * 0.7, 0.014), (0, height * 0.65, 0.012), 0.006))
    model.add(box((width, 0.02, 0.05), (0, height + 0.008, 0.029), 0.009))
    return model


def towel_ring(rng: np.random.Generator) -> Model:
    """A hand towel hanging from a ring."""
    width, height, radius = rng.uniform(0.26, 0.34), rng.uniform(0.42, 0.52), 0.09
    model = Model(main="curtain", second="metal")
    y = height + 0.02
    ring = [(radius * math.sin(a), y + radius * math.cos(a), 0.03) for a in np.linspace(0, 2 * math.pi, 21)]
    model.add(tube(ring, 0.007, 6), "second")
    model.add(
        cylinder(0.026, 0.05, (0, 0, 0), 12).turned(rotation_x(math.pi / 2)).moved((0, y + radius, -0.02)), "second"
    )
    model.add(drape(width, 0.0, height - 0.05, rng.uniform(0, 6)).moved((0, 0, 0.03)))
    model.add(box((0.13, 0.09, 0.05), (0, height - 0.05, 0.03), 0.018))
    return model
