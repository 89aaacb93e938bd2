"""Simple human figures, standing and sitting, of all ages and in different clothes. They face +z."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import Part, box, cylinder, revolve, soft_box, sphere

FOOT_M = 0.012  # gap between the feet of a sitting figure and the floor


class _Person(NamedTuple):
    height: float
    skirt: bool
    hair: int  # 0: short, 1: long, 2: tied up


def _draw(rng: np.random.Generator) -> _Person:
    """An adult, or sometimes a child."""
    height = rng.uniform(1.05, 1.5) if rng.random() < 0.25 else rng.uniform(1.52, 1.92)
    return _Person(height, rng.random() < 0.25, int(rng.integers(3)))


def _model(rng: np.random.Generator) -> Model:
    top = str(rng.choice(["cushion", "fabric", "coat"]))
    return Model(main=top, second="coat", skin="card", hair="dark" if rng.random() < 0.5 else "wood", dark="dark")


def _limb(a: tuple[float, ...], b: tuple[float, ...], r0: float, r1: float) -> Part:
    """A tapered round bar from `a` to `b`."""
    start, end = np.array(a), np.array(b)
    length = float(np.linalg.norm(end - start))
    up = (end - start) / length
    side = np.cross(up, [0.0, 0.0, 1.0] if abs(up[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    turn = np.stack([side, up, np.cross(side, up)], 1)
    return cylinder(r0, length, sections=8, top_radius_m=r1).turned(turn).moved(start)


def _upper_body(model: Model, who: _Person, hip: float, rng: np.random.Generator, seated: bool) -> None:
    """Add torso, arms, neck and head above hips at height `hip`."""
    h = who.height
    profile = [
        (0, 0),
        (0.096, 0),
        (0.088, 0.12),
        (0.108, 0.23),
        (0.112, 0.27),
        (0.096, 0.305),
        (0.05, 0.33),
        (0, 0.335),
    ]
    torso = revolve([(r * h, y * h) for r, y in profile], 16, (0, hip - 0.02 * h, 0))
    model.add(torso._replace(positions=torso.positions * np.array([1.05, 1, 0.66], np.float32)))
    shoulder = hip + 0.285 * h
    for x in (-1, 1):
        joint = (x * 0.106 * h, shoulder - 0.008 * h, 0.0)
        pose = 3 if seated else int(rng.integers(3))
        elbow, hand = (
            ((x * 0.14 * h, shoulder - 0.17 * h, -0.01 * h), (x * 0.13 * h, shoulder - 0.32 * h, 0.04 * h)),
            ((x * 0.19 * h, shoulder - 0.15 * h, -0.02 * h), (x * 0.11 * h, shoulder - 0.25 * h, 0.05 * h)),
            ((x * 0.14 * h, shoulder - 0.17 * h, 0.0), (x * 0.1 * h, shoulder - 0.12 * h, 0.13 * h)),
            ((x * 0.15 * h, shoulder - 0.16 * h, 0.02 * h), (x * 0.07 * h, hip + 0.055 * h, 0.17 * h)),
        )[pose]
        model.add(_limb(joint, elbow, 0.03 * h, 0.025 * h))
        model.add(_limb(elbow, hand, 0.025 * h, 0.019 * h))
        model.add(sphere(0.033 * h, joint, 10))
        model.add(sphere(0.026 * h, hand, 8), "skin")
    neck, head = hip + 0.31 * h, hip + 0.415 * h
    model.add(cylinder(0.028 * h, 0.06 * h, (0, neck, 0), 8), "skin")
    model.add(sphere(0.058 * h, (0, head, 0), 14, 1.22), "skin")
    model.add(sphere(0.0615 * h, (0, head + 0.016 * h, -0.015 * h), 14, 1.15), "hair")
    model.add(box((0.012 * h, 0.02 * h, 0.02 * h), (0, head - 0.008 * h, 0.056 * h), 0.003), "skin")
    for x in (-1, 1):
        model.add(sphere(0.007 * h, (x * 0.021 * h, head + 0.006 * h, 0.051 * h), 6), "dark")
    if who.hair == 1:
        model.add(soft_box((0.12 * h, 0.15 * h, 0.045 * h), (0, head - 0.05 * h, -0.05 * h), 0.02 * h, 1), "hair")
    elif who.hair == 2:
        model.add(sphere(0.03 * h, (0, head + 0.05 * h, -0.062 * h), 8), "hair")


def standing(rng: np.random.Generator) -> Model:
    """A standing person, feet beside each other or one step apart."""
    who, model = _draw(rng), _model(rng)
    h, hip = who.height, 0.5 * who.height
    step = rng.uniform(0.03, 0.1) * h if rng.random() < 0.4 else 0.0
    for x in (-1, 1):
        z = x * step
        foot, knee = (x * 0.055 * h, 0.03 * h, z), (x * 0.055 * h, 0.27 * h, z * 0.4 + 0.01 * h)
        model.add(soft_box((0.056 * h, 0.045 * h, 0.15 * h), (foot[0], 0.0225 * h, z + 0.03 * h), 0.018 * h, 1), "dark")
        model.add(_limb(foot, knee, 0.028 * h, 0.038 * h), "skin" if who.skirt else "second")
        model.add(_limb(knee, (x * 0.05 * h, hip, 0), 0.038 * h, 0.052 * h), "second")
    if who.skirt:
        cone = [(0.13, 0.27), (0.095, 0.5), (0, 0.5), (0, 0.49), (0.085, 0.49), (0.122, 0.272), (0.13, 0.27)]
        model.add(revolve([(r * h, y * h) for r, y in cone], 16), "second")
    _upper_body(model, who, hip, rng, False)
    return model


def sitting(rng: np.random.Generator, seat_m: float = 0.45) -> Model:
    """A person who sits `seat_m` above the floor, hands on the thighs."""
    who, model = _draw(rng), _model(rng)
    h, hip = who.height, seat_m + 0.045 * who.height
    knee_y = max(hip, min(0.29 * h, hip + 0.1 * h))
    foot_y = max(FOOT_M, knee_y - 0.29 * h)
    apart, reach = rng.uniform(0.05, 0.075) * h, 0.235 * h
    for x in (-1, 1):
        knee, foot = (x * apart, knee_y, reach), (x * apart, foot_y + 0.03 * h, reach + rng.uniform(-0.02, 0.03) * h)
        model.add(_limb((x * 0.048 * h, hip, 0.0), knee, 0.052 * h, 0.04 * h), "second")
        model.add(sphere(0.04 * h, knee, 8), "second")
        model.add(_limb(foot, knee, 0.027 * h, 0.036 * h), "skin" if who.skirt else "second")
        size, at = (0.056 * h, 0.045 * h, 0.14 * h), (foot[0], foot_y + 0.0225 * h, foot[2] + 0.03 * h)
        model.add(soft_box(size, at, 0.018 * h, 1), "dark")
    model.add(soft_box((0.2 * h, 0.09 * h, 0.14 * h), (0, hip, 0), 0.04 * h, 1), "second")
    _upper_body(model, who, hip, rng, True)
    return model
