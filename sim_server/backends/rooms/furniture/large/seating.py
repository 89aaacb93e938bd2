"""Armchairs, sofas, benches and ottomans. Sizes follow published furniture dimensions."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, soft_box, sphere, tube


def _upholstery(rng: np.random.Generator, width: float, depth: float, seats: int) -> Model:
    """Base, arms, back and one cushion pair per seat; shared by sofas and armchairs."""
    seat, height = rng.uniform(0.38, 0.46), rng.uniform(0.7, 0.98)
    arm, arm_height = rng.uniform(0.1, 0.26), rng.uniform(0.5, 0.66)
    model = Model(main="fabric", second="wood", dark="dark")
    foot = rng.uniform(0.04, 0.15)
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(cylinder(0.022, foot, (x * (width / 2 - 0.1), 0, z * (depth / 2 - 0.1)), 8, 0.03), "dark")
    model.add(soft_box((width - 0.02, seat - 0.12 - foot, depth - 0.02), (0, (seat - 0.12 + foot) / 2, 0), 0.03, 1))
    model.add(soft_box((width, height - foot, 0.2), (0, (height + foot) / 2, -depth / 2 + 0.1), 0.07))
    for x in (-1, 1):
        at = (x * (width / 2 - arm / 2), (arm_height + foot) / 2, 0.0)
        model.add(soft_box((arm, arm_height - foot, depth), at, min(0.07, arm * 0.45)))
    inner = (width - 2 * arm) / seats
    cushion_depth = depth - 0.22
    top = 0.0
    for k in range(seats):
        x = -width / 2 + arm + inner * (k + 0.5)
        cushion = soft_box((inner - 0.012, 0.16, cushion_depth), (x, seat - 0.05, 0.11), 0.055, 2, 0.02)
        top = float(cushion.positions[:, 1].max())
        model.add(cushion)
        back = soft_box((inner - 0.02, height - seat + 0.02, 0.16), (0, (height - seat) / 2, 0), 0.07)
        model.add(back.turned(rotation_x(-0.16)).moved((x, seat + 0.01, -depth / 2 + 0.25)))
    model.surface(top, width - 2 * arm, depth - 0.4, 0.5, 0.16)
    return model


def sofa(rng: np.random.Generator) -> Model:
    """Two to four seats with loose cushions."""
    seats = int(rng.integers(2, 5))
    return _upholstery(rng, 0.4 + rng.uniform(0.52, 0.66) * seats, rng.uniform(0.78, 1.02), seats)


def corner_sofa(rng: np.random.Generator) -> Model:
    """A sofa whose last seat extends to the front, on either side."""
    seats = int(rng.integers(3, 5))
    width, depth, side = rng.uniform(0.62, 0.72) * seats + 0.3, rng.uniform(0.86, 0.96), rng.choice([-1, 1])
    model = _upholstery(rng, width, depth, seats)
    top = model.surfaces[0].y_m - 0.01
    wide, out = (width - 0.4) / seats, rng.uniform(0.5, 0.8)
    x, foot = side * (width / 2 - 0.22 - wide / 2), 0.08
    model.add(soft_box((wide, top - foot, out + 0.06), (x, (top + foot) / 2, depth / 2 + out / 2 - 0.03), 0.05))
    for dx in (-1, 1):
        at = (x + dx * (wide / 2 - 0.07), 0, depth / 2 + out - 0.1)
        model.add(cylinder(0.022, foot + 0.03, at, 8, 0.03), "dark")
    return model


def rolled_sofa(rng: np.random.Generator) -> Model:
    """Round arms as high as the tufted back, one long seat cushion, turned feet."""
    width, depth = rng.uniform(1.45, 2.5), rng.uniform(0.82, 0.96)
    seat, height = rng.uniform(0.4, 0.45), rng.uniform(0.68, 0.8)
    model = Model(main="fabric", second="wood")
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(cylinder(0.03, 0.1, (x * (width / 2 - 0.12), 0, z * (depth / 2 - 0.1)), 8, 0.045), "second")
        arm = cylinder(0.1, depth, (0, 0, 0), 14).turned(rotation_x(math.pi / 2))
        model.add(arm.moved((x * (width / 2 - 0.1), height - 0.1, -depth / 2)))
        model.add(soft_box((0.15, height - 0.2, depth - 0.04), (x * (width / 2 - 0.11), height / 2, 0), 0.04, 1))
    model.add(soft_box((width - 0.2, seat - 0.2, depth - 0.06), (0, seat / 2, 0), 0.03, 1))
    top = soft_box((width - 0.34, 0.14, depth - 0.26), (0, seat - 0.06, 0.1), 0.05, 2, 0.02)
    model.add(top)
    model.add(soft_box((width - 0.3, height - 0.16, 0.16), (0, height / 2 + 0.06, -depth / 2 + 0.12), 0.06))
    for x in np.linspace(-width / 2 + 0.3, width / 2 - 0.3, max(3, round(width / 0.3))):
        for y in (seat + 0.1, height - 0.08):
            model.add(sphere(0.016, (float(x), y, -depth / 2 + 0.2), 6), "second")
    model.surface(float(top.positions[:, 1].max()), width - 0.36, depth - 0.4, 0.5, 0.14)
    return model


def frame_sofa(rng: np.random.Generator) -> Model:
    """Loose cushions in a wooden frame with open sides."""
    seats = int(rng.integers(2, 4))
    width, depth = 0.2 + rng.uniform(0.56, 0.7) * seats, rng.uniform(0.74, 0.88)
    seat, height = rng.uniform(0.38, 0.44), rng.uniform(0.7, 0.86)
    model = Model(main="fabric", second="wood")
    for x in (-1, 1):
        side = x * (width / 2 - 0.03)
        for z, tall in ((depth / 2 - 0.05, 0.58), (-depth / 2 + 0.06, height - 0.06)):
            model.add(box((0.05, tall, 0.05), (side, tall / 2, z)), "second")
        model.add(box((0.07, 0.03, depth - 0.04), (side, 0.59, 0)), "second")
        model.add(box((0.03, 0.07, depth - 0.1), (side, seat - 0.15, 0)), "second")
    for z in (-depth / 2 + 0.06, depth / 2 - 0.05):
        model.add(box((width - 0.1, 0.07, 0.03), (0, seat - 0.15, z)), "second")
    for y in np.linspace(seat + 0.06, height - 0.1, 3):
        model.add(box((width - 0.1, 0.05, 0.02), (0, float(y), -depth / 2 + 0.06)), "second")
    inner, top = (width - 0.12) / seats, 0.0
    for k in range(seats):
        x = -width / 2 + 0.06 + inner * (k + 0.5)
        cushion = soft_box((inner - 0.01, 0.13, depth - 0.14), (x, seat - 0.05, 0.04), 0.045, 2, 0.015)
        top = float(cushion.positions[:, 1].max())
        model.add(cushion)
        back = soft_box((inner - 0.015, height - seat, 0.13), (0, (height - seat) / 2, 0), 0.055)
        model.add(back.turned(rotation_x(-0.2)).moved((x, seat, -depth / 2 + 0.18)))
    model.surface(top, width - 0.14, depth - 0.38, 0.5, 0.12)
    return model


def armchair(rng: np.random.Generator) -> Model:
    return _upholstery(rng, rng.uniform(0.66, 1.15), rng.uniform(0.7, 1.0), 1)


def wing_chair(rng: np.random.Generator) -> Model:
    """A tall back with wings, low arms and turned legs."""
    width, depth = rng.uniform(0.68, 0.86), rng.uniform(0.72, 0.86)
    seat, height = rng.uniform(0.4, 0.46), rng.uniform(0.98, 1.2)
    model = Model(main="fabric", second="wood")
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(cylinder(0.02, 0.2, (x * (width / 2 - 0.07), 0, z * (depth / 2 - 0.08)), 8, 0.03), "second")
        model.add(soft_box((0.12, 0.46, depth - 0.06), (x * (width / 2 - 0.06), 0.4, 0.02), 0.05))
        wing = soft_box((0.09, height - 0.56, 0.3), (x * (width / 2 - 0.07), height / 2 + 0.24, -depth / 2 + 0.2), 0.04)
        model.add(wing)
    model.add(soft_box((width - 0.1, 0.16, depth - 0.06), (0, 0.26, 0), 0.04, 1))
    top = soft_box((width - 0.24, 0.15, depth - 0.16), (0, seat - 0.06, 0.08), 0.05, 2, 0.02)
    model.add(top)
    model.add(soft_box((width - 0.1, height - 0.22, 0.14), (0, height / 2 + 0.11, -depth / 2 + 0.08), 0.06))
    model.surface(float(top.positions[:, 1].max()), width - 0.26, depth - 0.36, 0.45, 0.14)
    return model


def wooden_armchair(rng: np.random.Generator) -> Model:
    """Cushions in a light wooden frame with flat armrests."""
    width, depth = rng.uniform(0.62, 0.84), rng.uniform(0.7, 0.9)
    seat, height = rng.uniform(0.38, 0.44), rng.uniform(0.72, 1.0)
    model = Model(main="fabric", second="wood")
    for x in (-1, 1):
        side = x * (width / 2 - 0.025)
        for z, top in ((depth / 2 - 0.05, 0.58), (-depth / 2 + 0.16, 0.56)):
            model.add(box((0.045, top, 0.045), (side, top / 2, z)), "second")
        model.add(soft_box((0.07, 0.03, depth - 0.08), (side, 0.59, 0.02), 0.012), "second")
        model.add(box((0.03, 0.06, depth - 0.16), (side, seat - 0.13, 0.03)), "second")
    model.add(box((width - 0.06, 0.05, 0.03), (0, seat - 0.14, depth / 2 - 0.06)), "second")
    model.add(soft_box((width - 0.09, 0.15, depth - 0.2), (0, seat - 0.05, 0.05), 0.05, 2, 0.02))
    back = soft_box((width - 0.1, height - seat + 0.05, 0.15), (0, (height - seat) / 2, 0), 0.065)
    model.add(back.turned(rotation_x(-0.28)).moved((0, seat + 0.0, -depth / 2 + 0.22)))
    model.surface(seat + 0.025, width - 0.14, depth - 0.44, 0.5, 0.14)
    return model


def bench(rng: np.random.Generator) -> Model:
    """A long seat on two trestles."""
    width, depth, seat = rng.uniform(0.8, 1.8), rng.uniform(0.3, 0.45), rng.uniform(0.4, 0.5)
    model = Model(main="wood", second="wood")
    model.add(box((width, 0.05, depth), (0, seat - 0.025, 0)))
    for x in (-1, 1):
        model.add(box((0.06, seat - 0.05, depth - 0.06), (x * (width / 2 - 0.12), (seat - 0.05) / 2, 0)), "second")
    model.add(box((width - 0.26, 0.07, 0.04), (0, seat * 0.4, 0)), "second")
    model.surface(seat, width, depth, 1.0, holds="person")
    return model


def padded_bench(rng: np.random.Generator) -> Model:
    """A long cushion on bent metal legs."""
    width, depth, seat = rng.uniform(0.8, 1.6), rng.uniform(0.34, 0.48), rng.uniform(0.4, 0.5)
    model = Model(main="fabric", second="metal")
    model.add(soft_box((width, 0.12, depth), (0, seat - 0.06, 0), 0.045, 3, 0.015))
    for x in (-1, 1):
        at = x * (width / 2 - 0.12)
        out, z = x * 0.04, depth / 2 - 0.05
        loop = [(at, seat - 0.1, -z), (at + out, 0.012, -z + 0.03), (at + out, 0.012, z - 0.03), (at, seat - 0.1, z)]
        model.add(tube(loop, 0.012, 8), "second")
    return model


def backed_bench(rng: np.random.Generator) -> Model:
    """A wooden bench with a slatted back and armrests."""
    width, depth, seat, height = (
        rng.uniform(0.9, 1.6), rng.uniform(0.42, 0.52), rng.uniform(0.41, 0.47), rng.uniform(0.78, 1.0)
    )  # fmt: skip
    model = Model(main="wood", second="wood")
    model.add(box((width, 0.04, depth), (0, seat - 0.02, 0)))
    for x in (-1, 1):
        for z, tall in ((-1, height), (1, 0.64)):
            model.add(box((0.05, tall, 0.05), (x * (width / 2 - 0.03), tall / 2, z * (depth / 2 - 0.03))), "second")
        model.add(box((0.06, 0.03, depth), (x * (width / 2 - 0.03), 0.65, 0)), "second")
    for y in (seat + 0.14, height - 0.05):
        model.add(box((width - 0.1, 0.06, 0.03), (0, y, -depth / 2 + 0.03)), "second")
    for x in np.linspace(-width / 2 + 0.14, width / 2 - 0.14, max(4, round(width / 0.16))):
        model.add(box((0.04, height - seat - 0.22, 0.016), (float(x), (height + seat) / 2 + 0.04, -depth / 2 + 0.03)))
    model.surface(seat, width - 0.1, depth - 0.06, 1.0, 0.03, holds="person")
    return model


def ottoman(rng: np.random.Generator) -> Model:
    """An upholstered block on short legs."""
    height, width, depth = rng.uniform(0.34, 0.48), rng.uniform(0.45, 1.1), rng.uniform(0.42, 0.6)
    model = Model(main="fabric", second="wood")
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(cylinder(0.02, 0.1, (x * (width / 2 - 0.07), 0, z * (depth / 2 - 0.07)), 8, 0.028), "second")
    model.add(soft_box((width, height - 0.1, depth), (0, height / 2 + 0.05, 0), 0.05, 3, 0.02))
    model.surface(float(model.bounds()[1][1]), min(width, 0.5), 0.4, 0.4)
    return model


def pouffe(rng: np.random.Generator) -> Model:
    """A round upholstered drum with a piped edge."""
    height, radius = rng.uniform(0.32, 0.48), rng.uniform(0.2, 0.36)
    model = Model(main="fabric", second="wood")
    outline = [(0, 0), (radius * 0.9, 0.0), (radius, 0.06), (radius, height - 0.07), (radius * 0.88, height - 0.01)]
    model.add(revolve([*outline, (0, height)], 26))
    seam = [(radius + 0.003, height * 0.48), (radius + 0.006, height * 0.5), (radius + 0.003, height * 0.52)]
    model.add(revolve(seam, 26), "second")
    model.surface(height, radius * 1.2, radius * 1.2, 0.4)
    return model


def tufted_ottoman(rng: np.random.Generator) -> Model:
    """A storage box with a thick lid that has four buttons."""
    height, width, depth = rng.uniform(0.36, 0.48), rng.uniform(0.4, 1.2), rng.uniform(0.38, 0.5)
    model = Model(main="fabric", second="fabric")
    model.add(box((width, height - 0.1, depth), (0, (height - 0.1) / 2, 0), 0.015), "second")
    model.add(soft_box((width + 0.02, 0.11, depth + 0.02), (0, height - 0.055, 0), 0.04))
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(sphere(0.014, (x * width * 0.22, height - 0.002, z * depth * 0.2), 6), "second")
    model.surface(height, width - 0.04, depth - 0.04, 0.4)
    return model
