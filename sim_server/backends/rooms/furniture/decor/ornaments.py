"""Vases, candles and statues."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, sphere, tube


def vase(rng: np.random.Generator) -> Model:
    """A bellied vase with a neck."""
    height, belly = rng.uniform(0.22, 0.34), rng.uniform(0.07, 0.1)
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
    height, radius = rng.uniform(0.16, 0.21), rng.uniform(0.045, 0.06)
    model = Model(main="ceramic", second="leaf", bloom="fruit")
    outline = [(0, 0), (radius, 0), (radius * 0.8, height * 0.6), (radius * 0.95, height), (radius * 0.8, height)]
    model.add(revolve([*outline, (radius * 0.6, height * 0.7), (0, height * 0.68)], 18))
    for k in range(int(rng.integers(3, 7))):
        angle, lean = k * 2.4, rng.uniform(0.02, 0.08)
        tip = (lean * math.sin(angle), height + rng.uniform(0.07, 0.13), lean * math.cos(angle))
        model.add(tube([(0, height * 0.7, 0), tip], 0.004, 5), "second")
        model.add(revolve([(0, 0), (0.018, 0.012), (0.02, 0.03), (0.008, 0.05), (0, 0.045)], 8, tip), "bloom")
    return model


def candle(rng: np.random.Generator) -> Model:
    """One or three candles in holders."""
    model = Model(main="wax", second="brass", dark="dark")
    count = 1 if rng.random() < 0.6 else 3
    for k in range(count):
        x, height = (k - (count - 1) / 2) * 0.075, rng.uniform(0.09, 0.22)
        model.add(
            revolve([(0, 0), (0.034, 0), (0.034, 0.006), (0.012, 0.014), (0.014, 0.03), (0, 0.03)], 16, (x, 0, 0)),
            "second",
        )
        model.add(cylinder(0.012, height, (x, 0.02, 0), 12))
        model.add(cylinder(0.0015, 0.014, (x, height + 0.018, 0), 5), "dark")
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
    """An abstract figure on a block: a ring or a stack of pebbles."""
    model = Model(main="statue", second="wood")
    width = rng.uniform(0.13, 0.18)
    model.add(box((width, 0.04, width * 0.8), (0, 0.02, 0), 0.004), "second")
    if rng.random() < 0.5:
        radius = rng.uniform(0.09, 0.13)
        ring = [
            (radius * math.sin(a), 0.05 + radius + radius * math.cos(a), 0) for a in np.linspace(0, 2 * math.pi, 25)
        ]
        model.add(tube(ring, 0.022, 10))
    else:
        y = 0.04
        for radius in (0.055, 0.045, 0.035, 0.024):
            model.add(sphere(radius, (rng.uniform(-0.01, 0.01), y + radius * 0.75, 0), 16, 0.75))
            y += radius * 1.42
    return model


def figure(rng: np.random.Generator) -> Model:
    """A slender standing figure with raised arms on a round base."""
    height = rng.uniform(0.26, 0.36)
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
