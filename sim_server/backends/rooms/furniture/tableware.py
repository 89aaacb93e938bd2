"""Second shapes of small things: what stands on counters, tables, desks and shelves."""

from __future__ import annotations

import math

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.furniture.small import laptop
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, rotation_y, soft_box, sphere, tube


def dial_microwave(rng: np.random.Generator) -> Model:
    """A rounded microwave with a framed window and two dials."""
    width, height, depth = rng.uniform(0.44, 0.5), rng.uniform(0.26, 0.3), rng.uniform(0.32, 0.36)
    model = Model(main="appliance", dark="dark", screen="screen", detail="metal")
    model.add(soft_box((width, height - 0.02, depth), (0, height / 2 + 0.01, 0), 0.035))
    for x in (-1, 1):
        model.add(cylinder(0.02, 0.02, (x * (width / 2 - 0.06), 0, 0), 10), "dark")
    model.add(box((width * 0.62, height - 0.07, 0.014), (-width * 0.14, height / 2 + 0.01, depth / 2), 0.005), "detail")
    model.add(
        box((width * 0.5, height - 0.13, 0.006), (-width * 0.14, height / 2 + 0.01, depth / 2 + 0.007), 0.002), "screen"
    )
    for y in (0.34, 0.7):
        dial = cylinder(0.028, 0.025, (0, 0, 0), 16).turned(rotation_x(math.pi / 2))
        model.add(dial.moved((width * 0.34, height * y, depth / 2 - 0.004)), "detail")
    model.surface(height, width - 0.06, depth - 0.06, 0.3)
    return model


def long_toaster(rng: np.random.Generator) -> Model:
    """A slim toaster with one long slot, toast in it, and a dial at its end."""
    width, height, depth = rng.uniform(0.34, 0.39), rng.uniform(0.17, 0.2), rng.uniform(0.132, 0.15)
    model = Model(main="steel", dark="dark", toast="card")
    model.add(box((width, height - 0.02, depth), (0, height / 2 + 0.01, 0), 0.02))
    model.add(box((width - 0.03, 0.03, depth - 0.02), (0, 0.015, 0)), "dark")
    model.add(box((width - 0.07, 0.006, 0.034), (0, height, 0), 0.001), "dark")
    for x in (-0.07, 0.07):
        model.add(soft_box((0.11, 0.07, 0.016), (x, height + 0.015, 0), 0.007), "toast")
    dial = cylinder(0.022, 0.02, (0, 0, 0), 14).turned(rotation_x(math.pi / 2)).turned(rotation_y(math.pi / 2))
    model.add(dial.moved((width / 2 - 0.002, height * 0.45, 0)), "dark")
    return model


def stove_kettle(rng: np.random.Generator) -> Model:
    """A round-bellied kettle with a bow over its lid and a bent spout."""
    radius = rng.uniform(0.085, 0.1)
    height = radius * 1.35
    model = Model(main="appliance", dark="dark", detail="metal")
    belly = [
        (0, 0),
        (radius * 0.9, 0),
        (radius, 0.03),
        (radius * 0.92, height * 0.65),
        (radius * 0.5, height),
        (0, height),
    ]
    model.add(revolve(belly, 24))
    model.add(
        revolve([(radius * 0.48, height - 0.004), (radius * 0.4, height + 0.014), (0, height + 0.02)], 18), "detail"
    )
    model.add(sphere(0.015, (0, height + 0.026, 0), 10), "dark")
    model.add(
        tube(
            [(0, height * 0.35, radius * 0.8), (0, height * 0.6, radius * 1.3), (0, height * 0.92, radius * 1.45)],
            0.014,
            8,
        )
    )
    bow = [(0, height * 0.8 + 0.095 * math.sin(a), radius * 0.95 * math.cos(a)) for a in np.linspace(0.15, 2.99, 9)]
    model.add(tube(bow, 0.009, 8), "dark")
    return model


