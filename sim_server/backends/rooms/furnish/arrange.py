"""Furnishes homes: each kind of room has a programme of groups, then single pieces are added up to the requested
count."""

from __future__ import annotations

from typing import Callable

import numpy as np

from protocol.errors import Infeasible
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.building.plan import FloorPlan
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES, HANGING, SURFACE
from sim_server.backends.rooms.furnish.groups import bed_group, desk_group, dining_group, seating_group
from sim_server.backends.rooms.furnish.kitchen import basin, kitchen_run
from sim_server.backends.rooms.furnish.pairs import provide_base, wished_pairs
from sim_server.backends.rooms.furnish.people import expected, settle
from sim_server.backends.rooms.furnish.placed import Placed
from sim_server.backends.rooms.furnish.roomstate import RoomState
from sim_server.backends.rooms.furnish.walls import curtains, gallery, radiators
from sim_server.backends.rooms.furnish.wishes import draw_wished, place_wished, reserve

Step = Callable[[RoomState], None]
_LAYOUTS = 12
_FAILURES = 14  # a room is full after this many consecutive pieces did not fit
# Pieces per square metre relative to other rooms.
_DENSITY = {"kitchen": 1.5, "bathroom": 1.5, "hallway": 0.7, "office": 1.2, "dining room": 1.1}


# Placed only by a programme, never as single pieces.
_PROGRAMMED = {
    "cupboard", "extractor hood", "curtain", "sink", "stove", "fridge", "dishwasher", "counter", "toilet", "washbasin",
    "bathtub", "shower", "television", "television stand", "bed", "sofa", "piano", "desk", "table", "coffee table",
    "nightstand", "rug", "washing machine", "crib", "radiator", "dog bed", "coat rack", "person",
}  # fmt: skip
# Single pieces that would look out of place.
_ODD = {
    "bathroom": ("chair", "bench", "cabinet", "lamp", "box", "clock", "picture", "ball"),
    "hallway": ("chair", "ball", "lamp", "stool"),
    "kitchen": ("bench", "lamp", "ball"),
}


def _one(name: str, chance: float = 1.0, corner: bool = False) -> Step:
    def step(room: RoomState) -> None:
        if room.wants(name) and room.rng.random() < chance:
            if corner:
                room.at_wall(name, room.shape(name), corner=True)
            else:
                room.scatter(name)

    return step


def _hung(name: str, foot_m: float, chance: float = 1.0) -> Step:
    """Hang one on any free wall with its lower edge at `foot_m`."""

    def step(room: RoomState) -> None:
        if room.wants(name) and room.rng.random() < chance:
            room.hang(name, room.shape(name), foot_m)

    return step


def _dresser(room: RoomState) -> None:
    """A dresser, sometimes with a mirror above it."""
    index = room.at_wall("dresser", room.shape("dresser")) if room.wants("dresser") else -1
    if index >= 0 and room.wants("mirror") and room.rng.random() < 0.5:
        room.hang_over("mirror", room.shape("mirror"), index, 0.2)


def _dining_if_large(room: RoomState) -> None:
    """A dining table if the home has no dining room, or if the spec lists a table."""
    least_m2 = 6.0 if room.is_wing else 11.5 if room.kind == "kitchen" else 24.0
    if room.is_listed("table"):
        least_m2 = 0.0
    has_one = any(t.room == room.index and t.category.name == "table" for t in room.placed)
    if "dining room" not in room.home and not has_one and room.area_m2() > least_m2:
        dining_group(room)


_PROGRAMMES: dict[str, tuple[Step, ...]] = {
    "living room": (
        seating_group, _one("bookshelf"), curtains, _one("plant"), _dining_if_large, gallery, _hung("picture", 1.3),
        _one("cabinet", 0.6), radiators, _hung("clock", 1.75, 0.5), _one("piano", 0.25), _hung("shelf", 1.5, 0.4),
        _one("ottoman", 0.4), _one("dog bed", 0.3), _one("guitar", 0.3),
    ),
    "dining room": (
        dining_group, _one("cabinet"), curtains, gallery, _hung("picture", 1.3), _one("plant"), radiators,
        _hung("clock", 1.75, 0.4), _one("lamp"), _one("bookshelf", 0.3), _one("piano", 0.2), _hung("mirror", 1.0, 0.3),
    ),
    "kitchen": (
        kitchen_run, _one("trash can"), _dining_if_large, curtains, _hung("clock", 1.75, 0.6), radiators,
        _one("washing machine", 0.3), _one("cabinet", 0.4), _hung("shelf", 1.45, 0.5), _one("plant", 0.4),
        _one("stool", 0.4),
    ),
    "bedroom": (
        bed_group, _one("wardrobe"), curtains, _dresser, radiators, _one("plant", 0.5), _one("armchair", 0.35),
        _one("lamp", 0.4), gallery, _hung("picture", 1.3, 0.6), _one("crib", 0.2), _one("bookshelf", 0.35),
        _one("laundry basket", 0.3), _hung("shelf", 1.45, 0.3), _one("guitar", 0.2), _one("fan", 0.2),
    ),
    "bathroom": (
        _one("toilet"), basin, _one("shower", 0.5, True), _one("bathtub"), _hung("towel", 0.75),
        _one("laundry basket", 0.6), _one("washing machine", 0.4), _one("trash can", 0.6), radiators,
        _one("basket", 0.3), _hung("shelf", 1.4, 0.4), _one("stool", 0.2),
    ),
    "office": (
        desk_group, _one("bookshelf"), curtains, _one("bookshelf", 0.5), gallery, _hung("picture", 1.3), _one("plant"),
        radiators, _one("armchair", 0.4), _one("cabinet", 0.5), _one("lamp", 0.6), _hung("clock", 1.75, 0.4),
        _one("trash can", 0.4), _one("guitar", 0.2),
    ),
    "hallway": (
        _one("shoe rack"), _one("coat rack"), _hung("mirror", 0.95), gallery, _hung("picture", 1.3), _one("bench", 0.5),
        _hung("clock", 1.75, 0.3), _one("plant", 0.5), _hung("picture", 1.3, 0.6), _one("cabinet", 0.3),
        _one("dog bed", 0.2),
    ),
}  # fmt: skip


