"""Televisions, monitors, laptops and remote controls."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, rotation_x, soft_box, tube


def television(rng: np.random.Generator) -> Model:
    """A flat screen on a low TV stand; both are one object."""
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


def tall_television(rng: np.random.Generator) -> Model:
    """A wide screen on two feet, on a long open TV stand with a shelf."""
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


def monitor(rng: np.random.Generator) -> Model:
    """A screen on a foot."""
    width, tall = rng.uniform(0.52, 0.62), rng.uniform(0.31, 0.36)
    model = Model(main="dark", screen="screen", second="metal")
    model.add(box((0.22, 0.012, 0.17), (0, 0.006, 0), 0.004), "second")
    model.add(box((0.05, 0.16, 0.03), (0, 0.08, -0.03), 0.004), "second")
    model.add(box((width, tall, 0.03), (0, 0.11 + tall / 2, 0), 0.006))
    model.add(box((width - 0.02, tall - 0.02, 0.004), (0, 0.11 + tall / 2, 0.014), 0.001), "screen")
    return model


def wide_monitor(rng: np.random.Generator) -> Model:
    """A wide screen with a thin frame on a V-shaped foot."""
    width, tall = rng.uniform(0.66, 0.8), rng.uniform(0.31, 0.35)
    model = Model(main="metal", screen="screen", dark="dark")
    for x in (-1, 1):
        model.add(tube([(0, 0.012, -0.06), (x * 0.18, 0.008, 0.1)], 0.01, 6))
    model.add(box((0.045, 0.2, 0.03), (0, 0.1, -0.05), 0.006))
    model.add(box((width, tall, 0.025), (0, 0.12 + tall / 2, -0.02), 0.004), "dark")
    model.add(box((width - 0.012, tall - 0.012, 0.004), (0, 0.122 + tall / 2, -0.007), 0.001), "screen")
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


def raised_laptop(rng: np.random.Generator) -> Model:
    """An open laptop on a bent metal stand."""
    model, low = Model(main="steel", screen="screen", dark="dark", second="metal"), rng.uniform(0.09, 0.13)
    for part, slot in laptop(rng).parts:
        model.add(part.moved((0, low, 0)), slot)
    for x in (-0.11, 0.11):
        path = [(x, 0.006, 0.1), (x, 0.006, -0.1), (x, low - 0.006, -0.06), (x, low - 0.006, 0.1)]
        model.add(tube(path, 0.006, 6), "second")
    model.add(box((0.24, 0.004, 0.06), (0, low - 0.002, -0.04), 0.001), "second")
    return model


def remote(rng: np.random.Generator) -> Model:
    """A remote control with buttons."""
    length = rng.uniform(0.17, 0.22)
    model = Model(main="dark", second="metal")
    model.add(soft_box((0.05, 0.02, length), (0, 0.01, 0), 0.009))
    for k in range(5):
        for x in (-0.012, 0.012):
            model.add(box((0.012, 0.003, 0.012), (x, 0.0205, (k - 2) * length * 0.15), 0.001), "second")
    return model


def slim_remote(rng: np.random.Generator) -> Model:
    """A slim light remote control with a navigation ring and a few keys."""
    length = rng.uniform(0.15, 0.19)
    model = Model(main="steel", dark="dark")
    model.add(soft_box((0.04, 0.014, length), (0, 0.007, 0), 0.006))
    model.add(cylinder(0.014, 0.003, (0, 0.013, -length * 0.28), 16), "dark")
    for k in range(3):
        model.add(cylinder(0.006, 0.003, (0, 0.013, length * (0.0 + 0.13 * k)), 8), "dark")
    return model
