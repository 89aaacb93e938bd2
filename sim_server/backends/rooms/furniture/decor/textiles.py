"""Rugs, pillows and curtains. A curtain is one panel of cloth."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import Part, box, cylinder, joined, revolve, soft_box, sphere

RUG_M = 0.012  # thickness
CLOTH_OUT_M = 0.035  # a curtain's cloth is in front of its bracket's middle by this


def rug(rng: np.random.Generator, width_m: float = 0.0, depth_m: float = 0.0) -> Model:
    """A rectangular rug: plain, with a border, or striped."""
    width, depth = width_m or rng.uniform(0.8, 2.6), depth_m or rng.uniform(0.6, 1.7)
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
    radius = rng.uniform(0.45, 1.05)
    model = Model(main="rug", second="rug_trim")
    model.add(cylinder(radius, RUG_M - 0.002, (0, 0, 0), 40), "second")
    model.add(cylinder(radius * 0.86, RUG_M, (0, 0, 0), 40))
    return model


def oval_rug(rng: np.random.Generator) -> Model:
    """A braided oval of four rings."""
    half_x, half_z = rng.uniform(0.5, 1.1), rng.uniform(0.35, 0.6)
    model = Model(main="rug", second="rug_trim")
    for k in range(4):
        ring = cylinder(1.0, RUG_M - 0.002 * (3 - k), (0, 0, 0), 36)
        size = np.array([half_x - 0.11 * k, 1, half_z - 0.11 * k * half_z / half_x], np.float32)
        model.add(ring._replace(positions=ring.positions * size), "main" if k % 2 else "second")
    return model


def _cushion(width: float, thick: float, depth: float) -> Part:
    """A lying cushion that is thick in the middle and thin at its edges, with pointed corners."""
    core = soft_box((width, thick, depth), (0, 0, 0), thick * 0.49, 3)
    x, z = np.abs(core.positions[:, 0]) / (width / 2), np.abs(core.positions[:, 2]) / (depth / 2)
    thin = (1 - 0.75 * np.clip(np.maximum(x, z), 0, 1) ** 3).astype(np.float32)
    pull = (1 - 0.07 * (np.clip(x, 0, 1) ** 4 + np.clip(z, 0, 1) ** 4 - 2 * (x * z) ** 4)).astype(np.float32)
    part = core._replace(positions=core.positions * np.stack([pull, thin, pull], 1))
    return part.moved((0, -float(part.positions[:, 1].min()), 0))


def pillow(rng: np.random.Generator) -> Model:
    """A square throw pillow."""
    width = rng.uniform(0.35, 0.55)
    model = Model(main="cushion")
    model.add(_cushion(width, rng.uniform(0.12, 0.17), width * rng.uniform(0.9, 1.0)))
    return model


def striped_pillow(rng: np.random.Generator) -> Model:
    """An oblong pillow with a broad band across."""
    width, depth, thick = rng.uniform(0.42, 0.65), rng.uniform(0.28, 0.38), rng.uniform(0.12, 0.15)
    model = Model(main="cushion", second="linen")
    core = _cushion(width, thick, depth)
    band = np.abs(core.positions[core.faces].mean(1)[:, 0]) < width * rng.uniform(0.14, 0.24)
    for slot, chosen in (("second", band), ("main", ~band)):
        model.add(core._replace(faces=core.faces[chosen]), slot)
    return model


def buttoned_pillow(rng: np.random.Generator) -> Model:
    """A round pillow with a button in its dent."""
    radius, thick = rng.uniform(0.18, 0.26), rng.uniform(0.1, 0.14)
    model = Model(main="cushion", second="linen")
    outline = [(0, 0.01), (radius * 0.5, 0), (radius * 0.9, 0.015), (radius, thick / 2), (radius * 0.9, thick - 0.015)]
    model.add(revolve([*outline, (radius * 0.5, thick), (0.02, thick * 0.72), (0, thick * 0.7)], 24))
    model.add(sphere(0.018, (0, thick * 0.72, 0), 8, 0.6), "second")
    return model


def bed_pillow(rng: np.random.Generator, width_m: float = 0.0) -> Model:
    """A large white pillow for a bed."""
    width = width_m or rng.uniform(0.5, 0.8)
    model = Model(main="linen")
    model.add(_cushion(width, rng.uniform(0.13, 0.18), rng.uniform(0.34, 0.42)))
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


def _heading(model: Model, width: float, height: float) -> None:
    """Add the gathered upper end, and the bracket that keeps the cloth away from the wall and the sill."""
    model.kinds["detail"] = "metal"
    model.add(box((width, 0.05, 0.05), (0, height - 0.025, CLOTH_OUT_M), 0.01))
    model.add(box((0.016, 0.016, CLOTH_OUT_M + 0.05), (0, height - 0.01, CLOTH_OUT_M / 2 - 0.025), 0.003), "detail")


def curtain(rng: np.random.Generator, width_m: float = 0.0, height_m: float = 0.0) -> Model:
    """One panel of cloth with a heading, reaching from its rod down to y = 0; the rod belongs to the building."""
    width, height = width_m or rng.uniform(0.25, 0.6), height_m or rng.uniform(1.2, 2.3)
    model = Model(main="curtain")
    model.add(drape(width, 0.0, height, rng.uniform(0, 6.28)).moved((0, 0, CLOTH_OUT_M)))
    _heading(model, width, height)
    return model


def tied_curtain(rng: np.random.Generator, width_m: float = 0.0, height_m: float = 0.0) -> Model:
    """A panel that is gathered by a band below its middle."""
    width, height = width_m or rng.uniform(0.3, 0.6), height_m or rng.uniform(1.3, 2.3)
    model = Model(main="curtain", second="linen")
    tie, phase = height * rng.uniform(0.38, 0.48), rng.uniform(0, 6.28)
    for low, high, bottom, top in ((0.0, tie, 0.75, 0.35), (tie, height, 0.35, 1.0)):
        cloth = drape(width, low, high, phase)
        part = np.interp(cloth.positions[:, 1], (low, high), (bottom, top)).astype(np.float32)
        narrow = np.stack([part, np.ones_like(part), np.ones_like(part)], 1)
        model.add(cloth._replace(positions=cloth.positions * narrow).moved((0, 0, CLOTH_OUT_M)))
    model.add(box((width * 0.4, 0.05, 0.09), (0, tie, CLOTH_OUT_M), 0.015), "second")
    _heading(model, width, height)
    return model


def bordered_curtain(rng: np.random.Generator, width_m: float = 0.0, height_m: float = 0.0) -> Model:
    """A panel with a broad hem in another colour."""
    width, height = width_m or rng.uniform(0.25, 0.6), height_m or rng.uniform(1.2, 2.3)
    model = Model(main="curtain", second="linen")
    hem, phase = height * rng.uniform(0.12, 0.3), rng.uniform(0, 6.28)
    model.add(drape(width, 0.0, hem, phase).moved((0, 0, CLOTH_OUT_M)), "second")
    model.add(drape(width, hem, height, phase).moved((0, 0, CLOTH_OUT_M)))
    _heading(model, width, height)
    return model
