"""Chairs and stools. Sizes follow published furniture dimensions."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, soft_box, tube


def four_legs(model: Model, width_m: float, depth_m: float, height_m: float, thick_m: float, round_legs: bool) -> None:
    for x in (-1, 1):
        for z in (-1, 1):
            at = (x * (width_m / 2 - thick_m * 0.7), 0.0, z * (depth_m / 2 - thick_m * 0.7))
            if round_legs:
                model.add(cylinder(thick_m * 0.45, height_m, at, 8, thick_m * 0.6), "second")
            else:
                model.add(box((thick_m, height_m, thick_m), (at[0], height_m / 2, at[2])), "second")


def dining_chair(rng: np.random.Generator) -> Model:
    """Four legs, a flat seat, and a back made of slats, a panel or rails, from low to high."""
    width, depth = rng.uniform(0.38, 0.52), rng.uniform(0.38, 0.52)
    seat, height = rng.uniform(0.42, 0.49), rng.uniform(0.74, 1.15)
    model = Model(main="wood", second="wood")
    four_legs(model, width, depth, seat - 0.02, rng.uniform(0.035, 0.055), rng.random() < 0.5)
    model.add(soft_box((width, 0.055, depth), (0, seat, 0), 0.025))
    back_z, rise = -depth / 2 + 0.025, height - seat
    for x in (-1, 1):
        model.add(box((0.04, rise, 0.035), (x * (width / 2 - 0.02), seat + rise / 2, back_z)))
    style = int(rng.integers(4))
    if style == 0:
        model.add(box((width - 0.08, rise * 0.62, 0.022), (0, seat + rise * 0.66, back_z)))
    elif style == 1:
        model.add(box((width - 0.06, 0.08, 0.026), (0, height - 0.045, back_z)))
        for x in np.linspace(-width / 2 + 0.1, width / 2 - 0.1, 4):
            model.add(box((0.03, rise - 0.08, 0.018), (x, seat + (rise - 0.08) / 2, back_z)))
    elif style == 2:
        for y in np.linspace(0.35, 0.9, 3 if rise < 0.5 else 4):
            model.add(box((width - 0.06, 0.085, 0.022), (0, seat + rise * float(y), back_z)))
    else:  # a crossed back
        model.add(box((width - 0.06, 0.07, 0.026), (0, height - 0.04, back_z)))
        for x in (-1, 1):
            ends = [(-x * (width / 2 - 0.04), seat + 0.03, back_z), (x * (width / 2 - 0.04), height - 0.06, back_z)]
            model.add(tube(ends, 0.013, 6))
    model.surface(seat + 0.0275, width, depth, 1.0, holds="person")
    return model


def upholstered_chair(rng: np.random.Generator) -> Model:
    """A padded seat and back on tapered legs."""
    width, depth = rng.uniform(0.43, 0.58), rng.uniform(0.44, 0.56)
    seat, height = rng.uniform(0.45, 0.5), rng.uniform(0.76, 1.12)
    model = Model(main="fabric", second="wood")
    four_legs(model, width - 0.06, depth - 0.06, seat - 0.06, 0.05, True)
    model.add(soft_box((width, 0.11, depth), (0, seat - 0.03, 0), 0.045, 2, 0.015))
    back = soft_box((width - 0.02, height - seat + 0.04, 0.08), (0, (height - seat) / 2, 0), 0.04)
    model.add(back.turned(rotation_x(-0.12)).moved((0, seat - 0.02, -depth / 2 + 0.04)))
    model.surface(float(model.parts[4][0].positions[:, 1].max()), width, depth - 0.1, 1.0, 0.05, holds="person")
    return model


def office_chair(rng: np.random.Generator) -> Model:
    """A star base on castors, a column, a padded seat and a back; most have armrests, some a headrest."""
    seat, height = rng.uniform(0.43, 0.54), rng.uniform(0.84, 1.08)
    width = rng.uniform(0.44, 0.54)
    model = Model(main="fabric", second="metal", dark="dark")
    for k in range(5):
        angle = 2 * math.pi * k / 5
        x, z = 0.29 * math.sin(angle), 0.29 * math.cos(angle)
        model.add(tube([(0, 0.11, 0), (x, 0.07, z)], 0.025, 6), "dark")
        model.add(cylinder(0.03, 0.05, (x, 0, z), 8), "dark")
    model.add(cylinder(0.03, seat - 0.1, (0, 0.08, 0), 8), "second")
    model.add(soft_box((width, 0.1, 0.48), (0, seat, 0), 0.045, 2, 0.01))
    model.surface(float(model.parts[-1][0].positions[:, 1].max()), width, 0.4, 1.0, 0.04, holds="person")
    back = soft_box((width - 0.04, height - seat - 0.1, 0.07), (0, (height - seat) / 2 + 0.05, 0), 0.035)
    model.add(back.turned(rotation_x(-0.1)).moved((0, seat, -0.22)))
    model.add(box((0.06, 0.2, 0.03), (0, seat + 0.08, -0.25)), "dark")
    if rng.random() < 0.3:
        model.add(box((0.05, 0.14, 0.02), (0, height + 0.03, -0.28 - 0.1 * (height - seat))), "dark")
        model.add(soft_box((0.28, 0.13, 0.07), (0, height + 0.12, -0.26 - 0.1 * (height - seat)), 0.03))
    for x in (-width / 2 - 0.02, width / 2 + 0.02) if rng.random() < 0.75 else ():
        model.add(box((0.03, 0.2, 0.04), (x, seat + 0.1, 0)), "dark")
        model.add(soft_box((0.06, 0.035, 0.28), (x, seat + 0.21, 0), 0.015), "dark")
    return model


def shell_chair(rng: np.random.Generator) -> Model:
    """A moulded seat and back in one low curved shell on thin splayed legs."""
    width, depth = rng.uniform(0.44, 0.56), rng.uniform(0.44, 0.52)
    seat, height = rng.uniform(0.42, 0.46), rng.uniform(0.68, 0.84)
    model = Model(main="lacquer", second="wood" if rng.random() < 0.5 else "metal")
    for x in (-1, 1):
        for z in (-1, 1):
            foot = (x * (width / 2 - 0.02), 0.0, z * (depth / 2 - 0.02))
            model.add(tube([foot, (x * width * 0.28, seat - 0.03, z * depth * 0.26)], 0.014, 6), "second")
    model.add(soft_box((width - 0.04, 0.04, depth - 0.04), (0, seat - 0.02, 0.01), 0.019))
    bend = np.linspace(-1.15, 1.15, 8)
    reach, rise = width / 2 - 0.01, height - seat + 0.02
    for a, b in zip(bend, bend[1:]):  # the back: upright boards on an arc
        middle = (a + b) / 2
        board = box((reach * (b - a) * 1.08, rise, 0.02), (0, rise / 2, 0), 0.004)
        turn = np.array([[math.cos(middle), 0, -math.sin(middle)], [0, 1, 0], [math.sin(middle), 0, math.cos(middle)]])
        at = (math.sin(middle) * reach, seat - 0.03, -math.cos(middle) * reach * depth / width + 0.02)
        model.add(board.turned(turn).moved(at))
    model.surface(seat, width - 0.04, depth - 0.1, 1.0, 0.03, holds="person")
    return model


def metal_chair(rng: np.random.Generator) -> Model:
    """A café chair: a round or square seat and a bow of bent tube."""
    width, seat, height = rng.uniform(0.37, 0.46), rng.uniform(0.43, 0.48), rng.uniform(0.76, 0.96)
    model = Model(main="lacquer", second="metal")
    if rng.random() < 0.5:
        model.add(cylinder(width / 2, 0.035, (0, seat - 0.035, 0), 20))
    else:
        model.add(soft_box((width, 0.035, width), (0, seat - 0.0175, 0), 0.015))
    side = width / 2 - 0.03
    for x in (-1, 1):
        model.add(tube([(x * side, seat - 0.03, side), (x * (side + 0.03), 0, side + 0.03)], 0.013, 6), "second")
    angle = np.linspace(math.pi, 0, 7)
    arch = [(side * math.cos(a), height - 0.14 + 0.14 * math.sin(a), -side - 0.03) for a in angle]
    model.add(tube([(-side - 0.03, 0, -side - 0.05), *arch, (side + 0.03, 0, -side - 0.05)], 0.013, 6), "second")
    model.add(box((width * 0.3, height - seat - 0.02, 0.014), (0, (height + seat) / 2 - 0.01, -side - 0.03), 0.005))
    ring = [(x * side, seat * 0.4, z * side) for x, z in ((-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))]
    model.add(tube(ring, 0.007, 5), "second")
    model.surface(seat, width, width, 1.0, holds="person")
    return model


def cantilever_chair(rng: np.random.Generator) -> Model:
    """Seat and back pads on two bent steel runners without back legs."""
    width, depth = rng.uniform(0.44, 0.54), rng.uniform(0.48, 0.58)
    seat, height = rng.uniform(0.43, 0.48), rng.uniform(0.78, 1.02)
    model = Model(main="fabric", second="metal")
    for x in (-1, 1):
        at, z = x * (width / 2 - 0.02), depth / 2
        path = [(at, 0.012, -z), (at, 0.012, z - 0.05), (at, 0.06, z), (at, seat - 0.08, z),
                (at, seat - 0.03, z - 0.05), (at, seat - 0.03, -z + 0.08), (at, seat + 0.05, -z + 0.03),
                (at, height, -z)]  # fmt: skip
        model.add(tube(path, 0.012, 6), "second")
    model.add(tube([(-width / 2 + 0.02, 0.012, -depth / 2), (width / 2 - 0.02, 0.012, -depth / 2)], 0.012, 6), "second")
    model.add(soft_box((width - 0.05, 0.06, depth - 0.1), (0, seat - 0.02, 0.02), 0.025))
    tall = (height - seat) * 0.62
    model.add(soft_box((width - 0.05, tall, 0.05), (0, height - tall / 2 - 0.01, -depth / 2 + 0.02), 0.022))
    model.surface(seat + 0.01, width, depth - 0.1, 1.0, 0.02, holds="person")
    return model


def stool(rng: np.random.Generator) -> Model:
    """A round seat on splayed legs with a foot ring, from a footstool to a bar stool."""
    seat, radius = rng.uniform(0.42, 0.8), rng.uniform(0.16, 0.22)
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
    seat, side = rng.uniform(0.4, 0.72), rng.uniform(0.29, 0.4)
    model = Model(main="wood", second="wood")
    model.add(soft_box((side, 0.045, side), (0, seat - 0.022, 0), 0.018))
    four_legs(model, side, side, seat - 0.04, 0.04, False)
    for x, z in ((1, 0), (0, 1)):
        for s in (-1, 1):
            size = (0.024, 0.03, side - 0.08) if x else (side - 0.08, 0.03, 0.024)
            at = side / 2 - 0.028
            model.add(box(size, (s * x * at, seat * (0.3 if x else 0.4), s * z * at)), "second")
    return model


def pedestal_stool(rng: np.random.Generator) -> Model:
    """A padded round seat on a column with a round foot."""
    seat, radius = rng.uniform(0.5, 0.82), rng.uniform(0.17, 0.21)
    model = Model(main="fabric", second="metal")
    model.add(revolve([(0, 0), (radius, 0), (radius, 0.012), (0.03, 0.03), (0, 0.03)], 20), "second")
    model.add(cylinder(0.025, seat - 0.1, (0, 0.02, 0), 8), "second")
    pad = [(0, 0), (radius - 0.02, 0), (radius, 0.03), (radius, 0.07), (radius - 0.03, 0.1), (0, 0.1)]
    model.add(revolve(pad, 20, (0, seat - 0.1, 0)))
    ring = [(math.sin(a) * 0.13, seat * 0.35, math.cos(a) * 0.13) for a in np.linspace(0, 2 * math.pi, 13)]
    model.add(tube(ring, 0.009, 5), "second")
    model.add(tube([(-0.13, seat * 0.35, 0), (0.13, seat * 0.35, 0)], 0.009, 5), "second")
    return model
