"""Furniture groups: table and chairs, sofa and television, bed and nightstands, a kitchen run."""

from __future__ import annotations

import math

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.building.plan import wall_span
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES
from sim_server.backends.rooms.furnish.footprint import Footprint, overlap
from sim_server.backends.rooms.furnish.placed import ON_WALL, footprint
from sim_server.backends.rooms.furnish.roomstate import RoomState
from sim_server.backends.rooms.furniture.decor import textiles
from sim_server.backends.rooms.furniture.household import climate
from sim_server.backends.rooms.furniture.kitchen import base_units, cupboards
from sim_server.backends.rooms.furniture.large import chairs
from sim_server.backends.rooms.furniture.model import Model, Shape

CUPBOARD_FOOT_M = 1.45
_LEG_ROOM_M = 0.38  # between a sofa and its coffee table
_CHAIR_GAP_M = 0.03
_ROOMY_M2 = 12.0  # smaller rooms get the smallest of three tables


def on_top(room: RoomState, base: int, name: str, x_fraction: float, z_fraction: float) -> None:
    """Put a small object on the first surface of a placed one, offset from its middle by fractions (-1..1) of the free
    space."""
    if base < 0 or not room.wants(name) or not room.placed[base].model.surfaces:
        return
    below = room.placed[base]
    surface, model = below.model.surfaces[0], room.shape(name)
    width, depth = model.size_m()
    x = (surface.x_min_m + surface.x_max_m) / 2 + x_fraction * (surface.x_max_m - surface.x_min_m - width) / 2
    z = (surface.z_min_m + surface.z_max_m) / 2 + z_fraction * (surface.z_max_m - surface.z_min_m - depth) / 2
    if width > surface.x_max_m - surface.x_min_m or depth > surface.z_max_m - surface.z_min_m:
        return
    c, s = math.cos(below.yaw_rad), math.sin(below.yaw_rad)
    foot = Footprint(below.x_m + c * x + s * z, below.z_m - s * x + c * z, width / 2, depth / 2, below.yaw_rad)
    if any(item.support == base and overlap(foot, footprint(item), 0.02) for item in room.placed):
        return
    room.put_on(name, model, foot, below.y_m + surface.y_m, base)


def seating_group(room: RoomState) -> None:
    """A sofa at a wall, a rug with a coffee table in front of it, the television opposite, armchairs at the sides."""
    sofa_model = room.shape("sofa")
    sofa = -1
    for side in room.walls():
        start, end = wall_span(room.rect, side)
        sofa = room.at_wall("sofa", sofa_model, [side], near=(start + end) / 2 + room.rng.normal(0, 0.3))
        if sofa >= 0:
            break
    if sofa < 0:
        sofa = room.at_wall("sofa", sofa_model)
    if sofa < 0:
        return
    side, along = room.wall_of(sofa)
    depth = sofa_model.size_m()[1]
    table_model = room.shape("coffee table")
    table_width, table_depth = table_model.size_m()
    out = depth / 2 + _LEG_ROOM_M + table_depth / 2
    rug = -1
    if room.wants("rug") and room.rng.random() < 0.75:
        rug_depth = table_depth + 2 * room.rng.uniform(0.25, _LEG_ROOM_M - 0.06)
        rug_model = textiles.rug(room.rng, table_width + room.rng.uniform(0.7, 1.3), rug_depth)
        rug = room.beside("rug", rug_model, sofa, 0.0, out, 0.0)
    table = room.beside(
        "coffee table",
        table_model,
        sofa,
        0.0,
        out,
        0.0,
        y=textiles.RUG_M if rug >= 0 else 0.0,
        support=rug if rug >= 0 else -1,
    )
    television_opposite(room, side, along)
    anchor = table if table >= 0 else sofa
    for s in (-1, 1) if room.rng.random() < 0.5 else (1, -1):
        if table >= 0 and room.wants("armchair") and room.rng.random() < 0.75:
            chair = room.shape("armchair")
            reach = max(table_width, _rug_width(room, rug)) / 2 + chair.size_m()[1] / 2 + 0.12
            room.beside("armchair", chair, anchor, s * reach, 0.1, -s * (math.pi / 2 - room.rng.uniform(-0.1, 0.25)))
    lamp = room.shape("lamp")
    half = sofa_model.size_m()[0] / 2 + lamp.size_m()[0] / 2 + 0.1
    for s in (-1, 1):
        if room.wants("lamp") and room.beside("lamp", lamp, sofa, s * half, -depth / 2 + 0.3, 0.0) >= 0:
            break
    if room.wants("picture"):
        room.hang_over("picture", room.shape("picture"), sofa, room.rng.uniform(0.25, 0.4))


def _rug_width(room: RoomState, rug: int) -> float:
    return float(room.placed[rug].high[0] - room.placed[rug].low[0]) if rug >= 0 else 0.0


