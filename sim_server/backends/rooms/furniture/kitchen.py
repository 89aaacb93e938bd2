"""The parts of a kitchen run, and what stands on a counter."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, raised_panel, revolve, rotation_x, soft_box, sphere, tube

COUNTER_M = 0.9  # height of every unit of a run
DEPTH_M = 0.6


def _unit(width: float) -> Model:
    """Plinth, carcase and worktop; fronts are added by the caller. All units of a run share their slots."""
    model = Model(main="lacquer", second="stone", detail="metal", dark="dark")
    model.add(box((width - 0.01, 0.1, DEPTH_M - 0.08), (0, 0.05, -0.03), 0.002), "dark")
    model.add(box((width - 0.004, COUNTER_M - 0.14, DEPTH_M - 0.04), (0, (COUNTER_M + 0.06) / 2, -0.015), 0.002))
    model.add(box((width, 0.04, DEPTH_M), (0, COUNTER_M - 0.02, 0), 0.004), "second")
    return model


def _front(model: Model, x: float, low: float, high: float, width: float, panelled: bool) -> None:
    z = DEPTH_M / 2 - 0.028
    model.add(box((width - 0.008, high - low - 0.008, 0.02), (x, (low + high) / 2, z), 0.003))
    if panelled and high - low > 0.2:
        model.add(raised_panel(width - 0.09, high - low - 0.12, (x, (low + high) / 2 - 0.01, z + 0.01), 0.01, 0.025))
    model.add(box((min(0.16, width * 0.5), 0.014, 0.03), (x, high - 0.05, z + 0.015), 0.004), "detail")


def counter(rng: np.random.Generator, width_m: float = 0.0, panelled: bool = False) -> Model:
    """A base unit with doors, with drawers, or with a drawer above doors; 0.8 to 1.6 m wide unless told."""
    width = width_m or rng.uniform(0.8, 1.6)
    model = _unit(width)
    columns = max(1, round(width / 0.5))
    for k in range(columns):
        cell = width / columns
        x = -width / 2 + cell * (k + 0.5)
        style = int(rng.integers(3))
        edges = ([0.1, 0.86], [0.1, 0.36, 0.62, 0.86], [0.1, 0.7, 0.86])[style]
        for low, high in zip(edges, edges[1:]):
            _front(model, x, low, high, cell, panelled)
    model.surface(COUNTER_M, width, DEPTH_M - 0.06, 0.42)
    return model


def panelled_counter(rng: np.random.Generator) -> Model:
    """A base unit with raised panels."""
    return counter(rng, panelled=True)


def _sink_unit(rng: np.random.Generator, panelled: bool) -> tuple[Model, float]:
    """A base unit with two doors, and its width."""
    width = rng.uniform(0.6, 0.8)
    model = _unit(width)
    for k in (-1, 1):
        _front(model, k * width / 4, 0.1, 0.86, width / 2, panelled)
    return model, width


def ceramic_sink(rng: np.random.Generator, panelled: bool = True) -> Model:
    """A base unit with a deep white basin whose front shows, and a tall arched tap."""
    model, width = _sink_unit(rng, panelled)
    model.kinds["basin"] = "enamel"
    long, deep, y = width - 0.12, 0.42, COUNTER_M - 0.06
    for z in (-1, 1):
        model.add(box((long, 0.2, 0.045), (0, y, 0.09 + z * (deep - 0.045) / 2), 0.014), "basin")
    for x in (-1, 1):
        model.add(box((0.045, 0.2, deep), (x * (long - 0.045) / 2, y, 0.09), 0.014), "basin")
    model.add(box((long - 0.06, 0.006, deep - 0.06), (0, COUNTER_M + 0.002, 0.09), 0.001), "basin")
    model.add(cylinder(0.03, 0.004, (0, COUNTER_M + 0.004, 0.09), 12), "detail")
    bow = [(0, COUNTER_M + 0.27 + 0.09 * math.sin(a), -0.13 - 0.09 * math.cos(a)) for a in np.linspace(0, math.pi, 8)]
    model.add(tube([(0, COUNTER_M, -0.22), *bow], 0.014, 8), "detail")
    for x in (-0.09, 0.09):
        model.add(cylinder(0.014, 0.05, (x, COUNTER_M, -0.22), 8), "detail")
    return model


def sink(rng: np.random.Generator, panelled: bool = False) -> Model:
    """A base unit with a steel basin let into the top, and a tap."""
    model, width = _sink_unit(rng, panelled)
    model.kinds["steel"] = "steel"
    long, deep = width - 0.16, 0.36
    for z in (-1, 1):
        model.add(box((long, 0.018, 0.03), (0, COUNTER_M + 0.006, 0.03 + z * deep / 2), 0.004), "steel")
    for x in (-1, 1):
        model.add(box((0.03, 0.018, deep - 0.03), (x * (long - 0.03) / 2, COUNTER_M + 0.006, 0.03), 0.004), "steel")
    model.add(box((long - 0.05, 0.004, deep - 0.02), (0, COUNTER_M + 0.001, 0.03), 0.001), "dark")
    tap = [
        (0, COUNTER_M, -0.2),
        (0, COUNTER_M + 0.26, -0.2),
        (0, COUNTER_M + 0.31, -0.12),
        (0, COUNTER_M + 0.24, -0.04),
    ]
    model.add(tube(tap, 0.015, 8), "detail")
    model.add(box((0.08, 0.014, 0.02), (0.05, COUNTER_M + 0.05, -0.2), 0.004), "detail")
    return model


def dishwasher(rng: np.random.Generator) -> Model:
    """A steel front below the worktop."""
    width = 0.6 if rng.random() < 0.7 else 0.45
    model = _unit(width)
    model.kinds["steel"] = "steel"
    bar = rng.uniform(0.66, 0.72)
    z = DEPTH_M / 2 - 0.028
    model.add(box((width - 0.008, 0.62, 0.022), (0, 0.42, z), 0.004), "steel")
    model.add(box((width - 0.008, 0.12, 0.022), (0, 0.795, z), 0.004), "steel")
    model.add(box((width - 0.16, 0.02, 0.04), (0, bar, z + 0.02), 0.006), "detail")
    model.add(box((0.12, 0.03, 0.004), (width / 2 - 0.14, 0.8, z + 0.012), 0.001), "dark")
    model.surface(COUNTER_M, width, DEPTH_M - 0.06, 0.42)
    return model


def built_in_dishwasher(rng: np.random.Generator) -> Model:
    """A dishwasher behind a front like those of the other units, with its controls in a strip above."""
    width = 0.6
    model = _unit(width)
    model.kinds["screen"] = "screen"
    z = DEPTH_M / 2 - 0.028
    _front(model, 0, 0.1, 0.79, width, rng.random() < 0.5)
    model.add(box((width - 0.008, 0.06, 0.02), (0, 0.825, z), 0.003), "screen")
    model.add(box((0.05, 0.018, 0.004), (width / 2 - 0.08, 0.825, z + 0.011), 0.001), "detail")
    model.surface(COUNTER_M, width, DEPTH_M - 0.06, 0.42)
    return model


def open_cupboard(rng: np.random.Generator, width_m: float = 0.0) -> Model:
    """Two shelves in an open case with cups and bowls; its foot is at 0, hang it."""
    width, height, depth = width_m or rng.uniform(0.6, 0.9), 0.7, 0.3
    model = Model(main="wood", dishes="ceramic", other="pan")
    for x in (-1, 1):
        model.add(box((0.022, height, depth), (x * (width - 0.022) / 2, height / 2, 0), 0.004))
    for y in (0.011, height / 2, height - 0.011):
        model.add(box((width - 0.04, 0.022, depth), (0, y, 0), 0.004))
    model.add(box((width - 0.04, height - 0.02, 0.01), (0, height / 2, -depth / 2 + 0.006), 0.002))
    for y in (0.022, height / 2 + 0.011):
        for x in np.arange(-width / 2 + 0.12, width / 2 - 0.1, 0.19).tolist():
            kind = rng.random()
            if kind < 0.4:
                bowl = [(0, 0), (0.03, 0), (0.07, 0.06), (0.064, 0.06), (0.0, 0.012)]
                model.add(revolve([(r, h + 0.03 * k) for k in (0, 1) for r, h in bowl], 14, (x, y, 0.02)), "dishes")
            elif kind < 0.85:
                for dx in (-0.042, 0.042):
                    model.add(cylinder(0.036, 0.09, (x + dx, y, 0.03), 10), "dishes" if kind < 0.65 else "other")
    return model


def cupboard(rng: np.random.Generator, width_m: float = 0.0, panelled: bool = False) -> Model:
    """A wall cupboard with one door per 0.45 m; its foot is at 0, hang it."""
    width, height, depth = width_m or rng.uniform(0.8, 1.2), 0.7, 0.34
    model = Model(main="lacquer", second="stone", detail="metal", dark="dark")
    model.add(box((width - 0.002, height, depth - 0.024), (0, height / 2, -0.012), 0.002))
    doors = max(1, round(width / 0.45))
    for k in range(doors):
        x = -width / 2 + width / doors * (k + 0.5)
        model.add(box((width / doors - 0.008, height - 0.008, 0.02), (x, height / 2, depth / 2 - 0.01), 0.003))
        if panelled:
            model.add(raised_panel(width / doors - 0.1, height - 0.1, (x, height / 2, depth / 2), 0.01, 0.025))
        side = -1 if k % 2 else 1
        at = (x + side * (width / doors / 2 - 0.05), 0.12, depth / 2 + 0.008)
        model.add(box((0.014, 0.14, 0.026), at, 0.004), "detail")
    return model


def hood(rng: np.random.Generator) -> Model:
    """An extractor over the stove: a flat canopy and a chimney; hang it."""
    model = Model(main="steel", dark="dark")
    model.add(box((0.6, 0.06, 0.46), (0, 0.03, 0), 0.004))
    model.add(box((0.5, 0.006, 0.36), (0, -0.001, 0), 0.001), "dark")
    for k in range(3):
        size = 0.4 - 0.09 * k
        model.add(box((size, 0.05, size * 0.75), (0, 0.085 + 0.05 * k, -0.02 * k - 0.05), 0.004))
    model.add(box((0.22, rng.uniform(0.5, 0.62), 0.2), (0, 0.5, -0.12), 0.004))
    return model


def slanted_hood(rng: np.random.Generator) -> Model:
    """A dark glass plate that leans over the stove before a column; hang it."""
    model = Model(main="screen", second="steel", dark="dark")
    tilt = rotation_x(-0.9)
    model.add(box((0.6, 0.03, 0.52), (0, 0, 0), 0.004).turned(tilt).moved((0, 0.24, 0.0)))
    model.add(box((0.56, 0.04, 0.1), (0, 0.02, -0.1), 0.004), "second")
    model.add(box((0.3, rng.uniform(0.55, 0.66), 0.16), (0, 0.36, -0.15), 0.004), "second")
    return model


def microwave(rng: np.random.Generator) -> Model:
    """A box with a dark door and a panel of buttons."""
    width, height, depth = rng.uniform(0.46, 0.54), rng.uniform(0.27, 0.32), rng.uniform(0.33, 0.38)
    model = Model(main="appliance", dark="dark", screen="screen", detail="metal")
    model.add(box((width, height - 0.015, depth), (0, (height + 0.015) / 2, 0), 0.008))
    for x in (-1, 1):
        model.add(box((0.03, 0.02, depth - 0.1), (x * (width / 2 - 0.05), 0.01, 0)), "dark")
    model.add(box((width * 0.68, height - 0.06, 0.012), (-width * 0.13, height / 2, depth / 2), 0.004), "screen")
    model.add(box((0.018, height - 0.1, 0.03), (width * 0.24, height / 2, depth / 2 + 0.012), 0.006), "detail")
    for k in range(3):
        model.add(box((0.05, 0.025, 0.008), (width * 0.38, 0.08 + 0.05 * k, depth / 2), 0.002), "dark")
    model.add(box((0.06, 0.03, 0.006), (width * 0.38, height - 0.06, depth / 2), 0.002), "screen")
    model.surface(height, width, depth, 0.3)
    return model


def toaster(rng: np.random.Generator) -> Model:
    """A rounded body with two slots and a lever."""
    width, height, depth = rng.uniform(0.27, 0.33), rng.uniform(0.18, 0.21), rng.uniform(0.16, 0.19)
    model = Model(main="appliance", dark="dark", detail="metal")
    model.add(soft_box((width, height - 0.012, depth), (0, (height + 0.012) / 2, 0), 0.045, 3))
    model.add(box((width - 0.06, 0.02, depth - 0.05), (0, 0.01, 0)), "dark")
    for z in (-1, 1):
        model.add(box((width - 0.09, 0.006, 0.022), (0, height - 0.001, z * 0.032), 0.001), "dark")
    model.add(box((0.03, 0.02, 0.05), (width / 2 + 0.008, height * 0.6, 0), 0.005), "dark")
    return model


def kettle(rng: np.random.Generator) -> Model:
    """A jug with a spout, a lid and a handle."""
    radius, height = rng.uniform(0.07, 0.085), rng.uniform(0.19, 0.23)
    model = Model(main="appliance", dark="dark")
    model.add(cylinder(radius + 0.006, 0.02, (0, 0, 0), 20), "dark")
    outline = [(radius, 0.02), (radius, height * 0.35), (radius * 0.72, height - 0.02), (radius * 0.6, height)]
    model.add(revolve([(0, 0.02), *outline, (0, height)], 22))
    model.add(sphere(0.018, (0, height + 0.008, 0), 10), "dark")
    model.add(tube([(0, height * 0.62, radius * 0.7), (0, height * 0.9, radius * 1.25)], 0.016, 8))
    bow = [
        (0, height * (0.55 + 0.4 * math.sin(a)), -radius * 0.6 - 0.055 * math.cos(a)) for a in np.linspace(-1.3, 1.3, 8)
    ]
    model.add(tube(bow, 0.011, 8), "dark")
    return model


def pot(rng: np.random.Generator) -> Model:
    """A cooking pot with two ears and a lid."""
    radius, height = rng.uniform(0.1, 0.13), rng.uniform(0.11, 0.16)
    model = Model(main="pan", dark="dark", detail="metal")
    model.add(revolve([(0, 0), (radius * 0.96, 0), (radius, 0.01), (radius, height), (0, height)], 24))
    lid = [
        (radius + 0.004, height),
        (radius + 0.004, height + 0.008),
        (radius * 0.5, height + 0.025),
        (0, height + 0.03),
    ]
    model.add(revolve(lid, 24), "detail")
    model.add(sphere(0.016, (0, height + 0.04, 0), 10), "dark")
    for side in (-1, 1):
        ear = [(side * radius, height - 0.03, -0.03), (side * (radius + 0.035), height - 0.03, -0.02)]
        ear += [(side * (radius + 0.035), height - 0.03, 0.02), (side * radius, height - 0.03, 0.03)]
        model.add(tube(ear, 0.007, 6), "dark")
    return model


def pan(rng: np.random.Generator) -> Model:
    """A frying pan with a long handle."""
    radius = rng.uniform(0.12, 0.14)
    model = Model(main="pan", dark="dark")
    model.add(
        revolve(
            [(0, 0), (radius * 0.8, 0), (radius, 0.045), (radius - 0.005, 0.045), (radius * 0.78, 0.008), (0, 0.008)],
            24,
        )
    )
    model.add(tube([(0, 0.035, radius - 0.01), (0, 0.055, radius + 0.18)], 0.011, 8), "dark")
    return model


def coffee_machine(rng: np.random.Generator) -> Model:
    """A back with a tank, an overhanging head and a glass jug on a hot plate."""
    width, height, depth = rng.uniform(0.24, 0.3), rng.uniform(0.36, 0.42), rng.uniform(0.3, 0.38)
    model = Model(main="appliance", dark="dark", screen="screen")
    model.add(box((width, height, depth * 0.42), (0, height / 2, -depth * 0.29), 0.012))
    model.add(box((width, 0.1, depth), (0, height - 0.05, 0), 0.012))
    model.add(box((width, 0.03, depth), (0, 0.015, 0), 0.006), "dark")
    jug = [(0, 0.03), (0.055, 0.03), (0.07, 0.08), (0.05, 0.15), (0.04, 0.16), (0, 0.16)]
    model.add(revolve(jug, 18, (0, 0, depth * 0.2)), "screen")
    model.add(box((0.06, 0.02, 0.006), (0, height - 0.05, depth / 2), 0.002), "screen")
    return model


def plate(rng: np.random.Generator) -> Model:
    """One to three plates, stacked."""
    radius, rise = rng.uniform(0.1, 0.135), 0.008
    model = Model(main="ceramic")
    for k in range(int(rng.integers(1, 4))):
        y = k * rise
        outline = [
            (0, y),
            (radius * 0.6, y),
            (radius, y + 0.018),
            (radius - 0.003, y + 0.021),
            (radius * 0.6, y + 0.006),
        ]
        model.add(revolve([*outline, (0, y + 0.006)], 24))
    return model


def apple(rng: np.random.Generator) -> Model:
    """An apple with a stalk."""
    radius = rng.uniform(0.036, 0.046)
    model = Model(main="fruit", dark="dark")
    profile = [(0, 0.1), (0.5, 0.0), (0.92, 0.5), (1.0, 1.05), (0.75, 1.65), (0.35, 1.78), (0.0, 1.6)]
    model.add(revolve([(r * radius, y * radius) for r, y in profile], 18))
    model.add(tube([(0, radius * 1.6, 0), (0.006, radius * 2.0, 0)], 0.003, 5), "dark")
    return model


def soap(rng: np.random.Generator) -> Model:
    """A bottle with a pump."""
    width, height = rng.uniform(0.06, 0.075), rng.uniform(0.13, 0.16)
    model = Model(main="lotion", dark="dark")
    model.add(soft_box((width, height, width * 0.75), (0, height / 2, 0), 0.018, 3))
    model.add(cylinder(0.012, 0.04, (0, height, 0), 10), "dark")
    model.add(box((0.016, 0.014, 0.06), (0, height + 0.042, 0.02), 0.004), "dark")
    return model


def bin_with_lid(rng: np.random.Generator) -> Model:
    """A pedal bin: a round body, a domed lid and a pedal."""
    radius, height = rng.uniform(0.16, 0.19), rng.uniform(0.42, 0.58)
    model = Model(main="appliance", dark="dark")
    model.add(cylinder(radius * 0.98, 0.03, (0, 0, 0), 22), "dark")
    model.add(
        revolve(
            [
                (radius * 0.95, 0.03),
                (radius, height),
                (radius, height + 0.01),
                (radius * 0.8, height + 0.05),
                (0, height + 0.07),
            ],
            24,
        )
    )
    model.add(revolve([(radius + 0.004, height - 0.012), (radius + 0.004, height), (radius, height)], 24), "dark")
    model.add(box((0.09, 0.012, 0.05), (0, 0.02, radius + 0.01), 0.004), "dark")
    return model


def swing_bin(rng: np.random.Generator) -> Model:
    """A tapered square bin with a swing lid."""
    width, height = rng.uniform(0.32, 0.38), rng.uniform(0.48, 0.62)
    model = Model(main="plastic", dark="dark")
    body = box((width, height, width * 0.82), (0, height / 2, 0), 0.02)
    taper = (0.82 + 0.18 * body.positions[:, 1:2] / height).astype(np.float32)
    model.add(body._replace(positions=body.positions * np.concatenate([taper, np.ones_like(taper), taper], 1)))
    model.add(soft_box((width + 0.015, 0.06, width * 0.82 + 0.015), (0, height, 0), 0.025), "dark")
    flap = box((width * 0.8, 0.02, width * 0.5), (0, 0, 0), 0.006).turned(rotation_x(0.35))
    model.add(flap.moved((0, height + 0.03, 0)))
    return model
