"""Televisions, monitors, laptops and remote controls. The stand of a television is an object of its own."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, rotation_x, soft_box, tube


def _screen(model: Model, width: float, foot: float, z: float) -> float:
    """Add a flat panel of this width above `foot`; return its height."""
    tall = width * 0.57
    model.add(box((width, tall, 0.045), (0, foot + tall / 2, z), 0.008), "dark")
    model.add(box((width - 0.03, tall - 0.03, 0.006), (0, foot + tall / 2, z + 0.023), 0.001), "screen")
    return tall


def television(rng: np.random.Generator) -> Model:
    """A flat screen on a central foot, for a TV stand."""
    width = rng.uniform(0.65, 1.45)
    model = Model(main="dark", dark="dark", screen="screen")
    model.add(box((width * 0.3, 0.02, 0.2), (0, 0.01, 0)), "dark")
    model.add(box((0.06, 0.1, 0.04), (0, 0.06, -0.02)), "dark")
    _screen(model, width, 0.08, 0.0)
    return model


def footed_television(rng: np.random.Generator) -> Model:
    """A flat screen on two splayed feet, for a TV stand."""
    width = rng.uniform(0.75, 1.6)
    model = Model(main="dark", dark="dark", screen="screen")
    for x in (-1, 1):
        feet = [(x * width * 0.36, 0.008, 0.1), (x * width * 0.33, 0.075, 0.0), (x * width * 0.36, 0.008, -0.1)]
        model.add(tube(feet, 0.01, 6), "dark")
    _screen(model, width, 0.07, 0.0)
    return model


def wall_television(rng: np.random.Generator) -> Model:
    """A flat screen on a wall."""
    width = rng.uniform(0.8, 1.7)
    model = Model(main="dark", dark="dark", screen="screen")
    tall = _screen(model, width, 0.0, 0.0)
    model.add(box((0.4, 0.25, 0.03), (0, tall / 2, -0.037)), "dark")
    return model


def easel_television(rng: np.random.Generator) -> Model:
    """A flat screen on three wooden legs that reach the floor."""
    width, low = rng.uniform(0.8, 1.4), rng.uniform(0.5, 0.75)
    model = Model(main="wood", second="wood", dark="dark", screen="screen")
    tall = _screen(model, width, low, 0.02)
    for x in (-1, 1):
        model.add(tube([(x * width * 0.34, 0, 0.16), (x * width * 0.1, low + tall * 0.9, -0.03)], 0.02, 6))
    model.add(tube([(0, 0, -0.3), (0, low + tall * 0.85, -0.04)], 0.02, 6))
    model.add(box((width * 0.62, 0.04, 0.03), (0, low - 0.03, 0.045), 0.004), "second")
    return model


def pole_television(rng: np.random.Generator) -> Model:
    """A flat screen on a metal pole with a round foot."""
    width, low = rng.uniform(0.75, 1.3), rng.uniform(0.55, 0.8)
    model = Model(main="metal", dark="dark", screen="screen")
    model.add(cylinder(0.26, 0.02, (0, 0, 0), 24))
    model.add(cylinder(0.03, low + 0.2, (0, 0.01, -0.05), 10))
    _screen(model, width, low, 0.0)
    return model


def monitor(rng: np.random.Generator) -> Model:
    """A screen on a foot."""
    width = rng.uniform(0.42, 0.65)
    tall = width * rng.uniform(0.56, 0.64)
    model = Model(main="dark", screen="screen", second="metal")
    model.add(box((0.22, 0.012, 0.17), (0, 0.006, 0), 0.004), "second")
    model.add(box((0.05, 0.16, 0.03), (0, 0.08, -0.03), 0.004), "second")
    model.add(box((width, tall, 0.03), (0, 0.11 + tall / 2, 0), 0.006))
    model.add(box((width - 0.02, tall - 0.02, 0.004), (0, 0.11 + tall / 2, 0.014), 0.001), "screen")
    return model


def wide_monitor(rng: np.random.Generator) -> Model:
    """A wide screen with a thin frame on a V-shaped foot."""
    width, tall = rng.uniform(0.62, 0.95), rng.uniform(0.3, 0.38)
    model = Model(main="metal", screen="screen", dark="dark")
    for x in (-1, 1):
        model.add(tube([(0, 0.012, -0.06), (x * 0.18, 0.008, 0.1)], 0.01, 6))
    model.add(box((0.045, 0.2, 0.03), (0, 0.1, -0.05), 0.006))
    model.add(box((width, tall, 0.025), (0, 0.12 + tall / 2, -0.02), 0.004), "dark")
    model.add(box((width - 0.012, tall - 0.012, 0.004), (0, 0.122 + tall / 2, -0.007), 0.001), "screen")
    return model


def desktop_monitor(rng: np.random.Generator) -> Model:
    """An all-in-one computer: a screen with a broad light chin on a bent metal foot."""
    width = rng.uniform(0.48, 0.62)
    tall = width * 0.62
    model = Model(main="steel", screen="screen", dark="dark")
    model.add(box((0.2, 0.012, 0.18), (0, 0.006, 0), 0.004))
    model.add(box((0.18, 0.2, 0.012), (0, 0.1, -0.07), 0.004))
    model.add(box((width, tall, 0.03), (0, 0.09 + tall / 2, -0.045), 0.006))
    model.add(box((width - 0.03, tall - 0.09, 0.004), (0, 0.12 + tall / 2, -0.03), 0.001), "screen")
    return model


def laptop(rng: np.random.Generator, main: str = "steel", size: float = 1.0) -> Model:
    """An open laptop with a keyboard and a touchpad."""
    width, depth = rng.uniform(0.29, 0.4) * size, rng.uniform(0.215, 0.27) * size
    model = Model(main=main, screen="screen", dark="dark", key="metal")
    model.add(box((width, 0.016, depth), (0, 0.008, 0), 0.004))
    model.add(box((width - 0.05, 0.002, depth * 0.5), (0, 0.0165, -0.03), 0.0005), "dark")
    model.add(box((width * 0.32, 0.001, depth * 0.26), (0, 0.0165, depth * 0.33), 0.0003), "key")
    tilt = rotation_x(-rng.uniform(0.1, 0.45))
    model.add(box((width, depth - 0.01, 0.008), (0, depth / 2, 0), 0.003).turned(tilt).moved((0, 0.016, -depth / 2)))
    screen = box((width - 0.02, depth - 0.03, 0.002), (0, depth / 2, 0.0045), 0.0005).turned(tilt)
    model.add(screen.moved((0, 0.016, -depth / 2)), "screen")
    return model


def thick_laptop(rng: np.random.Generator) -> Model:
    """A dark, thick laptop with a lit keyboard and a hinge that protrudes at the back."""
    model = laptop(rng, "dark", rng.uniform(0.95, 1.2))
    low, high = model.bounds()
    width, depth = float(high[0] - low[0]), 0.24
    model.kinds["lit"] = "paper"
    model.add(box((width * 0.98, 0.02, depth + 0.03), (0, 0.01, -0.02), 0.004))
    model.add(box((width * 0.7, 0.024, 0.03), (0, 0.014, -depth / 2 - 0.02), 0.006), "key")
    for k in range(3):
        model.add(box((width - 0.08, 0.001, 0.006), (0, 0.0205, -0.07 + 0.035 * k), 0.0003), "lit")
    return model


def tablet_laptop(rng: np.random.Generator) -> Model:
    """A small tablet that leans on a kickstand, with a coloured keyboard cover in front."""
    width = rng.uniform(0.25, 0.32)
    model = Model(main="cushion", screen="screen", dark="dark", second="metal")
    depth = width * 0.76
    model.add(box((width, 0.006, depth * 0.85), (0, 0.003, depth * 0.4), 0.002))
    model.add(box((width - 0.03, 0.002, depth * 0.42), (0, 0.0065, depth * 0.3), 0.0005), "dark")
    tilt = rotation_x(-0.35)
    for size, z, slot in (
        ((width, depth, 0.008), 0.0, "dark"),
        ((width - 0.02, depth - 0.02, 0.002), 0.0045, "screen"),
    ):
        model.add(box(size, (0, depth / 2, z), 0.002).turned(tilt).moved((0, 0.004, -0.01)), slot)
    stand = box((width * 0.6, depth * 0.62, 0.004), (0, depth * 0.31, 0), 0.001).turned(rotation_x(0.55))
    model.add(stand.moved((0, 0.002, -0.17 * width / 0.27)), "second")
    return model


def raised_laptop(rng: np.random.Generator) -> Model:
    """An open laptop on a bent metal stand."""
    model, low = Model(main="steel", screen="screen", dark="dark", key="metal", second="metal"), rng.uniform(0.09, 0.13)
    for part, slot in laptop(rng).parts:
        model.add(part.moved((0, low, 0)), slot)
    for x in (-0.11, 0.11):
        path = [(x, 0.006, 0.1), (x, 0.006, -0.1), (x, low - 0.006, -0.06), (x, low - 0.006, 0.1)]
        model.add(tube(path, 0.006, 6), "second")
    model.add(box((0.24, 0.004, 0.06), (0, low - 0.002, -0.04), 0.001), "second")
    return model


def remote(rng: np.random.Generator) -> Model:
    """A remote control with buttons."""
    length = rng.uniform(0.13, 0.24)
    model = Model(main="dark", second="metal")
    model.add(soft_box((0.05, 0.02, length), (0, 0.01, 0), 0.009))
    for k in range(5):
        for x in (-0.012, 0.012):
            model.add(box((0.012, 0.003, 0.012), (x, 0.0205, (k - 2) * length * 0.15), 0.001), "second")
    return model


def slim_remote(rng: np.random.Generator) -> Model:
    """A slim light remote control with a navigation ring and a few keys."""
    length = rng.uniform(0.11, 0.19)
    model = Model(main="steel", dark="dark")
    model.add(soft_box((0.04, 0.014, length), (0, 0.007, 0), 0.006))
    model.add(cylinder(0.014, 0.003, (0, 0.013, -length * 0.28), 16), "dark")
    for k in range(3):
        model.add(cylinder(0.006, 0.003, (0, 0.013, length * (0.0 + 0.13 * k)), 8), "dark")
    return model
