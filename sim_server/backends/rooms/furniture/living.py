"""Rugs, ottomans, pianos, guitars, fans, and what stands in halls and nurseries."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, soft_box, sphere, tube

RUG_M = 0.012  # thickness


def rug(rng: np.random.Generator, width_m: float = 0.0, depth_m: float = 0.0) -> Model:
    """A rectangular rug: plain, with a border, or striped."""
    width, depth = width_m or rng.uniform(1.6, 2.4), depth_m or rng.uniform(1.1, 1.7)
    model = Model(main="rug", second="rug_trim")
    style = int(rng.integers(3))
    if style == 0:
        model.add(box((width, RUG_M, depth), (0, RUG_M / 2, 0), 0.004))
        for x in (-1, 1):
            model.add(box((0.03, 0.006, depth - 0.02), (x * (width / 2 + 0.012), 0.003, 0), 0.002), "second")
    elif style == 1:
        model.add(box((width, RUG_M - 0.001, depth), (0, (RUG_M - 0.001) / 2, 0), 0.004), "second")
        model.add(box((width - 0.24, RUG_M, depth - 0.24), (0, RUG_M / 2, 0), 0.002))
    else:
        count = int(rng.integers(5, 9))
        for k in range(count):
            x = -width / 2 + width / count * (k + 0.5)
            model.add(box((width / count, RUG_M, depth), (x, RUG_M / 2, 0), 0.001), "main" if k % 2 else "second")
    return model


def round_rug(rng: np.random.Generator) -> Model:
    radius = rng.uniform(0.65, 1.0)
    model = Model(main="rug", second="rug_trim")
    model.add(cylinder(radius, RUG_M - 0.002, (0, 0, 0), 40), "second")
    model.add(cylinder(radius * 0.86, RUG_M, (0, 0, 0), 40))
    return model


def ottoman(rng: np.random.Generator) -> Model:
    """An upholstered cube or a round pouffe."""
    height = rng.uniform(0.38, 0.45)
    model = Model(main="fabric", second="wood")
    if rng.random() < 0.5:
        width, depth = rng.uniform(0.5, 0.8), rng.uniform(0.46, 0.56)
        for x in (-1, 1):
            for z in (-1, 1):
                model.add(cylinder(0.02, 0.1, (x * (width / 2 - 0.07), 0, z * (depth / 2 - 0.07)), 8, 0.028), "second")
        model.add(soft_box((width, height - 0.1, depth), (0, height / 2 + 0.05, 0), 0.05, 3, 0.02))
    else:
        radius = rng.uniform(0.24, 0.3)
        outline = [(0, 0), (radius * 0.9, 0.0), (radius, 0.06), (radius, height - 0.07), (radius * 0.88, height - 0.01)]
        model.add(revolve([*outline, (0, height)], 26))
        model.add(
            revolve(
                [(radius + 0.003, height * 0.48), (radius + 0.006, height * 0.5), (radius + 0.003, height * 0.52)], 26
            ),
            "second",
        )
    model.surface(float(model.bounds()[1][1]), 0.4, 0.4, 0.4)
    return model


def coat_rack(rng: np.random.Generator) -> Model:
    """A pole with hooks, and a coat on one of them."""
    height = rng.uniform(1.65, 1.85)
    model = Model(main="wood", coat="coat", second="wood")
    model.add(cylinder(0.022, height, (0, 0, 0), 10))
    for k in range(4):
        angle = math.pi / 2 * k + 0.4
        x, z = math.sin(angle), math.cos(angle)
        model.add(tube([(0, 0.2, 0), (x * 0.24, 0.0, z * 0.24)], 0.018, 8))
        model.add(
            tube(
                [(0, height - 0.12, 0), (x * 0.1, height - 0.13, z * 0.1), (x * 0.15, height - 0.05, z * 0.15)],
                0.011,
                6,
            )
        )
    model.add(sphere(0.035, (0, height, 0), 12))
    for k in range(int(rng.integers(1, 3))):
        side = 1 - 2 * k
        outline = [(0.0, 0.0), (0.17, 0.0), (0.15, 0.5), (0.11, 0.72), (0.03, 0.8), (0.0, 0.8)]
        cloth = revolve(outline, 14)
        flat = cloth._replace(positions=cloth.positions * np.array([0.55, 1, 1], np.float32))
        model.add(flat.moved((side * 0.12, height - 0.9, 0.04)), "coat")
    return model


def shoe_rack(rng: np.random.Generator) -> Model:
    """A low open rack with two shelves and pairs of shoes."""
    width, depth, height = rng.uniform(0.65, 0.95), 0.3, rng.uniform(0.42, 0.52)
    model = Model(main="wood", shoe_a="dark", shoe_b="coat")
    for x in (-1, 1):
        model.add(box((0.025, height, depth), (x * (width - 0.025) / 2, height / 2, 0), 0.004))
    levels = (0.07, height * 0.53, height - 0.012)
    for y in levels:
        model.add(box((width - 0.05, 0.02, depth), (0, y, 0), 0.003))
    for y in levels[:2]:
        for pair in np.arange(-width / 2 + 0.16, width / 2 - 0.14, 0.26).tolist():
            if rng.random() < 0.75:
                slot = "shoe_a" if rng.random() < 0.5 else "shoe_b"
                for x in (-0.05, 0.05):
                    model.add(soft_box((0.085, 0.07, 0.26), (pair + x, y + 0.045, 0), 0.03), slot)
                    model.add(soft_box((0.08, 0.1, 0.11), (pair + x, y + 0.075, -0.07), 0.03), slot)
    model.surface(height, width, depth, 0.4)
    return model


def piano(rng: np.random.Generator) -> Model:
    """An upright piano with its keyboard open."""
    width, height = rng.uniform(1.42, 1.52), rng.uniform(1.1, 1.25)
    model = Model(main="piano", paper="paper", dark="screen", detail="brass")
    model.add(box((width, height, 0.36), (0, height / 2, -0.12), 0.01))
    model.add(box((width + 0.03, 0.03, 0.4), (0, height, -0.11), 0.008))
    model.add(box((width, 0.09, 0.28), (0, 0.64, 0.16), 0.01))
    for x in (-1, 1):
        model.add(box((0.06, 0.16, 0.28), (x * (width / 2 - 0.03), 0.7, 0.16), 0.01))
        model.add(box((0.07, 0.6, 0.07), (x * (width / 2 - 0.05), 0.3, 0.25), 0.008))
    model.add(box((width - 0.14, 0.02, 0.15), (0, 0.69, 0.21), 0.002), "paper")
    keys = 36
    for k in range(keys):
        if k % 7 not in (2, 6):
            x = (k - (keys - 1) / 2 + 0.5) * (width - 0.14) / keys
            model.add(box((0.014, 0.016, 0.09), (x, 0.708, 0.18), 0.001), "dark")
    model.add(box((width * 0.5, 0.22, 0.015), (0, 0.86, 0.075), 0.003))
    for x in (-0.08, 0.0, 0.08):
        model.add(box((0.03, 0.012, 0.12), (x, 0.06, 0.1), 0.004), "detail")
    model.surface(height + 0.015, width, 0.34, 0.4, -0.11)
    return model


def guitar(rng: np.random.Generator) -> Model:
    """An acoustic guitar that leans in a stand."""
    model = Model(main="wood", second="dark", detail="brass")
    lower, upper = rng.uniform(0.18, 0.2), rng.uniform(0.135, 0.15)
    body = []
    for r, y in ((lower, 0.19), (upper, 0.42)):
        disc = revolve([(0, 0), (r - 0.008, 0), (r, 0.008), (r, 0.092), (r - 0.008, 0.1), (0, 0.1)], 28)
        body.append(disc.turned(rotation_x(math.pi / 2)).moved((0, y, -0.05)))
    body.append(box((0.2, 0.16, 0.098), (0, 0.32, 0), 0.01))
    lean = rotation_x(-0.22)
    for part in body:
        model.add(part.turned(lean).moved((0, 0.08, 0.08)))
    hole = cylinder(0.048, 0.002, (0, 0, 0), 20).turned(rotation_x(math.pi / 2)).moved((0, 0.36, 0.0505))
    model.add(hole.turned(lean).moved((0, 0.08, 0.08)), "second")
    for size, at, slot in (
        ((0.05, 0.5, 0.025), (0, 0.74, 0.045), "second"), ((0.075, 0.15, 0.02), (0, 1.05, 0.04), "main"),
        ((0.12, 0.02, 0.012), (0, 0.16, 0.055), "second"),
    ):  # fmt: skip
        model.add(box(size, at, 0.004).turned(lean).moved((0, 0.08, 0.08)), slot)
    for x in (-1, 1):
        for k in range(3):
            model.add(
                sphere(0.012, (x * 0.048, 1.01 + 0.045 * k, 0.04), 8).turned(lean).moved((0, 0.08, 0.08)), "detail"
            )
        model.add(tube([(x * 0.14, 0.0, 0.2), (x * 0.1, 0.1, 0.14), (x * 0.05, 0.34, -0.04)], 0.01, 6), "second")
    model.add(tube([(0, 0.0, -0.22), (0, 0.4, -0.03)], 0.01, 6), "second")
    return model


def fan(rng: np.random.Generator) -> Model:
    """A standing fan: foot, pole, a cage with blades."""
    height = rng.uniform(1.0, 1.2)
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


def crib(rng: np.random.Generator) -> Model:
    """A cot with bars all around."""
    width, depth, height = rng.uniform(1.2, 1.35), rng.uniform(0.66, 0.72), rng.uniform(0.85, 0.95)
    model = Model(main="wood", linen="linen", second="fabric")
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(box((0.05, height, 0.05), (x * (width / 2 - 0.025), height / 2, z * (depth / 2 - 0.025)), 0.006))
    for y in (0.25, height - 0.04):
        for z in (-1, 1):
            model.add(box((width - 0.1, 0.05, 0.03), (0, y, z * (depth / 2 - 0.025)), 0.005))
        for x in (-1, 1):
            model.add(box((0.03, 0.05, depth - 0.1), (x * (width / 2 - 0.025), y, 0), 0.005))
    for x in np.linspace(-width / 2 + 0.1, width / 2 - 0.1, 12):
        for z in (-1, 1):
            model.add(cylinder(0.009, height - 0.3, (float(x), 0.26, z * (depth / 2 - 0.025)), 6))
    for z in np.linspace(-depth / 2 + 0.11, depth / 2 - 0.11, 5):
        for x in (-1, 1):
            model.add(cylinder(0.009, height - 0.3, (x * (width / 2 - 0.025), 0.26, float(z)), 6))
    model.add(soft_box((width - 0.12, 0.12, depth - 0.12), (0, 0.33, 0), 0.03), "linen")
    model.add(soft_box((width * 0.5, 0.05, depth - 0.1), (width * 0.15, 0.4, 0), 0.02), "second")
    return model


def dog_bed(rng: np.random.Generator) -> Model:
    """A round cushion with a thick rim, open in front."""
    radius = rng.uniform(0.36, 0.46)
    model = Model(main="fabric", second="linen")
    path = [
        (math.sin(a) * (radius - 0.08), 0.09, math.cos(a) * (radius - 0.08))
        for a in np.linspace(0.5, 2 * math.pi - 0.5, 24)
    ]
    model.add(tube(path, 0.085, 10))
    for end in (path[0], path[-1]):
        model.add(sphere(0.085, end, 12))
    model.add(
        revolve([(0, 0.0), (radius - 0.1, 0.0), (radius - 0.06, 0.05), (radius - 0.12, 0.09), (0, 0.1)], 24), "second"
    )
    return model


def laundry_basket(rng: np.random.Generator) -> Model:
    """A tall hamper with slits and a lid."""
    width, depth, height = rng.uniform(0.42, 0.52), rng.uniform(0.33, 0.4), rng.uniform(0.55, 0.68)
    model = Model(main="plastic", dark="dark")
    model.add(soft_box((width, height - 0.05, depth), (0, (height - 0.05) / 2, 0), 0.04))
    model.add(soft_box((width + 0.02, 0.06, depth + 0.02), (0, height - 0.03, 0), 0.025))
    for x in np.linspace(-width / 2 + 0.08, width / 2 - 0.08, 6):
        for y in (height * 0.3, height * 0.6):
            for z in (-1, 1):
                model.add(box((0.018, height * 0.2, 0.006), (float(x), y, z * depth / 2), 0.002), "dark")
    return model
