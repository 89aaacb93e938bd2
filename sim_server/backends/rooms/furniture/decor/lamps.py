"""Floor lamps and table lamps."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import cylinder, revolve, rotation_z, sphere, tube


def _shade(model: Model, low_m: float, height_m: float, bottom_m: float, top_m: float) -> None:
    """Add a glowing lampshade, open at both ends and visible from inside, with its bulb."""
    wall = 0.006
    outline = [(bottom_m, low_m), (top_m, low_m + height_m), (top_m - wall, low_m + height_m), (bottom_m - wall, low_m)]
    model.add(revolve(outline + outline[:1], 24), "main")
    model.add(sphere(0.05, (0, low_m + height_m * 0.45, 0), 12), "bulb")


def floor_lamp(rng: np.random.Generator) -> Model:
    """A floor lamp: round foot, pole, wide shade."""
    height = rng.uniform(1.5, 1.75)
    model = Model(main="shade", second="metal", bulb="glow")
    model.add(revolve([(0, 0), (0.16, 0), (0.16, 0.02), (0.03, 0.05), (0.0, 0.05)], 20), "second")
    model.add(cylinder(0.016, height - 0.15, (0, 0.03, 0), 8), "second")
    tall, wide = rng.uniform(0.3, 0.38), rng.uniform(0.23, 0.28)
    _shade(model, height - tall, tall, wide, wide * rng.uniform(0.55, 0.9))
    return model


def tripod_lamp(rng: np.random.Generator) -> Model:
    """A shade on three wooden legs."""
    height = rng.uniform(1.45, 1.65)
    model = Model(main="shade", second="wood", bulb="glow")
    tall, wide = rng.uniform(0.3, 0.36), rng.uniform(0.24, 0.28)
    for k in range(3):
        angle = 2 * math.pi * k / 3 + 0.3
        foot = (0.28 * math.sin(angle), 0.0, 0.28 * math.cos(angle))
        model.add(tube([foot, (0, height - tall, 0)], 0.018, 8), "second")
    model.add(cylinder(0.02, 0.16, (0, height - tall - 0.02, 0), 8), "second")
    _shade(model, height - tall, tall, wide, wide * rng.uniform(0.75, 1.0))
    return model


def table_lamp(rng: np.random.Generator) -> Model:
    """A bellied foot and a conical shade."""
    height = rng.uniform(0.42, 0.55)
    model = Model(main="shade", second="ceramic", bulb="glow")
    belly = rng.uniform(0.07, 0.1)
    profile = [
        (0, 0),
        (0.07, 0),
        (belly, height * 0.2),
        (0.03, height * 0.42),
        (0.014, height * 0.5),
        (0, height * 0.6),
    ]
    model.add(revolve(profile, 18), "second")
    _shade(model, height * 0.55, height * 0.45, 0.16, 0.1)
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
