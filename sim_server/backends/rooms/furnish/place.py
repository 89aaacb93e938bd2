"""Places furniture in rooms without overlaps, so that every room stays reachable."""

from __future__ import annotations

import math
from typing import Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible, VantageError
from protocol.seeds import pick, rng_for
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.building.openings import leaf_parts
from sim_server.backends.rooms.building.plan import FloorPlan
from sim_server.backends.rooms.building.style import TRIM
from sim_server.backends.rooms.draw.materials import NAMED_COLORS
from sim_server.backends.rooms.furnish.arrange import furnish_home
from sim_server.backends.rooms.furnish.catalogue import (
    ANYWHERE,
    CATEGORIES,
    CORNER,
    HANGING,
    MIDDLE,
    SURFACE,
    WALL,
    Category,
)
from sim_server.backends.rooms.furnish.clutter import add_clutter, add_mess
from sim_server.backends.rooms.furnish.footprint import Footprint, overlap
from sim_server.backends.rooms.furnish.pairs import add_pairs
from sim_server.backends.rooms.furnish.placed import ON_FLOOR, Placed, put, triangles
from sim_server.backends.rooms.furnish.poses import free_pose
from sim_server.backends.rooms.furnish.roomstate import GAP_M, blocks_window, door_zones, inside
from sim_server.backends.rooms.walk.navigation import NavigationGrid

LAYOUTS = 12  # complete layouts tried before a scene is infeasible
TRIES = 60  # positions tried per object


def floor_categories(spec: SceneSpec) -> list[Category]:
    """The categories allowed by the spec that can be placed on the floor.

    Raises VantageError("bad_request") for an unknown category.
    """
    unknown = [c for c in spec.categories if c not in CATEGORIES]
    if unknown:
        known = ", ".join(CATEGORIES)
        raise VantageError("bad_request", f"unknown category {unknown[0]!r}: choose among {known}.")
    allowed = [c for c in CATEGORIES.values() if not spec.categories or c.name in spec.categories]
    floor = [c for c in allowed if c.place not in (SURFACE, HANGING)]
    if not floor:
        raise VantageError("bad_request", "categories lists no furniture that stands on the floor: add some.")
    return floor


def _choose(
    spec: SceneSpec, floor: list[Category], kind: str, count: int, used: set[tuple[str, str]], rng: np.random.Generator
) -> list[tuple[Category, str]]:
    """`count` (category, colour) pairs for a room of this kind. In the named palette each pair is used once in a scene;
    `used` is updated."""
    # categories listed by the spec are equally likely; otherwise furniture suits its room and seldom repeats
    weights = np.array([1.0 if spec.categories or not c.rooms or kind in c.rooms else 0.01 for c in floor])
    chosen: list[tuple[Category, str]] = []
    colors = list(NAMED_COLORS)
    while len(chosen) < count:
        index = int(rng.choice(len(floor), p=weights / weights.sum()))
        category = floor[index]
        color = pick(colors, rng)
        if (category.name, color) in used:
            continue
        used.add((category.name, color))
        chosen.append((category, color))
        if not spec.categories:
            weights[index] *= 0.4 if category.place in (ANYWHERE, CORNER) else 0.1
    return chosen


def _stand(
    category: Category,
    color: str,
    space: int,
    plan: FloorPlan,
    taken: list[Footprint],
    doors: list[Footprint],
    clearances: list[Footprint],
    rng: np.random.Generator,
) -> Optional[Placed]:
    """Place one shape of the category in the space; None if no free position is found.

    Appends to `taken` and `clearances`.
    """
    rect, holes, room = plan.rects[space], plan.holes[space], plan.room_of[space]
    model = category.model(rng)
    low, high = model.bounds()
    half_x, half_z = float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2
    if high[1] > plan.rooms[room].ceiling_y_m - 0.05:
        return None
    for _ in range(TRIES):
        x, z, yaw = free_pose(category, rect, half_x, half_z, rng)
        foot = Footprint(float(x), float(z), half_x, half_z, float(yaw))
        reach = category.clearance_m / 2
        before = foot._replace(
            x_m=foot.x_m + math.sin(yaw) * (half_z + reach),
            z_m=foot.z_m + math.cos(yaw) * (half_z + reach),
            half_z_m=reach,
        )
        if not inside(foot, rect) or blocks_window(float(high[1]), foot, rect, holes):
            continue
        if any(overlap(foot, other, GAP_M) for other in taken) or any(overlap(foot, zone) for zone in doors):
            continue
        if any(overlap(foot, zone) for zone in clearances):
            continue
        if reach and any(overlap(before, other) for other in taken):
            continue
        if reach:
            clearances.append(before)
        taken.append(foot)
        return put(category, model, color, room, foot, 0.0, ON_FLOOR)
    return None


