"""Toilets, bathtubs, washbasins and showers."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.decor.textiles import drape
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import Part, box, cylinder, revolve, rotation_x, soft_box, tube


def _stretched(part: Part, x: float, z: float) -> Part:
    """The part scaled along x and z: an oval from a circle."""
    return part._replace(positions=part.positions * np.array([x, 1, z], np.float32))


def toilet(rng: np.random.Generator) -> Model:
    """A bowl with a seat and a cistern at the wall."""
    height = rng.uniform(0.39, 0.43)
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
    width, depth, height = rng.uniform(1.55, 1.75), rng.uniform(0.7, 0.78), rng.uniform(0.52, 0.58)
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
    long, wide, height = rng.uniform(1.55, 1.72), rng.uniform(0.72, 0.8), rng.uniform(0.56, 0.62)
    model = Model(main="enamel", detail="metal")
    profile = [(0, 0), (0.36, 0.0), (0.42, 0.05), (0.5, height), (0.47, height), (0.38, 0.16), (0, 0.14)]
    model.add(_stretched(revolve(profile, 32), long, wide))
    spout = [(0, 0, 0), (0, height + 0.3, 0), (0, height + 0.34, 0.05), (0, height + 0.28, 0.13)]
    model.add(tube(spout, 0.018, 8).moved((-long * 0.2, 0, -wide / 2 - 0.03)), "detail")
    return model


def washbasin(rng: np.random.Generator) -> Model:
    """A basin on a pedestal, with a tap."""
    height, radius = rng.uniform(0.82, 0.88), rng.uniform(0.24, 0.28)
    model = Model(main="enamel", detail="metal")
    model.add(revolve([(0, 0), (0.13, 0), (0.09, 0.08), (0.08, height - 0.2), (0.12, height - 0.16)], 16))
    inner = radius - 0.035
    outline = [(0, height - 0.17), (0.14, height - 0.16), (radius, height - 0.03), (radius, height), (inner, height)]
    model.add(revolve([*outline, (inner * 0.6, height - 0.1), (0, height - 0.12)], 24))
    model.add(box((0.3, 0.16, 0.1), (0, height - 0.06, -radius + 0.03), 0.02))
    tap = [(0, height, 0), (0, height + 0.13, 0), (0, height + 0.16, 0.05), (0, height + 0.13, 0.12)]
    model.add(tube(tap, 0.014, 8).moved((0, 0, -radius + 0.04)), "detail")
    return model


def vanity(rng: np.random.Generator) -> Model:
    """A washbasin let into a cabinet with two drawers."""
    width, depth, height = rng.uniform(0.6, 0.9), rng.uniform(0.44, 0.5), rng.uniform(0.82, 0.88)
    model = Model(main="lacquer", basin="enamel", detail="metal", dark="dark")
    model.add(box((width, height - 0.26, depth - 0.02), (0, height / 2 + 0.09, -0.01)))
    model.add(box((width - 0.08, 0.23, depth - 0.1), (0, 0.115, -0.03)), "dark")
    for k in range(2):
        y = 0.25 + (height - 0.31) * (k + 0.5) / 2
        model.add(box((width - 0.02, (height - 0.31) / 2 - 0.012, 0.018), (0, y, depth / 2 - 0.012), 0.003))
        model.add(box((width * 0.4, 0.014, 0.02), (0, y + 0.08, depth / 2 + 0.004), 0.004), "detail")
    for z in (-1, 1):
        model.add(soft_box((width + 0.01, 0.09, 0.07), (0, height, z * (depth - 0.07) / 2), 0.02), "basin")
    for x in (-1, 1):
        model.add(soft_box((0.09, 0.09, depth - 0.06), (x * (width - 0.08) / 2, height, 0), 0.02), "basin")
    model.add(box((width - 0.1, 0.012, depth - 0.1), (0, height - 0.03, 0), 0.003), "basin")
    tap = [(0, height, 0), (0, height + 0.16, 0), (0, height + 0.18, 0.05), (0, height + 0.15, 0.12)]
    model.add(tube(tap, 0.013, 8).moved((0, 0, -depth / 2 + 0.05)), "detail")
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
    width, depth, height = rng.uniform(0.85, 1.0), rng.uniform(0.85, 0.95), rng.uniform(1.9, 2.0)
    model = Model(main="enamel", glass="pane", detail="metal", dark="dark")
    _shower_tray(model, width, depth, height)
    x = width / 2 - 0.02
    for y in (0.095, height):
        model.add(box((0.03, 0.03, depth - 0.02), (x, y, 0), 0.004), "detail")
    for z in (-1, 1):
        model.add(box((0.03, height - 0.08, 0.03), (x, height / 2 + 0.04, z * (depth / 2 - 0.02)), 0.004), "detail")
    model.add(box((0.012, 0.32, depth - 0.06), (x, 1.05, 0), 0.002), "glass")
    return model


def curtain_shower(rng: np.random.Generator) -> Model:
    """A tray and a riser behind a half-drawn curtain."""
    width, depth, height = rng.uniform(0.85, 1.0), rng.uniform(0.85, 0.95), rng.uniform(1.9, 2.0)
    model = Model(main="enamel", cloth="curtain", detail="metal", dark="dark")
    _shower_tray(model, width, depth, height)
    z = depth / 2 - 0.05
    model.add(tube([(-width / 2 + 0.01, height, z), (width / 2 - 0.01, height, z)], 0.012, 8), "detail")
    model.add(tube([(width / 2 - 0.02, height, -depth / 2 + 0.01), (width / 2 - 0.02, height, z)], 0.012, 8), "detail")
    cloth = width * rng.uniform(0.4, 0.55)
    side = 1 if rng.random() < 0.5 else -1
    model.add(drape(cloth, 0.1, height - 0.015, 1.0).moved((side * (width - cloth - 0.06) / 2, 0, z)), "cloth")
    return model
