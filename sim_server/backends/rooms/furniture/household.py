"""Kitchen, laundry and electrical things: fridge, stove, washing machine, television."""

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


def round_fridge(rng: np.random.Generator) -> Model:
    """A rounded fridge with one door and a lever, in a colour."""
    width, depth, height = rng.uniform(0.56, 0.64), rng.uniform(0.6, 0.66), rng.uniform(1.5, 1.7)
    model = Model(main="appliance", detail="metal", dark="dark")
    model.add(soft_box((width, height - 0.05, depth - 0.06), (0, height / 2 + 0.025, -0.03), 0.06, 3))
    model.add(box((width - 0.08, 0.06, depth - 0.12), (0, 0.03, -0.03)), "dark")
    model.add(soft_box((width, height - 0.12, 0.1), (0, height / 2 + 0.02, depth / 2 - 0.05), 0.045, 3))
    model.add(box((0.03, 0.22, 0.045), (width / 2 - 0.08, height * 0.62, depth / 2 + 0.015), 0.01), "detail")
    model.add(box((0.16, 0.03, 0.008), (0, height - 0.16, depth / 2 + 0.002), 0.002), "detail")
    return model


def gas_stove(rng: np.random.Generator) -> Model:
    """A steel range with burners under grates, a window in its oven and a raised back."""
    width, depth, height = 0.6, 0.6, rng.uniform(0.86, 0.91)
    model = Model(main="steel", detail="metal", dark="dark", screen="screen")
    model.add(box((width, height - 0.08, depth - 0.02), (0, height / 2 + 0.04, 0), 0.006))
    model.add(box((width - 0.06, 0.08, depth - 0.08), (0, 0.04, 0)), "dark")
    model.add(box((width, 0.1, 0.03), (0, height + 0.05, -depth / 2 + 0.025), 0.006))
    for x in (-0.15, 0.15):
        for z in (-0.11, 0.14):
            model.add(cylinder(0.045, 0.014, (x, height, z), 14), "dark")
        for step in (-0.075, 0.0, 0.075):
            model.add(box((0.014, 0.014, 0.46), (x + step, height + 0.024, 0.015), 0.003), "dark")
        model.add(box((0.2, 0.014, 0.014), (x, height + 0.024, 0.015), 0.003), "dark")
    model.add(box((width - 0.16, 0.26, 0.012), (0, height * 0.44, depth / 2 - 0.008), 0.004), "screen")
    model.add(box((width - 0.08, 0.024, 0.04), (0, height * 0.44 + 0.2, depth / 2 + 0.012), 0.008), "detail")
    for x in np.linspace(-0.22, 0.22, 5):
        knob = cylinder(0.022, 0.03, (0, 0, 0), 12).turned(rotation_x(math.pi / 2))
        model.add(knob.moved((float(x), height - 0.055, depth / 2 - 0.012)), "detail")
    model.surface(height + 0.031, width - 0.04, depth - 0.1, 0.4, 0.015)
    return model


def top_loader(rng: np.random.Generator) -> Model:
    """A washing machine with its lid on top and a raised panel of dials at the back."""
    width, depth, height = rng.uniform(0.5, 0.62), rng.uniform(0.58, 0.64), rng.uniform(0.86, 0.92)
    model = Model(main="enamel", detail="metal", screen="screen", dark="dark")
    model.add(box((width, height - 0.04, depth), (0, height / 2 + 0.02, 0), 0.015))
    model.add(box((width - 0.06, 0.05, depth - 0.06), (0, 0.025, 0)), "dark")
    model.add(box((width, 0.14, 0.09), (0, height + 0.06, -depth / 2 + 0.045), 0.015))
    model.add(box((width - 0.08, 0.02, depth - 0.2), (0, height + 0.008, 0.04), 0.008), "detail")
    model.add(box((width - 0.2, 0.006, depth - 0.32), (0, height + 0.018, 0.04), 0.002), "screen")
    for x in (-0.16, -0.04):
        dial = cylinder(0.03, 0.022, (0, 0, 0), 16).turned(rotation_x(math.pi / 2))
        model.add(dial.moved((x, height + 0.075, -depth / 2 + 0.09)), "detail")
    model.add(box((0.14, 0.05, 0.006), (0.13, height + 0.075, -depth / 2 + 0.091), 0.002), "screen")
    return model


def tall_television(rng: np.random.Generator) -> Model:
    """A wide screen on two feet, on a long open stand with a shelf."""
    screen = rng.uniform(1.0, 1.3)
    width, low, depth, tall = screen + rng.uniform(0.2, 0.4), rng.uniform(0.44, 0.52), 0.4, screen * 0.57
    model = Model(main="wood", second="metal", dark="dark", screen="screen")
    for y in (low - 0.015, 0.16):
        model.add(box((width, 0.03, depth), (0, y, 0), 0.004))
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(
                box((0.03, low - 0.03, 0.03), (x * (width / 2 - 0.03), (low - 0.03) / 2, z * (depth / 2 - 0.03))),
                "second",
            )
    model.add(box((0.4, 0.06, 0.26), (width * 0.22, 0.205, 0.02), 0.006), "dark")
    for x in (-1, 1):
        model.add(tube([(x * screen * 0.36, low, 0.1), (x * screen * 0.33, low + 0.08, -0.04),
                        (x * screen * 0.36, low, -0.16)], 0.01, 6), "dark")  # fmt: skip
    model.add(box((screen, tall, 0.04), (0, low + 0.07 + tall / 2, -0.04), 0.006), "dark")
    model.add(box((screen - 0.02, tall - 0.02, 0.006), (0, low + 0.07 + tall / 2, -0.019), 0.001), "screen")
    model.surface(low, width, 0.16, 0.3, 0.1)
    return model
