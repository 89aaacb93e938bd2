"""Washing machines and laundry baskets."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, soft_box, tube


def washing_machine(rng: np.random.Generator) -> Model:
    """A front loader with a round window."""
    width, depth, height = rng.uniform(0.56, 0.66), rng.uniform(0.45, 0.66), rng.uniform(0.66, 0.95)
    model = Model(main="enamel", detail="metal", dark="dark")
    model.add(box((width, height, depth), (0, height / 2, 0), 0.015))
    ring = revolve([(0.13, 0), (0.2, 0), (0.2, 0.02), (0.165, 0.04), (0.13, 0.03)], 28).turned(rotation_x(math.pi / 2))
    model.add(ring.moved((0, height * 0.47, depth / 2)), "detail")
    glass = cylinder(0.14, 0.02, (0, 0, 0), 24).turned(rotation_x(math.pi / 2))
    model.add(glass.moved((0, height * 0.47, depth / 2)), "dark")
    model.add(box((0.2, 0.05, 0.006), (0.12, height - 0.07, depth / 2 + 0.001), 0.002), "dark")
    model.surface(height, width, depth, 0.8)
    return model


def top_loader(rng: np.random.Generator) -> Model:
    """A top-loading washing machine with a raised control panel at the back."""
    width, depth, height = rng.uniform(0.4, 0.68), rng.uniform(0.55, 0.68), rng.uniform(0.8, 1.02)
    model = Model(main="enamel", detail="metal", dark="dark")
    model.add(box((width, height - 0.04, depth), (0, height / 2 + 0.02, 0), 0.015))
    model.add(box((width - 0.06, 0.05, depth - 0.06), (0, 0.025, 0)), "dark")
    model.add(box((width, 0.14, 0.09), (0, height + 0.06, -depth / 2 + 0.045), 0.015))
    model.add(box((width - 0.08, 0.02, depth - 0.2), (0, height + 0.008, 0.04), 0.008), "detail")
    model.add(box((width - 0.2, 0.006, depth - 0.32), (0, height + 0.018, 0.04), 0.002), "dark")
    for x in (-0.16, -0.04):
        dial = cylinder(0.03, 0.022, (0, 0, 0), 16).turned(rotation_x(math.pi / 2))
        model.add(dial.moved((x, height + 0.075, -depth / 2 + 0.09)), "detail")
    model.add(box((0.14, 0.05, 0.006), (0.13, height + 0.075, -depth / 2 + 0.091), 0.002), "dark")
    return model


def laundry_basket(rng: np.random.Generator) -> Model:
    """A tall hamper with slits and a lid."""
    width, depth, height = rng.uniform(0.36, 0.56), rng.uniform(0.3, 0.42), rng.uniform(0.4, 0.75)
    model = Model(main="plastic", dark="dark")
    model.add(soft_box((width, height - 0.05, depth), (0, (height - 0.05) / 2, 0), 0.04))
    model.add(soft_box((width + 0.02, 0.06, depth + 0.02), (0, height - 0.03, 0), 0.025))
    for x in np.linspace(-width / 2 + 0.08, width / 2 - 0.08, 6):
        for y in (height * 0.3, height * 0.6):
            for z in (-1, 1):
                model.add(box((0.018, height * 0.2, 0.006), (float(x), y, z * depth / 2), 0.002), "dark")
    return model


def laundry_bag(rng: np.random.Generator) -> Model:
    """A round cloth bag with rope handles."""
    radius, height = rng.uniform(0.16, 0.25), rng.uniform(0.4, 0.72)
    model = Model(main="linen", second="cushion", dark="dark")
    band = height * 0.35
    model.add(revolve([(0, 0), (radius * 0.94, 0), (radius, 0.05), (radius, band)], 22), "second")
    model.add(revolve([(radius, band), (radius, height), (radius - 0.012, height), (radius - 0.02, height - 0.12)], 22))
    model.add(revolve([(radius - 0.02, height - 0.12), (0, height - 0.08)], 22), "dark")
    for z in (-1, 1):
        bow = [
            (0.07 * math.sin(a), height - 0.05 - 0.09 * math.cos(a), z * (radius + 0.006))
            for a in np.linspace(-1.5, 1.5, 7)
        ]
        model.add(tube(bow, 0.008, 6), "dark")
    return model
