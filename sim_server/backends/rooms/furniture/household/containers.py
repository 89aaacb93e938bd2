"""Boxes, baskets and trash cans."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, rotation_z, soft_box, tube


def open_box(rng: np.random.Generator) -> Model:
    """A cardboard box with its four flaps open."""
    width, height, depth = rng.uniform(0.26, 0.6), rng.uniform(0.18, 0.5), rng.uniform(0.26, 0.55)
    model = Model(main="card", second="card", dark="dark")
    wall = 0.012
    for x in (-1, 1):
        model.add(box((wall, height, depth), (x * (width - wall) / 2, height / 2, 0), 0.002))
    for z in (-1, 1):
        model.add(box((width - 2 * wall, height, wall), (0, height / 2, z * (depth - wall) / 2), 0.002))
    model.add(box((width - 0.01, wall, depth - 0.01), (0, wall / 2, 0), 0.002), "second")
    for side in (-1, 1):
        tilt = rng.uniform(0.5, 0.9)
        flap = box((depth * 0.32, 0.008, depth - 0.02), (depth * 0.16, 0, 0), 0.002).turned(rotation_z(-tilt))
        if side < 0:
            flap = box((depth * 0.32, 0.008, depth - 0.02), (-depth * 0.16, 0, 0), 0.002).turned(rotation_z(tilt))
        model.add(flap.moved((side * (width / 2 - 0.004), height - 0.004, 0)))
        lid = box((width - 0.02, 0.008, depth * 0.3), (0, 0, side * depth * 0.15), 0.002)
        model.add(
            lid.turned(rotation_x(side * rng.uniform(0.6, 1.0))).moved((0, height - 0.004, side * (depth / 2 - 0.004)))
        )
    return model


def crate(rng: np.random.Generator) -> Model:
    """A closed box with a lid and a band of tape."""
    width, height, depth = rng.uniform(0.26, 0.75), rng.uniform(0.18, 0.55), rng.uniform(0.26, 0.55)
    model = Model(main="card", second="card", tape="tape")
    model.add(box((width, height, depth), (0, height / 2, 0), 0.006))
    model.add(box((width + 0.002, height + 0.002, 0.07), (0, height / 2, 0), 0.004), "tape")
    return model


def lidded_box(rng: np.random.Generator) -> Model:
    """A storage box with an overhanging lid and a label in a frame."""
    width, height, depth = rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.42), rng.uniform(0.28, 0.5)
    model = Model(main="card", second="card", paper="paper", detail="metal")
    model.add(box((width, height - 0.03, depth), (0, (height - 0.03) / 2, 0), 0.006))
    model.add(box((width + 0.02, 0.07, depth + 0.02), (0, height - 0.035, 0), 0.006), "second")
    model.add(box((0.11, 0.065, 0.004), (0, height * 0.42, depth / 2 + 0.002), 0.001), "detail")
    model.add(box((0.09, 0.045, 0.004), (0, height * 0.42, depth / 2 + 0.004), 0.001), "paper")
    return model


def basket(rng: np.random.Generator) -> Model:
    """A woven basket with a thick rim."""
    radius, height = rng.uniform(0.14, 0.28), rng.uniform(0.22, 0.5)
    model = Model(main="wicker", second="wicker")
    wall = 0.02
    inner = radius - wall
    model.add(
        revolve([(0, 0), (radius * 0.8, 0), (radius, height), (inner, height), (inner * 0.8, 0.03), (0, 0.03)], 20)
    )
    ring = [
        (math.sin(a) * (radius - 0.01), height, math.cos(a) * (radius - 0.01)) for a in np.linspace(0, 2 * math.pi, 21)
    ]
    model.add(tube(ring, 0.02, 6), "second")
    return model


def square_basket(rng: np.random.Generator) -> Model:
    """A woven box with cut-out handles."""
    width, depth, height = rng.uniform(0.3, 0.56), rng.uniform(0.24, 0.38), rng.uniform(0.18, 0.36)
    model = Model(main="wicker", second="wicker", dark="dark")
    wall = 0.022
    for x in (-1, 1):
        model.add(box((wall, height, depth), (x * (width - wall) / 2, height / 2, 0), 0.006))
        model.add(box((0.006, 0.035, 0.11), (x * (width / 2 + 0.0), height - 0.07, 0), 0.002), "dark")
    for z in (-1, 1):
        model.add(box((width - 2 * wall, height, wall), (0, height / 2, z * (depth - wall) / 2), 0.006))
        model.add(box((width + 0.01, 0.035, wall + 0.012), (0, height - 0.012, z * (depth - wall) / 2), 0.01), "second")
    for x in (-1, 1):
        model.add(box((wall + 0.012, 0.035, depth), (x * (width - wall) / 2, height - 0.012, 0), 0.01), "second")
    model.add(box((width - 0.02, 0.02, depth - 0.02), (0, 0.012, 0), 0.003))
    return model


def bin_with_lid(rng: np.random.Generator) -> Model:
    """A pedal bin: a round body, a domed lid and a pedal."""
    radius, height = rng.uniform(0.13, 0.2), rng.uniform(0.32, 0.66)
    model = Model(main="appliance", dark="dark")
    model.add(cylinder(radius * 0.98, 0.03, (0, 0, 0), 22), "dark")
    model.add(
        revolve(
            [
                (radius * 0.95, 0.03),
                (radius, height),
                (radius, height + 0.01),
                (radius * 0.8, height + 0.05),
                (0, height + 0.07),
            ],
            24,
        )
    )
    model.add(revolve([(radius + 0.004, height - 0.012), (radius + 0.004, height), (radius, height)], 24), "dark")
    model.add(box((0.09, 0.012, 0.05), (0, 0.02, radius + 0.01), 0.004), "dark")
    return model


def swing_bin(rng: np.random.Generator) -> Model:
    """A tapered square bin with a swing lid."""
    width, height = rng.uniform(0.28, 0.42), rng.uniform(0.4, 0.72)
    model = Model(main="plastic", dark="dark")
    body = box((width, height, width * 0.82), (0, height / 2, 0), 0.02)
    taper = (0.82 + 0.18 * body.positions[:, 1:2] / height).astype(np.float32)
    model.add(body._replace(positions=body.positions * np.concatenate([taper, np.ones_like(taper), taper], 1)))
    model.add(soft_box((width + 0.015, 0.06, width * 0.82 + 0.015), (0, height, 0), 0.025), "dark")
    flap = box((width * 0.8, 0.02, width * 0.5), (0, 0, 0), 0.006).turned(rotation_x(0.35))
    model.add(flap.moved((0, height + 0.03, 0)))
    return model


def paper_bin(rng: np.random.Generator) -> Model:
    """An open tapered bin with a rolled rim and bands, for paper."""
    radius, height = rng.uniform(0.12, 0.18), rng.uniform(0.28, 0.42)
    model = Model(main="lacquer", dark="dark")
    low = radius * rng.uniform(0.68, 0.85)
    inner = [(radius - 0.008, height), (low - 0.008, 0.012), (0, 0.01)]
    model.add(revolve([(0, 0), (low, 0), (radius, height), *inner], 24))
    ring = [(math.sin(a) * radius, height, math.cos(a) * radius) for a in np.linspace(0, 2 * math.pi, 21)]
    model.add(tube(ring, 0.008, 6))
    for part in (0.3, 0.7):
        at = low + (radius - low) * part
        model.add(
            revolve([(at, part * height - 0.008), (at + 0.003, part * height), (at, part * height + 0.008)], 24), "dark"
        )
    return model


def belly_basket(rng: np.random.Generator) -> Model:
    """A round-bellied basket with two loop handles and a band in another colour."""
    radius, height = rng.uniform(0.16, 0.27), rng.uniform(0.24, 0.42)
    model = Model(main="wicker", second="linen")
    outline = [(0, 0), (radius * 0.7, 0), (radius, height * 0.4), (radius * 0.94, height * 0.62)]
    upper = [(radius * 0.94, height * 0.62), (radius * 0.8, height), (radius * 0.8 - 0.015, height)]
    model.add(revolve(outline, 22))
    model.add(revolve([*upper, (radius * 0.88, height * 0.55), (radius * 0.66, 0.03), (0, 0.025)], 22), "second")
    for x in (-1, 1):
        bow = [
            (x * (radius * 0.82 + 0.015), height - 0.02 + 0.06 * math.sin(a), 0.07 * math.cos(a))
            for a in np.linspace(0, math.pi, 7)
        ]
        model.add(tube(bow, 0.009, 6))
    return model