def saucepan(rng: np.random.Generator) -> Model:
    """A small open pot with one long handle."""
    radius, height = rng.uniform(0.085, 0.105), rng.uniform(0.09, 0.12)
    model = Model(main="pan", dark="dark", broth="card")
    model.add(
        revolve([(0, 0), (radius, 0), (radius, height), (radius - 0.006, height), (radius - 0.006, height * 0.7)], 24)
    )
    model.add(revolve([(radius - 0.005, height * 0.7), (0, height * 0.7)], 18), "broth")
    model.add(tube([(0, height * 0.8, radius - 0.005), (0, height * 0.95, radius + 0.17)], 0.01, 8), "dark")
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


def espresso_machine(rng: np.random.Generator) -> Model:
    """A steel box with a group head, a handled filter, a cup on the grate and a steam pipe."""
    width, height, depth = rng.uniform(0.22, 0.28), rng.uniform(0.29, 0.33), rng.uniform(0.26, 0.3)
    model = Model(main="steel", dark="dark", detail="metal", cup="ceramic")
    model.add(box((width, height, depth * 0.5), (0, height / 2, -depth * 0.25), 0.012))
    model.add(box((width, height * 0.3, depth * 0.9), (0, height * 0.85, -depth * 0.05), 0.012))
    model.add(box((width, 0.05, depth), (0, 0.025, 0), 0.008))
    model.add(box((width - 0.03, 0.006, depth * 0.42), (0, 0.051, depth * 0.24), 0.001), "dark")
    model.add(cylinder(0.034, 0.03, (0, height * 0.62, depth * 0.2), 16), "detail")
    model.add(tube([(0, height * 0.64, depth * 0.2), (0, height * 0.62, depth * 0.2 + 0.14)], 0.011, 8), "dark")
    model.add(
        revolve([(0, 0), (0.022, 0), (0.03, 0.055), (0.026, 0.055), (0, 0.01)], 14, (0, 0.054, depth * 0.2)), "cup"
    )
    x = width * 0.38
    model.add(
        tube(
            [(x, height * 0.7, depth * 0.3), (x, height * 0.68, depth * 0.4), (x, height * 0.3, depth * 0.42)], 0.005, 6
        ),
        "detail",
    )
    for k in range(2):
        knob = cylinder(0.016, 0.02, (0, 0, 0), 12).turned(rotation_x(math.pi / 2))
        model.add(knob.moved(((k - 0.5) * width * 0.5, height * 0.88, depth * 0.39)), "dark")
    model.surface(height, width - 0.02, depth * 0.8, 0.3, -depth * 0.08)
    return model


def served_plate(rng: np.random.Generator) -> Model:
    """A dinner plate with a coloured rim and a meal on it."""
    radius = rng.uniform(0.115, 0.135)
    model = Model(main="ceramic", second="enamel", food="fruit", green="leaf", bread="card")
    model.add(
        revolve([(0, 0), (radius * 0.62, 0), (radius * 0.72, 0.009), (radius * 0.62, 0.008), (0, 0.007)], 26), "second"
    )
    model.add(revolve([(radius * 0.7, 0.006), (radius, 0.016), (radius, 0.02), (radius * 0.7, 0.0095)], 26))
    for k in range(3):
        angle = k * 2.1 + 0.4
        at = (0.035 * math.sin(angle), 0.014, 0.035 * math.cos(angle))
        slot = ("food", "green", "bread")[k]
        model.add(sphere(0.026, at, 12, 0.55), slot)
    return model


def soap_dispenser(rng: np.random.Generator) -> Model:
    """A round bottle with a label, a collar and a bent spout."""
    radius, height = rng.uniform(0.035, 0.042), rng.uniform(0.12, 0.15)
    model = Model(main="lotion", second="metal", paper="paper")
    bottle = [(0, 0), (radius, 0), (radius, height * 0.9), (radius * 0.4, height), (0, height)]
    model.add(revolve(bottle, 20))
    model.add(revolve([(radius + 0.001, height * 0.25), (radius + 0.001, height * 0.65)], 20), "paper")
    model.add(cylinder(0.012, 0.03, (0, height, 0), 12), "second")
    spout = [(0, height + 0.02, 0), (0, height + 0.055, 0), (0, height + 0.058, 0.02), (0, height + 0.045, 0.05)]
    model.add(tube(spout, 0.006, 8), "second")
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


