"""Lamps, plants, balls, boxes, baskets and vases."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import blades, box, cylinder, revolve, rotation_x, rotation_z, sphere, tube


def _shade(model: Model, low_m: float, height_m: float, bottom_m: float, top_m: float) -> None:
    """A glowing lampshade, open below and above, with an inner side."""
    wall = 0.006
    outline = [(bottom_m, low_m), (top_m, low_m + height_m), (top_m - wall, low_m + height_m), (bottom_m - wall, low_m)]
    model.add(revolve(outline + outline[:1], 24), "main")
    model.add(sphere(0.05, (0, low_m + height_m * 0.45, 0), 12), "bulb")


def floor_lamp(rng: np.random.Generator) -> Model:
    """A standing lamp: round foot, pole, wide shade."""
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


def _pot(model: Model, radius: float, height: float, slot: str) -> None:
    outline = [(0, 0), (radius * 0.72, 0), (radius, height), (radius * 0.9, height), (radius * 0.88, height * 0.9)]
    model.add(revolve(outline, 20), slot)
    model.add(revolve([(radius * 0.9, height * 0.9), (0, height * 0.91)], 16), "soil")


def leafy_plant(rng: np.random.Generator) -> Model:
    """Long leaves that fan out of a pot."""
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
    """A trunk with a round crown of leaves in a pot."""
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


def ball(rng: np.random.Generator) -> Model:
    """A play or gymnastics ball."""
    radius = rng.uniform(0.2, 0.32)
    model = Model(main="rubber")
    model.add(sphere(radius, (0, radius, 0), 28))
    return model


def panelled_ball(rng: np.random.Generator) -> Model:
    """A ball of eight segments, every other one darker."""
    radius = rng.uniform(0.18, 0.28)
    model = Model(main="rubber", second="linen")
    globe = sphere(radius, (0, radius, 0), 32)
    middle = globe.positions[globe.faces].mean(1)
    segment = np.floor(np.arctan2(middle[:, 0], middle[:, 2]) / (math.pi / 4)).astype(int) % 2
    for k, slot in enumerate(("main", "second")):
        model.add(globe._replace(faces=globe.faces[segment == k]), slot)
    return model


def open_box(rng: np.random.Generator) -> Model:
    """A carton with its four flaps open."""
    width, height, depth = rng.uniform(0.42, 0.6), rng.uniform(0.3, 0.45), rng.uniform(0.4, 0.55)
    model = Model(main="card", second="card", dark="dark")
    wall = 0.012
    for x in (-1, 1):
        model.add(box((wall, height, depth), (x * (width - wall) / 2, height / 2, 0), 0.002))
    for z in (-1, 1):
        model.add(box((width - 2 * wall, height, wall), (0, height / 2, z * (depth - wall) / 2), 0.002))
    model.add(box((width - 0.01, wall, depth - 0.01), (0, wall / 2, 0), 0.002), "second")
    for side in (-1, 1):
        tilt = rng.uniform(0.5, 0.9)
        flap = box((depth * 0.32, 0.008, depth - 0.02), (depth * 0.16, 0, 0), 0.002).turned(rotation_z(-tilt))
        if side < 0:
            flap = box((depth * 0.32, 0.008, depth - 0.02), (-depth * 0.16, 0, 0), 0.002).turned(rotation_z(tilt))
        model.add(flap.moved((side * (width / 2 - 0.004), height - 0.004, 0)))
        lid = box((width - 0.02, 0.008, depth * 0.3), (0, 0, side * depth * 0.15), 0.002)
        model.add(
            lid.turned(rotation_x(side * rng.uniform(0.6, 1.0))).moved((0, height - 0.004, side * (depth / 2 - 0.004)))
        )
    return model


def crate(rng: np.random.Generator) -> Model:
    """A closed box with a lid and a band of tape."""
    width, height, depth = rng.uniform(0.45, 0.62), rng.uniform(0.34, 0.5), rng.uniform(0.4, 0.55)
    model = Model(main="card", second="card", tape="tape")
    model.add(box((width, height, depth), (0, height / 2, 0), 0.006))
    model.add(box((width + 0.002, height + 0.002, 0.07), (0, height / 2, 0), 0.004), "tape")
    return model


def basket(rng: np.random.Generator) -> Model:
    """A woven basket with a thick rim."""
    radius, height = rng.uniform(0.19, 0.25), rng.uniform(0.32, 0.48)
    model = Model(main="wicker", second="wicker")
    wall = 0.02
    inner = radius - wall
    model.add(
        revolve([(0, 0), (radius * 0.8, 0), (radius, height), (inner, height), (inner * 0.8, 0.03), (0, 0.03)], 20)
    )
    ring = [
        (math.sin(a) * (radius - 0.01), height, math.cos(a) * (radius - 0.01)) for a in np.linspace(0, 2 * math.pi, 21)
    ]
    model.add(tube(ring, 0.02, 6), "second")
    return model


def vase(rng: np.random.Generator) -> Model:
    """A bellied vase with a neck."""
    height, belly = rng.uniform(0.22, 0.34), rng.uniform(0.07, 0.1)
    model = Model(main="ceramic")
    neck = belly * rng.uniform(0.35, 0.5)
    t = np.linspace(0, 1, 10)
    radius = neck + (belly - neck) * np.sin(math.pi * np.clip(t * 1.15 + 0.1, 0, 1)) ** 1.2 + 0.02 * t**6
    outline = [(0.0, 0.0)] + [(float(r), float(y * height)) for r, y in zip(radius, t)]
    outline += [(float(radius[-1]) - 0.008, height), (neck * 0.7, height * 0.8), (0.0, height * 0.75)]
    model.add(revolve(outline, 20))
    return model


def desk_lamp(rng: np.random.Generator) -> Model:
    """A jointed arm on a heavy foot with a small shade that looks down."""
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
    """A glowing ball on a short stem of wood."""
    radius = rng.uniform(0.09, 0.12)
    model = Model(main="shade", second="wood", bulb="glow")
    model.add(cylinder(radius * 0.75, 0.03, (0, 0, 0), 20), "second")
    model.add(cylinder(0.02, 0.12, (0, 0.03, 0), 10), "second")
    model.add(sphere(radius, (0, 0.13 + radius, 0), 18), "bulb")
    return model


def vase_with_flowers(rng: np.random.Generator) -> Model:
    """A slim vase with three to six tulips."""
    height, radius = rng.uniform(0.16, 0.21), rng.uniform(0.045, 0.06)
    model = Model(main="ceramic", second="leaf", bloom="fruit")
    outline = [(0, 0), (radius, 0), (radius * 0.8, height * 0.6), (radius * 0.95, height), (radius * 0.8, height)]
    model.add(revolve([*outline, (radius * 0.6, height * 0.7), (0, height * 0.68)], 18))
    for k in range(int(rng.integers(3, 7))):
        angle, lean = k * 2.4, rng.uniform(0.02, 0.08)
        tip = (lean * math.sin(angle), height + rng.uniform(0.07, 0.13), lean * math.cos(angle))
        model.add(tube([(0, height * 0.7, 0), tip], 0.004, 5), "second")
        model.add(revolve([(0, 0), (0.018, 0.012), (0.02, 0.03), (0.008, 0.05), (0, 0.045)], 8, tip), "bloom")
    return model
