"""Base units of a kitchen run: counters, sinks and dishwashers."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, raised_panel, tube

COUNTER_M = 0.9  # height of all units
DEPTH_M = 0.6


def _unit(width: float) -> Model:
    """Plinth, carcase and worktop; the caller adds the fronts. All units of a run have the same material slots."""
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
    """A base unit with doors, drawers, or a drawer above doors; width_m = 0 draws a width from 0.8 to 1.6 m."""
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
    """A base unit with two doors; also returns its width."""
    width = rng.uniform(0.6, 0.8)
    model = _unit(width)
    for k in (-1, 1):
        _front(model, k * width / 4, 0.1, 0.86, width / 2, panelled)
    return model, width


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


def ceramic_sink(rng: np.random.Generator, panelled: bool = True) -> Model:
    """A base unit with a deep white farmhouse basin and a tall arched tap."""
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


def dishwasher(rng: np.random.Generator) -> Model:
    """A dishwasher with a steel front."""
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
    """A dishwasher behind a unit front, with its controls in a strip above."""
    width = 0.6
    model = _unit(width)
    model.kinds["screen"] = "screen"
    z = DEPTH_M / 2 - 0.028
    _front(model, 0, 0.1, 0.79, width, rng.random() < 0.5)
    model.add(box((width - 0.008, 0.06, 0.02), (0, 0.825, z), 0.003), "screen")
    model.add(box((0.05, 0.018, 0.004), (width / 2 - 0.08, 0.825, z + 0.011), 0.001), "detail")
    model.surface(COUNTER_M, width, DEPTH_M - 0.06, 0.42)
    return model
