"""Kitchen, bathroom and electrical things: fridge, stove, washing machine, toilet, bathtub, washbasin, television."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, soft_box, tube


def fridge(rng: np.random.Generator) -> Model:
    """Two doors above one another with long handles."""
    width, depth, height = rng.uniform(0.58, 0.8), rng.uniform(0.6, 0.7), rng.uniform(1.6, 1.9)
    split = height * rng.uniform(0.6, 0.68)
    model = Model(main="enamel", detail="metal", dark="dark")
    model.add(box((width, height - 0.04, depth - 0.05), (0, height / 2 + 0.02, -0.025), 0.015))
    model.add(box((width - 0.06, 0.04, depth - 0.1), (0, 0.02, -0.03)), "dark")
    for low, high in ((0.06, split - 0.008), (split + 0.008, height)):
        model.add(box((width, high - low, 0.06), (0, (low + high) / 2, depth / 2 - 0.03), 0.015))
        handle = min(0.45, (high - low) * 0.5)
        y = high - 0.08 - handle / 2 if low < split - 0.1 else low + 0.08 + handle / 2
        model.add(box((0.025, handle, 0.03), (width / 2 - 0.06, y, depth / 2 + 0.015)), "detail")
    return model


def stove(rng: np.random.Generator) -> Model:
    """An oven with a glass door, knobs, and four rings on top."""
    width, depth, height = 0.6, 0.6, rng.uniform(0.86, 0.92)
    model = Model(main="enamel", detail="metal", dark="dark", screen="screen")
    model.add(box((width, height, depth), (0, height / 2, 0), 0.01))
    model.add(box((width - 0.01, 0.012, depth - 0.02), (0, height + 0.004, 0)), "screen")
    for x in (-0.14, 0.14):
        for z in (-0.13, 0.13):
            model.add(cylinder(0.09, 0.012, (x, height + 0.008, z), 16), "detail")
    model.add(box((width - 0.12, 0.34, 0.02), (0, height * 0.45, depth / 2 + 0.004)), "screen")
    model.add(box((width - 0.14, 0.022, 0.035), (0, height * 0.45 + 0.2, depth / 2 + 0.015)), "detail")
    for x in np.linspace(-0.22, 0.22, 5):
        knob = cylinder(0.02, 0.03, (0, 0, 0), 10).turned(rotation_x(math.pi / 2))
        model.add(knob.moved((float(x), height - 0.07, depth / 2)), "dark")
    model.surface(height + 0.02, width, depth, 0.4)
    return model


def washing_machine(rng: np.random.Generator) -> Model:
    """A front loader with a round window."""
    width, depth, height = 0.6, rng.uniform(0.55, 0.62), rng.uniform(0.84, 0.88)
    model = Model(main="enamel", detail="metal", screen="screen")
    model.add(box((width, height, depth), (0, height / 2, 0), 0.015))
    ring = revolve([(0.13, 0), (0.2, 0), (0.2, 0.02), (0.165, 0.04), (0.13, 0.03)], 28).turned(rotation_x(math.pi / 2))
    model.add(ring.moved((0, height * 0.47, depth / 2)), "detail")
    glass = cylinder(0.14, 0.02, (0, 0, 0), 24).turned(rotation_x(math.pi / 2))
    model.add(glass.moved((0, height * 0.47, depth / 2)), "screen")
    model.add(box((0.2, 0.05, 0.006), (0.12, height - 0.07, depth / 2 + 0.001), 0.002), "screen")
    model.surface(height, width, depth, 0.8)
    return model


def toilet(rng: np.random.Generator) -> Model:
    """A bowl with a seat and a cistern at the wall."""
    height = rng.uniform(0.39, 0.43)
    model = Model(main="enamel", second="enamel", detail="metal")
    foot = revolve([(0, 0), (0.14, 0), (0.12, 0.1), (0.19, height - 0.03), (0.19, height), (0, height)], 24)
    stretched = foot._replace(positions=foot.positions * np.array([1, 1, 1.3], np.float32))
    model.add(stretched.moved((0, 0, 0.08)))
    seat = revolve([(0.1, 0), (0.195, 0), (0.195, 0.025), (0.1, 0.025), (0.1, 0)], 24)
    seat = seat._replace(positions=seat.positions * np.array([1, 1, 1.3], np.float32))
    model.add(seat.moved((0, height, 0.08)), "second")
    model.add(soft_box((0.4, 0.36, 0.19), (0, height + 0.16, -0.25), 0.04))
    model.add(soft_box((0.42, 0.035, 0.21), (0, height + 0.355, -0.25), 0.015), "second")
    model.add(cylinder(0.025, 0.015, (0, height + 0.37, -0.25), 12), "detail")
    lid = soft_box((0.37, 0.4, 0.025), (0, 0.2, 0), 0.012).turned(rotation_x(-0.12))
    model.add(lid.moved((0, height + 0.02, -0.13)), "second")
    model.surface(height + 0.3725, 0.42, 0.21, 0.3, -0.25)
    return model


def bathtub(rng: np.random.Generator) -> Model:
    """A rectangular tub, hollow, with a tap at one end."""
    width, depth, height = rng.uniform(1.55, 1.75), rng.uniform(0.7, 0.78), rng.uniform(0.52, 0.58)
    model = Model(main="enamel", detail="metal")
    rim = 0.09
    for z in (-1, 1):
        model.add(soft_box((width, height, rim), (0, height / 2, z * (depth - rim) / 2), 0.03))
    for x in (-1, 1):
        model.add(soft_box((rim, height, depth - 0.02), (x * (width - rim) / 2, height / 2, 0), 0.03))
    model.add(box((width - 0.04, 0.14, depth - 0.04), (0, 0.08, 0)))
    tap = [(0, height, 0), (0, height + 0.12, 0), (0.06, height + 0.15, 0), (0.12, height + 0.12, 0)]
    model.add(tube(tap, 0.016, 8).moved((-width / 2 + 0.05, 0, 0)), "detail")
    return model


def washbasin(rng: np.random.Generator) -> Model:
    """A basin on a pedestal, with a tap."""
    height, radius = rng.uniform(0.82, 0.88), rng.uniform(0.24, 0.28)
    model = Model(main="enamel", detail="metal")
    model.add(revolve([(0, 0), (0.13, 0), (0.09, 0.08), (0.08, height - 0.2), (0.12, height - 0.16)], 16))
    inner = radius - 0.035
    outline = [(0, height - 0.17), (0.14, height - 0.16), (radius, height - 0.03), (radius, height), (inner, height)]
    model.add(revolve([*outline, (inner * 0.6, height - 0.1), (0, height - 0.12)], 24))
    model.add(box((0.3, 0.16, 0.1), (0, height - 0.06, -radius + 0.03), 0.02))
    tap = [(0, height, 0), (0, height + 0.13, 0), (0, height + 0.16, 0.05), (0, height + 0.13, 0.12)]
    model.add(tube(tap, 0.014, 8).moved((0, 0, -radius + 0.04)), "detail")
    return model


def television(rng: np.random.Generator) -> Model:
    """A flat screen on its low stand; both are one object."""
    width, screen = rng.uniform(1.2, 1.6), rng.uniform(0.95, 1.25)
    low, depth, tall = rng.uniform(0.4, 0.5), 0.4, screen * 0.57
    model = Model(main="wood", second="wood", dark="dark", screen="screen", detail="metal")
    model.add(box((width, low - 0.08, depth), (0, low / 2 + 0.04, 0)))
    for x in (-1, 1):
        model.add(
            box((width / 2 - 0.03, low - 0.14, 0.02), (x * width / 4, low / 2 + 0.04, depth / 2 + 0.005)), "second"
        )
        model.add(box((0.05, 0.08, depth - 0.06), (x * (width / 2 - 0.1), 0.04, 0)), "dark")
    model.add(box((0.34, 0.02, 0.2), (0, low + 0.01, -0.02)), "dark")
    model.add(box((0.06, 0.1, 0.04), (0, low + 0.06, -0.04)), "dark")
    model.add(box((screen, tall, 0.045), (0, low + 0.08 + tall / 2, -0.02), 0.008), "dark")
    model.add(box((screen - 0.03, tall - 0.03, 0.006), (0, low + 0.08 + tall / 2, 0.003), 0.001), "screen")
    model.surface(low, width, 0.19, 0.3, 0.105)
    return model
