"""Room layout: which rooms a home has, as rectangles that share edges.

A living room may have a wing, a second rectangle that makes it L-shaped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Floor areas in square metres including walls, and minimum side lengths.
_AREA_M2 = {
    "living room": (21.0, 31.0),
    "dining room": (12.0, 16.0),
    "kitchen": (9.5, 14.0),
    "bedroom": (11.5, 17.0),
    "bathroom": (5.5, 8.5),
    "office": (9.0, 12.5),
}
_MIN_SIDE_M = {"bathroom": 1.9, "office": 2.6}
_OTHER_SIDE_M = 2.9
# How often homes have a room of each kind, and the factor for another one of the same kind.
_FREQUENCY = {
    "living room": (2.0, 0.05), "bedroom": (3.0, 0.45), "kitchen": (2.5, 0.03), "bathroom": (2.2, 0.3),
    "office": (1.4, 0.3), "dining room": (1.4, 0.05),
}  # fmt: skip
# Kinds of the main room, beside which the others are laid out.
_MAIN = (*("living room",) * 6, *("dining room", "kitchen", "bedroom") * 2)
_DAY_ROOMS = ("living room", "kitchen", "dining room")  # next to one another
_HALL_CHANCE = 0.35  # for homes of two to four rooms; larger ones always have a hallway
_ROOMY_M = 7.6  # depth of a home of three rooms beside the main room
# Pieces of furniture for which a room usually has space.
_SPACE = {
    "living room": 18, "bedroom": 14, "kitchen": 16, "bathroom": 10, "office": 12, "dining room": 13, "hallway": 6,
}  # fmt: skip
_DRAWS = 40
OPEN_PAIRS = (("living room", "dining room"), ("living room", "kitchen"), ("dining room", "kitchen"))
HALL_M = (1.45, 1.9)  # width of a hallway including walls
_WING_CHANCE = 0.5  # for living rooms that may have a wing
_NOOK_M = (1.9, 2.4)  # depth of a wing in a home without a hallway


class RoomCell(NamedTuple):
    """A room or the wing of a room, up to the middle of its walls; neighbours share edges exactly."""

    kind: str
    x_min: float
    z_min: float
    x_max: float
    z_max: float
    wing_of: int = -1  # index of the cell whose room this is a wing of; -1: a separate room


def room_kinds(count: int, pieces: int, rng: np.random.Generator) -> list[str]:
    """The kinds of rooms in a home of `count` rooms, with space for `pieces` of furniture; the main room comes first.

    Every kind occurs at every count. Homes of five or more rooms have a hallway.
    """
    kinds = _draw_kinds(count, rng)
    for _ in range(_DRAWS):
        if sum(_SPACE[k] for k in kinds) >= pieces:
            break
        kinds = _draw_kinds(count, rng)
    return kinds


def _draw_kinds(count: int, rng: np.random.Generator) -> list[str]:
    if count == 1:
        return [str(rng.choice(list(_SPACE)))]
    hall = count > 4 or rng.random() < _HALL_CHANCE
    main = str(rng.choice(_MAIN))
    if (count == 4 and not hall) or (count > 4 and main == "bedroom"):
        main = "living room"  # the former are too deep for another room, and nobody passes through a bedroom
    kinds = [main]
    weight = {kind: often for kind, (often, _) in _FREQUENCY.items()}
    while len(kinds) < count - hall:
        weight[kinds[-1]] *= _FREQUENCY[kinds[-1]][1]
        odds = np.array(list(weight.values()))
        kinds.append(str(rng.choice(list(weight), p=odds / odds.sum())))
    return [*kinds, "hallway"] if hall else kinds


def lay_out(kinds: list[str], rng: np.random.Generator) -> list[RoomCell]:
    """One cell per room, followed by the wings; rotated and mirrored at random."""
    areas = [float(rng.uniform(*_AREA_M2[k])) if k != "hallway" else 0.0 for k in kinds]
    in_rows = "hallway" in kinds and len(kinds) > 2
    cells = _along_a_hall(kinds, areas, rng) if in_rows else _around_the_main_room(kinds, areas, rng)
    flip_x, flip_z, swap = rng.random(3) < 0.5
    out = []
    for cell in cells:
        x0, z0, x1, z1 = (round(float(v), 3) for v in cell[1:5])
        if flip_x:
            x0, x1 = -x1, -x0
        if flip_z:
            z0, z1 = -z1, -z0
        x0, z0, x1, z1 = (z0, x0, z1, x1) if swap else (x0, z0, x1, z1)
        out.append(RoomCell(cell.kind, x0, z0, x1, z1, cell.wing_of))
    middle_x = round((min(c.x_min for c in out) + max(c.x_max for c in out)) / 2, 3)
    middle_z = round((min(c.z_min for c in out) + max(c.z_max for c in out)) / 2, 3)
    return [
        RoomCell(
            c.kind, round(c.x_min - middle_x, 3), round(c.z_min - middle_z, 3), round(c.x_max - middle_x, 3),
            round(c.z_max - middle_z, 3), c.wing_of,
        )
        for c in out
    ]  # fmt: skip


def _around_the_main_room(kinds: list[str], areas: list[float], rng: np.random.Generator) -> list[RoomCell]:
    """The main room on the left and the other one to three rooms stacked to the right of it and of its wing, if any."""
    depth = float(np.sqrt(areas[0] * rng.uniform(0.85, 1.15)))
    if len(kinds) > 2:
        depth = max(depth, 6.0 if len(kinds) == 3 else _ROOMY_M)
    may = kinds[0] == "living room" and len(kinds) < 4 and "hallway" not in kinds
    nook = float(rng.uniform(*_NOOK_M)) if rng.random() < _WING_CHANCE and may else 0.0
    width = max(areas[0] / (depth + nook), 3.4 if nook else 3.6)
    others = np.array(areas[1:])
    narrow = _MIN_SIDE_M.get(kinds[1], _OTHER_SIDE_M) if len(kinds) == 2 else _OTHER_SIDE_M
    side = max(float(others.sum()) / depth, narrow)
    if kinds[1] == "hallway":
        side = float(rng.uniform(*HALL_M))
    least = np.array([_MIN_SIDE_M.get(k, 2.4) for k in kinds[1:]])
    lengths = np.maximum(others / side, least)
    edges = np.concatenate([[0.0], np.cumsum(lengths / lengths.sum())]) * max(depth, float(lengths.sum()))
    cells = [RoomCell(kinds[0], 0.0, 0.0, width, float(edges[-1]) + nook)]
    for k, kind in enumerate(kinds[1:]):
        cells.append(RoomCell(kind, width, edges[k], width + side, edges[k + 1]))
    if nook:
        cells.append(RoomCell(kinds[0], width, float(edges[-1]), width + side, float(edges[-1]) + nook, 0))
    return cells


def _along_a_hall(kinds: list[str], areas: list[float], rng: np.random.Generator) -> list[RoomCell]:
    """Two rows of rooms with a hallway between them; the main room may also take all or part of the hallway's end.

    The shorter row is stretched slightly; if it is still shorter, the outer wall has a step.
    """
    depths = rng.uniform(3.5, 4.5, 2)
    hall = float(rng.uniform(*HALL_M))
    takes_end = rng.random() < 0.6 and len(kinds) > 4
    wing = 1.0  # the fraction of the main room's width that takes the hallway's end
    if takes_end and kinds[0] == "living room" and rng.random() < _WING_CHANCE:
        wing = float(rng.uniform(0.5, 0.65))
    order = [k for k in rng.permutation(len(kinds)) if k > 0 and kinds[k] != "hallway"]
    day = [k for k in order if kinds[k] in _DAY_ROOMS][:2]  # next to the main room
    rest = [k for k in order if k not in day]
    rows: list[list[int]] = [[0], []]
    lengths = np.zeros(2)
    widths: dict[int, float] = {}

    def put(k: int, row: int) -> None:
        depth = depths[row] + (hall if k == 0 and takes_end else 0.0)
        widths[k] = max(areas[k] / depth, _MIN_SIDE_M.get(kinds[k], _OTHER_SIDE_M))
        lengths[row] += widths[k]
        if k not in rows[row]:
            rows[row].append(k)

    put(0, 0)
    opposite = takes_end or rng.random() < 0.5 or len(kinds) == 3  # whether the first of them is in the other row
    for n, k in enumerate(day):
        put(k, int((n == 0) == opposite))
    for k in sorted(rest, key=lambda k: -areas[k]):
        put(k, int(lengths[1] < lengths[0]))
    shorter = int(lengths[1] < lengths[0])
    stretch = min(lengths.max() / lengths[shorter], 1.18)
    if lengths[shorter] * stretch > lengths.max() - 1.0:  # a step of less than a metre would look like a mistake
        stretch = lengths.max() / lengths[shorter]
    cells: dict[int, RoomCell] = {}
    for row in (0, 1):
        head, tail = rows[row][: 1 + len(day)], rows[row][1 + len(day) :]
        x = 0.0
        for k in [*head, *(tail[i] for i in rng.permutation(len(tail)))]:
            width = widths[k] * (stretch if row == shorter else 1.0)
            low, high = (0.0, depths[0]) if row == 0 else (depths[0] + hall, depths.sum() + hall)
            if k == 0 and takes_end and wing == 1.0:
                high += hall
            cells[k] = RoomCell(kinds[k], x, low, x + width, high)
            x += width
    start = cells[0].x_max * wing if takes_end else 0.0
    end = max(c.x_max for c in cells.values())
    k = kinds.index("hallway")
    low, high = float(depths[0]), float(depths[0]) + hall
    cells[k] = RoomCell(kinds[k], start, low, end, high)
    wings = [RoomCell(kinds[0], 0.0, low, start, high, 0)] if wing < 1.0 else []
    return [cells[k] for k in range(len(kinds))] + wings
