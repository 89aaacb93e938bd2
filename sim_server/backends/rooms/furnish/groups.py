"""Furniture groups: table and chairs, sofa and television, bed and nightstands, desk and chair."""

from __future__ import annotations

import math

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.building.plan import wall_span
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES
from sim_server.backends.rooms.furnish.footprint import Footprint, overlap
from sim_server.backends.rooms.furnish.placed import footprint
from sim_server.backends.rooms.furnish.roomstate import RoomState
from sim_server.backends.rooms.furniture.decor import textiles
from sim_server.backends.rooms.furniture.household import electronics
from sim_server.backends.rooms.furniture.large import chairs
from sim_server.backends.rooms.furniture.model import Model, Shape

_LEG_ROOM_M = 0.38  # between a sofa and its coffee table
_CHAIR_GAP_M = 0.03
_ROOMY_M2 = 12.0  # smaller rooms get the smallest of three tables


def on_top(
    room: RoomState, base: int, name: str, model: Model, x_fraction: float, z_fraction: float, holds: str = ""
) -> int:
    """Put an object on a surface of a placed one, offset from its middle by fractions (-1..1) of the free space.

    The surface is the first one that holds `holds`. Returns -1 if the object is not allowed or does not fit.
    """
    below = room.placed[base]
    surface = next((s for s in below.model.surfaces if s.holds == holds), None)
    allowed = room.allows(name) if CATEGORIES[name].small else room.wants(name)
    if surface is None or not allowed:
        return -1
    width, depth = model.size_m()
    x = (surface.x_min_m + surface.x_max_m) / 2 + x_fraction * (surface.x_max_m - surface.x_min_m - width) / 2
    z = (surface.z_min_m + surface.z_max_m) / 2 + z_fraction * (surface.z_max_m - surface.z_min_m - depth) / 2
    if width > surface.x_max_m - surface.x_min_m + 0.061 or depth > surface.z_max_m - surface.z_min_m + 0.061:
        return -1
    c, s = math.cos(below.yaw_rad), math.sin(below.yaw_rad)
    foot = Footprint(below.x_m + c * x + s * z, below.z_m - s * x + c * z, width / 2, depth / 2, below.yaw_rad)
    if any(item.support == base and overlap(foot, footprint(item), 0.005) for item in room.placed):
        return -1
    return room.put_on(name, model, foot, below.y_m + surface.y_m, base)


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
    """A television opposite the sofa, or at another wall: on a stand, above one, or on legs of its own."""
    if not room.wants("television"):
        return
    walls = [w for w in room.walls() if w not in (side, side ^ 1)]

    def place(name: str, model: Model) -> int:
        index = room.at_wall(name, model, [side ^ 1], near=along)
        return index if index >= 0 else room.at_wall(name, model, walls)

    if room.rng.random() < 0.12 or not room.wants("television stand"):
        place("television", room.shape("television"))
        return
    stand_model = room.shape("television stand")
    stand, width = place("television stand", stand_model), stand_model.size_m()[0]
    if stand < 0 or not room.wants("television"):
        return
    if room.rng.random() < 0.35:
        screen = electronics.wall_television(room.rng)
        top = float(stand_model.bounds()[1][1])
        if room.hang_over("television", screen, stand, room.rng.uniform(0.15, 0.4), top + 0.15) >= 0:
            return
    shape = pick((electronics.television, electronics.footed_television), room.rng)
    screen = shape(room.rng)
    wide = screen.size_m()[0]
    if wide > width:
        screen.scale(width / wide * 0.95)
    on_top(room, stand, "television", screen, room.rng.uniform(-0.2, 0.2), -0.3)


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
    bed_pillows(room, bed)
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
            on_top(room, index, "table lamp", room.shape("table lamp"), 0.0, -0.4)
    if room.wants("picture") and room.rng.random() < 0.7:
        room.hang_over("picture", room.shape("picture"), bed, room.rng.uniform(0.25, 0.4))
    if room.wants("rug") and room.rng.random() < 0.6:
        rug_depth = room.rng.uniform(0.7, 1.0)
        rug = textiles.rug(room.rng, min(width + 0.4, 2.2), rug_depth)
        room.beside("rug", rug, bed, 0.0, depth / 2 + rug_depth / 2 + 0.08, 0.0)


def bed_pillows(room: RoomState, bed: int) -> None:
    """One pillow per person at every head of the bed, each an object; some beds have none."""
    if room.rng.random() < 0.08:
        return
    below, look = room.placed[bed], 1000 * room.index + 5
    for surface in [s for s in below.model.surfaces if s.holds == "pillow"]:
        wide = surface.x_max_m - surface.x_min_m
        count = 1 if wide < 1.25 else 2
        width = min(room.rng.uniform(0.5, 0.8), (wide - 0.06) / count)
        seed = int(room.rng.integers(2**31))
        for k in range(count):
            model = textiles.bed_pillow(np.random.default_rng(seed), width)
            x = (k - (count - 1) / 2) * wide / count
            z = (surface.z_min_m + surface.z_max_m) / 2 + room.rng.uniform(-0.03, 0.0)
            c, s = math.cos(below.yaw_rad), math.sin(below.yaw_rad)
            size = model.size_m()
            at = (below.x_m + c * x + s * z, below.z_m - s * x + c * z)
            foot = Footprint(*at, size[0] / 2, size[1] / 2, below.yaw_rad + float(room.rng.normal(0, 0.04)))
            if room.allows("pillow"):
                room.put_on("pillow", model, foot, below.y_m + surface.y_m, bed, look)


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
    computer = "monitor" if room.rng.random() < 0.6 else "laptop"
    on_top(room, desk, computer, room.shape(computer), -0.2, -0.7)
    if room.rng.random() < 0.7:
        on_top(room, desk, "table lamp", room.shape("table lamp"), 0.95, -0.8)
    if room.wants("shelf") and room.rng.random() < 0.5:
        room.hang_over("shelf", room.shape("shelf"), desk, 0.6, 1.45)
    elif room.wants("picture"):
        room.hang_over("picture", room.shape("picture"), desk, 0.65, 1.4)
