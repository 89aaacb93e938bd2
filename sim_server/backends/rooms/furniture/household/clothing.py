"""Pairs of shoes and bags. A pair is one object."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import Part, box, cylinder, revolve, rotation_y, soft_box, tube


def _pair(model: Model, rng: np.random.Generator, gap: float, shoe: list[tuple[Part, str]]) -> None:
    """Add a left and a right shoe, the second one slightly ahead and turned."""
    for side in (-1, 1):
        turn, ahead = rotation_y(rng.normal(0, 0.08)), rng.uniform(-0.015, 0.015)
        for part, slot in shoe:
            model.add(part.turned(turn).moved((side * gap, 0, ahead)), slot)


def sneakers(rng: np.random.Generator) -> Model:
    """Low shoes with light soles and laces."""
    long = rng.uniform(0.24, 0.3)
    model = Model(main="coat", second="paper", dark="dark")
    shoe = [
        (soft_box((0.09, 0.03, long), (0, 0.015, 0), 0.014), "second"),
        (soft_box((0.085, 0.055, long * 0.95), (0, 0.05, 0), 0.027), "main"),
        (soft_box((0.08, 0.075, long * 0.5), (0, 0.075, -long * 0.22), 0.03), "main"),
        (box((0.05, 0.006, 0.04), (0, 0.113, -long * 0.25), 0.002), "dark"),
    ]
    shoe += [(box((0.05, 0.006, 0.008), (0, 0.083, long * (0.05 + 0.06 * k)), 0.002), "second") for k in range(3)]
    _pair(model, rng, 0.055, shoe)
    return model


def boots(rng: np.random.Generator) -> Model:
    """Ankle or knee-high boots with dark soles."""
    tall = rng.uniform(0.18, 0.36)
    model = Model(main="coat", dark="dark")
    shaft = cylinder(0.047, tall - 0.05, (0, 0.05, -0.07), 12, 0.055)
    shoe = [
        (soft_box((0.09, 0.03, 0.28), (0, 0.015, 0), 0.012), "dark"),
        (soft_box((0.088, 0.07, 0.26), (0, 0.06, 0.005), 0.032), "main"),
        (shaft, "main"),
        (cylinder(0.045, 0.004, (0, tall - 0.002, -0.07), 12), "dark"),
    ]
    _pair(model, rng, 0.06, shoe)
    return model


def slippers(rng: np.random.Generator) -> Model:
    """Flat soles with a strap over the toes."""
    long = rng.uniform(0.22, 0.29)
    model = Model(main="cushion", second="linen")
    strap = [(0.045 * math.cos(a), 0.02 + 0.045 * math.sin(a), long * 0.2) for a in np.linspace(math.pi, 0, 7)]
    shoe = [(soft_box((0.09, 0.022, long), (0, 0.011, 0), 0.01), "second"), (tube(strap, 0.02, 6), "main")]
    _pair(model, rng, 0.055, shoe)
    return model


def backpack(rng: np.random.Generator) -> Model:
    """A packed rucksack with a front pocket, a lid and two straps."""
    width, tall = rng.uniform(0.25, 0.34), rng.uniform(0.34, 0.55)
    model = Model(main="coat", second="cushion", dark="dark")
    model.add(soft_box((width, tall, 0.17), (0, tall / 2, 0), 0.07, 3))
    model.add(soft_box((width * 0.8, tall * 0.4, 0.07), (0, tall * 0.27, 0.1), 0.03), "second")
    model.add(box((width * 0.6, 0.012, 0.012), (0, tall * 0.42, 0.136), 0.004), "dark")
    model.add(tube([(-0.04, tall - 0.01, -0.03), (0, tall + 0.04, -0.03), (0.04, tall - 0.01, -0.03)], 0.01, 6), "dark")
    for x in (-1, 1):
        strap = [(x * 0.07, tall * 0.9, -0.07), (x * 0.09, tall * 0.6, -0.13), (x * 0.1, tall * 0.15, -0.08)]
        model.add(tube(strap, 0.016, 6), "dark")
    return model


def tote_bag(rng: np.random.Generator) -> Model:
    """A cloth bag with two upright handles."""
    width, tall, deep = rng.uniform(0.26, 0.46), rng.uniform(0.2, 0.4), rng.uniform(0.1, 0.16)
    model = Model(main="cushion", second="coat", dark="dark")
    body = box((width, tall, deep), (0, tall / 2, 0), 0.02)
    part = np.interp(body.positions[:, 1], (0, tall), (1.0, 0.7)).astype(np.float32)
    model.add(body._replace(positions=body.positions * np.stack([np.ones_like(part), np.ones_like(part), part], 1)))
    model.add(box((width - 0.03, 0.004, deep * 0.6), (0, tall, 0), 0.001), "dark")
    for z in (-1, 1):
        bow = [
            (width * 0.22 * math.cos(a), tall - 0.02 + 0.14 * math.sin(a), z * deep * 0.32)
            for a in np.linspace(0, math.pi, 8)
        ]
        model.add(tube(bow, 0.009, 6), "second")
    return model


def suitcase(rng: np.random.Generator) -> Model:
    """An upright case with ribs, wheels and a pulled-out handle."""
    width, tall, deep = rng.uniform(0.34, 0.46), rng.uniform(0.46, 0.72), rng.uniform(0.2, 0.26)
    model = Model(main="appliance", dark="dark", detail="metal")
    model.add(soft_box((width, tall - 0.05, deep), (0, tall / 2 + 0.025, 0), 0.04))
    for x in np.linspace(-width * 0.36, width * 0.36, 5):
        model.add(box((0.02, tall - 0.16, 0.012), (float(x), tall / 2 + 0.025, deep / 2), 0.005))
    pull, wheel = rng.uniform(0.2, 0.3), revolve([(0, 0), (0.025, 0), (0.025, 0.05), (0, 0.05)], 10)
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(wheel.moved((x * (width / 2 - 0.05), 0, z * (deep / 2 - 0.05))), "dark")
        model.add(cylinder(0.007, pull, (x * width * 0.2, tall, -deep * 0.3), 6), "detail")
    top = float(model.bounds()[1][1])
    model.add(box((width * 0.46, 0.025, 0.03), (0, top, -deep * 0.3), 0.008), "dark")
    return model
