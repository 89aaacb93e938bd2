"""Fans and radiators."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, raised_panel, revolve, rotation_x, rotation_z, soft_box, tube


def fan(rng: np.random.Generator) -> Model:
    """A standing fan: foot, pole, a cage with blades."""
    height = rng.uniform(0.8, 1.3)
    model = Model(main="plastic", second="metal", dark="dark")
    model.add(revolve([(0, 0), (0.2, 0), (0.2, 0.02), (0.04, 0.05), (0, 0.05)], 24))
    model.add(cylinder(0.018, height - 0.1, (0, 0.04, 0), 10), "second")
    model.add(cylinder(0.06, 0.14, (0, 0, 0), 16).turned(rotation_x(math.pi / 2)).moved((0, height, -0.12)))
    for k in range(4):
        angle = k * math.pi / 2 + 0.3
        blade = soft_box((0.1, 0.15, 0.012), (0, 0.1, 0), 0.005).turned(
            np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
        )
        model.add(blade.moved((0, height, 0.06)), "dark")
    ring = np.linspace(0, 2 * math.pi, 29)
    for radius, z in ((0.2, 0.06), (0.14, 0.1), (0.14, 0.02), (0.06, 0.115)):
        path = [(radius * math.sin(a), height + radius * math.cos(a), z) for a in ring]
        model.add(tube(path, 0.005, 5), "second")
    for k in range(12):
        a = k * math.pi / 6
        x, y = math.sin(a), math.cos(a)
        spoke = [(x * r, height + y * r, z) for r, z in ((0.02, 0.12), (0.14, 0.1), (0.2, 0.06), (0.14, 0.02))]
        model.add(tube(spoke, 0.003, 4), "second")
    return model


def tower_fan(rng: np.random.Generator) -> Model:
    """A slim column with slats on a round foot."""
    height, radius = rng.uniform(0.7, 1.15), rng.uniform(0.065, 0.1)
    model = Model(main="plastic", second="metal", dark="dark")
    model.add(cylinder(radius * 1.9, 0.03, (0, 0, 0), 24, radius * 1.7), "second")
    outline = [(0, 0.03), (radius * 0.9, 0.03), (radius, height - 0.04), (radius * 0.8, height), (0, height)]
    model.add(revolve(outline, 20))
    model.add(box((radius * 1.2, height * 0.68, 0.02), (0, height * 0.48, radius * 0.84), 0.006), "dark")
    for x in np.linspace(-radius * 0.45, radius * 0.45, 4):
        model.add(box((0.006, height * 0.66, 0.01), (float(x), height * 0.48, radius * 0.84 + 0.012), 0.002))
    model.add(box((0.05, 0.03, 0.006), (0, height - 0.09, radius * 0.98), 0.002), "dark")
    return model


def radiator(rng: np.random.Generator, width_m: float = 0.0) -> Model:
    """A ribbed panel with a valve, on two feet."""
    width, height = width_m or rng.uniform(0.5, 1.6), rng.uniform(0.45, 0.65)
    model = Model(main="enamel", detail="metal")
    ribs = max(4, round(width / 0.08))
    for k in range(ribs):
        x = -width / 2 + width / ribs * (k + 0.5)
        model.add(box((width / ribs - 0.016, height - 0.1, 0.075), (x, height / 2 + 0.05, 0), 0.02))
    for y in (0.16, height - 0.06):
        model.add(box((width - 0.02, 0.035, 0.05), (0, y, 0), 0.01))
    for x in (-1, 1):
        model.add(box((0.03, 0.12, 0.05), (x * (width / 2 - 0.12), 0.06, 0)), "detail")
    return model


def panel_radiator(rng: np.random.Generator, width_m: float = 0.0) -> Model:
    """A flat plate with shallow ribs and a grille on top, on two feet."""
    width, height = width_m or rng.uniform(0.5, 1.6), rng.uniform(0.45, 0.65)
    model = Model(main="enamel", detail="metal", dark="dark")
    model.add(box((width, height - 0.1, 0.07), (0, height / 2 + 0.05, 0), 0.006))
    count = max(4, round(width / 0.12))
    for k in range(count):
        x = -width / 2 + width / count * (k + 0.5)
        model.add(raised_panel(width / count - 0.02, height - 0.16, (x, height / 2 + 0.05, 0.035), 0.01, 0.02))
    model.add(box((width - 0.06, 0.004, 0.04), (0, height, 0), 0.001), "dark")
    valve = cylinder(0.02, 0.06, (0, 0, 0), 10).turned(rotation_z(math.pi / 2))
    model.add(valve.moved((width / 2 - 0.01, 0.17, 0.0)), "detail")
    for x in (-1, 1):
        model.add(box((0.03, 0.12, 0.05), (x * (width / 2 - 0.12), 0.06, 0)), "detail")
    return model