def television_opposite(room: RoomState, side: int, along: float) -> None:
    """A television at the opposite wall, or at another one if it does not fit there."""
    if room.wants("television"):
        model = room.shape("television")
        if room.at_wall("television", model, [side ^ 1], near=along) < 0:
            room.at_wall("television", model, [w for w in room.walls() if w not in (side, side ^ 1)])


def dining_group(room: RoomState) -> None:
    """A table with identical chairs around it, in the middle of the room or wherever it fits."""
    if not room.wants("table"):
        return
    models = [room.shape("table") for _ in range(1 if room.area_m2() > _ROOMY_M2 else 3)]
    model = min(models, key=lambda m: m.size_m()[0] * m.size_m()[1])
    width, depth = model.size_m()
    rect, rng = room.rect, room.rng
    margin = depth / 2 + 0.75
    table = -1
    for attempt in range(30):
        spread = min(1.0, 0.15 + attempt / 20)
        x = (rect.x_min + rect.x_max) / 2 + spread * rng.uniform(-1, 1) * max((rect.x_max - rect.x_min) / 2 - margin, 0)
        z = (rect.z_min + rect.z_max) / 2 + spread * rng.uniform(-1, 1) * max((rect.z_max - rect.z_min) / 2 - margin, 0)
        long_x = (rect.x_max - rect.x_min) > (rect.z_max - rect.z_min)
        yaw = 0.0 if long_x == (rng.random() < 0.85) else math.pi / 2
        table = room.add("table", model, x, z, yaw, gap_m=0.6)
        if table >= 0:
            break
    if table < 0 or not room.wants("chair"):
        return
    seed, look = int(rng.integers(2**31)), 1000 * room.index + 1
    shape = pick([s for s in CATEGORIES["chair"].shapes if s is not chairs.office_chair], rng)
    chair = _twin(shape, seed)
    chair_width, chair_depth = chair.size_m()
    places = []
    per_side = max(1, min(3, int(width / (chair_width + 0.12))))
    for s in (-1, 1):
        for k in range(per_side):
            u = (k - (per_side - 1) / 2) * width / per_side
            places.append((u, s * (depth / 2 + chair_depth / 2 + _CHAIR_GAP_M), math.pi if s > 0 else 0.0))
    if width > 1.45 or per_side == 1 or rng.random() < 0.25:
        for s in (-1, 1):
            places.append((s * (width / 2 + chair_depth / 2 + _CHAIR_GAP_M), 0.0, -s * math.pi / 2))
    for u, v, turn in places:
        turn += rng.normal(0, 0.03)
        room.beside("chair", _twin(shape, seed), table, u, v, turn, look=look, gap_m=0.015)


def _twin(shape: Shape, seed: int) -> Model:
    """A copy of the same model, for the pieces of a set."""
    return shape(np.random.default_rng(seed))


def bed_group(room: RoomState) -> None:
    """A bed with its head at a wall, nightstands with lamps beside it, a rug at its foot, a picture above."""
    model = room.shape("bed")
    width, depth = model.size_m()
    bed = -1
    for side in room.walls():
        start, end = wall_span(room.rect, side)
        bed = room.at_wall("bed", model, [side], near=(start + end) / 2 + room.rng.normal(0, 0.25))
        if bed >= 0:
            break
    if bed < 0:
        bed = room.at_wall("bed", model, corner=True)
    if bed < 0:
        return
    seed, look = int(room.rng.integers(2**31)), 1000 * room.index + 2
    for s in (-1, 1):
        if not room.wants("nightstand"):
            break
        shapes = CATEGORIES["nightstand"].shapes
        stand = _twin(shapes[seed % len(shapes)], seed)
        stand_width, stand_depth = stand.size_m()
        u = s * (width / 2 + stand_width / 2 + 0.09)
        index = room.beside("nightstand", stand, bed, u, stand_depth / 2 - depth / 2, 0.0, look=look)
        if index >= 0 and room.rng.random() < 0.8:
            on_top(room, index, "table lamp", 0.0, -0.4)
    if room.wants("picture") and room.rng.random() < 0.7:
        room.hang_over("picture", room.shape("picture"), bed, room.rng.uniform(0.25, 0.4))
    if room.wants("rug") and room.rng.random() < 0.6:
        rug_depth = room.rng.uniform(0.7, 1.0)
        rug = textiles.rug(room.rng, min(width + 0.4, 2.2), rug_depth)
        room.beside("rug", rug, bed, 0.0, depth / 2 + rug_depth / 2 + 0.08, 0.0)


