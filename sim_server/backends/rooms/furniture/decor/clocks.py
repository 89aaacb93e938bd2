"""Wall clocks and alarm clocks."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.frames import frame
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, rotation_z, sphere, tube

_SEGMENTS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgecd", "abc", "abcdefg", "abcdfg")


def clock(rng: np.random.Generator) -> Model:
    """A round wall clock with twelve marks and two hands."""
    radius = rng.uniform(0.11, 0.24)
    model = Model(main="clock", paper="paper", dark="dark")
    rim = [(0, 0), (radius, 0), (radius, 0.035), (radius - 0.018, 0.04), (radius - 0.018, 0.022), (0, 0.022)]
    model.add(revolve(rim, 32).turned(rotation_x(math.pi / 2)).moved((0, radius, 0)))
    face = cylinder(radius - 0.017, 0.003, (0, 0, 0), 32).turned(rotation_x(math.pi / 2))
    model.add(face.moved((0, radius, 0.021)), "paper")
    for k in range(12):
        mark = box((0.008, 0.024, 0.003), (0, radius - 0.04, 0), 0.001).turned(rotation_z(k * math.pi / 6))
        model.add(mark.moved((0, radius, 0.025)), "dark")
    for length, wide in ((radius * 0.45, 0.012), (radius * 0.68, 0.008)):
        hand = box((wide, length, 0.003), (0, length / 2 - 0.01, 0), 0.001).turned(rotation_z(rng.uniform(0, 6.28)))
        model.add(hand.moved((0, radius, 0.028)), "dark")
    return model


def square_clock(rng: np.random.Generator) -> Model:
    """A square wooden wall clock with four marks."""
    side = rng.uniform(0.2, 0.42)
    model = Model(main="wood", paper="paper", dark="dark")
    frame(model, side, side, 0.03, 0.035, "main")
    model.add(box((side - 0.05, side - 0.05, 0.012), (0, side / 2, -0.01), 0.001), "paper")
    for k in range(4):
        mark = box((0.012, 0.03, 0.003), (0, side * 0.34, 0), 0.001).turned(rotation_z(k * math.pi / 2))
        model.add(mark.moved((0, side / 2, -0.002)), "dark")
    for length, wide in ((side * 0.22, 0.014), (side * 0.33, 0.009)):
        hand = box((wide, length, 0.003), (0, length / 2 - 0.01, 0), 0.001).turned(rotation_z(rng.uniform(0, 6.28)))
        model.add(hand.moved((0, side / 2, 0.001)), "dark")
    return model


def sunburst_clock(rng: np.random.Generator) -> Model:
    """A small dial with rays of two lengths around it."""
    radius = rng.uniform(0.08, 0.13)
    model = Model(main="brass", paper="paper", dark="dark")
    reach = radius * rng.uniform(1.7, 2.4)
    y = reach
    model.add(cylinder(radius, 0.03, (0, 0, 0), 28).turned(rotation_x(math.pi / 2)).moved((0, y, -0.015)))
    model.add(
        cylinder(radius - 0.012, 0.003, (0, 0, 0), 28).turned(rotation_x(math.pi / 2)).moved((0, y, 0.015)), "paper"
    )
    for k in range(16):
        long = (reach if k % 2 == 0 else reach * 0.8) - radius * 0.8
        ray = box((0.012, long, 0.01), (0, radius * 0.8 + long / 2, 0), 0.002)
        model.add(ray.turned(rotation_z(k * math.pi / 8)).moved((0, y, 0)))
    for length, wide in ((radius * 0.45, 0.01), (radius * 0.7, 0.007)):
        hand = box((wide, length, 0.003), (0, length / 2 - 0.01, 0), 0.001).turned(rotation_z(rng.uniform(0, 6.28)))
        model.add(hand.moved((0, y, 0.02)), "dark")
    return model


def alarm_clock(rng: np.random.Generator) -> Model:
    """A round alarm clock on two feet, with two bells."""
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


def digital_clock(rng: np.random.Generator) -> Model:
    """A low block with a lit four-digit display and a snooze bar."""
    width, height, depth = rng.uniform(0.13, 0.17), rng.uniform(0.082, 0.1), rng.uniform(0.05, 0.07)
    model = Model(main="wood", dark="dark", screen="dark", digit="digit")
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