def furnish(spec: SceneSpec, plan: FloorPlan, rng: np.random.Generator) -> list[Placed]:
    """Furniture for every room, spec.min_objects..max_objects pieces in total, not counting small objects.

    The natural palette is furnished like a home, see arrange.py. In the named palette pieces are spread over the floor,
    apart from one another. Raises Infeasible if the number does not fit into the rooms, VantageError("bad_request") for
    unknown categories.
    """
    floor = floor_categories(spec)
    if spec.palette == "natural":
        return furnish_home(spec, plan, rng)
    distinct = len(floor) * len(NAMED_COLORS)
    if spec.min_objects > distinct:
        raise Infeasible(
            f"there are only {distinct} pairs of colour and category: lower min_objects or allow more categories."
        )
    for _ in range(LAYOUTS):
        count = int(rng.integers(spec.min_objects, spec.max_objects + 1))
        count = min(count, distinct)
        area = np.array([(r.x_max - r.x_min) * (r.z_max - r.z_min) for r in plan.rects])
        spaces = np.sort(rng.choice(len(area), count, p=area / area.sum()))
        used: set[tuple[str, str]] = set()
        placed: list[Placed] = []
        may_miss = count - spec.min_objects
        for space, owner in enumerate(plan.room_of):
            kind = plan.rooms[owner].category
            pairs = _choose(spec, floor, kind, int((spaces == space).sum()), used, rng)
            taken: list[Footprint] = []
            clearances: list[Footprint] = []
            doors = door_zones(plan.rects[space], plan.holes[space])
            for category, color in sorted(pairs, key=lambda pair: _rank(pair[0])):
                if may_miss < 0:
                    break
                item = _stand(category, color, space, plan, taken, doors, clearances, rng)
                if item is not None:
                    placed.append(item)
                else:
                    may_miss -= 1
        if spec.min_objects <= len(placed) <= spec.max_objects:
            return placed
    raise Infeasible(
        f"{spec.min_objects} objects do not fit into {spec.rooms} room(s): lower min_objects or ask for more rooms."
    )


def furnish_reachable(
    spec: SceneSpec, plan: FloorPlan, rng: np.random.Generator
) -> tuple[list[Placed], NavigationGrid]:
    """Furniture that leaves every room reachable, and the free floor.

    Raises Infeasible if none of several layouts does, and what `furnish` raises.
    """
    for _ in range(LAYOUTS):
        placed = furnish(spec, plan, rng)
        navigation = free_floor(plan, [triangles(item) for item in placed])
        if all(navigation.reaches(rect) for rect in plan.rects):
            return placed, navigation
    raise Infeasible(
        f"{spec.min_objects} objects in {spec.rooms} room(s) block the way between rooms: "
        "lower min_objects or ask for more rooms."
    )


def furnished(spec: SceneSpec, plan: FloorPlan) -> tuple[list[Placed], NavigationGrid]:
    """Furniture, small objects on it and on the floor, and the floor that they leave free; from the spec's seed.

    Raises what `furnish_reachable` and `add_pairs` raise.
    """
    seed = spec.seed
    placed, navigation = furnish_reachable(spec, plan, rng_for(seed, "rooms", "furniture"))
    pairs, base = add_pairs(spec, placed, rng_for(seed, "rooms", "pairs"))
    placed += pairs
    placed += add_clutter(spec, placed, rng_for(seed, "rooms", "clutter"), base)
    mess = add_mess(spec, plan, placed, rng_for(seed, "rooms", "mess"))
    while mess:
        free = free_floor(plan, [triangles(item) for item in [*placed, *mess]])
        if all(free.reaches(rect) for rect in plan.rects):
            return placed + mess, free
        mess = mess[: len(mess) // 2]
    return placed, navigation


def free_floor(plan: FloorPlan, objects: Sequence[NDArray[np.float32]]) -> NavigationGrid:
    """The floor that the objects' triangles, float32 [T, 3, 3], and the door leaves leave free."""
    leaves = [
        part.positions[part.faces]
        for rect, holes in zip(plan.rects, plan.holes)
        for hole in holes
        for part, _ in leaf_parts(rect, hole, TRIM)
    ]
    none = np.zeros((0, 3, 3), np.float32)
    return NavigationGrid(plan, np.concatenate([none, *leaves, *objects]))


def _rank(category: Category) -> tuple[int, bool]:
    """Sort key: large pieces at walls first, freestanding ones last, nightstands after beds."""
    return (WALL, MIDDLE, CORNER, ANYWHERE).index(category.place), category.place == WALL and bool(category.beside)
