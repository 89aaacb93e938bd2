"""Chairs, stools, armchairs, sofas, benches and ottomans. Sizes follow published furniture dimensions."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, soft_box, tube


def _four_legs(model: Model, width_m: float, depth_m: float, height_m: float, thick_m: float, round_legs: bool) -> None:
    for x in (-1, 1):
        for z in (-1, 1):
            at = (x * (width_m / 2 - thick_m * 0.7), 0.0, z * (depth_m / 2 - thick_m * 0.7))
            if round_legs:
                model.add(cylinder(thick_m * 0.45, height_m, at, 8, thick_m * 0.6), "second")
            else:
                model.add(box((thick_m, height_m, thick_m), (at[0], height_m / 2, at[2])), "second")


def dining_chair(rng: np.random.Generator) -> Model:
    """Four legs, a flat seat, and a back made of slats, a panel or a top rail."""
    width, depth = rng.uniform(0.42, 0.5), rng.uniform(0.42, 0.5)
    seat, height = rng.uniform(0.44, 0.48), rng.uniform(0.86, 1.02)
    model = Model(main="wood", second="wood")
    _four_legs(model, width, depth, seat - 0.02, 0.045, rng.random() < 0.5)
    model.add(soft_box((width, 0.055, depth), (0, seat, 0), 0.025))
    back_z, rise = -depth / 2 + 0.025, height - seat
    for x in (-1, 1):
        model.add(box((0.04, rise, 0.035), (x * (width / 2 - 0.02), seat + rise / 2, back_z)))
    style = int(rng.integers(3))
    if style == 0:
        model.add(box((width - 0.08, rise * 0.62, 0.022), (0, seat + rise * 0.66, back_z)))
    elif style == 1:
        model.add(box((width - 0.06, 0.08, 0.026), (0, height - 0.045, back_z)))
        for x in np.linspace(-width / 2 + 0.1, width / 2 - 0.1, 4):
            model.add(box((0.03, rise - 0.08, 0.018), (x, seat + (rise - 0.08) / 2, back_z)))
    else:
        for y in (0.35, 0.62, 0.9):
            model.add(box((width - 0.06, 0.085, 0.022), (0, seat + rise * y, back_z)))
    return model


def upholstered_chair(rng: np.random.Generator) -> Model:
    """A padded shell on tapered legs."""
    width, depth = rng.uniform(0.46, 0.54), rng.uniform(0.46, 0.52)
    seat, height = rng.uniform(0.46, 0.49), rng.uniform(0.84, 0.96)
    model = Model(main="fabric", second="wood")
    _four_legs(model, width - 0.06, depth - 0.06, seat - 0.06, 0.05, True)
    model.add(soft_box((width, 0.11, depth), (0, seat - 0.03, 0), 0.045, 2, 0.015))
    back = soft_box((width - 0.02, height - seat + 0.04, 0.08), (0, (height - seat) / 2, 0), 0.04)
    model.add(back.turned(rotation_x(-0.12)).moved((0, seat - 0.02, -depth / 2 + 0.04)))
    return model


def office_chair(rng: np.random.Generator) -> Model:
    """A star base on castors, a column, a padded seat, a back and armrests."""
    seat, height = rng.uniform(0.46, 0.52), rng.uniform(0.98, 1.1)
    model = Model(main="fabric", second="metal", dark="dark")
    for k in range(5):
        angle = 2 * math.pi * k / 5
        x, z = 0.29 * math.sin(angle), 0.29 * math.cos(angle)
        model.add(tube([(0, 0.11, 0), (x, 0.07, z)], 0.025, 6), "dark")
        model.add(cylinder(0.03, 0.05, (x, 0, z), 8), "dark")
    model.add(cylinder(0.03, seat - 0.1, (0, 0.08, 0), 8), "second")
    model.add(soft_box((0.5, 0.1, 0.48), (0, seat, 0), 0.045, 2, 0.01))
    back = soft_box((0.46, height - seat - 0.1, 0.07), (0, (height - seat) / 2 + 0.05, 0), 0.035)
    model.add(back.turned(rotation_x(-0.1)).moved((0, seat, -0.22)))
    model.add(box((0.06, 0.2, 0.03), (0, seat + 0.08, -0.25)), "dark")
    for x in (-0.27, 0.27):
        model.add(box((0.03, 0.2, 0.04), (x, seat + 0.1, 0)), "dark")
        model.add(soft_box((0.06, 0.035, 0.28), (x, seat + 0.21, 0), 0.015), "dark")
    return model


def stool(rng: np.random.Generator) -> Model:
    """A round seat on splayed legs with a foot ring."""
    seat, radius = rng.uniform(0.45, 0.7), rng.uniform(0.17, 0.21)
    model = Model(main="wood", second="metal")
    model.add(cylinder(radius, 0.05, (0, seat - 0.05, 0), 20))
    ring = []
    for k in range(4):
        angle = math.pi / 4 + math.pi / 2 * k
        x, z = math.sin(angle), math.cos(angle)
        model.add(
            tube([(x * radius * 0.6, seat - 0.04, z * radius * 0.6), (x * radius, 0, z * radius)], 0.018, 6), "second"
        )
        ring.append((x * radius * 0.87, seat * 0.32, z * radius * 0.87))
    for a, b in zip(ring, ring[1:] + ring[:1]):
        model.add(tube([a, b], 0.01, 6), "second")
    return model


def square_stool(rng: np.random.Generator) -> Model:
    """A square seat on four straight legs with rails."""
    seat, side = rng.uniform(0.44, 0.6), rng.uniform(0.3, 0.36)
    model = Model(main="wood", second="wood")
    model.add(soft_box((side, 0.045, side), (0, seat - 0.022, 0), 0.018))
    _four_legs(model, side, side, seat - 0.04, 0.04, False)
    for x, z in ((1, 0), (0, 1)):
        for s in (-1, 1):
            size = (0.024, 0.03, side - 0.08) if x else (side - 0.08, 0.03, 0.024)
            at = side / 2 - 0.028
            model.add(box(size, (s * x * at, seat * (0.3 if x else 0.4), s * z * at)), "second")
    return model


def _upholstery(rng: np.random.Generator, width: float, depth: float, seats: int) -> Model:
    """Base, arms, back and one cushion pair per seat; shared by sofas and armchairs."""
    seat, height = rng.uniform(0.4, 0.45), rng.uniform(0.76, 0.9)
    arm, arm_height = rng.uniform(0.14, 0.24), rng.uniform(0.55, 0.64)
    model = Model(main="fabric", second="wood")
    foot = rng.uniform(0.06, 0.13)
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(cylinder(0.022, foot, (x * (width / 2 - 0.1), 0, z * (depth / 2 - 0.1)), 8, 0.03), "dark")
    model.kinds["dark"] = "dark"
    model.add(soft_box((width - 0.02, seat - 0.12 - foot, depth - 0.02), (0, (seat - 0.12 + foot) / 2, 0), 0.03))
    model.add(soft_box((width, height - foot, 0.2), (0, (height + foot) / 2, -depth / 2 + 0.1), 0.07))
    for x in (-1, 1):
        at = (x * (width / 2 - arm / 2), (arm_height + foot) / 2, 0.0)
        model.add(soft_box((arm, arm_height - foot, depth), at, min(0.07, arm * 0.45)))
    inner = (width - 2 * arm) / seats
    cushion_depth = depth - 0.22
    top = 0.0
    for k in range(seats):
        x = -width / 2 + arm + inner * (k + 0.5)
        cushion = soft_box((inner - 0.012, 0.16, cushion_depth), (x, seat - 0.05, 0.11), 0.055, 3, 0.02)
        top = float(cushion.positions[:, 1].max())
        model.add(cushion)
        back = soft_box((inner - 0.02, height - seat + 0.02, 0.16), (0, (height - seat) / 2, 0), 0.07, 3)
        model.add(back.turned(rotation_x(-0.16)).moved((x, seat + 0.01, -depth / 2 + 0.25)))
    model.surface(top, width - 2 * arm, depth - 0.4, 0.5, 0.16)
    return model


def sofa(rng: np.random.Generator) -> Model:
    seats = int(rng.integers(2, 4))
    return _upholstery(rng, 0.45 + 0.62 * seats + rng.uniform(-0.1, 0.1), rng.uniform(0.85, 0.98), seats)


def corner_sofa(rng: np.random.Generator) -> Model:
    """A sofa with a full-height footrest in front of its last seat."""
    model = _upholstery(rng, rng.uniform(2.1, 2.4), 0.92, 3)
    model.add(soft_box((0.66, 0.3, 0.6), (-0.6, 0.26, 0.72), 0.05, 3))
    return model


def armchair(rng: np.random.Generator) -> Model:
    return _upholstery(rng, rng.uniform(0.82, 0.98), rng.uniform(0.8, 0.92), 1)


def wooden_armchair(rng: np.random.Generator) -> Model:
    """Cushions in a light wooden frame with flat armrests."""
    width, depth = rng.uniform(0.68, 0.76), rng.uniform(0.74, 0.82)
    seat, height = rng.uniform(0.4, 0.44), rng.uniform(0.8, 0.92)
    model = Model(main="fabric", second="wood")
    for x in (-1, 1):
        side = x * (width / 2 - 0.025)
        for z, top in ((depth / 2 - 0.05, 0.58), (-depth / 2 + 0.16, 0.56)):
            model.add(box((0.045, top, 0.045), (side, top / 2, z)), "second")
        model.add(soft_box((0.07, 0.03, depth - 0.08), (side, 0.59, 0.02), 0.012), "second")
        model.add(box((0.03, 0.06, depth - 0.16), (side, seat - 0.13, 0.03)), "second")
    model.add(box((width - 0.06, 0.05, 0.03), (0, seat - 0.14, depth / 2 - 0.06)), "second")
    model.add(soft_box((width - 0.09, 0.15, depth - 0.2), (0, seat - 0.05, 0.05), 0.05, 3, 0.02))
    back = soft_box((width - 0.1, height - seat + 0.05, 0.15), (0, (height - seat) / 2, 0), 0.065, 3)
    model.add(back.turned(rotation_x(-0.28)).moved((0, seat + 0.0, -depth / 2 + 0.22)))
    model.surface(seat + 0.025, width - 0.14, depth - 0.44, 0.5, 0.14)
    return model


def bench(rng: np.random.Generator) -> Model:
    """A long seat on two trestles."""
    width, depth, seat = rng.uniform(1.0, 1.5), rng.uniform(0.34, 0.42), rng.uniform(0.43, 0.47)
    model = Model(main="wood", second="wood")
    model.add(box((width, 0.05, depth), (0, seat - 0.025, 0)))
    for x in (-1, 1):
        model.add(box((0.06, seat - 0.05, depth - 0.06), (x * (width / 2 - 0.12), (seat - 0.05) / 2, 0)), "second")
    model.add(box((width - 0.26, 0.07, 0.04), (0, seat * 0.4, 0)), "second")
    return model


def padded_bench(rng: np.random.Generator) -> Model:
    """A long cushion on bent metal legs."""
    width, depth, seat = rng.uniform(1.0, 1.4), rng.uniform(0.36, 0.44), rng.uniform(0.44, 0.48)
    model = Model(main="fabric", second="metal")
    model.add(soft_box((width, 0.12, depth), (0, seat - 0.06, 0), 0.045, 3, 0.015))
    for x in (-1, 1):
        at = x * (width / 2 - 0.12)
        out, z = x * 0.04, depth / 2 - 0.05
        loop = [(at, seat - 0.1, -z), (at + out, 0.012, -z + 0.03), (at + out, 0.012, z - 0.03), (at, seat - 0.1, z)]
        model.add(tube(loop, 0.012, 8), "second")
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
