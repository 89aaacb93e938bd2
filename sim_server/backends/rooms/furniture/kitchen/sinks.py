"""Sinks: a bowl with its tap, let into the hole of a base unit. The rim rests on the worktop, BOWL_M above y = 0."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, tube

BOWL_M = 0.17  # depth of the bowl below the worktop
RIM_M = 0.02  # the rim is wider than the hole by this, on all sides
_THICK_M = 0.012


def _basin(model: Model, width: float, depth: float, x: float, z: float, slot: str = "main") -> None:
    """Add an open box with a drain, its outside `width` x `depth` around (x, z)."""
    wall = _THICK_M
    for side in (-1, 1):
        model.add(box((width, BOWL_M, wall), (x, BOWL_M / 2, z + side * (depth - wall) / 2), 0.003), slot)
        size = (wall, BOWL_M, depth - 2 * wall)
        model.add(box(size, (x + side * (width - wall) / 2, BOWL_M / 2, z), 0.003), slot)
    model.add(box((width - wall, wall, depth - wall), (x, wall / 2, z), 0.002), slot)
    model.add(cylinder(0.03, 0.004, (x, wall, z), 12), "dark")


def _rim(model: Model, width: float, depth: float, holes: list[tuple[float, float, float, float]], slot: str) -> None:
    """Add the plate around rectangular holes (x_min, x_max, z_min, z_max) that share their z range."""
    y, t = BOWL_M + 0.005, 0.01
    z_min, z_max = holes[0][2:]
    for near, far in ((-depth / 2, z_min), (z_max, depth / 2)):
        model.add(box((width, t, far - near), (0, y, (near + far) / 2), 0.003), slot)
    edges = [-width / 2, *(v for hole in holes for v in hole[:2]), width / 2]
    for low, high in zip(edges[::2], edges[1::2]):
        model.add(box((high - low, t, z_max - z_min), ((low + high) / 2, y, (z_min + z_max) / 2), 0.003), slot)


def _tap(model: Model, rng: np.random.Generator, x: float, z: float) -> None:
    """Add a bowed or an angular mixer tap that reaches forward."""
    y, tall, out = BOWL_M + 0.01, rng.uniform(0.14, 0.32), rng.uniform(0.12, 0.2)
    model.add(cylinder(0.022, 0.02, (x, y, z), 10), "tap")
    if rng.random() < 0.5:
        turn = np.linspace(0, math.pi, 7)
        bow = [(x, y + tall + out / 2 * math.sin(a), z + out / 2 - out / 2 * math.cos(a)) for a in turn]
        model.add(tube([(x, y, z), *bow], 0.012, 8), "tap")
    else:
        model.add(box((0.024, tall, 0.024), (x, y + tall / 2, z), 0.005), "tap")
        model.add(box((0.024, 0.02, out), (x, y + tall - 0.01, z + out / 2 - 0.012), 0.005), "tap")
    model.add(tube([(x + 0.015, y + 0.05, z), (x + 0.075, y + 0.08, z + 0.01)], 0.007, 6), "tap")


def _tray(rng: np.random.Generator, width: float, depth: float, main: str, *bowls: tuple[float, float]) -> Model:
    """A rectangular rim with bowls, given by the ends of their x ranges, and a tap behind the first one."""
    model = Model(main=main, tap="metal", dark="dark")
    z_min, z_max = -depth / 2 + 0.075, depth / 2 - 0.03
    _rim(model, width, depth, [(*bowl, z_min, z_max) for bowl in bowls], "main")
    for low, high in bowls:
        _basin(model, high - low, z_max - z_min, (low + high) / 2, (z_min + z_max) / 2)
    _tap(model, rng, sum(bowls[0]) / 2 if len(bowls) == 1 else 0.0, -depth / 2 + 0.04)
    return model


def sink(rng: np.random.Generator) -> Model:
    """A single steel or enamelled bowl."""
    width, depth = rng.uniform(0.4, 0.72), rng.uniform(0.38, 0.48)
    return _tray(rng, width, depth, "steel" if rng.random() < 0.6 else "enamel", (-width / 2 + 0.03, width / 2 - 0.03))


def drainer_sink(rng: np.random.Generator) -> Model:
    """A steel bowl with a ribbed draining board on one side."""
    width, depth = rng.uniform(0.75, 1.15), rng.uniform(0.42, 0.5)
    split = -width / 2 + width * rng.uniform(0.42, 0.52)
    model = _tray(rng, width, depth, "steel", (-width / 2 + 0.03, split))
    for z in np.linspace(-depth / 2 + 0.11, depth / 2 - 0.06, 6):
        run = width / 2 - split - 0.09
        model.add(box((run, 0.008, 0.012), (split + 0.05 + run / 2, BOWL_M + 0.012, float(z)), 0.003))
    return model


def double_sink(rng: np.random.Generator) -> Model:
    """Two bowls beside each other with the tap between them."""
    width, depth = rng.uniform(0.72, 0.95), rng.uniform(0.42, 0.5)
    main = "steel" if rng.random() < 0.7 else "enamel"
    return _tray(rng, width, depth, main, (-width / 2 + 0.03, -0.02), (0.02, width / 2 - 0.03))


def round_sink(rng: np.random.Generator) -> Model:
    """A round bowl in a square plate, with the tap in one of its corners."""
    half = rng.uniform(0.2, 0.25)
    model = Model(main="steel" if rng.random() < 0.5 else "ceramic", tap="metal", dark="dark")
    inner = half - 0.04
    plate = revolve([(1.0, BOWL_M), (1.0, BOWL_M + 0.01), (inner, BOWL_M + 0.008)], 32)
    flat = plate.positions[:, [0, 2]]
    edge = np.linalg.norm(flat, axis=1) > 0.9  # the outer circle becomes a square
    square = flat / np.abs(flat).max(1, keepdims=True) * np.float32(half)
    positions = plate.positions.copy()
    positions[:, [0, 2]] = np.where(edge[:, None], square, flat)
    model.add(plate._replace(positions=positions))
    bowl = [(inner, BOWL_M + 0.008), (inner * 0.95, BOWL_M * 0.4), (inner * 0.7, 0.008), (0, 0.006)]
    model.add(revolve(bowl, 28))
    model.add(revolve([(0, 0), (inner * 0.75, 0), (inner + 0.01, BOWL_M)], 20), "dark")
    model.add(cylinder(0.03, 0.004, (0, 0.006, 0), 12), "dark")
    _tap(model, rng, half * 0.78, -half * 0.78)
    return model
