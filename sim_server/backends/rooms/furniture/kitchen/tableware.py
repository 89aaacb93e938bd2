"""Plates, cups, bowls, bottles and fruit."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import cylinder, revolve, sphere, tube


def plate(rng: np.random.Generator) -> Model:
    """One to three plates, stacked."""
    radius, rise = rng.uniform(0.1, 0.135), 0.008
    model = Model(main="ceramic")
    for k in range(int(rng.integers(1, 4))):
        y = k * rise
        outline = [
            (0, y),
            (radius * 0.6, y),
            (radius, y + 0.018),
            (radius - 0.003, y + 0.021),
            (radius * 0.6, y + 0.006),
        ]
        model.add(revolve([*outline, (0, y + 0.006)], 24))
    return model


def served_plate(rng: np.random.Generator) -> Model:
    """A dinner plate with a coloured rim and a meal on it."""
    radius = rng.uniform(0.115, 0.135)
    model = Model(main="ceramic", second="enamel", food="fruit", green="leaf", bread="card")
    model.add(
        revolve([(0, 0), (radius * 0.62, 0), (radius * 0.72, 0.009), (radius * 0.62, 0.008), (0, 0.007)], 26), "second"
    )
    model.add(revolve([(radius * 0.7, 0.006), (radius, 0.016), (radius, 0.02), (radius * 0.7, 0.0095)], 26))
    for k in range(3):
        angle = k * 2.1 + 0.4
        at = (0.035 * math.sin(angle), 0.014, 0.035 * math.cos(angle))
        slot = ("food", "green", "bread")[k]
        model.add(sphere(0.026, at, 12, 0.55), slot)
    return model


def cup(rng: np.random.Generator) -> Model:
    """A mug with a handle."""
    radius, height = rng.uniform(0.036, 0.046), rng.uniform(0.085, 0.11)
    model = Model(main="ceramic", dark="dark")
    inner = radius - 0.005
    model.add(revolve([(0, 0), (radius * 0.9, 0), (radius, height), (inner, height), (inner * 0.9, 0.02)], 20))
    model.add(revolve([(inner, height * 0.8), (0, height * 0.8)], 14), "dark")
    bow = [(radius - 0.004 + 0.03 * math.sin(a), height / 2 + 0.03 * math.cos(a), 0) for a in np.linspace(0.1, 3.04, 8)]
    model.add(tube(bow, 0.006, 6))
    return model


def tea_cup(rng: np.random.Generator) -> Model:
    """A wide cup on a saucer."""
    radius, height = rng.uniform(0.042, 0.05), rng.uniform(0.055, 0.065)
    model = Model(main="ceramic", tea="card")
    model.add(revolve([(0, 0), (0.045, 0), (0.075, 0.012), (0.07, 0.014), (0, 0.008)], 22))
    outer = [(0.02, 0.008), (0.024, 0.014), (radius * 0.8, height * 0.5), (radius, height)]
    model.add(revolve([*outer, (radius - 0.004, height), (radius * 0.8, height * 0.75)], 20))
    model.add(revolve([(radius * 0.86, height * 0.78), (0, height * 0.78)], 16), "tea")
    bow = [
        (radius * 0.8 + 0.022 * math.sin(a), height * 0.62 + 0.018 * math.cos(a), 0) for a in np.linspace(0.1, 3.04, 7)
    ]
    model.add(tube(bow, 0.004, 6))
    return model


def bowl(rng: np.random.Generator) -> Model:
    """A round bowl."""
    radius, height = rng.uniform(0.09, 0.14), rng.uniform(0.06, 0.09)
    model = Model(main="ceramic")
    outer = [(0.0, 0.0), (radius * 0.45, 0.0), (radius * 0.8, height * 0.4), (radius, height)]
    inner = [(radius - 0.008, height), (radius * 0.72, height * 0.45), (radius * 0.4, 0.012), (0.0, 0.01)]
    model.add(revolve(outer + inner, 24))
    return model


def fruit_bowl(rng: np.random.Generator) -> Model:
    """A bowl on a foot, filled with fruit."""
    radius, height = rng.uniform(0.11, 0.14), rng.uniform(0.08, 0.1)
    model = Model(main="ceramic", fruit="fruit", other="fruit")
    outline = [
        (0, 0),
        (radius * 0.45, 0),
        (radius * 0.35, height * 0.3),
        (radius * 0.8, height * 0.6),
        (radius, height),
    ]
    model.add(revolve([*outline, (radius - 0.008, height), (radius * 0.6, height * 0.5), (0, height * 0.42)], 24))
    for k in range(5):
        angle, reach = k * 1.26, radius * (0.5 if k else 0.0)
        at = (reach * math.sin(angle), height * (0.8 if k else 1.1), reach * math.cos(angle))
        model.add(sphere(0.036, at, 12, 0.95), "fruit" if k % 2 else "other")
    return model


def bottle(rng: np.random.Generator) -> Model:
    """A wine or oil bottle with a cork."""
    radius, height = rng.uniform(0.034, 0.042), rng.uniform(0.27, 0.33)
    model = Model(main="glass", second="card")
    shoulder = height * rng.uniform(0.58, 0.66)
    outline = [(0, 0), (radius, 0), (radius, shoulder), (radius * 0.8, shoulder + 0.03), (0.014, height * 0.84)]
    model.add(revolve([*outline, (0.014, height - 0.01), (0, height - 0.01)], 16))
    model.add(revolve([(0.011, height - 0.012), (0.011, height), (0, height)], 10), "second")
    return model


def water_bottle(rng: np.random.Generator) -> Model:
    """A straight bottle with a wide cap and a strap."""
    radius, height = rng.uniform(0.034, 0.04), rng.uniform(0.21, 0.26)
    model = Model(main="appliance", dark="dark", second="metal")
    model.add(
        revolve([(0, 0), (radius, 0), (radius, height * 0.76), (radius * 0.7, height * 0.84), (0, height * 0.84)], 18)
    )
    model.add(cylinder(radius * 0.74, height * 0.16, (0, height * 0.84, 0), 16), "dark")
    bow = [(radius * 0.9 * math.cos(a), height + 0.022 * math.sin(a) - 0.012, 0) for a in np.linspace(0, math.pi, 8)]
    model.add(tube(bow, 0.005, 6), "dark")
    model.add(revolve([(radius + 0.001, height * 0.1), (radius + 0.001, height * 0.16)], 18), "second")
    return model


def apple(rng: np.random.Generator) -> Model:
    """An apple with a stalk."""
    radius = rng.uniform(0.036, 0.046)
    model = Model(main="fruit", dark="dark")
    profile = [(0, 0.1), (0.5, 0.0), (0.92, 0.5), (1.0, 1.05), (0.75, 1.65), (0.35, 1.78), (0.0, 1.6)]
    model.add(revolve([(r * radius, y * radius) for r, y in profile], 18))
    model.add(tube([(0, radius * 1.6, 0), (0.006, radius * 2.0, 0)], 0.003, 5), "dark")
    return model
