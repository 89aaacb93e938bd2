"""Floor lamps and table lamps."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, rotation_z, sphere, tube


def _shade(model: Model, low_m: float, height_m: float, bottom_m: float, top_m: float) -> None:
    """Add a glowing lampshade, open at both ends and visible from inside, with its bulb."""
    wall = 0.006
    outline = [(bottom_m, low_m), (top_m, low_m + height_m), (top_m - wall, low_m + height_m), (bottom_m - wall, low_m)]
    model.add(revolve(outline + outline[:1], 24), "main")
    model.add(sphere(0.05, (0, low_m + height_m * 0.45, 0), 12), "bulb")


def floor_lamp(rng: np.random.Generator) -> Model:
    """A floor lamp: round foot, pole, wide shade."""
    height = rng.uniform(1.25, 1.95)
    model = Model(main="shade", second="metal", bulb="glow")
    foot = rng.uniform(0.13, 0.18)
    model.add(revolve([(0, 0), (foot, 0), (foot, 0.02), (0.03, 0.05), (0.0, 0.05)], 20), "second")
    model.add(cylinder(0.016, height - 0.15, (0, 0.03, 0), 8), "second")
    tall, wide = rng.uniform(0.22, 0.42), rng.uniform(0.16, 0.3)
    _shade(model, height - tall, tall, wide, wide * rng.uniform(0.5, 1.0))
    return model


def tripod_lamp(rng: np.random.Generator) -> Model:
    """A shade on three wooden legs."""
    height = rng.uniform(1.25, 1.75)
    model = Model(main="shade", second="wood", bulb="glow")
    tall, wide = rng.uniform(0.25, 0.38), rng.uniform(0.2, 0.3)
    out = rng.uniform(0.22, 0.32)
    for k in range(3):
        angle = 2 * math.pi * k / 3 + 0.3
        foot = (out * math.sin(angle), 0.0, out * math.cos(angle))
        model.add(tube([foot, (0, height - tall, 0)], 0.018, 8), "second")
    model.add(cylinder(0.02, 0.16, (0, height - tall - 0.02, 0), 8), "second")
    _shade(model, height - tall, tall, wide, wide * rng.uniform(0.75, 1.0))
    return model


def arc_lamp(rng: np.random.Generator) -> Model:
    """A bowed pole that carries a dome in front of its heavy foot."""
    height, reach = rng.uniform(1.5, 2.1), rng.uniform(0.4, 0.62)
    model = Model(main="shade", second="metal", bulb="glow")
    model.add(cylinder(0.15, 0.05, (0, 0, -reach / 2), 20), "second")
    turn = np.linspace(math.pi, 0.35, 9)
    bow = [(0, height - reach * 0.6 + reach * 0.6 * math.sin(a), reach / 2 * math.cos(a)) for a in turn]
    model.add(tube([(0, 0.04, -reach / 2), *bow], 0.014, 6), "second")
    x, y, z = bow[-1]
    dome = [(0.17, -0.16), (0.15, -0.07), (0.08, -0.01), (0.0, 0.0)]
    inner = [(0.0, -0.008), (0.078, -0.02), (0.144, -0.075), (0.17, -0.16)]
    model.add(revolve(dome + inner, 20, (x, y, z)))
    model.add(sphere(0.05, (x, y - 0.1, z), 10), "bulb")
    return model


def reading_lamp(rng: np.random.Generator) -> Model:
    """A slim pole with a small tilted cone on an arm."""
    height, arm = rng.uniform(1.2, 1.6), rng.uniform(0.2, 0.35)
    model = Model(main="appliance", second="metal", bulb="glow")
    model.add(cylinder(0.14, 0.025, (0, 0, 0), 20))
    model.add(cylinder(0.012, height - 0.02, (0, 0.02, 0), 8), "second")
    model.add(tube([(0, height, 0), (0, height + 0.02, arm)], 0.01, 6), "second")
    cone = revolve([(0.1, 0.0), (0.04, 0.16), (0.0, 0.17), (0.0, 0.155), (0.036, 0.15), (0.095, 0.002), (0.1, 0.0)], 18)
    model.add(cone.turned(rotation_x(-0.5)).moved((0, height - 0.13, arm + 0.02)))
    model.add(sphere(0.035, (0, height - 0.08, arm + 0.01), 10), "bulb")
    return model


def globe_floor_lamp(rng: np.random.Generator) -> Model:
    """One to three glowing balls on a pole."""
    height, count = rng.uniform(1.3, 1.9), int(rng.integers(1, 4))
    radius = rng.uniform(0.12, 0.17) if count == 1 else rng.uniform(0.08, 0.11)
    model = Model(main="shade", second="metal", bulb="glow")
    model.add(cylinder(0.15, 0.02, (0, 0, 0), 20), "second")
    model.add(cylinder(0.013, height - radius, (0, 0.01, 0), 8), "second")
    for k in range(count):
        y, angle = height - radius - 0.34 * k, 2.1 * k
        at = (0.0, y, 0.0) if k == 0 else (0.2 * math.sin(angle), y, 0.2 * math.cos(angle))
        if k:
            model.add(tube([(0, y, 0), at], 0.009, 6), "second")
        model.add(sphere(radius, at, 18))
    model.add(sphere(0.035, (0, height - 0.01, 0), 8), "bulb")
    return model


def column_lamp(rng: np.random.Generator) -> Model:
    """A tall box of paper between wooden posts."""
    height, side = rng.uniform(1.2, 1.6), rng.uniform(0.24, 0.34)
    model = Model(main="shade", second="wood", bulb="glow")
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(box((0.02, height, 0.02), (x * side / 2, height / 2, z * side / 2), 0.003), "second")
    for y in (0.1, height / 2, height - 0.03):
        for s in (-1, 1):
            model.add(box((side, 0.02, 0.02), (0, y, s * side / 2), 0.003), "second")
            model.add(box((0.02, 0.02, side), (s * side / 2, y, 0), 0.003), "second")
    model.add(box((side - 0.02, height - 0.14, side - 0.02), (0, height / 2 + 0.035, 0), 0.004))
    model.add(sphere(0.04, (0, height - 0.04, 0), 8), "bulb")
    return model


def table_lamp(rng: np.random.Generator) -> Model:
    """A bellied or straight foot and a conical shade."""
    height = rng.uniform(0.32, 0.7)
    model = Model(main="shade", second="ceramic", bulb="glow")
    belly = rng.uniform(0.05, 0.11)
    profile = [
        (0, 0),
        (0.07, 0),
        (belly, height * 0.2),
        (0.03, height * 0.42),
        (0.014, height * 0.5),
        (0, height * 0.6),
    ]
    model.add(revolve(profile, 18), "second")
    wide = rng.uniform(0.12, 0.19)
    _shade(model, height * 0.55, height * 0.45, wide, wide * rng.uniform(0.5, 0.95))
    return model


def desk_lamp(rng: np.random.Generator) -> Model:
    """A jointed arm on a heavy foot, with a small shade pointing down."""
    model = Model(main="appliance", second="metal", bulb="glow")
    rise = rng.uniform(0.2, 0.26)
    model.add(cylinder(0.08, 0.02, (-0.06, 0, 0), 20))
    elbow, tip = (-0.1, rise, 0.0), (0.06, rise + 0.15, 0.0)
    model.add(tube([(-0.06, 0.02, 0), elbow], 0.008, 8), "second")
    model.add(tube([elbow, tip], 0.008, 8), "second")
    model.add(sphere(0.014, elbow, 10), "second")
    cone = revolve([(0.07, 0.0), (0.03, 0.1), (0.0, 0.11)], 20)
    inner = revolve([(0.0, 0.1), (0.026, 0.09), (0.066, 0.002), (0.07, 0.0)], 20)
    for part in (cone, inner._replace(faces=inner.faces)):
        model.add(part.turned(rotation_z(0.35)).moved((0.1, rise + 0.05, 0)))
    model.add(sphere(0.025, (0.095, rise + 0.09, 0), 10), "bulb")
    return model


def globe_lamp(rng: np.random.Generator) -> Model:
    """A glowing ball on a short wooden stem."""
    radius = rng.uniform(0.09, 0.12)
    model = Model(main="shade", second="wood", bulb="glow")
    model.add(cylinder(radius * 0.75, 0.03, (0, 0, 0), 20), "second")
    model.add(cylinder(0.02, 0.12, (0, 0.03, 0), 10), "second")
    model.add(sphere(radius, (0, 0.13 + radius, 0), 18), "bulb")
    return model
