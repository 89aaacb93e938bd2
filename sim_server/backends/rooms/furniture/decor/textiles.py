"""Rugs, pillows, curtains and blinds."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import Part, box, cylinder, joined, revolve, soft_box, sphere, tube

RUG_M = 0.012  # thickness


def rug(rng: np.random.Generator, width_m: float = 0.0, depth_m: float = 0.0) -> Model:
    """A rectangular rug: plain, with a border, or striped."""
    width, depth = width_m or rng.uniform(1.6, 2.4), depth_m or rng.uniform(1.1, 1.7)
    model = Model(main="rug", second="rug_trim")
    style = int(rng.integers(3))
    if style == 0:
        model.add(box((width, RUG_M, depth), (0, RUG_M / 2, 0), 0.004))
        for x in (-1, 1):
            model.add(box((0.03, 0.006, depth - 0.02), (x * (width / 2 + 0.012), 0.003, 0), 0.002), "second")
    elif style == 1:
        model.add(box((width, RUG_M - 0.001, depth), (0, (RUG_M - 0.001) / 2, 0), 0.004), "second")
        model.add(box((width - 0.24, RUG_M, depth - 0.24), (0, RUG_M / 2, 0), 0.002))
    else:
        count = int(rng.integers(5, 9))
        for k in range(count):
            x = -width / 2 + width / count * (k + 0.5)
            model.add(box((width / count, RUG_M, depth), (x, RUG_M / 2, 0), 0.001), "main" if k % 2 else "second")
    return model


def round_rug(rng: np.random.Generator) -> Model:
    radius = rng.uniform(0.65, 1.0)
    model = Model(main="rug", second="rug_trim")
    model.add(cylinder(radius, RUG_M - 0.002, (0, 0, 0), 40), "second")
    model.add(cylinder(radius * 0.86, RUG_M, (0, 0, 0), 40))
    return model


def pillow(rng: np.random.Generator) -> Model:
    """A flat cushion."""
    width, depth = rng.uniform(0.38, 0.5), rng.uniform(0.36, 0.44)
    model = Model(main="cushion")
    core = soft_box((width, 0.13, depth), (0, 0, 0), 0.064, 4)
    edge = np.maximum(np.abs(core.positions[:, 0]) / (width / 2), np.abs(core.positions[:, 2]) / (depth / 2))
    thin = (1 - 0.6 * np.clip(edge, 0, 1) ** 3).astype(np.float32)
    positions = core.positions * np.stack([np.ones_like(thin), thin, np.ones_like(thin)], 1)
    model.add(core._replace(positions=positions).moved((0, 0.065, 0)))
    return model


def bolster(rng: np.random.Generator) -> Model:
    """A round roll with piped ends."""
    length, radius = rng.uniform(0.4, 0.52), rng.uniform(0.075, 0.09)
    model = Model(main="cushion", second="linen")
    roll = revolve(
        [(0, 0), (radius * 0.86, 0.0), (radius, 0.02), (radius, length - 0.02), (radius * 0.86, length), (0, length)],
        20,
    )
    lying = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], float)
    model.add(roll.turned(lying).moved((-length / 2, radius, 0)))
    for x in (-1, 1):
        ring = [
            (x * (length / 2 - 0.022), radius + radius * math.cos(a), radius * math.sin(a))
            for a in np.linspace(0, 6.283, 17)
        ]
        model.add(tube(ring, 0.007, 5), "second")
    return model


def drape(width: float, low: float, high: float, phase: float) -> Part:
    """A two-sided cloth with folds."""
    columns = 25
    t = np.linspace(0, 1, columns)
    angle = t * 2 * math.pi * 5 + phase
    positions = np.zeros((2, columns, 3), np.float32)
    normals = np.zeros((2, columns, 3), np.float32)
    slope = 0.028 * np.cos(angle) * 2 * math.pi * 5 / width
    for k, y in enumerate((low, high)):
        positions[k] = np.stack([(t - 0.5) * width, np.full(columns, y), 0.028 * np.sin(angle)], 1)
        normals[k] = np.stack([-slope, np.zeros(columns), np.ones(columns)], 1)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    uv = np.stack([np.broadcast_to(t * width * 1.6, (2, columns)), positions[..., 1]], -1).astype(np.float32)
    k = np.arange(columns - 1)
    faces = np.concatenate([np.stack([k, k + 1, k + 1 + columns], 1), np.stack([k, k + 1 + columns, k + columns], 1)])
    front = Part(positions.reshape(-1, 3), normals.reshape(-1, 3), uv.reshape(-1, 2), faces.astype(np.int32))
    behind = front._replace(
        normals=-front.normals,
        faces=front.faces[:, ::-1],
        positions=front.positions - np.array([0, 0, 0.004], np.float32),
    )
    return joined([front, behind])


def curtain(rng: np.random.Generator, width_m: float = 0.0, height_m: float = 0.0) -> Model:
    """A rod with a cloth drawn to either side of the window, reaching from the rod down to y = 0."""
    width, height = width_m or rng.uniform(1.6, 2.4), height_m or rng.uniform(1.9, 2.2)
    model = Model(main="curtain", second="metal")
    rod = height - 0.03
    model.add(tube([(-width / 2, rod, 0.03), (width / 2, rod, 0.03)], 0.012, 8), "second")
    for x in (-1, 1):
        model.add(sphere(0.025, (x * width / 2, rod, 0.03), 10), "second")
        model.add(tube([(x * width * 0.46, rod, 0.03), (x * width * 0.46, rod, -0.05)], 0.008, 6), "second")
    cloth = width * rng.uniform(0.15, 0.19)
    for x in (-1, 1):
        model.add(
            drape(cloth, 0.0, height - 0.045, rng.uniform(0, 6.28)).moved((x * (width / 2 - cloth / 2 - 0.04), 0, 0.03))
        )
    return model


def roller_blind(rng: np.random.Generator, width_m: float = 0.0, height_m: float = 0.0) -> Model:
    """A partly lowered roller blind with a bar at its end; y = 0 is where it would end fully lowered."""
    width, drawn = width_m or rng.uniform(0.9, 1.6), rng.uniform(0.3, 0.4) * (height_m or 1.3)
    model = Model(main="curtain", second="metal")
    model.add(tube([(-width / 2, drawn - 0.03, 0.02), (width / 2, drawn - 0.03, 0.02)], 0.026, 10))
    model.add(box((width - 0.02, drawn - 0.04, 0.006), (0, (drawn - 0.04) / 2 + 0.01, 0.0), 0.002))
    model.add(box((width - 0.02, 0.025, 0.016), (0, 0.0125, 0.0), 0.005), "second")
    for x in (-1, 1):
        model.add(box((0.02, 0.07, 0.075), (x * width / 2, drawn - 0.03, 0.01), 0.004), "second")
    return model
