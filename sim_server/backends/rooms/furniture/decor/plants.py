"""Potted plants and cacti."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import blades, box, cylinder, revolve, sphere, tube


def _pot(model: Model, radius: float, height: float, slot: str) -> None:
    outline = [(0, 0), (radius * 0.72, 0), (radius, height), (radius * 0.9, height), (radius * 0.88, height * 0.9)]
    model.add(revolve(outline, 20), slot)
    model.add(revolve([(radius * 0.9, height * 0.9), (0, height * 0.91)], 16), "soil")


def leafy_plant(rng: np.random.Generator) -> Model:
    """A pot with long leaves that fan out."""
    model = Model(main="leaf", second="clay", soil="soil")
    pot, low = rng.uniform(0.15, 0.2), rng.uniform(0.24, 0.32)
    _pot(model, pot, low, "second")
    count, steps = int(rng.integers(26, 38)), 6
    turn = np.arange(count) * 2.399963 + rng.uniform(0, 6.28)
    rise = rng.uniform(0.5, 1.45, count)
    reach = rng.uniform(0.55, 0.95, count)
    t = np.linspace(0, 1, steps)
    out = reach[:, None] * (t * np.cos(rise)[:, None] + 0.18 * t**2)
    up = low * 0.9 + reach[:, None] * (t * np.sin(rise)[:, None] - 0.2 * t**2)
    spines = np.stack([out * np.sin(turn)[:, None], up, out * np.cos(turn)[:, None]], -1)
    sides = np.stack([np.cos(turn), np.zeros(count), -np.sin(turn)], 1)
    model.add(blades(spines, sides, 0.055 * np.sin(math.pi * np.clip(t * 0.93 + 0.05, 0, 1)) ** 0.7))
    return model


def bush_plant(rng: np.random.Generator) -> Model:
    """A pot with a trunk and a round crown of leaves."""
    model = Model(main="leaf", second="clay", soil="soil", trunk="wood")
    pot, low = rng.uniform(0.15, 0.19), rng.uniform(0.24, 0.3)
    _pot(model, pot, low, "second")
    centre, crown = rng.uniform(0.8, 1.05), rng.uniform(0.26, 0.34)
    model.add(tube([(0, low * 0.8, 0), (0.02, centre * 0.6, 0.01), (0, centre, 0)], 0.022, 6), "trunk")
    count, steps = 110, 4
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    side = np.cross(direction, rng.normal(size=(count, 3)))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    t = np.linspace(0, 1, steps)
    start = np.array([0, centre, 0]) + direction * crown * 0.35
    spines = start[:, None] + direction[:, None] * (t * crown * 0.75)[None, :, None]
    spines[..., 1] -= 0.05 * t**2
    model.add(blades(spines, side, 0.05 * np.sin(math.pi * np.clip(t * 0.9 + 0.08, 0, 1))))
    return model


def cactus(rng: np.random.Generator) -> Model:
    """A cactus with one or two arms in a pot."""
    model = Model(main="leaf", second="clay", soil="soil")
    pot, low, height = rng.uniform(0.06, 0.08), rng.uniform(0.09, 0.12), rng.uniform(0.16, 0.26)
    model.add(revolve([(0, 0), (pot * 0.75, 0), (pot, low), (pot * 0.88, low), (pot * 0.86, low * 0.92)], 18), "second")
    model.add(revolve([(pot * 0.88, low * 0.92), (0, low * 0.93)], 14), "soil")
    stem = pot * 0.5
    model.add(cylinder(stem, height, (0, low * 0.9, 0), 12))
    model.add(sphere(stem, (0, low * 0.9 + height, 0), 12))
    for side in (-1, 1)[: int(rng.integers(1, 3))]:
        y = low + height * rng.uniform(0.3, 0.5)
        arm = [
            (0, y, 0),
            (side * pot * 0.95, y + 0.01, 0),
            (side * pot * 1.05, y + 0.03, 0),
            (side * pot * 1.05, y + 0.09, 0),
        ]
        model.add(tube(arm, stem * 0.45, 8))
        model.add(sphere(stem * 0.45, (side * pot * 1.05, y + 0.09, 0), 10))
    return model


def round_cactus(rng: np.random.Generator) -> Model:
    """A ribbed ball with a flower in a low square pot."""
    radius, pot = rng.uniform(0.055, 0.075), rng.uniform(0.12, 0.15)
    model = Model(main="leaf", second="clay", soil="soil", bloom="fruit")
    low = pot * 0.55
    model.add(box((pot, low, pot), (0, low / 2, 0), 0.008), "second")
    model.add(box((pot - 0.02, 0.004, pot - 0.02), (0, low, 0), 0.001), "soil")
    y = low + radius * 0.75
    globe = sphere(radius, (0, 0, 0), 32)
    angle = np.arctan2(globe.positions[:, 0], globe.positions[:, 2])
    ribs = (1 + 0.07 * np.cos(8 * angle)).astype(np.float32)
    model.add(
        globe._replace(positions=globe.positions * np.stack([ribs, np.ones_like(ribs), ribs], 1)).moved((0, y, 0))
    )
    model.add(sphere(0.018, (0.01, y + radius, 0), 10, 0.7), "bloom")
    return model
