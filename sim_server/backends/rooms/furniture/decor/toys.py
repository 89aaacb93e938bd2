"""Balls, teddy bears and toy cars."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, rotation_x, rotation_z, soft_box, sphere


def ball(rng: np.random.Generator) -> Model:
    """A play or gymnastics ball."""
    radius = rng.uniform(0.14, 0.35)
    model = Model(main="rubber")
    model.add(sphere(radius, (0, radius, 0), 28))
    return model


def panelled_ball(rng: np.random.Generator) -> Model:
    """A ball of eight segments in alternating colours."""
    radius = rng.uniform(0.14, 0.3)
    model = Model(main="rubber", second="linen")
    globe = sphere(radius, (0, radius, 0), 32)
    middle = globe.positions[globe.faces].mean(1)
    segment = np.floor(np.arctan2(middle[:, 0], middle[:, 2]) / (math.pi / 4)).astype(int) % 2
    for k, slot in enumerate(("main", "second")):
        model.add(globe._replace(faces=globe.faces[segment == k]), slot)
    return model


def banded_ball(rng: np.random.Generator) -> Model:
    """A ball with a light band around it."""
    radius, half = rng.uniform(0.14, 0.32), rng.uniform(0.12, 0.25)
    model = Model(main="rubber", second="linen")
    globe = sphere(radius, (0, 0, 0), 28)
    height = np.abs(globe.positions[globe.faces].mean(1)[:, 1]) / radius
    tilt = rotation_x(rng.uniform(0, math.pi))
    for slot, chosen in (("second", height < half), ("main", height >= half)):
        model.add(globe._replace(faces=globe.faces[chosen]).turned(tilt).moved((0, radius, 0)), slot)
    return model


def teddy_bear(rng: np.random.Generator) -> Model:
    """A sitting bear."""
    size = rng.uniform(1.05, 1.5)
    model = Model(main="plush", second="linen", dark="dark")

    def ball(radius: float, at: tuple[float, float, float], slot: str = "main", squash: float = 1.0) -> None:
        model.add(sphere(radius * size, (at[0] * size, at[1] * size, at[2] * size), 14, squash), slot)

    ball(0.085, (0, 0.095, 0), squash=1.12)
    ball(0.07, (0, 0.24, 0.01))
    ball(0.032, (0, 0.228, 0.066), "second")
    ball(0.011, (0, 0.238, 0.096), "dark")
    for x in (-1, 1):
        ball(0.028, (x * 0.052, 0.3, 0))
        ball(0.009, (x * 0.026, 0.262, 0.07), "dark")
        ball(0.036, (x * 0.088, 0.145, 0.03), squash=1.4)
        ball(0.045, (x * 0.062, 0.045, 0.085))
        ball(0.03, (x * 0.062, 0.048, 0.112), "second")
    return model


def dressed_bear(rng: np.random.Generator) -> Model:
    """A standing bear with a pullover and a bow at one ear."""
    size = rng.uniform(1.0, 1.3)
    model = Model(main="plush", second="cushion", third="linen", dark="dark")

    def ball(radius: float, at: tuple[float, float, float], slot: str = "main", squash: float = 1.0) -> None:
        model.add(sphere(radius * size, (at[0] * size, at[1] * size, at[2] * size), 14, squash), slot)

    ball(0.075, (0, 0.15, 0), "second", 1.15)
    ball(0.064, (0, 0.285, 0.006))
    ball(0.028, (0, 0.272, 0.058), "third")
    ball(0.01, (0, 0.282, 0.084), "dark")
    for x in (-1, 1):
        ball(0.036, (x * 0.04, 0.056, 0.0), squash=1.55)
        ball(0.034, (x * 0.042, 0.026, 0.022), squash=0.75)
        ball(0.026, (x * 0.05, 0.34, 0))
        ball(0.008, (x * 0.024, 0.305, 0.056), "dark")
        ball(0.03, (x * 0.085, 0.165, 0.015), "second", 1.7)
        ball(0.013, (0.05 + x * 0.016, 0.362, 0.012), "third")
    return model


def _wheels(model: Model, half_m: float, radius: float, at: tuple[float, ...]) -> None:
    for z in at:
        for x in (-1, 1):
            wheel = cylinder(radius, 0.02, (0, 0, 0), 12).turned(rotation_z(-math.pi / 2))
            model.add(wheel.moved((x * half_m - 0.01, radius, z)), "dark")


def toy_car(rng: np.random.Generator) -> Model:
    """A small car with a cabin and four wheels."""
    model = Model(main="rubber", second="glass", dark="dark")
    length = rng.uniform(0.16, 0.26)
    model.add(soft_box((0.1, 0.045, length), (0, 0.045, 0), 0.018))
    model.add(soft_box((0.086, 0.05, length * 0.5), (0, 0.08, -0.01), 0.02), "second")
    model.add(soft_box((0.078, 0.012, length * 0.36), (0, 0.105, -0.01), 0.005))
    _wheels(model, 0.048, 0.026, (-length * 0.3, length * 0.3))
    return model


def toy_truck(rng: np.random.Generator) -> Model:
    """A truck with a cab and an open bed."""
    model = Model(main="rubber", second="plastic", dark="dark")
    length = rng.uniform(0.24, 0.36)
    model.add(soft_box((0.12, 0.13, length * 0.3), (0, 0.105, length * 0.33), 0.02))
    model.add(box((0.1, 0.04, 0.004), (0, 0.13, length * 0.48), 0.001), "dark")
    model.add(box((0.12, 0.02, length * 0.66), (0, 0.06, -length * 0.16), 0.004), "second")
    for x in (-1, 1):
        model.add(box((0.008, 0.06, length * 0.64), (x * 0.056, 0.095, -length * 0.16), 0.003), "second")
    model.add(box((0.12, 0.06, 0.008), (0, 0.095, -length * 0.48), 0.003), "second")
    _wheels(model, 0.056, 0.034, (-length * 0.32, -length * 0.08, length * 0.34))
    return model
