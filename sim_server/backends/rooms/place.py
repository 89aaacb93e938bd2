"""Where furniture stands: which categories and colours, in which room, against which wall; nothing overlaps."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible, VantageError
from protocol.scene import SceneSpec
from sim_server.backends.rooms.catalogue import ANYWHERE, CATEGORIES, CORNER, MIDDLE, SURFACE, WALL, Category
from sim_server.backends.rooms.footprint import Footprint, overlap
from sim_server.backends.rooms.furniture.model import Model, Surface
from sim_server.backends.rooms.materials import NAMED_COLORS
from sim_server.backends.rooms.mesh import rotation_y
from sim_server.backends.rooms.navigation import NavigationGrid
from sim_server.backends.rooms.plan import Hole, Plan, Rect, wall_plane
from sim_server.backends.rooms.poses import free_pose, pose_beside
from sim_server.backends.rooms.shell import inward, leaf_parts

GAP_M = 0.07  # least free space between two pieces of furniture
LAYOUTS = 12  # whole layouts tried before a scene is infeasible
TRIES = 60  # positions tried per object


class Placed(NamedTuple):
    """A model put into the world. `low`/`high` are its bounds in its own frame."""

    category: Category
    model: Model
    color: str
    room: int  # index of the room
    x_m: float
    y_m: float
    z_m: float
    yaw_rad: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    support: int  # index into the list of placed things, -1: the floor


def bounds(model: Model) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corner points of the model's axis-aligned box in its own frame."""
    low = np.min([p.positions.min(0) for p, _ in model.parts], axis=0)
    high = np.max([p.positions.max(0) for p, _ in model.parts], axis=0)
    return low.astype(np.float64), high.astype(np.float64)


def floor_categories(spec: SceneSpec) -> list[Category]:
    """Categories that may stand on the floor, of those the spec allows.

    Raises VantageError("bad_request") naming the known words when the spec names an unknown one.
    """
    unknown = [c for c in spec.categories if c not in CATEGORIES]
    if unknown:
        known = ", ".join(CATEGORIES)
        raise VantageError("bad_request", f"categories has the unknown word {unknown[0]!r}: choose among {known}.")
    allowed = [c for c in CATEGORIES.values() if not spec.categories or c.name in spec.categories]
    floor = [c for c in allowed if c.place != SURFACE]
    if not floor:
        raise VantageError(
            "bad_request", "categories names only things that stand on furniture: add one that stands on the floor."
        )
    return floor


def _choose(
    spec: SceneSpec, floor: list[Category], kind: str, count: int, used: set[tuple[str, str]], rng: np.random.Generator
) -> list[tuple[Category, str]]:
    """`count` (category, colour) pairs for a room of this kind; a named pair is taken once, and noted in `used`."""
    # a list of categories is taken as it is; otherwise things stand where they belong, and seldom twice
    weights = np.array([1.0 if spec.categories or not c.rooms or kind in c.rooms else 0.01 for c in floor])
    chosen: list[tuple[Category, str]] = []
    colors = list(NAMED_COLORS)
    while len(chosen) < count:
        index = int(rng.choice(len(floor), p=weights / weights.sum()))
        category = floor[index]
        color = colors[int(rng.integers(len(colors)))] if spec.palette == "named" else ""
        if color and (category.name, color) in used:
            continue
        used.add((category.name, color))
        chosen.append((category, color))
        if not spec.categories:
            weights[index] *= 0.4 if category.place in (ANYWHERE, CORNER) else 0.1
    return chosen


def _door_zones(rect: Rect, holes: tuple[Hole, ...]) -> list[Footprint]:
    """Floor that must stay free before doors."""
    zones = []
    for hole in holes:
        if hole.kind == "window":
            continue
        nx, nz = inward(hole.wall)
        start, end = hole.start_m - 0.12 * (hole.leaf < 0), hole.end_m + 0.12 * (hole.leaf > 0)
        along, half = (start + end) / 2, (end - start) / 2
        plane = wall_plane(rect, hole.wall)
        if hole.wall < 2:
            zones.append(Footprint(plane + nx * 0.45, along, 0.45, half, 0.0))
        else:
            zones.append(Footprint(along, plane + nz * 0.45, half, 0.45, 0.0))
    return zones


def _inside(foot: Footprint, rect: Rect) -> bool:
    corners = foot.corners()
    return bool(
        corners[:, 0].min() >= rect.x_min + 0.015
        and corners[:, 0].max() <= rect.x_max - 0.015
        and corners[:, 1].min() >= rect.z_min + 0.015
        and corners[:, 1].max() <= rect.z_max - 0.015
    )


