"""Plates, cups, bowls, bottles and fruit."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, sphere, tube


def plate(rng: np.random.Generator) -> Model:
    """One flat plate with a raised rim."""
    radius = rng.uniform(0.09, 0.155)
    model = Model(main="ceramic")
    outline = [(0, 0), (radius * 0.6, 0), (radius, 0.018), (radius - 0.003, 0.021), (radius * 0.6, 0.006), (0, 0.006)]
    model.add(revolve(outline, 24))
    return model


def square_plate(rng: np.random.Generator) -> Model:
    """One square or oblong plate with a darker middle."""
    width, depth = rng.uniform(0.18, 0.32), rng.uniform(0.17, 0.22)
    model = Model(main="ceramic", second="enamel")
    model.add(box((width, 0.014, depth), (0, 0.007, 0), 0.005))
    model.add(box((width - 0.05, 0.004, depth - 0.05), (0, 0.0145, 0), 0.001), "second")
    return model


def served_plate(rng: np.random.Generator) -> Model:
    """A dinner plate with a coloured rim and a meal on it."""
    radius = rng.uniform(0.115, 0.135)
    model = Model(main="ceramic", second="enamel", food="clay", green="leaf", bread="card")
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
    radius, height = rng.uniform(0.034, 0.05), rng.uniform(0.07, 0.125)
    model = Model(main="ceramic", dark="dark")
    inner = radius - 0.005
    model.add(revolve([(0, 0), (radius * 0.9, 0), (radius, height), (inner, height), (inner * 0.9, 0.02)], 20))
    model.add(revolve([(inner, height * 0.8), (0, height * 0.8)], 14), "dark")
    bow = [(radius - 0.004 + 0.03 * math.sin(a), height / 2 + 0.03 * math.cos(a), 0) for a in np.linspace(0.1, 3.04, 8)]
    model.add(tube(bow, 0.006, 6))
    return model


def tumbler(rng: np.random.Generator) -> Model:
    """A beaker without a handle, with a coloured band."""
    radius, height = rng.uniform(0.034, 0.045), rng.uniform(0.09, 0.15)
    model = Model(main="ceramic", second="cushion", dark="dark")
    low, high = radius * 0.8, height * rng.uniform(0.55, 0.75)
    outline = [(0, 0), (low, 0), (radius, height), (radius - 0.004, height), (radius - 0.006, height * 0.85)]
    model.add(revolve(outline, 18))
    model.add(revolve([(radius - 0.006, height * 0.85), (0, height * 0.84)], 14), "dark")
    at = [low + (radius - low) * y / height + 0.0008 for y in (high - 0.025, high)]
    model.add(revolve([(at[0], high - 0.025), (at[1], high)], 18), "second")
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
    radius, height = rng.uniform(0.065, 0.16), rng.uniform(0.05, 0.09)
    model = Model(main="ceramic")
    outer = [(0.0, 0.0), (radius * 0.45, 0.0), (radius * 0.8, height * 0.4), (radius, height)]
    inner = [(radius - 0.008, height), (radius * 0.72, height * 0.45), (radius * 0.4, 0.012), (0.0, 0.01)]
    model.add(revolve(outer + inner, 24))
    return model


def fruit_bowl(rng: np.random.Generator) -> Model:
    """A bowl on a foot with bananas; apples would be objects of their own."""
    radius, height = rng.uniform(0.11, 0.16), rng.uniform(0.08, 0.11)
    model = Model(main="ceramic", fruit="brass", dark="dark")
    outline = [
        (0, 0),
        (radius * 0.45, 0),
        (radius * 0.35, height * 0.3),
        (radius * 0.8, height * 0.6),
        (radius, height),
    ]
    model.add(revolve([*outline, (radius - 0.008, height), (radius * 0.6, height * 0.5), (0, height * 0.42)], 24))
    for k in range(int(rng.integers(2, 5))):
        z = (k - 1.5) * 0.03
        bend = np.linspace(-0.75, 0.75, 6)
        path = [(radius * 0.85 * math.sin(a), height * 1.35 - radius * 0.7 * (1 - math.cos(a)), z) for a in bend]
        model.add(tube(path, 0.016, 7), "fruit")
        for end in (path[0], path[-1]):
            model.add(sphere(0.013, end, 6), "dark")
    return model


def pedestal_bowl(rng: np.random.Generator) -> Model:
    """A wide shallow bowl on a stem."""
    radius, height = rng.uniform(0.1, 0.16), rng.uniform(0.1, 0.16)
    model = Model(main="glass" if rng.random() < 0.4 else "ceramic")
    foot = [(0, 0), (radius * 0.5, 0), (radius * 0.45, 0.01), (0.014, 0.025), (0.014, height * 0.55)]
    model.add(
        revolve([*foot, (radius, height), (radius - 0.006, height), (0.02, height * 0.6), (0, height * 0.58)], 24)
    )
    return model


def bottle(rng: np.random.Generator) -> Model:
    """A wine or oil bottle with a cork."""
    radius, height = rng.uniform(0.03, 0.045), rng.uniform(0.22, 0.36)
    model = Model(main="glass", second="card")
    shoulder = height * rng.uniform(0.58, 0.66)
    outline = [(0, 0), (radius, 0), (radius, shoulder), (radius * 0.8, shoulder + 0.03), (0.014, height * 0.84)]
    model.add(revolve([*outline, (0.014, height - 0.01), (0, height - 0.01)], 16))
    model.add(revolve([(0.011, height - 0.012), (0.011, height), (0, height)], 10), "second")
    return model


def water_bottle(rng: np.random.Generator) -> Model:
    """A straight bottle with a wide cap and a strap."""
    radius, height = rng.uniform(0.03, 0.042), rng.uniform(0.16, 0.28)
    model = Model(main="appliance", dark="dark", second="metal")
    model.add(
        revolve([(0, 0), (radius, 0), (radius, height * 0.76), (radius * 0.7, height * 0.84), (0, height * 0.84)], 18)
    )
    model.add(cylinder(radius * 0.74, height * 0.16, (0, height * 0.84, 0), 16), "dark")
    bow = [(radius * 0.9 * math.cos(a), height + 0.022 * math.sin(a) - 0.012, 0) for a in np.linspace(0, math.pi, 8)]
    model.add(tube(bow, 0.005, 6), "dark")
    model.add(revolve([(radius + 0.001, height * 0.1), (radius + 0.001, height * 0.16)], 18), "second")
    return model


def flask(rng: np.random.Generator) -> Model:
    """A round-bellied bottle with a long neck, a label and a stopper."""
    radius, height = rng.uniform(0.05, 0.07), rng.uniform(0.2, 0.3)
    model = Model(main="glass", paper="paper", second="card")
    belly = [(0, 0), (radius * 0.8, 0), (radius, height * 0.18), (radius * 0.92, height * 0.36), (0.018, height * 0.6)]
    model.add(revolve([*belly, (0.015, height * 0.94), (0, height * 0.94)], 18))
    model.add(revolve([(radius + 0.001, height * 0.17), (radius * 0.95, height * 0.34)], 18), "paper")
    model.add(cylinder(0.013, height * 0.07, (0, height * 0.93, 0), 8), "second")
    return model


def apple(rng: np.random.Generator) -> Model:
    """An apple with a stalk."""
    radius = rng.uniform(0.036, 0.046)
    model = Model(main="fruit", dark="dark")
    profile = [(0, 0.1), (0.5, 0.0), (0.92, 0.5), (1.0, 1.05), (0.75, 1.65), (0.35, 1.78), (0.0, 1.6)]
    model.add(revolve([(r * radius, y * radius) for r, y in profile], 18))
    model.add(tube([(0, radius * 1.6, 0), (0.006, radius * 2.0, 0)], 0.003, 5), "dark")
    return model
