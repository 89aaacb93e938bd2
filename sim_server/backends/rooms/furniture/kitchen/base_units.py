"""Base units of a kitchen run: counters, the units below sinks, and dishwashers."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.kitchen.sinks import BOWL_M
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, raised_panel, rotation_x

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
    """A base unit with doors, drawers, or a drawer above doors; width_m = 0 draws a width from 0.4 to 2.2 m."""
    width = width_m or rng.uniform(0.4, 2.2)
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


def drawer_counter(rng: np.random.Generator) -> Model:
    """A base unit with drawers only."""
    width = rng.uniform(0.4, 1.4)
    model = _unit(width)
    columns = max(1, round(width / 0.7))
    for k in range(columns):
        x = -width / 2 + width / columns * (k + 0.5)
        for low, high in zip((0.1, 0.4, 0.66), (0.4, 0.66, 0.86)):
            _front(model, x, low, high, width / columns, False)
    model.surface(COUNTER_M, width, DEPTH_M - 0.06, 0.42)
    return model


def sink_counter(rng: np.random.Generator, hole: tuple[float, float] = (0.5, 0.4), panelled: bool = False) -> Model:
    """A base unit with doors whose worktop has a hole of `hole` m for a sink; the sink rests in it, BOWL_M deep."""
    wide, deep = hole
    width = max(0.5, wide + rng.uniform(0.08, 0.5))
    low, t = COUNTER_M - BOWL_M, 0.016
    model = Model(main="lacquer", second="stone", detail="metal", dark="dark")
    model.add(box((width - 0.01, 0.1, DEPTH_M - 0.08), (0, 0.05, -0.03), 0.002), "dark")
    model.add(box((width - 0.004, low - 0.1, DEPTH_M - 0.04), (0, (low + 0.1) / 2, -0.015), 0.002))
    rise, inner = COUNTER_M - 0.04 - low, DEPTH_M - 0.04
    for side in (-1, 1):
        model.add(box((t, rise, inner), (side * (width - 0.004 - t) / 2, low + rise / 2, -0.015), 0.002))
        model.add(box((width - 0.04, rise, t), (0, low + rise / 2, -0.015 + side * (inner - t) / 2), 0.002))
        rest = (width - wide) / 2
        model.add(box((rest, 0.04, deep), (side * (width - rest) / 2, COUNTER_M - 0.02, 0), 0.002), "second")
        edge = (DEPTH_M - deep) / 2
        model.add(box((width, 0.04, edge), (0, COUNTER_M - 0.02, side * (DEPTH_M - edge) / 2), 0.002), "second")
        if rest > 0.16:
            model.surface(COUNTER_M, rest, DEPTH_M - 0.06, 0.42, x_m=side * (width - rest) / 2)
    doors = max(2, round(width / 0.5))
    for k in range(doors):
        _front(model, -width / 2 + width / doors * (k + 0.5), 0.1, 0.86, width / doors, panelled)
    model.surface(low, wide + 0.06, deep + 0.06, 0.6, holds="sink")
    return model


def dishwasher(rng: np.random.Generator) -> Model:
    """A dishwasher with a steel front."""
    width = float(rng.choice([0.45, 0.6, 0.6]))
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
    """A dishwasher with a dark glass front, a wide steel handle, and lit controls on a strip above."""
    width = float(rng.choice([0.45, 0.6]))
    model = _unit(width)
    model.kinds.update(steel="steel", lit="paper")
    z = DEPTH_M / 2 - 0.028
    model.add(box((width - 0.008, 0.6, 0.022), (0, 0.41, z), 0.004), "dark")
    model.add(box((width - 0.008, 0.13, 0.024), (0, 0.79, z), 0.004), "steel")
    model.add(box((width - 0.06, 0.03, 0.04), (0, 0.69, z + 0.02), 0.008), "steel")
    for k in range(4):
        model.add(box((0.018, 0.018, 0.004), (-width * 0.3 + 0.04 * k, 0.79, z + 0.013), 0.001), "dark")
    model.add(box((0.07, 0.026, 0.004), (width * 0.22, 0.79, z + 0.013), 0.001), "dark")
    model.add(box((0.03, 0.006, 0.002), (width * 0.22, 0.79, z + 0.0155), 0.0005), "lit")
    model.surface(COUNTER_M, width, DEPTH_M - 0.06, 0.42)
    return model


def white_dishwasher(rng: np.random.Generator) -> Model:
    """A white dishwasher with a recessed grip, a row of buttons and a dial."""
    width = float(rng.choice([0.45, 0.6]))
    model = _unit(width)
    model.kinds["enamel"] = "enamel"
    z = DEPTH_M / 2 - 0.028
    model.add(box((width - 0.008, 0.61, 0.022), (0, 0.415, z), 0.01), "enamel")
    model.add(box((width - 0.008, 0.13, 0.03), (0, 0.79, z), 0.008), "enamel")
    model.add(box((0.2, 0.03, 0.004), (-width * 0.12, 0.765, z + 0.015), 0.001), "dark")
    dial = cylinder(0.026, 0.02, (0, 0, 0), 14).turned(rotation_x(math.pi / 2))
    model.add(dial.moved((width * 0.3, 0.79, z + 0.014)), "detail")
    for k in range(4):
        model.add(box((0.016, 0.01, 0.006), (-width * 0.3 + 0.03 * k, 0.82, z + 0.016), 0.001), "dark")
    model.surface(COUNTER_M, width, DEPTH_M - 0.06, 0.42)
    return model