def _blocks_window(placed_high_m: float, foot: Footprint, rect: Rect, holes: tuple[Hole, ...]) -> bool:
    """Whether something taller than the sill stands right before a window."""
    for hole in holes:
        if hole.kind != "window" or placed_high_m < hole.low_m + 0.15:
            continue
        nx, nz = inward(hole.wall)
        along, half = (hole.start_m + hole.end_m) / 2, (hole.end_m - hole.start_m) / 2
        plane = wall_plane(rect, hole.wall)
        zone = (
            Footprint(plane + nx * 0.2, along, 0.2, half, 0.0)
            if hole.wall < 2
            else Footprint(along, plane + nz * 0.2, half, 0.2, 0.0)
        )
        if overlap(foot, zone):
            return True
    return False


def _stand(
    category: Category,
    color: str,
    room: int,
    plan: Plan,
    taken: list[tuple[str, Footprint]],
    doors: list[Footprint],
    clearances: list[Footprint],
    beside: bool,
    rng: np.random.Generator,
) -> Optional[Placed]:
    """Puts one shape of the category somewhere free in the room, or gives up.

    `taken` and `clearances` grow. With `beside`, a thing that belongs to another (a chair to a table) goes there, into
    the clearance that the other keeps.
    """
    rect, holes = plan.rects[room], plan.holes[room]
    model = category.shapes[int(rng.integers(len(category.shapes)))](rng)
    low, high = bounds(model)
    half_x, half_z = float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2
    if high[1] > plan.rooms[room].ceiling_y_m - 0.05:
        return None
    anchors = [(name, foot) for name, foot in taken if name in category.beside] if beside else []
    for attempt in range(TRIES):
        at_anchor = bool(anchors) and attempt < TRIES // 2
        if at_anchor:
            x, z, yaw = pose_beside(half_x, half_z, anchors, rng)
        else:
            x, z, yaw = free_pose(category, rect, half_x, half_z, rng)
        foot = Footprint(float(x), float(z), half_x, half_z, float(yaw))
        reach = category.clearance_m / 2
        before = foot._replace(
            x_m=foot.x_m + math.sin(yaw) * (half_z + reach),
            z_m=foot.z_m + math.cos(yaw) * (half_z + reach),
            half_z_m=reach,
        )
        if not _inside(foot, rect) or _blocks_window(float(high[1]), foot, rect, holes):
            continue
        if any(overlap(foot, other, GAP_M) for _, other in taken) or any(overlap(foot, zone) for zone in doors):
            continue
        if not at_anchor:
            if any(overlap(foot, zone) for zone in clearances):
                continue
            if reach and any(overlap(before, other) for _, other in taken):
                continue
            if reach:
                clearances.append(before)
        taken.append((category.name, foot))
        middle = (low + high) / 2
        offset = rotation_y(yaw) @ np.array([middle[0], 0.0, middle[2]])
        x, z = foot.x_m - float(offset[0]), foot.z_m - float(offset[2])
        return Placed(category, model, color, room, x, -float(low[1]), z, foot.yaw_rad, low, high, -1)
    return None


def furnish(spec: SceneSpec, plan: Plan, rng: np.random.Generator) -> list[Placed]:
    """Furniture for every room, spec.min_objects..max_objects pieces in all.

    Raises Infeasible when the number does not fit into the rooms, VantageError("bad_request") for unknown words.
    """
    floor = floor_categories(spec)
    distinct = len(floor) * len(NAMED_COLORS)
    if spec.palette == "named" and spec.min_objects > distinct:
        raise Infeasible(
            f"only {distinct} distinct colour and category pairs exist: lower min_objects or allow more categories."
        )
    for _ in range(LAYOUTS):
        count = int(rng.integers(spec.min_objects, spec.max_objects + 1))
        if spec.palette == "named":
            count = min(count, distinct)
        area = np.array([(r.x_max - r.x_min) * (r.z_max - r.z_min) for r in plan.rects])
        rooms = np.sort(rng.choice(len(area), count, p=area / area.sum()))
        used: set[tuple[str, str]] = set()
        placed: list[Placed] = []
        may_miss = count - spec.min_objects
        for room in range(len(plan.rects)):
            pairs = _choose(spec, floor, plan.rooms[room].category, int((rooms == room).sum()), used, rng)
            taken: list[tuple[str, Footprint]] = []
            clearances: list[Footprint] = []
            doors = _door_zones(plan.rects[room], plan.holes[room])
            beside = spec.palette == "natural"  # named scenes are for telling things apart: they spread over the floor
            for category, color in sorted(pairs, key=lambda pair: _rank(pair[0])):
                if may_miss < 0:  # this layout is lost
                    break
                thing = _stand(category, color, room, plan, taken, doors, clearances, beside, rng)
                if thing is not None:
                    placed.append(thing)
                else:
                    may_miss -= 1
        if spec.min_objects <= len(placed) <= spec.max_objects:
            return placed
    raise Infeasible(
        f"{spec.min_objects} objects do not fit into {spec.rooms} room(s): lower min_objects or ask for more rooms."
    )


