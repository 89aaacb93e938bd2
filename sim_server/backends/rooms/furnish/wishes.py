"""Places the furniture that a spec wishes for: several objects of a category, or loose objects in the open.

Which categories and how many is drawn first, then the room. No other object of these categories is placed, and none
that a person may call by the same noun, so that questions can name and count them.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np

from protocol.errors import VantageError
from protocol.seeds import pick
from protocol.tasks.scene import SceneSpec, Wish
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES, HANGING, SURFACE
from sim_server.backends.rooms.furnish.roomstate import RoomState

# Categories that stand anywhere on a floor, each with those that its noun fits, too.
_FREE: dict[str, tuple[str, ...]] = {
    "ball": (),
    "basket": ("box", "laundry basket", "trash can"),
    "box": ("basket",),
    "ottoman": ("stool",),
    "stool": ("ottoman",),
}
_SEVERAL = (3, 5)  # objects
_LOOSE: dict[str, tuple[str, ...]] = {**_FREE, "coat rack": (), "fan": ()}
_LOOSE_COUNT = 3
_FROM_WALL_M = 0.5  # least distance of the centre of a loose object from the walls
_TRIES = 60


class Wished(NamedTuple):
    """The categories of a wish, one per object; the first `alike` objects have the same shape and materials."""

    names: tuple[str, ...]
    alike: int
    reserved: frozenset[str]
    loose: bool


def draw_wished(spec: SceneSpec, rng: np.random.Generator) -> list[Wished]:
    """The furniture of the spec's wishes; those for small objects are not about furniture.

    Raises VantageError("bad_request") for a category that does not stand on the floor.
    """
    for wish in spec.wishes:
        if wish.category and CATEGORIES.get(wish.category, CATEGORIES["sink"]).place in (SURFACE, HANGING):
            raise VantageError(
                "bad_request", f"there is no furniture {wish.category!r} on the floor: wish for another category."
            )
    return [_drawn(wish, rng) for wish in spec.wishes if wish.kind != "small"]


def _drawn(wish: Wish, rng: np.random.Generator) -> Wished:
    if wish.kind == "several":
        name = wish.category or pick(sorted(_FREE), rng)
        count = wish.count or int(rng.integers(_SEVERAL[0], _SEVERAL[1] + 1))
        alike = wish.alike or (count if rng.random() < 0.5 else int(rng.integers(1, count + 1)))
        return Wished((name,) * count, alike, frozenset((name, *_FREE.get(name, ()))), loose=False)
    names: list[str] = []
    reserved: set[str] = set()
    for name in rng.permutation(sorted(_LOOSE)).tolist():
        if len(names) < (wish.count or _LOOSE_COUNT) and name not in reserved:
            names.append(name)
            reserved |= {name, *_LOOSE[name]}
    return Wished(tuple(names), 0, frozenset(reserved), loose=True)


def reserve(rooms: Sequence[RoomState], wished: Sequence[Wished]) -> None:
    """Keep the rooms from placing objects of the wished categories by themselves."""
    reserved = frozenset[str]().union(*(one.reserved for one in wished))
    for room in rooms:
        room.reserved = reserved


def place_wished(rooms: Sequence[RoomState], wished: Wished, rng: np.random.Generator) -> bool:
    """Place the objects in one room, a large one more likely; False if they do not all fit."""
    area = np.array([room.area_m2() for room in rooms]) ** 2
    room = rooms[int(rng.choice(len(rooms), p=area / area.sum()))]
    reserved, room.reserved = room.reserved, frozenset()
    seed, look = int(rng.integers(2**31)), 1000 * room.index + 6
    room.left += len(wished.names)
    for number, name in enumerate(wished.names):
        if wished.loose:
            placed = _in_the_open(room, name, rng)
        elif number < wished.alike:
            placed = room.scatter(name, CATEGORIES[name].model(np.random.default_rng(seed)), look) >= 0
        else:
            placed = room.scatter(name) >= 0
        if not placed:
            return False
    room.reserved = reserved
    return True


def _in_the_open(room: RoomState, name: str, rng: np.random.Generator) -> bool:
    model, rect = room.shape(name), room.rect
    for _ in range(_TRIES):
        x = rng.uniform(rect.x_min + _FROM_WALL_M, rect.x_max - _FROM_WALL_M)
        z = rng.uniform(rect.z_min + _FROM_WALL_M, rect.z_max - _FROM_WALL_M)
        if room.add(name, model, x, z, rng.uniform(0, 2 * np.pi)) >= 0:
            return True
    return False
