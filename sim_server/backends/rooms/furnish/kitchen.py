"""Groups of kitchens and bathrooms: a kitchen run, a washbasin with its cabinet and mirror."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furnish.groups import on_top
from sim_server.backends.rooms.furnish.roomstate import RoomState
from sim_server.backends.rooms.furniture.household import bathroom
from sim_server.backends.rooms.furniture.kitchen import base_units, cupboards, sinks
from sim_server.backends.rooms.furniture.large import cabinets
from sim_server.backends.rooms.furniture.model import Model

CUPBOARD_FOOT_M = 1.45
_WIDEST_COUNTER_M = 2.2


def _widths(spare: float, rng: np.random.Generator) -> list[float]:
    """Widths of one to three counters that fill the free length of a run, none if it is too short."""
    if spare < 0.4:
        return []
    count = int(rng.integers(1, min(3, int(spare / 0.4)) + 1))
    part = rng.uniform(0.5, 1.5, count)
    widths = part / part.sum() * (spare - 0.4 * count) + 0.4
    return [min(float(w), _WIDEST_COUNTER_M) for w in widths]


def kitchen_run(room: RoomState) -> None:
    """Fridge, counters, sink, dishwasher and stove in one row along a wall, cupboards and a hood above."""
    side, start, end = room.stretches(0.65)[0]
    rng, look = room.rng, 1000 * room.index + 3
    length = min(end - start, 4.2)
    if rng.random() < 0.5:
        start = end - length
    panelled = bool(rng.random() < 0.4)  # all fronts of a run match
    units: list[tuple[str, Model]] = []
    bowl = room.shape("sink")
    hole = (bowl.size_m()[0] - 2 * sinks.RIM_M, bowl.size_m()[1] - 2 * sinks.RIM_M)
    below_bowl = base_units.sink_counter(rng, hole, panelled)
    for name, least in (("fridge", 2.1), ("sink", 0.0), ("dishwasher", 3.0), ("stove", 1.4)):
        if length > least and room.wants(name) and (name != "sink" or room.wants("counter")):
            units.append(("counter", below_bowl) if name == "sink" else (name, room.shape(name)))
    spare = length - 0.02 - sum(model.size_m()[0] for _, model in units)
    for place, width in zip((1, 9, 4), _widths(spare, rng) if room.wants("counter") else ()):
        units.insert(min(place, len(units)), ("counter", base_units.counter(rng, width, panelled)))
    if rng.random() < 0.5:
        units.reverse()
    at = start + 0.005
    below = []
    for name, model in units:
        begin = at
        own = name in ("counter", "dishwasher")
        index, at = room.run(name, model, side, at, look if own else -1)
        if index >= 0:
            below.append((name, begin, at))
            if model is below_bowl:
                y = base_units.COUNTER_M - sinks.BOWL_M
                room.beside("sink", bowl, index, 0.0, 0.0, 0.0, y, index, gap_m=0.0, at_window=True)
    for name, begin, end in below:
        if name == "stove" and room.wants("extractor hood"):
            hood = room.shape("extractor hood")
            hood.scale(min(1.0, (end - begin) / hood.size_m()[0]))
            room.run("extractor hood", hood, side, (begin + end - hood.size_m()[0]) / 2, -1, 1.62)
        elif name not in ("stove", "fridge") and room.wants("cupboard"):
            kind, width = rng.random(), end - begin
            if kind < 0.6:
                model = cupboards.cupboard(rng, width, panelled)
            else:
                model = (cupboards.open_cupboard if kind < 0.8 else cupboards.glazed_cupboard)(rng, width)
            room.run("cupboard", model, side, begin, look, CUPBOARD_FOOT_M)


def basin(room: RoomState) -> None:
    """A washbasin, on a cabinet or on its own foot, with a mirror above it."""
    index = -1
    if room.wants("cabinet") and room.wants("washbasin") and room.rng.random() < 0.45:
        index = room.at_wall("cabinet", cabinets.bathroom_cabinet(room.rng))
        if index >= 0:
            bowl = on_top(room, index, "washbasin", bathroom.vessel_basin(room.rng), 0.0, -0.5, "washbasin")
            index = max(index, bowl)
    elif room.wants("washbasin"):
        index = room.at_wall("washbasin", room.shape("washbasin"))
    if index >= 0 and room.wants("mirror"):
        room.hang_over("mirror", room.shape("mirror"), index, 0.12, 1.1)