def furnish_reachable(spec: SceneSpec, plan: Plan, rng: np.random.Generator) -> tuple[list[Placed], NavigationGrid]:
    """Furniture that leaves a way into every room, and the free floor.

    Raises Infeasible when no layout of several does, and as `furnish` does.
    """
    for _ in range(LAYOUTS):
        placed = furnish(spec, plan, rng)
        leaves = [
            part.positions[part.faces]
            for rect, holes in zip(plan.rects, plan.holes)
            for hole in holes
            for part, _ in leaf_parts(rect, hole)
        ]
        navigation = NavigationGrid(plan, np.concatenate(leaves + [triangles(thing) for thing in placed]))
        if all(navigation.reaches(rect) for rect in plan.rects):
            return placed, navigation
    raise Infeasible(
        f"{spec.min_objects} objects in {spec.rooms} room(s) leave no way between the rooms: "
        "lower min_objects or ask for more rooms."
    )


def triangles(thing: Placed) -> NDArray[np.float32]:
    """The mesh in the world, float32 [T, 3, 3], corner by corner."""
    corners = np.concatenate([part.positions[part.faces] for part, _ in thing.model.parts])
    turned = corners @ rotation_y(thing.yaw_rad).T.astype(np.float32)
    return turned + np.array([thing.x_m, thing.y_m, thing.z_m], np.float32)


def _rank(category: Category) -> tuple[int, bool]:
    """Large things at walls are placed first, loose things last; a nightstand after the bed."""
    return (WALL, MIDDLE, CORNER, ANYWHERE).index(category.place), category.place == WALL and bool(category.beside)


def add_clutter(spec: SceneSpec, placed: list[Placed], rng: np.random.Generator) -> list[Placed]:
    """Small things on surfaces, on top of the furniture that the spec counts."""
    small = [c for c in CATEGORIES.values() if c.small and (not spec.categories or c.name in spec.categories)]
    used = {(p.category.name, p.color) for p in placed}
    out: list[Placed] = []
    if not small or spec.clutter <= 0:
        return out
    colors = list(NAMED_COLORS)
    for index, base in enumerate(placed):
        taken: list[Footprint] = []
        for surface in base.model.surfaces:
            wanted = rng.poisson(spec.clutter * (0.6 + 4.0 * _area(surface)))
            for _ in range(int(wanted)):
                category = small[int(rng.integers(len(small)))]
                color = colors[int(rng.integers(len(colors)))] if spec.palette == "named" else ""
                if color and (category.name, color) in used:
                    continue
                thing = _put_on(base, index, surface, category, color, taken, rng)
                if thing is not None:
                    used.add((category.name, color))
                    out.append(thing)
    return out


def _area(surface: Surface) -> float:
    return (surface.x_max_m - surface.x_min_m) * (surface.z_max_m - surface.z_min_m)


def _put_on(
    base: Placed,
    index: int,
    surface: Surface,
    category: Category,
    color: str,
    taken: list[Footprint],
    rng: np.random.Generator,
) -> Optional[Placed]:
    """One small thing on a surface of `base`; `taken` is in the frame of `base`."""
    model = category.shapes[int(rng.integers(len(category.shapes)))](rng)
    low, high = bounds(model)
    half_x, half_z = float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2
    if high[1] > surface.free_m:
        return None
    reach = math.hypot(half_x, half_z)
    if surface.x_max_m - surface.x_min_m < 2 * reach or surface.z_max_m - surface.z_min_m < 2 * reach:
        return None
    for _ in range(12):
        x = rng.uniform(surface.x_min_m + reach, surface.x_max_m - reach)
        z = rng.uniform(surface.z_min_m + reach, surface.z_max_m - reach)
        yaw = float(rng.normal(0, 0.4))
        foot = Footprint(float(x), float(z), half_x, half_z, yaw)
        if any(overlap(foot, other, 0.02) for other in taken):
            continue
        taken.append(foot)
        middle = rotation_y(yaw) @ ((low + high) / 2)
        at = rotation_y(base.yaw_rad) @ np.array([x - middle[0], surface.y_m - low[1], z - middle[2]])
        world = (base.x_m + float(at[0]), base.y_m + float(at[1]), base.z_m + float(at[2]))
        return Placed(category, model, color, base.room, *world, base.yaw_rad + yaw, low, high, index)
    return None
