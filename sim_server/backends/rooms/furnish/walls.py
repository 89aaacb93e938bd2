"""Groups on walls: curtains at windows, radiators below them, several pictures side by side."""

from __future__ import annotations

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.building.plan import wall_span
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES
from sim_server.backends.rooms.furnish.placed import ON_WALL
from sim_server.backends.rooms.furnish.roomstate import RoomState
from sim_server.backends.rooms.furniture.decor import wall_art
from sim_server.backends.rooms.furniture.household import climate

_BARE_CHANCE = {"kitchen": 0.75, "office": 0.5, "bathroom": 0.6}  # for windows without curtains
_SINGLE_CHANCE = 0.15  # for a curtain on one side only


def curtains(room: RoomState) -> None:
    """A curtain on either side of the windows, each an object.

    They reach the floor if nothing is in the way, else just below the sill.
    """
    rng, look = room.rng, 1000 * room.index + 4
    if rng.random() < _BARE_CHANCE.get(room.kind, 0.15):
        return
    make, seed = pick(CATEGORIES["curtain"].shapes, rng), int(rng.integers(2**31))
    short, over = rng.random() < 0.35, rng.uniform(0.06, 0.22)
    for hole in room.holes:
        if hole.kind != "window" or not room.wants("curtain"):
            continue
        low, high = wall_span(room.rect, hole.wall)
        reach = hole.end_m - hole.start_m + 0.7
        width, top = reach * rng.uniform(0.15, 0.26), min(hole.high_m + over, room.ceiling_m - 0.06)
        edges = max(hole.start_m - 0.35, low + 0.03), min(hole.end_m + 0.35, high - 0.03)
        places = [edges[0] + width / 2 + 0.04, edges[1] - width / 2 - 0.04]
        if rng.random() < _SINGLE_CHANCE:
            places = [pick(places, rng)]
        for along in places:
            for foot in (hole.low_m - 0.15,) if short else (0.03, hole.low_m - 0.15):
                model = make(np.random.default_rng(seed), width, top - foot)  # type: ignore[call-arg]
                if room.hang("curtain", model, foot, [hole.wall], along, look, at_window=True, exact=True) >= 0:
                    break


def gallery(room: RoomState) -> None:
    """Two to four small pictures in a row, each an object, their middles at one height."""
    rng = room.rng
    if not room.wants("picture") or rng.random() < 0.5:
        return
    shape, middle = pick((wall_art.photo, wall_art.botanical, wall_art.portrait), rng), rng.uniform(1.5, 1.7)
    models = [shape(rng) for _ in range(int(rng.integers(2, 5)))]
    gap, wall, along = rng.uniform(0.05, 0.12), -1, 0.0
    for model in models:
        width, tall = model.size_m()[0], float(model.bounds()[1][1])
        if wall < 0:
            index = room.hang("picture", model, middle - tall / 2)
            if index < 0:
                return
            wall, along = room.wall_of(index)
            along += width / 2
            continue
        along += gap + width / 2
        if room.hang("picture", model, middle - tall / 2, [wall], along, exact=True) < 0:
            return
        along += width / 2


def radiators(room: RoomState) -> None:
    """A radiator under each window, if it fits."""
    make = (climate.radiator, climate.panel_radiator)[int(room.rng.integers(2))]
    for hole in room.holes:
        if hole.kind == "window" and hole.low_m < 1.0 and room.wants("radiator"):
            width = min(1.6, hole.end_m - hole.start_m) * room.rng.uniform(0.45, 1.0)
            model = make(room.rng, width)
            room.at_wall(
                "radiator", model, [hole.wall], near=(hole.start_m + hole.end_m) / 2, support=ON_WALL, gap_m=0.03
            )