def desk_group(room: RoomState) -> None:
    """A desk at a wall with a chair, a monitor or a laptop, and a lamp."""
    if not room.wants("desk"):
        return
    model = room.shape("desk")
    desk = room.at_wall("desk", model)
    if desk < 0:
        return
    depth = model.size_m()[1]
    if room.wants("chair"):
        chair = (chairs.office_chair if room.rng.random() < 0.75 else pick(CATEGORIES["chair"].shapes, room.rng))(
            room.rng
        )
        out = depth / 2 + chair.size_m()[1] / 2 + 0.05
        room.beside(
            "chair", chair, desk, room.rng.normal(-0.12, 0.06), out, math.pi + room.rng.normal(0, 0.25), gap_m=0.02
        )
    on_top(room, desk, "monitor" if room.rng.random() < 0.6 else "laptop", -0.2, -0.7)
    if room.rng.random() < 0.7:
        on_top(room, desk, "table lamp", 0.95, -0.8)
    if room.wants("shelf") and room.rng.random() < 0.5:
        room.hang_over("shelf", room.shape("shelf"), desk, 0.6, 1.45)
    elif room.wants("picture"):
        room.hang_over("picture", room.shape("picture"), desk, 0.65, 1.4)


def kitchen_run(room: RoomState) -> None:
    """Fridge, counters, sink, dishwasher and stove in one row along a wall, cupboards and a hood above."""
    side, start, end = room.stretches(0.65)[0]
    rng, look = room.rng, 1000 * room.index + 3
    length = min(end - start, 4.2)
    if rng.random() < 0.5:
        start = end - length
    names = [("fridge", 2.1), ("sink", 0.0), ("dishwasher", 3.0), ("stove", 1.4)]
    panelled = bool(rng.random() < 0.4)  # all fronts of a run match
    units: list[tuple[str, Model]] = []
    for name, least in names:
        if length > least and room.wants(name):
            steel = rng.random() < 0.6
            sinks = base_units.sink(rng, panelled) if steel else base_units.ceramic_sink(rng, panelled)
            units.append((name, sinks if name == "sink" else room.shape(name)))
    spare = length - 0.02 - sum(model.size_m()[0] for _, model in units)
    counters = 0 if not room.wants("counter") or spare < 0.4 else min(3, max(1, int(spare / 0.5)))
    for place in ((), (1,), (1, 9), (1, 4, 9))[counters]:
        units.insert(min(place, len(units)), ("counter", base_units.counter(rng, min(spare / counters, 1.4), panelled)))
    if rng.random() < 0.5:
        units.reverse()
    at = start + 0.005
    below = []
    for name, model in units:
        begin = at
        own = name in ("counter", "sink", "dishwasher")
        index, at = room.run(name, model, side, at, look if own else -1)
        if index >= 0:
            below.append((name, begin, at))
    for name, begin, end in below:
        if name == "stove" and room.wants("extractor hood"):
            room.run("extractor hood", room.shape("extractor hood"), side, (begin + end) / 2 - 0.3, -1, 1.62)
        elif name not in ("stove", "fridge") and room.wants("cupboard"):
            is_open = rng.random() < 0.2
            model = (
                cupboards.open_cupboard(rng, end - begin) if is_open else cupboards.cupboard(rng, end - begin, panelled)
            )
            room.run("cupboard", model, side, begin, look, CUPBOARD_FOOT_M)


def curtains(room: RoomState) -> None:
    """Curtains or blinds at the windows. Curtains reach the floor if nothing is in the way, else just below the
    sill."""
    look = 1000 * room.index + 4
    blinds = room.rng.random() < (0.8 if room.kind in ("kitchen", "office") else 0.15)
    for hole in room.holes:
        if hole.kind != "window" or not room.wants("curtain"):
            continue
        low, high = wall_span(room.rect, hole.wall)
        width = min(hole.end_m - hole.start_m + 0.7, high - low - 0.06)
        top, along = hole.high_m + 0.14, (hole.start_m + hole.end_m) / 2
        if blinds:
            model = textiles.roller_blind(room.rng, hole.end_m - hole.start_m + 0.1, hole.high_m - hole.low_m)
            foot = hole.high_m + 0.04 - float(model.bounds()[1][1])
            room.hang("curtain", model, foot, walls=[hole.wall], near=along, at_window=True, look=look)
            continue
        for foot in (0.03, hole.low_m - 0.15):
            model = textiles.curtain(room.rng, width, top - foot)
            if room.hang("curtain", model, foot, walls=[hole.wall], near=along, at_window=True, look=look) >= 0:
                break


def radiators(room: RoomState) -> None:
    """A radiator under each window, if it fits."""
    make = (climate.radiator, climate.panel_radiator)[int(room.rng.integers(2))]
    for hole in room.holes:
        if hole.kind == "window" and hole.low_m < 1.0 and room.wants("radiator"):
            width = min(1.2, hole.end_m - hole.start_m)
            model = make(room.rng, width)
            room.at_wall(
                "radiator", model, [hole.wall], near=(hole.start_m + hole.end_m) / 2, support=ON_WALL, gap_m=0.03
            )
