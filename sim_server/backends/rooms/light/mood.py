"""Times of day: how bright sky, sun and lamps are, and which lamps are on and blinds down."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from protocol.seeds import rng_for
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.building.plan import FloorPlan

Rgb = tuple[float, float, float]


class Mood(NamedTuple):
    """The light of a time of day, linear rgb.

    Ceiling lamps are dimmed until the mean radiance of a room's walls is `target`, but not below `dimmest`; in the
    natural palette, whose camera meters the light, until it is NATURAL_TARGET times that. Probabilities of the natural
    palette: `ceiling_on` of a ceiling lamp in a room that has other light, `lamp_on` of any other lamp, `blind_down` of
    a blind.
    """

    sky: Rgb
    ground: Rgb
    sun: Rgb
    ceiling_lamp: Rgb
    dimmest: float
    target: float
    shaded_lamp: Rgb
    glow: float
    ceiling_on: float
    lamp_on: float
    blind_down: float


MOODS = {
    "day": Mood((3.6, 3.9, 4.4), (1.0, 1.1, 0.9), (8.0, 7.2, 5.8), (1.0, 0.95, 0.87), 0.25, 0.5, (0.7, 0.52, 0.34), 1.0,
                0.45, 0.2, 0.2),
    "overcast": Mood((2.6, 2.75, 3.0), (0.8, 0.85, 0.8), (0, 0, 0), (1.0, 0.92, 0.8), 0.3, 0.42, (0.9, 0.66, 0.42), 1.2,
                     0.5, 0.35, 0.15),
    "evening": Mood((0.16, 0.15, 0.22), (0.03, 0.03, 0.03), (0, 0, 0), (1.0, 0.80, 0.56), 0.4, 0.34, (2.3, 1.6, 0.95),
                    2.0, 0.7, 0.85, 0.35),
    "night": Mood((0.015, 0.017, 0.028), (0.008, 0.007, 0.006), (0, 0, 0), (1.0, 0.84, 0.64), 0.4, 0.3,
                  (2.3, 1.7, 1.05), 2.0, 0.7, 0.9, 0.5),
}  # fmt: skip
NATURAL_TARGET = 0.5
BULB_GLOW = 1.7  # a material that glows more is a bulb; the glass of ceiling lamps glows less
_LEAST_DROP, _CLOSED = 0.25, 0.6  # of a blind that is down: the least part, and the probability that it is closed
_BRIGHT_SKY, _DIM_DROP = 1.0, 0.5  # a window lights a room from this radiance of the sky, up to this drop of its blind
_COOL_LAMPS, _COOL = 0.25, (0.9, 1.05, 1.3)  # probability of cool white lamps in a home, and their tint


def lamp_tint(spec: SceneSpec) -> Rgb:
    """The tint of all lamps of a home, relative to Mood."""
    if spec.palette == "named" or rng_for(spec.seed, "rooms", "lamps").random() >= _COOL_LAMPS:
        return 1.0, 1.0, 1.0
    return _COOL


def lamp_color(spec: SceneSpec) -> Rgb:
    """The colour of glowing lamps, linear rgb; white in the named palette."""
    if spec.palette == "named":
        return 1.0, 1.0, 1.0
    red, green, blue = np.multiply(MOODS[spec.light].ceiling_lamp, lamp_tint(spec)).tolist()
    return red, green, blue


def ceilings_lit(spec: SceneSpec, plan: FloorPlan, lamp_rooms: set[int]) -> tuple[bool, ...]:
    """Which rooms have their ceiling lamp on; a room without other light always has.

    lamp_rooms: indices of rooms with another lamp that is on.
    """
    rng, mood = rng_for(spec.seed, "rooms", "ceilings"), MOODS[spec.light]
    bright = {
        owner
        for owner, holes, drops in zip(plan.room_of, plan.holes, blind_drops(spec, plan))
        if mood.sky[0] > _BRIGHT_SKY
        and any(hole.kind == "window" and drop < _DIM_DROP for hole, drop in zip(holes, drops))
    }
    draws = rng.random(len(plan.rooms))
    return tuple(
        bool(spec.palette == "named" or draws[k] < mood.ceiling_on or k not in bright | lamp_rooms)
        for k in range(len(plan.rooms))
    )


def blind_drops(spec: SceneSpec, plan: FloorPlan) -> tuple[tuple[float, ...], ...]:
    """Per space and hole, the part of a window that its blind covers, from the top; 0: no blind."""
    rng, mood = rng_for(spec.seed, "rooms", "blinds"), MOODS[spec.light]

    def drop() -> float:
        down, closed, part = rng.random(), rng.random(), rng.uniform(_LEAST_DROP, 0.9)
        return 0.0 if down >= mood.blind_down else 1.0 if closed < _CLOSED else float(part)

    if spec.palette == "named":
        return tuple((0.0,) * len(holes) for holes in plan.holes)
    return tuple(tuple(drop() if hole.kind == "window" else 0.0 for hole in holes) for holes in plan.holes)


def scaled(color: Rgb, tint: Rgb) -> np.ndarray:
    """float32 [3]."""
    return np.multiply(color, tint).astype(np.float32)