def dressed_bear(rng: np.random.Generator) -> Model:
    """A standing bear with a pullover and a bow at one ear."""
    size = rng.uniform(1.0, 1.3)
    model = Model(main="plush", second="cushion", third="linen", dark="dark")

    def ball(radius: float, at: tuple[float, float, float], slot: str = "main", squash: float = 1.0) -> None:
        model.add(sphere(radius * size, (at[0] * size, at[1] * size, at[2] * size), 14, squash), slot)

    ball(0.075, (0, 0.15, 0), "second", 1.15)
    ball(0.064, (0, 0.285, 0.006))
    ball(0.028, (0, 0.272, 0.058), "third")
    ball(0.01, (0, 0.282, 0.084), "dark")
    for x in (-1, 1):
        ball(0.036, (x * 0.04, 0.056, 0.0), squash=1.55)
        ball(0.034, (x * 0.042, 0.026, 0.022), squash=0.75)
        ball(0.026, (x * 0.05, 0.34, 0))
        ball(0.008, (x * 0.024, 0.305, 0.056), "dark")
        ball(0.03, (x * 0.085, 0.165, 0.015), "second", 1.7)
        ball(0.013, (0.05 + x * 0.016, 0.362, 0.012), "third")
    return model


def digital_clock(rng: np.random.Generator) -> Model:
    """A low block with a lit display of four digits and a bar to press."""
    width, height, depth = rng.uniform(0.13, 0.17), rng.uniform(0.082, 0.1), rng.uniform(0.05, 0.07)
    model = Model(main="wood", dark="dark", screen="screen", digit="glow")
    model.add(box((width, height, depth), (0, height / 2, 0), 0.008))
    model.add(box((width - 0.02, height - 0.022, 0.004), (0, height / 2, depth / 2), 0.001), "screen")
    tall = height * 0.38
    for k, x in enumerate((-0.3, -0.13, 0.13, 0.3)):
        digit = int(rng.integers(10)) if k != 0 else int(rng.integers(3))
        for segment, name in enumerate("abcdefg"):
            if name not in _SEGMENTS[digit]:
                continue
            level = segment in (0, 3, 6)
            dx, dy = ((0, 1), (1, 0.5), (1, -0.5), (0, -1), (-1, -0.5), (-1, 0.5), (0, 0))[segment]
            size = (tall * 0.4, 0.003, 0.002) if level else (0.003, tall * 0.42, 0.002)
            at = (x * width + dx * tall * 0.24, height / 2 + dy * tall * 0.5, depth / 2 + 0.002)
            model.add(box(size, at, 0.0003), "digit")
    model.add(box((width * 0.4, 0.008, depth * 0.4), (0, height + 0.002, 0), 0.003), "dark")
    return model


_SEGMENTS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgecd", "abc", "abcdefg", "abcdfg")


def jar_candle(rng: np.random.Generator) -> Model:
    """A thick candle in a jar with a label."""
    radius, height = rng.uniform(0.036, 0.05), rng.uniform(0.08, 0.11)
    model = Model(main="wax", second="glass", paper="paper", dark="dark")
    model.add(
        revolve([(0, 0), (radius, 0), (radius, height), (radius - 0.005, height), (radius - 0.005, height * 0.75)], 22),
        "second",
    )
    model.add(revolve([(radius - 0.005, height * 0.75), (0, height * 0.76)], 18))
    model.add(revolve([(radius + 0.001, height * 0.22), (radius + 0.001, height * 0.6)], 22), "paper")
    model.add(cylinder(0.002, 0.016, (0, height * 0.75, 0), 5), "dark")
    return model


def wide_monitor(rng: np.random.Generator) -> Model:
    """A wide screen with a thin frame on a V-shaped foot."""
    width, tall = rng.uniform(0.66, 0.8), rng.uniform(0.31, 0.35)
    model = Model(main="metal", screen="screen", dark="dark")
    for x in (-1, 1):
        model.add(tube([(0, 0.012, -0.06), (x * 0.18, 0.008, 0.1)], 0.01, 6))
    model.add(box((0.045, 0.2, 0.03), (0, 0.1, -0.05), 0.006))
    model.add(box((width, tall, 0.025), (0, 0.12 + tall / 2, -0.02), 0.004), "dark")
    model.add(box((width - 0.012, tall - 0.012, 0.004), (0, 0.122 + tall / 2, -0.007), 0.001), "screen")
    return model


