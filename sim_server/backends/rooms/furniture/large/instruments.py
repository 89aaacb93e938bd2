"""Pianos and guitars."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, sphere, tube


def piano(rng: np.random.Generator) -> Model:
    """An upright piano with its keyboard open."""
    width, height = rng.uniform(1.35, 1.56), rng.uniform(1.02, 1.32)
    model = Model(main="piano", paper="paper", dark="dark", detail="brass")
    model.add(box((width, height, 0.36), (0, height / 2, -0.12), 0.01))
    model.add(box((width + 0.03, 0.03, 0.4), (0, height, -0.11), 0.008))
    model.add(box((width, 0.09, 0.28), (0, 0.64, 0.16), 0.01))
    for x in (-1, 1):
        model.add(box((0.06, 0.16, 0.28), (x * (width / 2 - 0.03), 0.7, 0.16), 0.01))
        model.add(box((0.07, 0.6, 0.07), (x * (width / 2 - 0.05), 0.3, 0.25), 0.008))
    model.add(box((width - 0.14, 0.02, 0.15), (0, 0.69, 0.21), 0.002), "paper")
    keys = 36
    for k in range(keys):
        if k % 7 not in (2, 6):
            x = (k - (keys - 1) / 2 + 0.5) * (width - 0.14) / keys
            model.add(box((0.014, 0.016, 0.09), (x, 0.708, 0.18), 0.001), "dark")
    model.add(box((width * 0.5, 0.22, 0.015), (0, 0.86, 0.075), 0.003))
    for x in (-0.08, 0.0, 0.08):
        model.add(box((0.03, 0.012, 0.12), (x, 0.06, 0.1), 0.004), "detail")
    model.surface(height + 0.015, width, 0.34, 0.4, -0.11)
    return model


def digital_piano(rng: np.random.Generator) -> Model:
    """A slim keyboard with a music rest on crossed legs, with pedals."""
    width, height, depth = rng.uniform(0.95, 1.42), rng.uniform(0.7, 0.8), rng.uniform(0.28, 0.4)
    model = Model(main="piano", paper="paper", dark="dark", detail="brass")
    model.add(box((width, 0.1, depth), (0, height, 0), 0.01))
    model.add(box((width - 0.1, 0.012, 0.15), (0, height + 0.052, depth / 2 - 0.09), 0.002), "paper")
    keys = 36
    for k in range(keys):
        if k % 7 not in (2, 6):
            x = (k - (keys - 1) / 2 + 0.5) * (width - 0.1) / keys
            model.add(box((0.014, 0.014, 0.09), (x, height + 0.063, depth / 2 - 0.12), 0.001), "dark")
    rest = box((width * 0.42, 0.2, 0.012), (0, 0.1, 0), 0.003).turned(rotation_x(-0.25))
    model.add(rest.moved((0, height + 0.05, -depth / 2 + 0.08)))
    for x in (-1, 1):
        model.add(box((0.04, height - 0.05, depth - 0.04), (x * (width / 2 - 0.05), (height - 0.05) / 2, 0)))
    model.add(box((width - 0.12, 0.12, 0.025), (0, 0.2, -0.08)))
    for x in (-0.07, 0.0, 0.07):
        model.add(box((0.026, 0.012, 0.12), (x, 0.14, 0.0), 0.004), "detail")
    return model


def guitar(rng: np.random.Generator) -> Model:
    """An acoustic guitar on a stand."""
    model = Model(main="wood", second="dark", detail="brass")
    lower, upper = rng.uniform(0.18, 0.2), rng.uniform(0.135, 0.15)
    body = []
    for r, y in ((lower, 0.19), (upper, 0.42)):
        disc = revolve([(0, 0), (r - 0.008, 0), (r, 0.008), (r, 0.092), (r - 0.008, 0.1), (0, 0.1)], 28)
        body.append(disc.turned(rotation_x(math.pi / 2)).moved((0, y, -0.05)))
    body.append(box((0.2, 0.16, 0.098), (0, 0.32, 0), 0.01))
    lean = rotation_x(-0.22)
    for part in body:
        model.add(part.turned(lean).moved((0, 0.08, 0.08)))
    hole = cylinder(0.048, 0.002, (0, 0, 0), 20).turned(rotation_x(math.pi / 2)).moved((0, 0.36, 0.0505))
    model.add(hole.turned(lean).moved((0, 0.08, 0.08)), "second")
    for size, at, slot in (
        ((0.05, 0.5, 0.025), (0, 0.74, 0.045), "second"), ((0.075, 0.15, 0.02), (0, 1.05, 0.04), "main"),
        ((0.12, 0.02, 0.012), (0, 0.16, 0.055), "second"),
    ):  # fmt: skip
        model.add(box(size, at, 0.004).turned(lean).moved((0, 0.08, 0.08)), slot)
    for x in (-1, 1):
        for k in range(3):
            model.add(
                sphere(0.012, (x * 0.048, 1.01 + 0.045 * k, 0.04), 8).turned(lean).moved((0, 0.08, 0.08)), "detail"
            )
        model.add(tube([(x * 0.14, 0.0, 0.2), (x * 0.1, 0.1, 0.14), (x * 0.05, 0.34, -0.04)], 0.01, 6), "second")
    model.add(tube([(0, 0.0, -0.22), (0, 0.4, -0.03)], 0.01, 6), "second")
    return model


def electric_guitar(rng: np.random.Generator) -> Model:
    """A solid body with two horns, pickups and a slim neck, on a folding stand."""
    model = Model(main="appliance", second="wood", dark="dark", detail="metal")
    lean = rotation_x(-rng.uniform(0.17, 0.23))
    t = np.linspace(0, 2 * math.pi, 25)
    radius = 0.165 + 0.02 * np.cos(2 * t) + 0.018 * np.sin(3 * t)
    body = cylinder(1.0, 0.042, (0, 0, 0), 24).turned(rotation_x(math.pi / 2))
    angle = np.arctan2(body.positions[:, 0], body.positions[:, 1])
    scale = np.interp(angle % (2 * math.pi), t, radius).astype(np.float32)
    shaped = body.positions * np.stack([scale, 1.15 * scale, np.ones_like(scale)], 1)
    parts = [(body._replace(positions=shaped).moved((0, 0.24, -0.021)), "main")]
    for size, at, slot in (
        ((0.045, 0.5, 0.022), (0, 0.66, 0.02), "second"), ((0.07, 0.14, 0.016), (0.01, 0.97, 0.016), "second"),
        ((0.075, 0.022, 0.01), (0, 0.22, 0.025), "dark"), ((0.075, 0.022, 0.01), (0, 0.3, 0.025), "dark"),
        ((0.08, 0.03, 0.012), (0, 0.14, 0.026), "detail"),
    ):  # fmt: skip
        parts.append((box(size, at, 0.004), slot))
    for part, slot in parts:
        model.add(part.turned(lean).moved((0, 0.08, 0.08)), slot)
    for x in (-1, 1):
        model.add(tube([(x * 0.14, 0.0, 0.2), (x * 0.1, 0.1, 0.14), (x * 0.05, 0.34, -0.04)], 0.01, 6), "dark")
    model.add(tube([(0, 0.0, -0.22), (0, 0.4, -0.03)], 0.01, 6), "dark")
    return model
