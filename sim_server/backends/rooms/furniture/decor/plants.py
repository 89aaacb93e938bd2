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


def _leaf_widths(t: np.ndarray, half_m: float, sharpness: float = 1.0) -> np.ndarray:
    """Half widths of a leaf along its spine: pointed at both ends."""
    return half_m * np.sin(math.pi * np.clip(t * 0.93 + 0.05, 0, 1)) ** sharpness


def leafy_plant(rng: np.random.Generator) -> Model:
    """A pot with long leaves that fan out."""
    model = Model(main="leaf", second="clay", soil="soil")
    size = rng.uniform(0.5, 1.35)
    pot, low = rng.uniform(0.13, 0.19) * size**0.5, rng.uniform(0.2, 0.32) * size**0.5
    _pot(model, pot, low, "second")
    count, steps = int(rng.integers(22, 34)), 6
    turn = np.arange(count) * 2.399963 + rng.uniform(0, 6.28)
    rise = rng.uniform(0.5, 1.45, count)
    reach = rng.uniform(0.55, 0.95, count) * size
    t = np.linspace(0, 1, steps)
    out = reach[:, None] * (t * np.cos(rise)[:, None] + 0.18 * t**2)
    up = low * 0.9 + reach[:, None] * (t * np.sin(rise)[:, None] - 0.2 * t**2)
    spines = np.stack([out * np.sin(turn)[:, None], up, out * np.cos(turn)[:, None]], -1)
    sides = np.stack([np.cos(turn), np.zeros(count), -np.sin(turn)], 1)
    model.add(blades(spines, sides, _leaf_widths(t, 0.055 * size**0.5, 0.7)))
    return model


def bush_plant(rng: np.random.Generator) -> Model:
    """A pot with a trunk and a round crown of leaves."""
    model = Model(main="leaf", second="clay", soil="soil", trunk="wood")
    pot, low = rng.uniform(0.14, 0.2), rng.uniform(0.2, 0.32)
    _pot(model, pot, low, "second")
    centre, crown = rng.uniform(0.55, 1.4), rng.uniform(0.22, 0.36)
    model.add(tube([(0, low * 0.8, 0), (0.02, centre * 0.6, 0.01), (0, centre, 0)], 0.022, 6), "trunk")
    count, steps = 100, 4
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


def snake_plant(rng: np.random.Generator) -> Model:
    """Stiff upright leaves in a straight pot."""
    model = Model(main="leaf", second="clay", soil="soil")
    pot, low, tall = rng.uniform(0.1, 0.17), rng.uniform(0.14, 0.28), rng.uniform(0.3, 0.95)
    model.add(cylinder(pot, low, sections=18), "second")
    model.add(revolve([(pot * 0.9, low + 0.002), (0, low + 0.004)], 14), "soil")
    count, steps = int(rng.integers(8, 14)), 5
    turn = np.arange(count) * 2.399963 + rng.uniform(0, 6.28)
    base = pot * 0.6 * np.sqrt(np.arange(count) / count)
    reach, t = tall * rng.uniform(0.6, 1.0, count), np.linspace(0, 1, steps)
    out = base[:, None] + reach[:, None] * 0.14 * t**2
    spines = np.stack([out * np.sin(turn)[:, None], low + reach[:, None] * t, out * np.cos(turn)[:, None]], -1)
    sides = np.stack([np.cos(turn + 0.5), np.zeros(count), -np.sin(turn + 0.5)], 1)
    model.add(blades(spines, sides, 0.035 * (1 - t**3) + 0.003))
    return model


def palm(rng: np.random.Generator) -> Model:
    """A ringed trunk with drooping fronds of narrow leaflets."""
    model = Model(main="leaf", second="wicker", soil="soil", trunk="wood")
    pot, low = rng.uniform(0.15, 0.21), rng.uniform(0.22, 0.34)
    model.add(cylinder(pot * 0.85, low, sections=20, top_radius_m=pot), "second")
    model.add(revolve([(pot * 0.92, low + 0.002), (0, low + 0.004)], 14), "soil")
    crown, fronds = rng.uniform(0.6, 1.5), int(rng.integers(8, 12))
    model.add(tube([(0, low, 0), (0.03, (low + crown) / 2, 0.02), (0, crown, 0)], 0.026, 7), "trunk")
    leaflets, steps = 9, 3
    spines, sides = [], []
    t = np.linspace(0, 1, steps)
    for k in range(fronds):
        turn, reach, rise = k * 2.399963 + rng.normal(0, 0.2), rng.uniform(0.45, 0.62), rng.uniform(0.4, 1.3)
        ahead, across = np.array([math.sin(turn), 0, math.cos(turn)]), np.array([math.cos(turn), 0, -math.sin(turn)])
        along = np.linspace(0.25, 1.0, leaflets)
        stem = along[:, None] * reach * math.cos(rise) * ahead
        stem[:, 1] += crown + reach * (along * math.sin(rise) - 0.45 * along**2)
        for side in (-1, 1):
            length = 0.2 * (1.15 - along)[:, None, None]
            away = ahead * 0.6 + side * across * 0.8 - np.array([0, 0.25, 0])
            spines.append(stem[:, None] + length * t[None, :, None] * away)
            sides.append(np.tile(ahead * 0.8 - side * across * 0.6, (leaflets, 1)))
        path = np.stack([np.array([0, crown, 0]), stem[leaflets // 2], stem[-1]])
        model.add(tube(path.tolist(), 0.006, 4))
    model.add(blades(np.concatenate(spines), np.concatenate(sides), _leaf_widths(t, 0.026)))
    return model


def fiddle_fig(rng: np.random.Generator) -> Model:
    """A few thin stems with large oval leaves from the ground up."""
    model = Model(main="leaf", second="ceramic", soil="soil", trunk="wood")
    pot, low, tall = rng.uniform(0.12, 0.19), rng.uniform(0.2, 0.36), rng.uniform(0.5, 1.6)
    model.add(cylinder(pot, low, sections=20, top_radius_m=pot * 0.9), "second")
    model.add(revolve([(pot * 0.82, low + 0.002), (0, low + 0.004)], 14), "soil")
    count, t = max(10, int(tall * 24)), np.linspace(0, 1, 5)
    model.add(tube([(0, low, 0), (0.02, low + tall / 2, 0), (0, low + tall, 0.02)], 0.013, 6), "trunk")
    turn = np.arange(count) * 2.399963
    height = low + tall * (0.15 + 0.85 * np.arange(count) / count)
    reach, rise = rng.uniform(0.2, 0.32, count), rng.uniform(0.1, 0.9, count)
    out = reach[:, None] * t * np.cos(rise)[:, None]
    up = height[:, None] + reach[:, None] * (t * np.sin(rise)[:, None] - 0.35 * t**2)
    spines = np.stack([out * np.sin(turn)[:, None], up, out * np.cos(turn)[:, None]], -1)
    sides = np.stack([np.cos(turn), np.zeros(count), -np.sin(turn)], 1)
    model.add(blades(spines, sides, 0.075 * np.sin(math.pi * np.clip(t * 0.95 + 0.03, 0, 1)) ** 0.6))
    return model


def cactus(rng: np.random.Generator) -> Model:
    """A cactus with one or two arms in a pot."""
    model = Model(main="leaf", second="clay", soil="soil")
    pot, low, height = rng.uniform(0.05, 0.08), rng.uniform(0.07, 0.12), rng.uniform(0.1, 0.26)
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