def slim_remote(rng: np.random.Generator) -> Model:
    """A slim light remote with a ring to steer by and a few keys."""
    length = rng.uniform(0.15, 0.19)
    model = Model(main="steel", dark="dark")
    model.add(soft_box((0.04, 0.014, length), (0, 0.007, 0), 0.006))
    model.add(cylinder(0.014, 0.003, (0, 0.013, -length * 0.28), 16), "dark")
    for k in range(3):
        model.add(cylinder(0.006, 0.003, (0, 0.013, length * (0.0 + 0.13 * k)), 8), "dark")
    return model


def figure(rng: np.random.Generator) -> Model:
    """A slender standing figure with raised arms on a round foot."""
    height = rng.uniform(0.26, 0.36)
    model = Model(main="statue", second="wood")
    model.add(cylinder(0.06, 0.03, (0, 0, 0), 20), "second")
    body = [
        (0, 0.03),
        (0.03, 0.03),
        (0.018, height * 0.3),
        (0.034, height * 0.52),
        (0.016, height * 0.6),
        (0.03, height * 0.74),
        (0.01, height * 0.8),
        (0, height * 0.82),
    ]
    model.add(revolve(body, 14))
    model.add(sphere(0.022, (0, height * 0.86, 0), 12))
    for x in (-1, 1):
        arm = [(x * 0.022, height * 0.74, 0), (x * 0.065, height * 0.84, 0.01), (x * 0.05, height, 0.015)]
        model.add(tube(arm, 0.008, 6))
    return model


def round_cactus(rng: np.random.Generator) -> Model:
    """A ribbed ball with a flower in a low square pot."""
    radius, pot = rng.uniform(0.055, 0.075), rng.uniform(0.12, 0.15)
    model = Model(main="leaf", second="clay", soil="soil", bloom="fruit")
    low = pot * 0.55
    model.add(box((pot, low, pot), (0, low / 2, 0), 0.008), "second")
    model.add(box((pot - 0.02, 0.004, pot - 0.02), (0, low, 0), 0.001), "soil")
    y = low + radius * 0.75
    globe = sphere(radius, (0, 0, 0), 32)
    angle = np.arctan2(globe.positions[:, 0], globe.positions[:, 2])
    ribs = (1 + 0.07 * np.cos(8 * angle)).astype(np.float32)
    model.add(
        globe._replace(positions=globe.positions * np.stack([ribs, np.ones_like(ribs), ribs], 1)).moved((0, y, 0))
    )
    model.add(sphere(0.018, (0.01, y + radius, 0), 10, 0.7), "bloom")
    return model


def paper_stack(rng: np.random.Generator) -> Model:
    """Three rolls in a pyramid."""
    radius = rng.uniform(0.048, 0.055)
    model = Model(main="paper", dark="dark")
    for x, y in ((-radius, 0.0), (radius, 0.0), (0.0, radius * 1.74)):
        roll = revolve([(0.02, 0), (radius, 0), (radius, 0.1), (0.02, 0.1)], 18)
        core = cylinder(0.0205, 0.098, (0, 0.001, 0), 10)
        for part, slot in ((roll, "main"), (core, "dark")):
            model.add(part.turned(rotation_x(math.pi / 2)).moved((x, y + radius, -0.05)), slot)
    return model


