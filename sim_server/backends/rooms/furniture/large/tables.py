"""Tables, desks, coffee tables and nightstands."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, tube


def _legged(width: float, depth: float, height: float, top: float, leg: float, apron: bool) -> Model:
    model = Model(main="wood", second="wood")
    model.add(box((width, top, depth), (0, height - top / 2, 0), 0.01))
    for x in (-1, 1):
        for z in (-1, 1):
            at = (x * (width / 2 - leg * 0.8), (height - top) / 2, z * (depth / 2 - leg * 0.8))
            model.add(box((leg, height - top, leg), at), "second")
    if apron:
        y = height - top - 0.045
        for z in (-1, 1):
            model.add(box((width - 2 * leg, 0.09, 0.02), (0, y, z * (depth / 2 - leg * 0.8))), "second")
        for x in (-1, 1):
            model.add(box((0.02, 0.09, depth - 2 * leg), (x * (width / 2 - leg * 0.8), y, 0)), "second")
    model.surface(height, width, depth, 0.8)
    return model


def dining_table(rng: np.random.Generator) -> Model:
    """A rectangular top on four legs, from a small kitchen table to one for ten."""
    width = rng.uniform(0.95, 2.4)
    depth = min(rng.uniform(0.65, 1.05), width - 0.1)
    height = rng.uniform(0.7, 0.78)
    return _legged(width, depth, height, rng.uniform(0.025, 0.06), rng.uniform(0.05, 0.1), rng.random() < 0.6)


def square_table(rng: np.random.Generator) -> Model:
    side = rng.uniform(0.65, 1.1)
    return _legged(side, side, rng.uniform(0.7, 0.78), 0.035, rng.uniform(0.04, 0.08), True)


def round_table(rng: np.random.Generator) -> Model:
    """A round or oval top on a turned pedestal."""
    radius, height = rng.uniform(0.36, 0.72), rng.uniform(0.7, 0.78)
    oval = rng.uniform(0.65, 0.85) if rng.random() < 0.35 and radius > 0.5 else 1.0
    model = Model(main="wood", second="wood")
    top = cylinder(radius, 0.04, (0, height - 0.04, 0), 28)
    model.add(top._replace(positions=top.positions * np.array([1, 1, oval], np.float32)))
    foot = radius * 0.62 * oval
    profile = [(0, 0), (foot, 0), (foot, 0.03), (0.09, 0.08), (0.05, 0.2), (0.05, height * 0.6), (0.1, height - 0.04)]
    model.add(revolve(profile, 16), "second")
    model.surface(height, radius * 1.3, radius * 1.3 * oval, 0.8)
    return model


def trestle_table(rng: np.random.Generator) -> Model:
    """A board on two A-shaped trestles."""
    width, depth, height = rng.uniform(1.3, 2.3), rng.uniform(0.7, 0.95), rng.uniform(0.71, 0.77)
    model = Model(main="wood", second="wood")
    model.add(box((width, 0.04, depth), (0, height - 0.02, 0)))
    for x in (-width / 2 + 0.2, width / 2 - 0.2):
        for z in (-1, 1):
            path = [(x, 0, z * (depth / 2 - 0.08)), (x, height - 0.03, z * 0.12)]
            model.add(tube(path, 0.028, 8), "second")
        model.add(box((0.04, 0.05, depth * 0.55), (x, height * 0.42, 0)), "second")
    model.surface(height, width, depth, 0.8)
    return model


def metal_table(rng: np.random.Generator) -> Model:
    """A thick board on two metal loops."""
    width, depth, height = rng.uniform(1.0, 2.2), rng.uniform(0.65, 1.0), rng.uniform(0.72, 0.77)
    model = Model(main="wood", second="metal")
    top = rng.uniform(0.035, 0.07)
    model.add(box((width, top, depth), (0, height - top / 2, 0), 0.006))
    z = depth / 2 - 0.06
    for x in (-width / 2 + 0.15, width / 2 - 0.15):
        for y, tall, deep in ((0.02, 0.04, 2 * z), (height - top - 0.015, 0.03, 2 * z)):
            model.add(box((0.06, tall, deep), (x, y, 0), 0.004), "second")
        for side in (-1, 1):
            leg = height - top - 0.03
            model.add(box((0.06, leg, 0.035), (x, leg / 2 + 0.015, side * z), 0.004), "second")
    model.surface(height, width, depth, 0.8)
    return model


def coffee_table(rng: np.random.Generator) -> Model:
    """A low rectangular table with a shelf under the top."""
    width, height = rng.uniform(0.65, 1.5), rng.uniform(0.32, 0.5)
    depth = min(rng.uniform(0.42, 0.8), width - 0.05)
    model = _legged(width, depth, height, 0.04, 0.055, False)
    model.add(box((width - 0.1, 0.02, depth - 0.1), (0, height * 0.35, 0)), "second")
    return model


def round_coffee_table(rng: np.random.Generator) -> Model:
    """A round top on three splayed legs."""
    radius, height = rng.uniform(0.32, 0.55), rng.uniform(0.34, 0.5)
    model = Model(main="wood", second="metal")
    model.add(cylinder(radius, 0.035, (0, height - 0.035, 0), 28))
    for k in range(3):
        angle = 2 * math.pi * k / 3
        x, z = math.sin(angle) * radius, math.cos(angle) * radius
        model.add(tube([(x * 0.55, height - 0.03, z * 0.55), (x * 0.9, 0, z * 0.9)], 0.02, 8), "second")
    model.surface(height, radius * 1.3, radius * 1.3, 0.8)
    return model


def block_coffee_table(rng: np.random.Generator) -> Model:
    """A low chest with two drawers, or a solid drum."""
    height = rng.uniform(0.3, 0.46)
    model = Model(main="wood", second="wood", detail="metal")
    if rng.random() < 0.4:
        radius = rng.uniform(0.35, 0.5)
        outline = [(0, 0), (radius * 0.92, 0), (radius, 0.03), (radius, height - 0.03), (radius * 0.96, height)]
        model.add(revolve([*outline, (0, height)], 28))
        model.surface(height, radius * 1.3, radius * 1.3, 0.8)
        return model
    width, depth = rng.uniform(0.75, 1.3), rng.uniform(0.5, 0.75)
    model.add(box((width - 0.04, height - 0.04, depth - 0.04), (0, (height - 0.04) / 2, 0)), "second")
    model.add(box((width, 0.04, depth), (0, height - 0.02, 0)))
    for x in (-1, 1):
        model.add(box((width / 2 - 0.06, height - 0.12, 0.016), (x * width / 4, height / 2 - 0.01, depth / 2 - 0.016)))
        model.add(box((0.1, 0.014, 0.02), (x * width / 4, height / 2, depth / 2 - 0.002), 0.004), "detail")
    model.surface(height, width, depth, 0.8)
    return model


def desk(rng: np.random.Generator) -> Model:
    """A desk with a side panel on the left, drawers on the right and a modesty panel at the back."""
    width, depth, height = rng.uniform(1.0, 1.8), rng.uniform(0.55, 0.8), rng.uniform(0.7, 0.78)
    model = Model(main="wood", second="wood", detail="metal")
    model.add(box((width, 0.035, depth), (0, height - 0.0175, 0)))
    model.add(box((0.035, height - 0.035, depth - 0.04), (-width / 2 + 0.03, (height - 0.035) / 2, 0)))
    unit = 0.4
    x = width / 2 - unit / 2 - 0.01
    model.add(box((unit, height - 0.085, depth - 0.06), (x, (height - 0.035) / 2 + 0.025, -0.01)))
    drawer = (height - 0.14) / 3
    for k in range(3):
        y = 0.07 + drawer * (k + 0.5)
        model.add(box((unit - 0.04, drawer - 0.02, 0.02), (x, y, depth / 2 - 0.035)), "second")
        model.add(box((0.12, 0.014, 0.02), (x, y, depth / 2 - 0.018), 0.004), "detail")
    panel = width - unit - 0.06
    model.add(box((panel, height * 0.5, 0.02), (-unit / 2 + 0.01, height * 0.7, -depth / 2 + 0.06)), "second")
    model.surface(height, width, depth, 0.8)
    return model


def legged_desk(rng: np.random.Generator) -> Model:
    """A light desk: a board on four slanted legs, with a thin drawer below and a rim at the back."""
    width, depth, height = rng.uniform(0.85, 1.6), rng.uniform(0.48, 0.72), rng.uniform(0.71, 0.78)
    model = Model(main="wood", second="wood", detail="metal")
    model.add(box((width, 0.03, depth), (0, height - 0.015, 0)))
    model.add(box((width * 0.42, 0.09, depth - 0.12), (width * 0.22, height - 0.075, 0.02)), "second")
    model.add(box((0.14, 0.014, 0.02), (width * 0.22, height - 0.075, depth / 2 - 0.03), 0.004), "detail")
    model.add(box((width - 0.04, 0.07, 0.016), (0, height + 0.035, -depth / 2 + 0.012), 0.003))
    for x in (-1, 1):
        for z in (-1, 1):
            top = (x * (width / 2 - 0.14), height - 0.03, z * (depth / 2 - 0.09))
            model.add(tube([(x * (width / 2 - 0.05), 0, z * (depth / 2 - 0.04)), top], 0.022, 8), "second")
    model.surface(height, width, depth - 0.05, 0.8, 0.02)
    return model


def metal_desk(rng: np.random.Generator) -> Model:
    """A board on a metal frame with a rail at the back."""
    width, depth, height = rng.uniform(0.9, 1.8), rng.uniform(0.5, 0.75), rng.uniform(0.7, 0.78)
    model = Model(main="wood", second="metal")
    model.add(box((width, 0.03, depth), (0, height - 0.015, 0), 0.005))
    for x in (-1, 1):
        at = x * (width / 2 - 0.04)
        for z in (-1, 1):
            model.add(
                box((0.035, height - 0.03, 0.035), (at, (height - 0.03) / 2, z * (depth / 2 - 0.04)), 0.004), "second"
            )
        model.add(box((0.035, 0.035, depth - 0.1), (at, 0.1, 0), 0.004), "second")
    for low, tall in ((height - 0.09, 0.04), (0.35, 0.03)):
        model.add(box((width - 0.1, tall, 0.025), (0, low, -depth / 2 + 0.04), 0.004), "second")
    model.surface(height, width, depth, 0.8)
    return model


def nightstand(rng: np.random.Generator) -> Model:
    """A small cupboard with two drawers on short legs."""
    width, depth, height = rng.uniform(0.34, 0.6), rng.uniform(0.32, 0.45), rng.uniform(0.4, 0.72)
    model = Model(main="wood", second="wood", detail="metal")
    leg = rng.uniform(0.05, 0.16)
    model.add(box((width, height - leg, depth), (0, (height + leg) / 2, 0)))
    for x in (-1, 1):
        for z in (-1, 1):
            at = (x * (width / 2 - 0.04), 0, z * (depth / 2 - 0.04))
            model.add(cylinder(0.016, leg, at, 8, 0.022), "second")
    drawer = (height - leg - 0.04) / 2
    for k in range(2):
        y = leg + 0.02 + drawer * (k + 0.5)
        model.add(box((width - 0.04, drawer - 0.02, 0.018), (0, y, depth / 2 + 0.002)), "second")
        model.add(cylinder(0.012, 0.02, (0, y, depth / 2 + 0.01), 8), "detail")
    model.surface(height, width, depth, 0.8)
    return model


def open_nightstand(rng: np.random.Generator) -> Model:
    """An open cube on a metal frame; its inside carries small objects as well."""
    width, depth, height = rng.uniform(0.34, 0.55), rng.uniform(0.34, 0.45), rng.uniform(0.42, 0.7)
    model = Model(main="wood", second="metal")
    board, low = 0.022, rng.uniform(0.1, 0.22)
    for y in (low + board / 2, height - board / 2):
        model.add(box((width, board, depth), (0, y, 0), 0.004))
    for x in (-1, 1):
        model.add(box((board, height - low, depth), (x * (width - board) / 2, (height + low) / 2, 0), 0.004))
        for z in (-1, 1):
            model.add(
                box((0.02, low, 0.02), (x * (width / 2 - 0.03), low / 2, z * (depth / 2 - 0.03)), 0.003), "second"
            )
    model.add(box((width - 0.02, height - low - 0.02, 0.01), (0, (height + low) / 2, -depth / 2 + 0.01), 0.002))
    model.surface(height, width, depth, 0.8)
    model.surface(low + board, width - 2 * board, depth - 0.04, height - low - 2 * board - 0.02)
    return model


def round_nightstand(rng: np.random.Generator) -> Model:
    """A small round table with a drawer in its apron, on three legs."""
    radius, height = rng.uniform(0.19, 0.28), rng.uniform(0.45, 0.7)
    model = Model(main="wood", second="wood", detail="metal")
    model.add(cylinder(radius, 0.025, (0, height - 0.025, 0), 24))
    model.add(cylinder(radius - 0.02, 0.11, (0, height - 0.135, 0), 24), "second")
    model.add(box((0.05, 0.014, 0.02), (0, height - 0.08, radius - 0.014), 0.004), "detail")
    for k in range(3):
        angle = 2 * math.pi * k / 3 + math.pi
        x, z = math.sin(angle), math.cos(angle)
        path = [(x * radius * 0.7, height - 0.1, z * radius * 0.7), (x * radius * 0.95, 0, z * radius * 0.95)]
        model.add(tube(path, 0.015, 6), "second")
    model.surface(height, radius * 1.4, radius * 1.4, 0.8)
    return model
