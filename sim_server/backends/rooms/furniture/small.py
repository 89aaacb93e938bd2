"""Small things that stand on furniture: books, cups, bowls, bottles, laptops."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, revolve, rotation_x, rotation_y, tube


def books(rng: np.random.Generator) -> Model:
    """A stack of two to four books, not quite in line."""
    model = Model(main="book_a", second="book_b", paper="paper")
    y = 0.0
    for k in range(int(rng.integers(2, 5))):
        thick, width, depth = rng.uniform(0.02, 0.045), rng.uniform(0.15, 0.21), rng.uniform(0.21, 0.27)
        turn = rotation_y(rng.normal(0, 0.12))
        for size, slot in (((width - 0.008, thick - 0.008, depth - 0.006), "paper"), ((width, 0.004, depth), "")):
            name = slot or ("main" if k % 2 == 0 else "second")
            if slot:
                model.add(box(size, (0.004, thick / 2, 0), 0.002).turned(turn).moved((0, y, 0)), name)
            else:
                for level in (0.002, thick - 0.002):
                    model.add(box(size, (0, level, 0), 0.001).turned(turn).moved((0, y, 0)), name)
                spine = box((0.005, thick, depth), (-width / 2 + 0.0025, thick / 2, 0), 0.001)
                model.add(spine.turned(turn).moved((0, y, 0)), name)
        y += thick
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


def bowl(rng: np.random.Generator) -> Model:
    """A round bowl."""
    radius, height = rng.uniform(0.09, 0.14), rng.uniform(0.06, 0.09)
    model = Model(main="ceramic")
    outer = [(0.0, 0.0), (radius * 0.45, 0.0), (radius * 0.8, height * 0.4), (radius, height)]
    inner = [(radius - 0.008, height), (radius * 0.72, height * 0.45), (radius * 0.4, 0.012), (0.0, 0.01)]
    model.add(revolve(outer + inner, 24))
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


def laptop(rng: np.random.Generator) -> Model:
    """An open laptop."""
    width, depth = rng.uniform(0.31, 0.37), rng.uniform(0.22, 0.25)
    model = Model(main="steel", screen="screen", dark="dark")
    model.add(box((width, 0.016, depth), (0, 0.008, 0), 0.004))
    model.add(box((width - 0.05, 0.002, depth * 0.5), (0, 0.0165, -0.03), 0.0005), "dark")
    tilt = rotation_x(-rng.uniform(0.2, 0.4))
    model.add(box((width, depth - 0.01, 0.008), (0, depth / 2, 0), 0.003).turned(tilt).moved((0, 0.016, -depth / 2)))
    screen = box((width - 0.02, depth - 0.03, 0.002), (0, depth / 2, 0.0045), 0.0005).turned(tilt)
    model.add(screen.moved((0, 0.016, -depth / 2)), "screen")
    return model