def standing_books(rng: np.random.Generator) -> Model:
    """A short row of books between two ends."""
    model = Model(main="book_a", second="book_b", third="book_c", dark="metal")
    thick = rng.uniform(0.02, 0.042, int(rng.integers(4, 8)))
    x = float(thick.sum())
    for left, wide in zip(np.cumsum(thick) - thick - x / 2, thick):
        height, depth = rng.uniform(0.19, 0.26), rng.uniform(0.14, 0.18)
        slot = pick(("main", "second", "third"), rng)
        model.add(box((wide - 0.002, height, depth), (left + wide / 2, height / 2, 0), 0.003), slot)
    for side in (-1, 1):
        model.add(box((0.006, 0.14, 0.11), (side * (x / 2 + 0.004), 0.07, 0), 0.002), "dark")
        model.add(box((0.08, 0.004, 0.11), (side * (x / 2 - 0.03), 0.002, 0), 0.001), "dark")
    return model


def tea_cup(rng: np.random.Generator) -> Model:
    """A wide cup on a saucer."""
    radius, height = rng.uniform(0.042, 0.05), rng.uniform(0.055, 0.065)
    model = Model(main="ceramic", tea="card")
    model.add(revolve([(0, 0), (0.045, 0), (0.075, 0.012), (0.07, 0.014), (0, 0.008)], 22))
    outer = [(0.02, 0.008), (0.024, 0.014), (radius * 0.8, height * 0.5), (radius, height)]
    model.add(revolve([*outer, (radius - 0.004, height), (radius * 0.8, height * 0.75)], 20))
    model.add(revolve([(radius * 0.86, height * 0.78), (0, height * 0.78)], 16), "tea")
    bow = [
        (radius * 0.8 + 0.022 * math.sin(a), height * 0.62 + 0.018 * math.cos(a), 0) for a in np.linspace(0.1, 3.04, 7)
    ]
    model.add(tube(bow, 0.004, 6))
    return model


def fruit_bowl(rng: np.random.Generator) -> Model:
    """A bowl on a foot, filled with fruit."""
    radius, height = rng.uniform(0.11, 0.14), rng.uniform(0.08, 0.1)
    model = Model(main="ceramic", fruit="fruit", other="fruit")
    outline = [
        (0, 0),
        (radius * 0.45, 0),
        (radius * 0.35, height * 0.3),
        (radius * 0.8, height * 0.6),
        (radius, height),
    ]
    model.add(revolve([*outline, (radius - 0.008, height), (radius * 0.6, height * 0.5), (0, height * 0.42)], 24))
    for k in range(5):
        angle, reach = k * 1.26, radius * (0.5 if k else 0.0)
        at = (reach * math.sin(angle), height * (0.8 if k else 1.1), reach * math.cos(angle))
        model.add(sphere(0.036, at, 12, 0.95), "fruit" if k % 2 else "other")
    return model


def water_bottle(rng: np.random.Generator) -> Model:
    """A straight bottle with a wide cap and a strap."""
    radius, height = rng.uniform(0.034, 0.04), rng.uniform(0.21, 0.26)
    model = Model(main="appliance", dark="dark", second="metal")
    model.add(
        revolve([(0, 0), (radius, 0), (radius, height * 0.76), (radius * 0.7, height * 0.84), (0, height * 0.84)], 18)
    )
    model.add(cylinder(radius * 0.74, height * 0.16, (0, height * 0.84, 0), 16), "dark")
    bow = [(radius * 0.9 * math.cos(a), height + 0.022 * math.sin(a) - 0.012, 0) for a in np.linspace(0, math.pi, 8)]
    model.add(tube(bow, 0.005, 6), "dark")
    model.add(revolve([(radius + 0.001, height * 0.1), (radius + 0.001, height * 0.16)], 18), "second")
    return model


def raised_laptop(rng: np.random.Generator) -> Model:
    """An open laptop on a bent metal stand."""
    model, low = Model(main="steel", screen="screen", dark="dark", second="metal"), rng.uniform(0.09, 0.13)
    for part, slot in laptop(rng).parts:
        model.add(part.moved((0, low, 0)), slot)
    for x in (-0.11, 0.11):
        path = [(x, 0.006, 0.1), (x, 0.006, -0.1), (x, low - 0.006, -0.06), (x, low - 0.006, 0.1)]
        model.add(tube(path, 0.006, 6), "second")
    model.add(box((0.24, 0.004, 0.06), (0, low - 0.002, -0.04), 0.001), "second")
    return model
