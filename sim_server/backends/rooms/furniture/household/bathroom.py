"""Toilets, bathtubs, washbasins and showers."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import Part, box, cylinder, revolve, rotation_x, soft_box, tube


def _stretched(part: Part, x: float, z: float) -> Part:
    """The part scaled along x and z: an oval from a circle."""
    return part._replace(positions=part.positions * np.array([x, 1, z], np.float32))


def toilet(rng: np.random.Generator) -> Model:
    """A bowl with a seat and a cistern at the wall."""
    height = rng.uniform(0.37, 0.46)
    model = Model(main="enamel", second="enamel", detail="metal")
    foot = revolve([(0, 0), (0.14, 0), (0.12, 0.1), (0.19, height - 0.03), (0.19, height), (0, height)], 24)
    stretched = foot._replace(positions=foot.positions * np.array([1, 1, 1.3], np.float32))
    model.add(stretched.moved((0, 0, 0.08)))
    seat = revolve([(0.1, 0), (0.195, 0), (0.195, 0.025), (0.1, 0.025), (0.1, 0)], 24)
    seat = seat._replace(positions=seat.positions * np.array([1, 1, 1.3], np.float32))
    model.add(seat.moved((0, height, 0.08)), "second")
    model.add(soft_box((0.4, 0.36, 0.19), (0, height + 0.16, -0.25), 0.04))
    model.add(soft_box((0.42, 0.035, 0.21), (0, height + 0.355, -0.25), 0.015), "second")
    model.add(cylinder(0.025, 0.015, (0, height + 0.37, -0.25), 12), "detail")
    lid = soft_box((0.37, 0.4, 0.025), (0, 0.2, 0), 0.012).turned(rotation_x(-0.12))
    model.add(lid.moved((0, height + 0.02, -0.13)), "second")
    model.surface(height + 0.3725, 0.42, 0.21, 0.3, -0.25)
    return model


def wall_toilet(rng: np.random.Generator) -> Model:
    """A wall-hung bowl in front of a boxed-in cistern, with a flush plate."""
    height = rng.uniform(0.4, 0.44)
    model = Model(main="enamel", second="enamel", box="paper", detail="metal")
    model.add(box((0.55, 1.05, 0.16), (0, 0.525, -0.34), 0.006), "box")
    bowl = revolve([(0, 0.12), (0.1, 0.12), (0.18, height - 0.05), (0.18, height), (0, height)], 24)
    model.add(_stretched(bowl, 1.0, 1.35).moved((0, 0, 0.0)))
    model.add(box((0.3, height - 0.14, 0.2), (0, height / 2 + 0.06, -0.18), 0.02))
    lid = revolve([(0, 0), (0.185, 0), (0.185, 0.02), (0.16, 0.035), (0, 0.035)], 24)
    model.add(_stretched(lid, 1.0, 1.33).moved((0, height, 0)), "second")
    model.add(box((0.24, 0.15, 0.012), (0, 0.93, -0.256), 0.004), "detail")
    model.surface(1.05, 0.55, 0.16, 0.4, -0.34)
    return model


def bathtub(rng: np.random.Generator) -> Model:
    """A hollow rectangular tub with a tap at one end."""
    width, depth, height = rng.uniform(1.15, 1.9), rng.uniform(0.66, 0.84), rng.uniform(0.48, 0.62)
    model = Model(main="enamel", detail="metal")
    rim = 0.09
    for z in (-1, 1):
        model.add(soft_box((width, height, rim), (0, height / 2, z * (depth - rim) / 2), 0.03))
    for x in (-1, 1):
        model.add(soft_box((rim, height, depth - 0.02), (x * (width - rim) / 2, height / 2, 0), 0.03))
    model.add(box((width - 0.04, 0.14, depth - 0.04), (0, 0.08, 0)))
    tap = [(0, height, 0), (0, height + 0.12, 0), (0.06, height + 0.15, 0), (0.12, height + 0.12, 0)]
    model.add(tube(tap, 0.016, 8).moved((-width / 2 + 0.05, 0, 0)), "detail")
    return model


def freestanding_tub(rng: np.random.Generator) -> Model:
    """A freestanding oval tub with a floor-mounted tap."""
    long, wide, height = rng.uniform(1.3, 1.9), rng.uniform(0.68, 0.88), rng.uniform(0.5, 0.66)
    model = Model(main="enamel", detail="metal")
    profile = [(0, 0), (0.36, 0.0), (0.42, 0.05), (0.5, height), (0.47, height), (0.38, 0.16), (0, 0.14)]
    model.add(_stretched(revolve(profile, 32), long, wide))
    spout = [(0, 0, 0), (0, height + 0.3, 0), (0, height + 0.34, 0.05), (0, height + 0.28, 0.13)]
    model.add(tube(spout, 0.018, 8).moved((-long * 0.2, 0, -wide / 2 - 0.03)), "detail")
    return model


def washbasin(rng: np.random.Generator) -> Model:
    """A basin on a pedestal, with a tap."""
    height, radius = rng.uniform(0.76, 0.9), rng.uniform(0.19, 0.32)
    model = Model(main="enamel", detail="metal")
    model.add(revolve([(0, 0), (0.13, 0), (0.09, 0.08), (0.08, height - 0.2), (0.12, height - 0.16)], 16))
    inner = radius - 0.035
    outline = [(0, height - 0.17), (0.14, height - 0.16), (radius, height - 0.03), (radius, height), (inner, height)]
    model.add(revolve([*outline, (inner * 0.6, height - 0.1), (0, height - 0.12)], 24))
    model.add(box((0.3, 0.16, 0.1), (0, height - 0.06, -radius + 0.03), 0.02))
    tap = [(0, height, 0), (0, height + 0.13, 0), (0, height + 0.16, 0.05), (0, height + 0.13, 0.12)]
    model.add(tube(tap, 0.014, 8).moved((0, 0, -radius + 0.04)), "detail")
    return model


def console_washbasin(rng: np.random.Generator) -> Model:
    """A rectangular basin on two metal legs with a towel bar."""
    width, depth, height = rng.uniform(0.5, 1.0), rng.uniform(0.4, 0.5), rng.uniform(0.78, 0.88)
    model = Model(main="enamel", detail="metal")
    _trough(model, width, depth, height - 0.14, 0.14)
    for x in (-1, 1):
        model.add(cylinder(0.018, height - 0.13, (x * (width / 2 - 0.05), 0, depth / 2 - 0.05), 8), "detail")
    bar = [(x * (width / 2 - 0.05), height - 0.2, depth / 2 - 0.05) for x in (-1, 1)]
    model.add(tube(bar, 0.009, 6), "detail")
    model.add(box((width * 0.3, 0.3, 0.1), (0, height - 0.28, -depth / 2 + 0.06), 0.02))
    _spout(model, height, -depth / 2 + 0.05)
    return model


def _trough(model: Model, width: float, depth: float, low: float, tall: float) -> None:
    """Add an open rectangular basin that starts at `low`."""
    wall = 0.035
    for z in (-1, 1):
        size = 0.1 if z < 0 else wall  # the tap stands on the back wall
        model.add(box((width, tall, size), (0, low + tall / 2, z * (depth - size) / 2), 0.012))
    for x in (-1, 1):
        size = (wall, tall, depth - wall - 0.1)
        model.add(box(size, (x * (width - wall) / 2, low + tall / 2, 0.1 / 2 - wall / 2), 0.008))
    model.add(box((width - wall, 0.03, depth - 0.1), (0, low + 0.016, 0.03), 0.004))


def _spout(model: Model, y: float, z: float) -> None:
    spout = [(0, y - 0.02, z), (0, y + 0.12, z), (0, y + 0.15, z + 0.05), (0, y + 0.12, z + 0.11)]
    model.add(tube(spout, 0.013, 8), "detail")
    model.add(tube([(0.012, y + 0.03, z), (0.06, y + 0.05, z)], 0.007, 6), "detail")


def wall_washbasin(rng: np.random.Generator) -> Model:
    """A half-round basin with a tall back plate on a slim column."""
    radius, height = rng.uniform(0.2, 0.3), rng.uniform(0.8, 0.88)
    model = Model(main="enamel", detail="metal")
    outline = [(0, 0), (radius * 0.5, 0), (radius, 0.14), (radius, 0.17), (radius - 0.03, 0.17), (radius * 0.5, 0.05)]
    model.add(revolve([*outline, (0, 0.04)], 24).moved((0, height - 0.17, 0)))
    model.add(box((2 * radius, 0.3, 0.07), (0, height - 0.02, -radius + 0.02), 0.015))
    column = revolve([(0, 0), (0.11, 0), (0.08, 0.06), (0.08, height - 0.15), (0, height - 0.15)], 16)
    model.add(column.moved((0, 0, -0.04)))
    _spout(model, height + 0.02, -radius + 0.045)
    return model


def vessel_basin(rng: np.random.Generator) -> Model:
    """A round or square bowl with a tap behind it, for the top of a bathroom cabinet."""
    radius, tall = rng.uniform(0.17, 0.21), rng.uniform(0.11, 0.15)
    model = Model(main="ceramic" if rng.random() < 0.4 else "enamel", detail="metal", dark="dark")
    if rng.random() < 0.6:
        outer = [(0, 0), (radius * 0.6, 0), (radius * 0.92, tall * 0.5), (radius, tall)]
        inner = [(radius - 0.012, tall), (radius * 0.85, tall * 0.5), (radius * 0.5, 0.02), (0, 0.018)]
        model.add(revolve(outer + inner, 26))
    else:
        for s in (-1, 1):
            model.add(box((2 * radius, tall, 0.02), (0, tall / 2, s * (radius - 0.01)), 0.006))
            model.add(box((0.02, tall, 2 * radius - 0.04), (s * (radius - 0.01), tall / 2, 0), 0.006))
        model.add(box((2 * radius - 0.03, 0.02, 2 * radius - 0.03), (0, 0.01, 0), 0.004))
    model.add(cylinder(0.024, 0.004, (0, 0.02, 0), 10), "dark")
    z = -radius - 0.03
    spout = [(0, 0, z), (0, tall + 0.14, z), (0, tall + 0.17, z + 0.05), (0, tall + 0.13, z + 0.12)]
    model.add(tube(spout, 0.014, 8), "detail")
    return model


def _shower_tray(model: Model, width: float, depth: float, height: float) -> None:
    """Tray, drain, and a riser with its head at the back."""
    model.add(soft_box((width, 0.08, depth), (0, 0.04, 0), 0.02))
    model.add(box((width - 0.1, 0.006, depth - 0.1), (0, 0.08, 0), 0.002))
    model.add(cylinder(0.04, 0.006, (0, 0.082, 0), 16), "dark")
    back = -depth / 2 + 0.04
    riser = [(0, 0.95, back), (0, height - 0.02, back), (0, height + 0.03, back + 0.1), (0, height, back + 0.26)]
    model.add(tube(riser, 0.012, 8), "detail")
    model.add(cylinder(0.1, 0.02, (0, height - 0.025, back + 0.28), 20), "detail")
    model.add(box((0.2, 0.04, 0.05), (0, 1.0, back + 0.01), 0.01), "detail")


def glass_shower(rng: np.random.Generator) -> Model:
    """A tray and a riser behind a framed pane. Like window panes, clear glass is not drawn; only a frosted band is."""
    width, depth, height = rng.uniform(0.75, 1.4), rng.uniform(0.75, 1.0), rng.uniform(1.75, 2.3)
    model = Model(main="enamel", glass="pane", detail="metal", dark="dark")
    _shower_tray(model, width, depth, height)
    x = width / 2 - 0.02
    for y in (0.095, height):
        model.add(box((0.03, 0.03, depth - 0.02), (x, y, 0), 0.004), "detail")
    for z in (-1, 1):
        model.add(box((0.03, height - 0.08, 0.03), (x, height / 2 + 0.04, z * (depth / 2 - 0.02)), 0.004), "detail")
    model.add(box((0.012, 0.32, depth - 0.06), (x, 1.05, 0), 0.002), "glass")
    return model


def corner_shower(rng: np.random.Generator) -> Model:
    """A tray between two framed sides with frosted panes up to the waist."""
    width, depth, height = rng.uniform(0.75, 1.4), rng.uniform(0.75, 1.0), rng.uniform(1.75, 2.3)
    model = Model(main="enamel", glass="pane", detail="metal", dark="dark")
    _shower_tray(model, width, depth, height)
    x, z = width / 2 - 0.02, depth / 2 - 0.02
    for y in (0.095, 1.0, height):
        model.add(box((0.03, 0.03, depth - 0.02), (x, y, 0), 0.004), "detail")
        model.add(box((width * 0.5, 0.03, 0.03), (-width * 0.24, y, z), 0.004), "detail")
    for at in ((x, z), (x, -z), (-x, z), (-width * 0.24 + width * 0.24, z)):
        model.add(box((0.03, height - 0.08, 0.03), (at[0], height / 2 + 0.04, at[1]), 0.004), "detail")
    model.add(box((0.012, 0.86, depth - 0.07), (x, 0.55, 0), 0.002), "glass")
    model.add(box((width * 0.48 - 0.05, 0.86, 0.012), (-width * 0.24, 0.55, z), 0.002), "glass")
    return model


def walled_shower(rng: np.random.Generator) -> Model:
    """A tray beside a solid low wall with a tiled top."""
    width, depth, height = rng.uniform(0.8, 1.6), rng.uniform(0.78, 1.0), rng.uniform(1.75, 2.3)
    model = Model(main="enamel", second="stone", detail="metal", dark="dark")
    _shower_tray(model, width, depth, height)
    tall = rng.uniform(1.0, 1.3)
    model.add(box((0.1, tall, depth), (width / 2 - 0.05, tall / 2, 0), 0.004))
    model.add(box((0.12, 0.03, depth), (width / 2 - 0.05, tall + 0.015, 0), 0.004), "second")
    model.add(box((0.03, height, 0.03), (width / 2 - 0.05, height / 2, depth / 2 - 0.02), 0.004), "detail")
    return model
