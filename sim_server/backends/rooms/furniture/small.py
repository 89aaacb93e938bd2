"""Small things that stand on furniture: books, cups, laptops, pillows, clocks, candles and the like."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, rotation_y, soft_box, sphere, tube


def books(rng: np.random.Generator) -> Model:
    """A stack of two to four books, not quite in line."""
    model = Model(main="book_a", second="book_b", paper="paper")
    y = 0.0
    for k in range(int(rng.integers(2, 5))):
        thick, width, depth = rng.uniform(0.02, 0.045), rng.uniform(0.15, 0.21), rng.uniform(0.21, 0.27)
        turn = rotation_y(rng.normal(0, 0.12))
        for size, slot in (((width - 0.008, thick - 0.008, depth - 0.006), "paper"), ((width, 0.004, depth), "")):
            name = slot or ("main" if k % 2 == 0 else "second")
            if slot:
                model.add(box(size, (0.004, thick / 2, 0), 0.002).turned(turn).moved((0, y, 0)), name)
            else:
                for level in (0.002, thick - 0.002):
                    model.add(box(size, (0, level, 0), 0.001).turned(turn).moved((0, y, 0)), name)
                spine = box((0.005, thick, depth), (-width / 2 + 0.0025, thick / 2, 0), 0.001)
                model.add(spine.turned(turn).moved((0, y, 0)), name)
        y += thick
    return model


def cup(rng: np.random.Generator) -> Model:
    """A mug with a handle."""
    radius, height = rng.uniform(0.036, 0.046), rng.uniform(0.085, 0.11)
    model = Model(main="ceramic", dark="dark")
    inner = radius - 0.005
    model.add(revolve([(0, 0), (radius * 0.9, 0), (radius, height), (inner, height), (inner * 0.9, 0.02)], 20))
    model.add(revolve([(inner, height * 0.8), (0, height * 0.8)], 14), "dark")
    bow = [(radius - 0.004 + 0.03 * math.sin(a), height / 2 + 0.03 * math.cos(a), 0) for a in np.linspace(0.1, 3.04, 8)]
    model.add(tube(bow, 0.006, 6))
    return model


def bowl(rng: np.random.Generator) -> Model:
    """A round bowl."""
    radius, height = rng.uniform(0.09, 0.14), rng.uniform(0.06, 0.09)
    model = Model(main="ceramic")
    outer = [(0.0, 0.0), (radius * 0.45, 0.0), (radius * 0.8, height * 0.4), (radius, height)]
    inner = [(radius - 0.008, height), (radius * 0.72, height * 0.45), (radius * 0.4, 0.012), (0.0, 0.01)]
    model.add(revolve(outer + inner, 24))
    return model


def bottle(rng: np.random.Generator) -> Model:
    """A wine or oil bottle with a cork."""
    radius, height = rng.uniform(0.034, 0.042), rng.uniform(0.27, 0.33)
    model = Model(main="glass", second="card")
    shoulder = height * rng.uniform(0.58, 0.66)
    outline = [(0, 0), (radius, 0), (radius, shoulder), (radius * 0.8, shoulder + 0.03), (0.014, height * 0.84)]
    model.add(revolve([*outline, (0.014, height - 0.01), (0, height - 0.01)], 16))
    model.add(revolve([(0.011, height - 0.012), (0.011, height), (0, height)], 10), "second")
    return model


def laptop(rng: np.random.Generator) -> Model:
    """An open laptop."""
    width, depth = rng.uniform(0.31, 0.37), rng.uniform(0.22, 0.25)
    model = Model(main="steel", screen="screen", dark="dark")
    model.add(box((width, 0.016, depth), (0, 0.008, 0), 0.004))
    model.add(box((width - 0.05, 0.002, depth * 0.5), (0, 0.0165, -0.03), 0.0005), "dark")
    tilt = rotation_x(-rng.uniform(0.2, 0.4))
    model.add(box((width, depth - 0.01, 0.008), (0, depth / 2, 0), 0.003).turned(tilt).moved((0, 0.016, -depth / 2)))
    screen = box((width - 0.02, depth - 0.03, 0.002), (0, depth / 2, 0.0045), 0.0005).turned(tilt)
    model.add(screen.moved((0, 0.016, -depth / 2)), "screen")
    return model


def pillow(rng: np.random.Generator) -> Model:
    """A cushion that lies flat."""
    width, depth = rng.uniform(0.38, 0.5), rng.uniform(0.36, 0.44)
    model = Model(main="cushion")
    core = soft_box((width, 0.13, depth), (0, 0, 0), 0.064, 4)
    edge = np.maximum(np.abs(core.positions[:, 0]) / (width / 2), np.abs(core.positions[:, 2]) / (depth / 2))
    thin = (1 - 0.6 * np.clip(edge, 0, 1) ** 3).astype(np.float32)
    positions = core.positions * np.stack([np.ones_like(thin), thin, np.ones_like(thin)], 1)
    model.add(core._replace(positions=positions).moved((0, 0.065, 0)))
    return model


def teddy_bear(rng: np.random.Generator) -> Model:
    """A sitting bear."""
    size = rng.uniform(1.05, 1.5)
    model = Model(main="plush", second="linen", dark="dark")

    def ball(radius: float, at: tuple[float, float, float], slot: str = "main", squash: float = 1.0) -> None:
        model.add(sphere(radius * size, (at[0] * size, at[1] * size, at[2] * size), 14, squash), slot)

    ball(0.085, (0, 0.095, 0), squash=1.12)
    ball(0.07, (0, 0.24, 0.01))
    ball(0.032, (0, 0.228, 0.066), "second")
    ball(0.011, (0, 0.238, 0.096), "dark")
    for x in (-1, 1):
        ball(0.028, (x * 0.052, 0.3, 0))
        ball(0.009, (x * 0.026, 0.262, 0.07), "dark")
        ball(0.036, (x * 0.088, 0.145, 0.03), squash=1.4)
        ball(0.045, (x * 0.062, 0.045, 0.085))
        ball(0.03, (x * 0.062, 0.048, 0.112), "second")
    return model


def alarm_clock(rng: np.random.Generator) -> Model:
    """A round dial on two feet with two bells."""
    radius = rng.uniform(0.06, 0.08)
    model = Model(main="clock", paper="paper", dark="dark", detail="brass")
    y = radius + 0.02
    case = revolve(
        [(0, 0), (radius, 0), (radius, 0.05), (radius - 0.008, 0.055), (radius - 0.01, 0.048), (0, 0.048)], 24
    )
    model.add(case.turned(rotation_x(math.pi / 2)).moved((0, y, -0.025)))
    dial = cylinder(radius - 0.009, 0.002, (0, 0, 0), 24).turned(rotation_x(math.pi / 2))
    model.add(dial.moved((0, y, 0.0235)), "paper")
    for length, turn in ((0.55, 0.9), (0.75, -0.4)):
        tip = (math.sin(turn) * radius * length, y + math.cos(turn) * radius * length, 0.027)
        model.add(tube([(0, y, 0.027), tip], 0.003, 5), "dark")
    for x in (-1, 1):
        model.add(sphere(0.022, (x * radius * 0.6, y + radius * 0.95, 0), 12), "detail")
        model.add(tube([(x * radius * 0.5, y - radius * 0.7, 0), (x * radius * 0.75, 0, 0)], 0.006, 6), "dark")
    return model


def candle(rng: np.random.Generator) -> Model:
    """One or three candles in holders."""
    model = Model(main="wax", second="brass", dark="dark")
    count = 1 if rng.random() < 0.6 else 3
    for k in range(count):
        x, height = (k - (count - 1) / 2) * 0.075, rng.uniform(0.09, 0.22)
        model.add(
            revolve([(0, 0), (0.034, 0), (0.034, 0.006), (0.012, 0.014), (0.014, 0.03), (0, 0.03)], 16, (x, 0, 0)),
            "second",
        )
        model.add(cylinder(0.012, height, (x, 0.02, 0), 12))
        model.add(cylinder(0.0015, 0.014, (x, height + 0.018, 0), 5), "dark")
    return model


def monitor(rng: np.random.Generator) -> Model:
    """A screen on a foot."""
    width, tall = rng.uniform(0.52, 0.62), rng.uniform(0.31, 0.36)
    model = Model(main="dark", screen="screen", second="metal")
    model.add(box((0.22, 0.012, 0.17), (0, 0.006, 0), 0.004), "second")
    model.add(box((0.05, 0.16, 0.03), (0, 0.08, -0.03), 0.004), "second")
    model.add(box((width, tall, 0.03), (0, 0.11 + tall / 2, 0), 0.006))
    model.add(box((width - 0.02, tall - 0.02, 0.004), (0, 0.11 + tall / 2, 0.014), 0.001), "screen")
    return model


def remote(rng: np.random.Generator) -> Model:
    """A remote control with buttons."""
    length = rng.uniform(0.17, 0.22)
    model = Model(main="dark", second="metal")
    model.add(soft_box((0.05, 0.02, length), (0, 0.01, 0), 0.009))
    for k in range(5):
        for x in (-0.012, 0.012):
            model.add(box((0.012, 0.003, 0.012), (x, 0.0205, (k - 2) * length * 0.15), 0.001), "second")
    return model


def statue(rng: np.random.Generator) -> Model:
    """An abstract figure on a block: a ring or a stack of pebbles."""
    model = Model(main="statue", second="wood")
    width = rng.uniform(0.13, 0.18)
    model.add(box((width, 0.04, width * 0.8), (0, 0.02, 0), 0.004), "second")
    if rng.random() < 0.5:
        radius = rng.uniform(0.09, 0.13)
        ring = [
            (radius * math.sin(a), 0.05 + radius + radius * math.cos(a), 0) for a in np.linspace(0, 2 * math.pi, 25)
        ]
        model.add(tube(ring, 0.022, 10))
    else:
        y = 0.04
        for radius in (0.055, 0.045, 0.035, 0.024):
            model.add(sphere(radius, (rng.uniform(-0.01, 0.01), y + radius * 0.75, 0), 16, 0.75))
            y += radius * 1.42
    return model


def cactus(rng: np.random.Generator) -> Model:
    """A cactus with one or two arms in a pot."""
    model = Model(main="leaf", second="clay", soil="soil")
    pot, low, height = rng.uniform(0.06, 0.08), rng.uniform(0.09, 0.12), rng.uniform(0.16, 0.26)
    model.add(revolve([(0, 0), (pot * 0.75, 0), (pot, low), (pot * 0.88, low), (pot * 0.86, low * 0.92)], 18), "second")
    model.add(revolve([(pot * 0.88, low * 0.92), (0, low * 0.93)], 14), "soil")
    stem = pot * 0.5
    model.add(cylinder(stem, height, (0, low * 0.9, 0), 12))
    model.add(sphere(stem, (0, low * 0.9 + height, 0), 12))
    for side in (-1, 1)[: int(rng.integers(1, 3))]:
        y = low + height * rng.uniform(0.3, 0.5)
        arm = [
            (0, y, 0),
            (side * pot * 0.95, y + 0.01, 0),
            (side * pot * 1.05, y + 0.03, 0),
            (side * pot * 1.05, y + 0.09, 0),
        ]
        model.add(tube(arm, stem * 0.45, 8))
        model.add(sphere(stem * 0.45, (side * pot * 1.05, y + 0.09, 0), 10))
    return model


def toilet_paper(rng: np.random.Generator) -> Model:
    """A roll that stands on end."""
    radius = rng.uniform(0.045, 0.058)
    model = Model(main="paper", dark="dark")
    model.add(revolve([(0.02, 0), (radius, 0), (radius, 0.1), (0.02, 0.1)], 20))
    model.add(cylinder(0.0205, 0.099, (0, 0, 0), 12), "dark")
    return model
