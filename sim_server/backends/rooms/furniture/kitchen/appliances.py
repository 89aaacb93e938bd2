"""Fridges and stoves; microwaves, toasters, kettles and coffee machines."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, rotation_y, soft_box, sphere, tube


def fridge(rng: np.random.Generator) -> Model:
    """A fridge with two doors, one above the other, and long handles."""
    width, depth, height = rng.uniform(0.54, 0.84), rng.uniform(0.56, 0.72), rng.uniform(1.35, 2.05)
    split = height * rng.uniform(0.6, 0.68)
    model = Model(main="enamel", detail="metal", dark="dark")
    model.add(box((width, height - 0.04, depth - 0.05), (0, height / 2 + 0.02, -0.025), 0.015))
    model.add(box((width - 0.06, 0.04, depth - 0.1), (0, 0.02, -0.03)), "dark")
    for low, high in ((0.06, split - 0.008), (split + 0.008, height)):
        model.add(box((width, high - low, 0.06), (0, (low + high) / 2, depth / 2 - 0.03), 0.015))
        handle = min(0.45, (high - low) * 0.5)
        y = high - 0.08 - handle / 2 if low < split - 0.1 else low + 0.08 + handle / 2
        model.add(box((0.025, handle, 0.03), (width / 2 - 0.06, y, depth / 2 + 0.015)), "detail")
    return model


def round_fridge(rng: np.random.Generator) -> Model:
    """A rounded, coloured fridge with one door and a lever."""
    width, depth, height = rng.uniform(0.54, 0.66), rng.uniform(0.58, 0.68), rng.uniform(1.1, 1.75)
    model = Model(main="appliance", detail="metal", dark="dark")
    model.add(soft_box((width, height - 0.05, depth - 0.06), (0, height / 2 + 0.025, -0.03), 0.06, 3))
    model.add(box((width - 0.08, 0.06, depth - 0.12), (0, 0.03, -0.03)), "dark")
    model.add(soft_box((width, height - 0.12, 0.1), (0, height / 2 + 0.02, depth / 2 - 0.05), 0.045, 3))
    model.add(box((0.03, 0.22, 0.045), (width / 2 - 0.08, height * 0.62, depth / 2 + 0.015), 0.01), "detail")
    model.add(box((0.16, 0.03, 0.008), (0, height - 0.16, depth / 2 + 0.002), 0.002), "detail")
    return model


def wide_fridge(rng: np.random.Generator) -> Model:
    """A wide steel fridge with two doors side by side and an ice dispenser."""
    width, depth, height = rng.uniform(0.84, 1.0), rng.uniform(0.62, 0.74), rng.uniform(1.7, 1.95)
    model = Model(main="steel", detail="metal", dark="dark")
    model.add(box((width, height - 0.04, depth - 0.07), (0, height / 2 + 0.02, -0.035), 0.01))
    model.add(box((width - 0.06, 0.05, depth - 0.12), (0, 0.025, -0.03)), "dark")
    for x in (-1, 1):
        at = x * width / 4
        model.add(box((width / 2 - 0.006, height - 0.08, 0.07), (at, height / 2 + 0.04, depth / 2 - 0.035), 0.012))
        model.add(box((0.025, height * 0.45, 0.03), (x * 0.035, height * 0.58, depth / 2 + 0.018), 0.008), "detail")
    model.add(box((width * 0.24, 0.3, 0.006), (-width / 4, height * 0.62, depth / 2 + 0.001), 0.002), "dark")
    return model


def _oven_front(model: Model, x: float, width: float, low: float, high: float, z: float) -> None:
    """Add an oven door with a window and a bar handle."""
    model.add(box((width, high - low, 0.02), (x, (low + high) / 2, z), 0.005))
    model.add(box((width - 0.12, (high - low) * 0.55, 0.006), (x, low + (high - low) * 0.42, z + 0.011), 0.002), "dark")
    model.add(box((width - 0.08, 0.022, 0.035), (x, high - 0.045, z + 0.02), 0.008), "detail")


def stove(rng: np.random.Generator) -> Model:
    """An oven with a glass door, knobs, and four rings on top."""
    width, depth, height = rng.uniform(0.5, 0.62), 0.6, rng.uniform(0.85, 0.92)
    model = Model(main="enamel", detail="metal", dark="dark")
    model.add(box((width, height, depth), (0, height / 2, 0), 0.01))
    model.add(box((width - 0.01, 0.012, depth - 0.02), (0, height + 0.004, 0)), "dark")
    for x in (-0.13, 0.13):
        for z in (-0.13, 0.13):
            model.add(cylinder(0.08, 0.012, (x, height + 0.008, z), 16), "detail")
    model.add(box((width - 0.12, 0.34, 0.02), (0, height * 0.45, depth / 2 + 0.004)), "dark")
    model.add(box((width - 0.14, 0.022, 0.035), (0, height * 0.45 + 0.2, depth / 2 + 0.015)), "detail")
    for x in np.linspace(-0.2, 0.2, 5):
        knob = cylinder(0.02, 0.03, (0, 0, 0), 10).turned(rotation_x(math.pi / 2))
        model.add(knob.moved((float(x), height - 0.07, depth / 2)), "dark")
    model.surface(height + 0.02, width, depth, 0.4)
    return model


def gas_stove(rng: np.random.Generator) -> Model:
    """A steel range with burners under grates, an oven window and a raised back panel."""
    width, depth, height = rng.uniform(0.55, 0.7), 0.6, rng.uniform(0.86, 0.91)
    back = rng.uniform(0.06, 0.25)
    model = Model(main="steel", detail="metal", dark="dark")
    model.add(box((width, height - 0.08, depth - 0.02), (0, height / 2 + 0.04, 0), 0.006))
    model.add(box((width - 0.06, 0.08, depth - 0.08), (0, 0.04, 0)), "dark")
    model.add(box((width, back, 0.03), (0, height + back / 2, -depth / 2 + 0.025), 0.006))
    for x in (-0.14, 0.14):
        for z in (-0.11, 0.14):
            model.add(cylinder(0.045, 0.014, (x, height, z), 14), "dark")
        for step in (-0.07, 0.0, 0.07):
            model.add(box((0.014, 0.014, 0.46), (x + step, height + 0.024, 0.015), 0.003), "dark")
        model.add(box((0.19, 0.014, 0.014), (x, height + 0.024, 0.015), 0.003), "dark")
    model.add(box((width - 0.16, 0.26, 0.012), (0, height * 0.44, depth / 2 - 0.008), 0.004), "dark")
    model.add(box((width - 0.08, 0.024, 0.04), (0, height * 0.44 + 0.2, depth / 2 + 0.012), 0.008), "detail")
    for x in np.linspace(-0.2, 0.2, 5):
        knob = cylinder(0.022, 0.03, (0, 0, 0), 12).turned(rotation_x(math.pi / 2))
        model.add(knob.moved((float(x), height - 0.055, depth / 2 - 0.012)), "detail")
    model.surface(height + 0.031, width - 0.04, depth - 0.1, 0.4, 0.015)
    return model


def range_cooker(rng: np.random.Generator) -> Model:
    """A wide enamelled range with two ovens, a row of knobs and a black hob with five rings."""
    width, depth, height = rng.uniform(0.85, 1.2), 0.6, rng.uniform(0.87, 0.92)
    model = Model(main="appliance", detail="brass", dark="dark")
    model.add(box((width, height - 0.1, depth - 0.03), (0, height / 2 + 0.05, -0.01), 0.008))
    model.add(box((width - 0.06, 0.1, depth - 0.1), (0, 0.05, -0.01)), "dark")
    model.add(box((width, 0.02, depth), (0, height, 0), 0.004), "dark")
    for k, x in enumerate(np.linspace(-width / 2 + 0.14, width / 2 - 0.14, 5).tolist()):
        model.add(cylinder(0.075 - 0.015 * (k % 2), 0.014, (x, height + 0.008, 0.1 if k % 2 else -0.08), 16), "detail")
    for x in (-1, 1):
        _oven_front(model, x * width / 4, width / 2 - 0.03, 0.14, height - 0.14, depth / 2 - 0.015)
    for x in np.linspace(-width / 2 + 0.1, width / 2 - 0.1, 7):
        knob = cylinder(0.02, 0.03, (0, 0, 0), 10).turned(rotation_x(math.pi / 2))
        model.add(knob.moved((float(x), height - 0.07, depth / 2 - 0.025)), "detail")
    model.surface(height + 0.022, width, depth - 0.04, 0.4)
    return model


def microwave(rng: np.random.Generator) -> Model:
    """A box with a dark door and a panel of buttons."""
    width, height, depth = rng.uniform(0.46, 0.54), rng.uniform(0.27, 0.32), rng.uniform(0.33, 0.38)
    model = Model(main="appliance", dark="dark", detail="metal")
    model.add(box((width, height - 0.015, depth), (0, (height + 0.015) / 2, 0), 0.008))
    for x in (-1, 1):
        model.add(box((0.03, 0.02, depth - 0.1), (x * (width / 2 - 0.05), 0.01, 0)), "dark")
    model.add(box((width * 0.68, height - 0.06, 0.012), (-width * 0.13, height / 2, depth / 2), 0.004), "dark")
    model.add(box((0.018, height - 0.1, 0.03), (width * 0.24, height / 2, depth / 2 + 0.012), 0.006), "detail")
    for k in range(3):
        model.add(box((0.05, 0.025, 0.008), (width * 0.38, 0.08 + 0.05 * k, depth / 2), 0.002), "dark")
    model.add(box((0.06, 0.03, 0.006), (width * 0.38, height - 0.06, depth / 2), 0.002), "dark")
    model.surface(height, width, depth, 0.3)
    return model


def dial_microwave(rng: np.random.Generator) -> Model:
    """A rounded microwave with a framed window and two dials."""
    width, height, depth = rng.uniform(0.44, 0.5), rng.uniform(0.26, 0.3), rng.uniform(0.32, 0.36)
    model = Model(main="appliance", dark="dark", detail="metal")
    model.add(soft_box((width, height - 0.02, depth), (0, height / 2 + 0.01, 0), 0.035))
    for x in (-1, 1):
        model.add(cylinder(0.02, 0.02, (x * (width / 2 - 0.06), 0, 0), 10), "dark")
    model.add(box((width * 0.62, height - 0.07, 0.014), (-width * 0.14, height / 2 + 0.01, depth / 2), 0.005), "detail")
    model.add(
        box((width * 0.5, height - 0.13, 0.006), (-width * 0.14, height / 2 + 0.01, depth / 2 + 0.007), 0.002), "dark"
    )
    for y in (0.34, 0.7):
        dial = cylinder(0.028, 0.025, (0, 0, 0), 16).turned(rotation_x(math.pi / 2))
        model.add(dial.moved((width * 0.34, height * y, depth / 2 - 0.004)), "detail")
    model.surface(height, width - 0.06, depth - 0.06, 0.3)
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


def long_toaster(rng: np.random.Generator) -> Model:
    """A slim toaster with toast in its one long slot and a dial at one end."""
    width, height, depth = rng.uniform(0.34, 0.39), rng.uniform(0.17, 0.2), rng.uniform(0.132, 0.15)
    model = Model(main="steel", dark="dark", toast="card")
    model.add(box((width, height - 0.02, depth), (0, height / 2 + 0.01, 0), 0.02))
    model.add(box((width - 0.03, 0.03, depth - 0.02), (0, 0.015, 0)), "dark")
    model.add(box((width - 0.07, 0.006, 0.034), (0, height, 0), 0.001), "dark")
    for x in (-0.07, 0.07):
        model.add(soft_box((0.11, 0.07, 0.016), (x, height + 0.015, 0), 0.007), "toast")
    dial = cylinder(0.022, 0.02, (0, 0, 0), 14).turned(rotation_x(math.pi / 2)).turned(rotation_y(math.pi / 2))
    model.add(dial.moved((width / 2 - 0.002, height * 0.45, 0)), "dark")
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


def stove_kettle(rng: np.random.Generator) -> Model:
    """A round-bellied kettle with a handle over its lid and a bent spout."""
    radius = rng.uniform(0.085, 0.1)
    height = radius * 1.35
    model = Model(main="appliance", dark="dark", detail="metal")
    belly = [
        (0, 0),
        (radius * 0.9, 0),
        (radius, 0.03),
        (radius * 0.92, height * 0.65),
        (radius * 0.5, height),
        (0, height),
    ]
    model.add(revolve(belly, 24))
    model.add(
        revolve([(radius * 0.48, height - 0.004), (radius * 0.4, height + 0.014), (0, height + 0.02)], 18), "detail"
    )
    model.add(sphere(0.015, (0, height + 0.026, 0), 10), "dark")
    model.add(
        tube(
            [(0, height * 0.35, radius * 0.8), (0, height * 0.6, radius * 1.3), (0, height * 0.92, radius * 1.45)],
            0.014,
            8,
        )
    )
    bow = [(0, height * 0.8 + 0.095 * math.sin(a), radius * 0.95 * math.cos(a)) for a in np.linspace(0.15, 2.99, 9)]
    model.add(tube(bow, 0.009, 8), "dark")
    return model


def glass_kettle(rng: np.random.Generator) -> Model:
    """A straight jug on a round base, with a steel band, a flat lid and a D-shaped handle."""
    radius, height = rng.uniform(0.065, 0.08), rng.uniform(0.18, 0.24)
    model = Model(main="glass", second="steel", dark="dark")
    model.add(cylinder(radius + 0.014, 0.016, sections=22), "dark")
    model.add(cylinder(radius + 0.003, 0.05, (0, 0.016, 0), 22), "second")
    model.add(revolve([(radius, 0.06), (radius, height), (0, height)], 22))
    model.add(cylinder(radius - 0.008, 0.016, (0, height, 0), 22), "dark")
    model.add(box((0.034, 0.03, 0.05), (0, height - 0.018, radius + 0.008), 0.008), "second")
    bow = [(0, height - 0.03, -radius), (0, height - 0.02, -radius - 0.055), (0, height * 0.35, -radius - 0.055)]
    model.add(tube([*bow, (0, height * 0.28, -radius)], 0.011, 6), "dark")
    return model


def coffee_machine(rng: np.random.Generator) -> Model:
    """A column with a water tank, an overhanging head, and a glass jug on a hot plate."""
    width, height, depth = rng.uniform(0.24, 0.3), rng.uniform(0.36, 0.42), rng.uniform(0.3, 0.38)
    model = Model(main="appliance", dark="dark")
    model.add(box((width, height, depth * 0.42), (0, height / 2, -depth * 0.29), 0.012))
    model.add(box((width, 0.1, depth), (0, height - 0.05, 0), 0.012))
    model.add(box((width + 0.006, 0.034, depth + 0.006), (0, 0.015, 0), 0.006), "dark")
    jug = [(0, 0.03), (0.055, 0.03), (0.07, 0.08), (0.05, 0.15), (0.04, 0.16), (0, 0.16)]
    model.add(revolve(jug, 18, (0, 0, depth * 0.2)), "dark")
    model.add(box((0.06, 0.02, 0.006), (0, height - 0.05, depth / 2), 0.002), "dark")
    return model


def espresso_machine(rng: np.random.Generator) -> Model:
    """A steel box with a group head, a handled filter, a grate and a steam pipe."""
    width, height, depth = rng.uniform(0.22, 0.28), rng.uniform(0.29, 0.33), rng.uniform(0.26, 0.3)
    model = Model(main="steel", dark="dark", detail="metal")
    model.add(box((width, height, depth * 0.5), (0, height / 2, -depth * 0.25), 0.012))
    model.add(box((width, height * 0.3, depth * 0.9), (0, height * 0.85, -depth * 0.05), 0.012))
    model.add(box((width, 0.05, depth), (0, 0.025, 0), 0.008))
    model.add(box((width - 0.03, 0.006, depth * 0.42), (0, 0.051, depth * 0.24), 0.001), "dark")
    model.add(cylinder(0.034, 0.03, (0, height * 0.62, depth * 0.2), 16), "detail")
    model.add(tube([(0, height * 0.64, depth * 0.2), (0, height * 0.62, depth * 0.2 + 0.14)], 0.011, 8), "dark")
    x = width * 0.38
    model.add(
        tube(
            [(x, height * 0.7, depth * 0.3), (x, height * 0.68, depth * 0.4), (x, height * 0.3, depth * 0.42)], 0.005, 6
        ),
        "detail",
    )
    for k in range(2):
        knob = cylinder(0.016, 0.02, (0, 0, 0), 12).turned(rotation_x(math.pi / 2))
        model.add(knob.moved(((k - 0.5) * width * 0.5, height * 0.88, depth * 0.39)), "dark")
    model.surface(height, width - 0.02, depth * 0.8, 0.3, -depth * 0.08)
    return model
