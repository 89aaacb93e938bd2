"""Vases, candles and statues."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, soft_box, sphere, tube


def vase(rng: np.random.Generator) -> Model:
    """A bellied vase with a neck."""
    height, belly = rng.uniform(0.16, 0.4), rng.uniform(0.05, 0.1)
    model = Model(main="ceramic")
    neck = belly * rng.uniform(0.35, 0.5)
    t = np.linspace(0, 1, 10)
    radius = neck + (belly - neck) * np.sin(math.pi * np.clip(t * 1.15 + 0.1, 0, 1)) ** 1.2 + 0.02 * t**6
    outline = [(0.0, 0.0)] + [(float(r), float(y * height)) for r, y in zip(radius, t)]
    outline += [(float(radius[-1]) - 0.008, height), (neck * 0.7, height * 0.8), (0.0, height * 0.75)]
    model.add(revolve(outline, 20))
    return model


def vase_with_flowers(rng: np.random.Generator) -> Model:
    """A slim vase with three to six tulips."""
    height, radius = rng.uniform(0.12, 0.24), rng.uniform(0.04, 0.06)
    model = Model(main="ceramic", second="leaf", bloom="fruit")
    outline = [(0, 0), (radius, 0), (radius * 0.8, height * 0.6), (radius * 0.95, height), (radius * 0.8, height)]
    model.add(revolve([*outline, (radius * 0.6, height * 0.7), (0, height * 0.68)], 18))
    for k in range(int(rng.integers(3, 7))):
        angle, lean = k * 2.4, rng.uniform(0.02, 0.08)
        tip = (lean * math.sin(angle), height + rng.uniform(0.07, 0.13), lean * math.cos(angle))
        model.add(tube([(0, height * 0.7, 0), tip], 0.004, 5), "second")
        model.add(revolve([(0, 0), (0.018, 0.012), (0.02, 0.03), (0.008, 0.05), (0, 0.045)], 8, tip), "bloom")
    return model


def tall_vase(rng: np.random.Generator) -> Model:
    """A straight square or faceted vase."""
    height, radius = rng.uniform(0.18, 0.4), rng.uniform(0.05, 0.08)
    model = Model(main="ceramic", dark="dark")
    outline = [(0, 0), (radius * 0.8, 0), (radius, height), (radius - 0.008, height), (radius - 0.012, height * 0.9)]
    model.add(revolve([*outline, (0, height * 0.88)], int(rng.choice([4, 6, 8]))))
    return model


def candle(rng: np.random.Generator) -> Model:
    """A slim candle in a holder."""
    model = Model(main="wax", second="brass", dark="dark")
    height = rng.uniform(0.1, 0.28)
    foot = [(0, 0), (0.034, 0), (0.034, 0.006), (0.012, 0.014), (0.014, 0.03), (0, 0.03)]
    model.add(revolve(foot, 16), "second")
    model.add(cylinder(0.012, height, (0, 0.02, 0), 12))
    model.add(cylinder(0.0015, 0.014, (0, height + 0.018, 0), 5), "dark")
    return model


def pillar_candle(rng: np.random.Generator) -> Model:
    """A thick candle on a plate."""
    radius, height = rng.uniform(0.03, 0.05), rng.uniform(0.08, 0.2)
    model = Model(main="wax", second="ceramic", dark="dark")
    model.add(revolve([(0, 0), (radius + 0.01, 0), (radius + 0.025, 0.012), (radius, 0.008), (0, 0.008)], 18), "second")
    model.add(
        revolve([(0, 0.008), (radius, 0.008), (radius, height), (radius * 0.6, height - 0.008), (0, height - 0.01)], 18)
    )
    model.add(cylinder(0.002, 0.02, (0, height - 0.012, 0), 5), "dark")
    return model


def jar_candle(rng: np.random.Generator) -> Model:
    """A thick candle in a jar with a label."""
    radius, height = rng.uniform(0.036, 0.05), rng.uniform(0.08, 0.11)
    model = Model(main="wax", second="glass", paper="paper", dark="dark")
    model.add(
        revolve([(0, 0), (radius, 0), (radius, height), (radius - 0.005, height), (radius - 0.005, height * 0.75)], 22),
        "second",
    )
    model.add(revolve([(radius - 0.005, height * 0.75), (0, height * 0.76)], 18))
    model.add(revolve([(radius + 0.001, height * 0.22), (radius + 0.001, height * 0.6)], 22), "paper")
    model.add(cylinder(0.002, 0.016, (0, height * 0.75, 0), 5), "dark")
    return model


def statue(rng: np.random.Generator) -> Model:
    """A bust: head, neck and shoulders on a block."""
    size = rng.uniform(0.8, 1.5)
    model = Model(main="statue", second="wood")
    model.add(box((0.13, 0.045, 0.1), (0, 0.0225, 0), 0.004), "second")
    chest = [(0, 0.045), (0.04, 0.045), (0.085, 0.11), (0.075, 0.14), (0.03, 0.165), (0.026, 0.19), (0, 0.19)]
    torso = revolve(chest, 18)
    model.add(torso._replace(positions=torso.positions * np.array([1, 1, 0.62], np.float32)))
    model.add(sphere(0.045, (0, 0.225, 0.006), 16, 1.3))
    model.add(sphere(0.04, (0, 0.25, -0.012), 12))
    model.add(box((0.012, 0.025, 0.02), (0, 0.222, 0.05), 0.004))
    model.scale(size)
    return model


def animal(rng: np.random.Generator) -> Model:
    """A standing horse or dog on a base."""
    size, neck = rng.uniform(0.8, 1.5), rng.uniform(0.05, 0.09)
    model = Model(main="statue", second="wood")
    model.add(box((0.1, 0.02, 0.2), (0, 0.01, 0), 0.004), "second")
    for x in (-0.024, 0.024):
        for z in (-0.055, 0.055):
            model.add(cylinder(0.009, 0.09, (x, 0.02, z), 8, 0.013))
    model.add(soft_box((0.068, 0.07, 0.16), (0, 0.135, 0), 0.03))
    model.add(tube([(0, 0.14, 0.06), (0, 0.15 + neck, 0.1)], 0.022, 8))
    model.add(soft_box((0.04, 0.045, 0.085), (0, 0.165 + neck, 0.12), 0.018))
    for x in (-1, 1):
        model.add(cylinder(0.008, 0.022, (x * 0.013, 0.18 + neck, 0.095), 6, 0.002))
    model.add(tube([(0, 0.16, -0.075), (0, 0.13, -0.1), (0, 0.08, -0.105)], 0.008, 6))
    model.scale(size)
    return model


def figure(rng: np.random.Generator) -> Model:
    """A slender standing figure with raised arms on a round base."""
    height = rng.uniform(0.2, 0.46)
    model = Model(main="statue", second="wood")
    model.add(cylinder(0.06, 0.03, (0, 0, 0), 20), "second")
    body = [
        (0, 0.03),
        (0.03, 0.03),
        (0.018, height * 0.3),
        (0.034, height * 0.52),
        (0.016, height * 0.6),
        (0.03, height * 0.74),
        (0.01, height * 0.8),
        (0, height * 0.82),
    ]
    model.add(revolve(body, 14))
    model.add(sphere(0.022, (0, height * 0.86, 0), 12))
    for x in (-1, 1):
        arm = [(x * 0.022, height * 0.74, 0), (x * 0.065, height * 0.84, 0.01), (x * 0.05, height, 0.015)]
        model.add(tube(arm, 0.008, 6))
    return model
