"""Second shapes of what stands in halls, nurseries, music corners and beside beds."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import (
    box,
    cylinder,
    raised_panel,
    revolve,
    rotation_x,
    rotation_z,
    soft_box,
    tube,
)


def clothes_rail(rng: np.random.Generator) -> Model:
    """A rail between two posts with coats on hangers."""
    width, height = rng.uniform(0.7, 0.9), rng.uniform(1.5, 1.65)
    model = Model(main="metal", coat="coat", other="curtain", second="wood")
    for x in (-1, 1):
        at = x * width / 2
        model.add(cylinder(0.014, height, (at, 0, 0), 8))
        model.add(tube([(at, 0.014, -0.2), (at, 0.014, 0.2)], 0.014, 8))
    model.add(tube([(-width / 2 - 0.03, height, 0), (width / 2 + 0.03, height, 0)], 0.014, 8))
    count = int(rng.integers(3, 6))
    for k in range(count):
        x, long = (k - (count - 1) / 2) * width * 0.16, rng.uniform(0.55, 0.85)
        outline = [(0.0, 0.0), (0.2, 0.0), (0.19, long - 0.14), (0.15, long - 0.04), (0.03, long), (0.0, long)]
        cloth = revolve(outline, 12)
        flat = cloth._replace(positions=cloth.positions * np.array([0.2, 1, 1], np.float32))
        model.add(flat.moved((x, height - 0.07 - long, 0)), "coat" if k % 2 else "other")
        model.add(tube([(x, height - 0.08, 0), (x, height + 0.01, 0)], 0.004, 5))
    model.add(box((width - 0.02, 0.02, 0.3), (0, 0.12, 0), 0.004), "second")
    return model


def shoe_cabinet(rng: np.random.Generator) -> Model:
    """A slim closed cabinet with two or three flaps."""
    width, depth, flaps = rng.uniform(0.6, 0.85), rng.uniform(0.22, 0.28), int(rng.integers(2, 4))
    height = 0.06 + 0.38 * flaps
    model = Model(main="wood", second="lacquer", detail="metal")
    model.add(box((width, height - 0.05, depth), (0, height / 2 + 0.025, 0)))
    for x in (-1, 1):
        model.add(box((0.04, 0.06, depth - 0.04), (x * (width / 2 - 0.05), 0.03, 0)), "detail")
    for k in range(flaps):
        y = 0.06 + 0.37 * (k + 0.5)
        model.add(box((width - 0.03, 0.35, 0.018), (0, y, depth / 2 + 0.006), 0.004), "second")
        model.add(
            cylinder(0.014, 0.022, (0, 0, 0), 10)
            .turned(rotation_x(math.pi / 2))
            .moved((0, y + 0.12, depth / 2 + 0.012)),
            "detail",
        )
    model.surface(height, width, depth, 0.4)
    return model


def digital_piano(rng: np.random.Generator) -> Model:
    """A slim keyboard with a music rest on a cross of legs, pedals below."""
    width, height, depth = rng.uniform(1.28, 1.4), rng.uniform(0.74, 0.78), rng.uniform(0.32, 0.38)
    model = Model(main="piano", paper="paper", dark="screen", detail="brass")
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


def tower_fan(rng: np.random.Generator) -> Model:
    """A slim column with slats on a round foot."""
    height, radius = rng.uniform(0.85, 1.05), rng.uniform(0.075, 0.09)
    model = Model(main="plastic", second="metal", dark="dark")
    model.add(cylinder(radius * 1.9, 0.03, (0, 0, 0), 24, radius * 1.7), "second")
    outline = [(0, 0.03), (radius * 0.9, 0.03), (radius, height - 0.04), (radius * 0.8, height), (0, height)]
    model.add(revolve(outline, 20))
    model.add(box((radius * 1.2, height * 0.68, 0.02), (0, height * 0.48, radius * 0.84), 0.006), "dark")
    for x in np.linspace(-radius * 0.45, radius * 0.45, 4):
        model.add(box((0.006, height * 0.66, 0.01), (float(x), height * 0.48, radius * 0.84 + 0.012), 0.002))
    model.add(box((0.05, 0.03, 0.006), (0, height - 0.09, radius * 0.98), 0.002), "dark")
    return model


def panel_crib(rng: np.random.Generator) -> Model:
    """A cot with closed ends and bars on its long sides only."""
    width, depth, height = rng.uniform(1.2, 1.35), rng.uniform(0.66, 0.72), rng.uniform(0.85, 0.95)
    model = Model(main="lacquer", linen="linen", second="fabric", bar="wood")
    for x in (-1, 1):
        model.add(soft_box((0.04, height - 0.06, depth), (x * (width / 2 - 0.02), height / 2 + 0.03, 0), 0.018))
        for z in (-1, 1):
            model.add(cylinder(0.02, 0.07, (x * (width / 2 - 0.02), 0, z * (depth / 2 - 0.06)), 10), "bar")
    for z in (-1, 1):
        for y in (0.2, height * 0.86):
            model.add(box((width - 0.06, 0.05, 0.028), (0, y, z * (depth / 2 - 0.02)), 0.005), "bar")
        for x in np.linspace(-width / 2 + 0.12, width / 2 - 0.12, 10):
            model.add(cylinder(0.01, height * 0.86 - 0.2, (float(x), 0.2, z * (depth / 2 - 0.02)), 6), "bar")
    model.add(soft_box((width - 0.09, 0.12, depth - 0.07), (0, 0.3, 0), 0.03), "linen")
    model.add(soft_box((0.34, 0.07, depth - 0.2), (-width / 2 + 0.26, 0.37, 0), 0.03), "linen")
    model.add(soft_box((width * 0.45, 0.04, depth - 0.06), (width * 0.18, 0.36, 0), 0.018), "second")
    return model


def bolster_bed(rng: np.random.Generator) -> Model:
    """A rectangular dog bed with bolsters on three sides."""
    width, depth = rng.uniform(0.72, 0.95), rng.uniform(0.54, 0.68)
    model = Model(main="fabric", second="linen")
    model.add(soft_box((width - 0.08, 0.11, depth - 0.06), (0, 0.055, 0.02), 0.045, 2, 0.02), "second")
    model.add(soft_box((width, 0.2, 0.16), (0, 0.1, -depth / 2 + 0.08), 0.075))
    for x in (-1, 1):
        model.add(soft_box((0.15, 0.17, depth - 0.04), (x * (width / 2 - 0.075), 0.085, 0.02), 0.07))
    return model


def laundry_bag(rng: np.random.Generator) -> Model:
    """A round cloth bag with rope handles."""
    radius, height = rng.uniform(0.18, 0.22), rng.uniform(0.5, 0.64)
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


def square_basket(rng: np.random.Generator) -> Model:
    """A woven box with cut-out handles."""
    width, depth, height = rng.uniform(0.36, 0.46), rng.uniform(0.28, 0.34), rng.uniform(0.24, 0.34)
    model = Model(main="wicker", second="wicker", dark="dark")
    wall = 0.022
    for x in (-1, 1):
        model.add(box((wall, height, depth), (x * (width - wall) / 2, height / 2, 0), 0.006))
        model.add(box((0.006, 0.035, 0.11), (x * (width / 2 + 0.0), height - 0.07, 0), 0.002), "dark")
    for z in (-1, 1):
        model.add(box((width - 2 * wall, height, wall), (0, height / 2, z * (depth - wall) / 2), 0.006))
        model.add(box((width + 0.01, 0.035, wall + 0.012), (0, height - 0.012, z * (depth - wall) / 2), 0.01), "second")
    for x in (-1, 1):
        model.add(box((wall + 0.012, 0.035, depth), (x * (width - wall) / 2, height - 0.012, 0), 0.01), "second")
    model.add(box((width - 0.02, 0.02, depth - 0.02), (0, 0.012, 0), 0.003))
    return model


def panel_radiator(rng: np.random.Generator, width_m: float = 0.0) -> Model:
    """A flat plate with shallow ribs and a grille on top, on two feet."""
    width, height = width_m or rng.uniform(0.7, 1.3), rng.uniform(0.5, 0.6)
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
