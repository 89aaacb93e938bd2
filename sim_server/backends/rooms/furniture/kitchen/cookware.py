"""Pots and pans."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, revolve, sphere, tube


def pot(rng: np.random.Generator) -> Model:
    """A cooking pot with two ears and a lid."""
    radius, height = rng.uniform(0.09, 0.15), rng.uniform(0.09, 0.2)
    model = Model(main="pan", dark="dark", detail="metal")
    model.add(revolve([(0, 0), (radius * 0.96, 0), (radius, 0.01), (radius, height), (0, height)], 24))
    lid = [
        (radius + 0.004, height),
        (radius + 0.004, height + 0.008),
        (radius * 0.5, height + 0.025),
        (0, height + 0.03),
    ]
    model.add(revolve(lid, 24), "detail")
    model.add(sphere(0.016, (0, height + 0.04, 0), 10), "dark")
    for side in (-1, 1):
        ear = [(side * radius, height - 0.03, -0.03), (side * (radius + 0.035), height - 0.03, -0.02)]
        ear += [(side * (radius + 0.035), height - 0.03, 0.02), (side * radius, height - 0.03, 0.03)]
        model.add(tube(ear, 0.007, 6), "dark")
    return model


def saucepan(rng: np.random.Generator) -> Model:
    """A small open pot with one long handle."""
    radius, height = rng.uniform(0.075, 0.11), rng.uniform(0.07, 0.13)
    model = Model(main="pan", dark="dark", broth="card")
    model.add(
        revolve([(0, 0), (radius, 0), (radius, height), (radius - 0.006, height), (radius - 0.006, height * 0.7)], 24)
    )
    model.add(revolve([(radius - 0.005, height * 0.7), (0, height * 0.7)], 18), "broth")
    model.add(tube([(0, height * 0.8, radius - 0.005), (0, height * 0.95, radius + 0.17)], 0.01, 8), "dark")
    return model


def casserole(rng: np.random.Generator) -> Model:
    """A low oval enamelled pot with a domed lid and two broad grips."""
    radius, height = rng.uniform(0.11, 0.15), rng.uniform(0.09, 0.13)
    model = Model(main="appliance", second="metal")
    oval = np.array([1.25, 1, 1], np.float32)
    body = revolve([(0, 0), (radius * 0.92, 0), (radius, 0.015), (radius, height), (0, height)], 24)
    lid = [
        (radius + 0.004, height),
        (radius + 0.004, height + 0.01),
        (radius * 0.6, height + 0.035),
        (0, height + 0.042),
    ]
    for part in (body, revolve(lid, 24)):
        model.add(part._replace(positions=part.positions * oval))
    model.add(sphere(0.017, (0, height + 0.055, 0), 10), "second")
    for side in (-1, 1):
        x = side * radius * 1.25
        ear = [(x, height - 0.025, -0.04), (x + side * 0.03, height - 0.02, -0.025)]
        model.add(tube([*ear, (x + side * 0.03, height - 0.02, 0.025), (x, height - 0.025, 0.04)], 0.009, 6))
    return model


def pan(rng: np.random.Generator) -> Model:
    """A frying pan with a long handle."""
    radius = rng.uniform(0.095, 0.155)
    model = Model(main="pan", dark="dark")
    model.add(
        revolve(
            [(0, 0), (radius * 0.8, 0), (radius, 0.045), (radius - 0.005, 0.045), (radius * 0.78, 0.008), (0, 0.008)],
            24,
        )
    )
    model.add(tube([(0, 0.035, radius - 0.01), (0, 0.055, radius + 0.18)], 0.011, 8), "dark")
    return model


def wok(rng: np.random.Generator) -> Model:
    """A deep round pan with a wooden handle and a grip."""
    radius, height = rng.uniform(0.13, 0.155), rng.uniform(0.07, 0.085)
    model = Model(main="pan", second="wood")
    t = np.linspace(0, 1, 6)
    outer = [(float(radius * v), float(height * v**2)) for v in t]
    inner = [(float((radius - 0.005) * v), float(0.005 + (height - 0.005) * v**2)) for v in t[::-1]]
    model.add(revolve(outer + inner, 24))
    model.add(tube([(0, height - 0.01, radius - 0.01), (0, height + 0.04, radius + 0.17)], 0.013, 8), "second")
    model.add(tube([(-0.03, height - 0.006, -radius + 0.004), (0, height + 0.004, -radius - 0.03),
                    (0.03, height - 0.006, -radius + 0.004)], 0.007, 6), "second")  # fmt: skip
    return model


def grill_pan(rng: np.random.Generator) -> Model:
    """A square ribbed pan with a metal handle."""
    side, rim = rng.uniform(0.22, 0.3), rng.uniform(0.04, 0.055)
    model = Model(main="pan", second="metal")
    model.add(box((side, 0.012, side), (0, 0.006, 0), 0.004))
    for s in (-1, 1):
        model.add(box((side, rim, 0.01), (0, rim / 2, s * (side - 0.01) / 2), 0.003))
        model.add(box((0.01, rim, side - 0.02), (s * (side - 0.01) / 2, rim / 2, 0), 0.003))
    for x in np.linspace(-side / 2 + 0.03, side / 2 - 0.03, 6):
        model.add(box((0.008, 0.008, side - 0.03), (float(x), 0.014, 0), 0.002))
    model.add(tube([(0, rim - 0.012, side / 2 - 0.005), (0, rim + 0.01, side / 2 + 0.18)], 0.01, 8), "second")
    return model