# The wing of a living room: a dining or reading corner.
_WING: tuple[Step, ...] = (
    _dining_if_large, _one("bookshelf"), curtains, _hung("picture", 1.3), _one("armchair"), _one("plant"), radiators,
    _one("lamp"), _one("cabinet", 0.4), _hung("picture", 1.3, 0.5),
)  # fmt: skip


def _split_count(count: int, plan: FloorPlan) -> list[int]:
    """The count divided among the spaces by floor area and density."""
    weights = np.array(
        [
            (r.x_max - r.x_min) * (r.z_max - r.z_min) * _DENSITY.get(plan.rooms[owner].category, 1.0)
            for r, owner in zip(plan.rects, plan.room_of)
        ]
    )
    exact = weights / weights.sum() * count
    out = np.floor(exact).astype(int)
    for k in np.argsort(-(exact - out), kind="stable")[: count - int(out.sum())]:
        out[k] += 1
    return [int(v) for v in out]


def _fill(room: RoomState, words: tuple[str, ...]) -> None:
    """Add single pieces that suit the room until the count is reached or the room is full."""
    odd = {*_PROGRAMMED, *_ODD.get(room.kind, ())}
    names = [
        c.name
        for c in CATEGORIES.values()
        if c.place != SURFACE
        and (c.name in words if words else c.name not in odd and (not c.rooms or room.kind in c.rooms))
    ]
    if not names:
        return
    chance = np.ones(len(names))
    failures = 0
    while room.left > 0 and failures < _FAILURES:
        k = int(room.rng.choice(len(names), p=chance / chance.sum()))
        category = CATEGORIES[names[k]]
        if category.place == HANGING:
            foot = 1.75 if category.name == "clock" else 0.8 if category.name == "towel" else 1.35
            index = room.hang(category.name, room.shape(category.name), foot)
        else:
            index = room.scatter(category.name)
        failures = 0 if index >= 0 else failures + 1
        if not words:
            chance[k] *= 0.35


def furnish_home(spec: SceneSpec, plan: FloorPlan, rng: np.random.Generator) -> list[Placed]:
    """Furniture for every room, spec.min_objects..max_objects pieces in total, not counting small objects on surfaces,
    but those of the wishes.

    Raises Infeasible if that many do not fit.
    """
    most, wished, granted = 0, draw_wished(spec, rng), False
    pairs = wished_pairs(spec) is not None
    pieces = sum(len(one.names) for one in wished) + pairs
    for _ in range(_LAYOUTS):
        count = max(int(rng.integers(spec.min_objects, spec.max_objects + 1)), pieces)
        placed: list[Placed] = []
        rooms = [
            RoomState(plan, k, placed, part, spec.categories, rng)
            for k, part in enumerate(_split_count(count - pieces, plan))
        ]
        reserve(rooms, wished)
        present = expected(rooms, rng)
        for room in rooms:
            for step in _WING if room.is_wing else _PROGRAMMES[room.kind]:
                step(room)
        for room in present:
            settle(room)
        if not all(place_wished(rooms, one, rng) for one in wished) or (pairs and not provide_base(rooms, placed, rng)):
            continue
        granted = True
        for room in rooms:
            _fill(room, spec.categories)
        missing = sum(room.left for room in rooms)
        for room in rooms:  # pieces that do not fit in one room may fit in another
            room.left = missing
            _fill(room, spec.categories)
            missing = room.left
        found = count - missing
        if spec.min_objects <= found <= spec.max_objects:
            return placed
        most = max(most, found)
    if not granted:
        raise Infeasible("the objects that the spec wishes for do not fit into any room: wish for fewer.")
    raise Infeasible(
        f"{spec.min_objects} objects do not fit into {spec.rooms} room(s), only {most} did: "
        "lower min_objects or ask for more rooms."
    )
