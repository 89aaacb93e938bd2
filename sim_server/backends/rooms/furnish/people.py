"""People in homes of the natural palette: on sofas, armchairs and chairs, or standing."""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np

from sim_server.backends.rooms.furnish.roomstate import RoomState
from sim_server.backends.rooms.furniture import figures

_HOME_CHANCE = 0.4  # that anybody is at home
_MOST = 3
_LEAST_FURNITURE = 3  # pieces in a room with people
_SEATS = {"sofa": "", "armchair": "", "chair": "person", "bench": "person"}  # what their seat surface holds
_TRIES = 12


def expected(rooms: Sequence[RoomState], rng: np.random.Generator) -> list[RoomState]:
    """The rooms of up to three people, whose places in the count of objects are reserved."""
    if rng.random() >= _HOME_CHANCE:
        return []
    chosen = []
    for k in rng.integers(len(rooms), size=int(rng.integers(1, _MOST + 1))).tolist():
        if rooms[k].left > _LEAST_FURNITURE and rooms[k].wants("person"):
            rooms[k].left -= 1
            chosen.append(rooms[k])
    return chosen


def settle(room: RoomState) -> None:
    """Place one of the expected people on a seat or standing."""
    room.left += 1
    if room.rng.random() >= 0.65 or not _seat(room, room.rng):
        _stand(room, room.rng)


def _seat(room: RoomState, rng: np.random.Generator) -> bool:
    """Seat a person on a random free seat of the room; False if there is none."""
    seats = [k for k, t in enumerate(room.placed) if t.room == room.index and t.category.name in _SEATS]
    for index in rng.permutation(seats).astype(int):
        below = room.placed[index]
        holds = _SEATS[below.category.name]
        surface = next((s for s in below.model.surfaces if s.holds == holds), None)
        if surface is None or any(t.support == index for t in room.placed):
            continue
        model = figures.sitting(rng, below.y_m + surface.y_m)
        width, depth = model.size_m()
        spare = max(surface.x_max_m - surface.x_min_m - width, 0.0) / 2
        middle = (below.low + below.high) / 2
        u = (surface.x_min_m + surface.x_max_m) / 2 + rng.uniform(-spare, spare) - middle[0]
        v = surface.z_min_m + depth / 2 - middle[2]
        y = float(model.bounds()[0][1])
        if room.beside("person", model, int(index), float(u), float(v), 0.0, y, int(index), gap_m=0.01) >= 0:
            return True
    return False


def _stand(room: RoomState, rng: np.random.Generator) -> None:
    model, rect = figures.standing(rng), room.rect
    for _ in range(_TRIES):
        x = rng.uniform(rect.x_min + 0.4, rect.x_max - 0.4)
        z = rng.uniform(rect.z_min + 0.4, rect.z_max - 0.4)
        if room.add("person", model, x, z, rng.uniform(0, 2 * math.pi), gap_m=0.1) >= 0:
            return
