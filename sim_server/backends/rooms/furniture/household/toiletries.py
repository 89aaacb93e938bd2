"""Soap, toilet paper and towels."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.decor.textiles import drape
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, rotation_z, soft_box, sphere, tube


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


def lying_paper(rng: np.random.Generator) -> Model:
    """A lying roll with a loose sheet in front."""
    radius, length = rng.uniform(0.045, 0.06), rng.uniform(0.095, 0.115)
    model = Model(main="paper", dark="dark")
    roll = revolve([(0.02, 0), (radius, 0), (radius, length), (0.02, length)], 20)
    core = cylinder(0.0205, length - 0.002, (0, 0.001, 0), 10)
    turn = rotation_z(math.pi / 2)
    for part, slot in ((roll, "main"), (core, "dark")):
        model.add(part.turned(turn).moved((length / 2, radius, 0)), slot)
    model.add(box((length, 0.002, rng.uniform(0.06, 0.12)), (0, 0.001, radius * 0.9), 0.0005))
    return model


def towel(rng: np.random.Generator) -> Model:
    """A towel folded over a rail."""
    width, height = rng.uniform(0.36, 0.75), rng.uniform(0.4, 0.85)
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
    width, height, radius = rng.uniform(0.22, 0.36), rng.uniform(0.32, 0.6), 0.09
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


def hook_towel(rng: np.random.Generator) -> Model:
    """A towel gathered on a hook."""
    width, height = rng.uniform(0.2, 0.34), rng.uniform(0.5, 0.95)
    model = Model(main="curtain", second="metal")
    cloth = drape(width, 0.0, height - 0.06, rng.uniform(0, 6))
    part = np.interp(cloth.positions[:, 1], (0, height - 0.06), (1.0, 0.4)).astype(np.float32)
    model.add(cloth._replace(positions=cloth.positions * np.stack([part, np.ones_like(part), np.ones_like(part)], 1)))
    model.add(box((width * 0.3, 0.08, 0.06), (0, height - 0.05, 0), 0.02))
    model.add(
        cylinder(0.02, 0.06, (0, 0, 0), 10).turned(rotation_x(math.pi / 2)).moved((0, height - 0.02, -0.05)), "second"
    )
    model.add(sphere(0.014, (0, height - 0.01, 0.02), 8), "second")
    return model
