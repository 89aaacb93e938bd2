"""Places small objects on surfaces and, in lived-in homes, on the floor."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from protocol.seeds import pick
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.building.plan import FloorPlan, Rect
from sim_server.backends.rooms.draw.materials import NAMED_COLORS
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES, Category
from sim_server.backends.rooms.furnish.footprint import Footprint, overlap
from sim_server.backends.rooms.furnish.placed import ON_FLOOR, Placed, footprint, put
from sim_server.backends.rooms.furnish.roomstate import door_zones, inside
from sim_server.backends.rooms.furnish.surfaces import ON_FLOOR_OF, STANDS_ON
from sim_server.backends.rooms.furnish.tops import Top
from sim_server.backends.rooms.furniture.decor import textiles
from sim_server.backends.rooms.furniture.household import electronics
from sim_server.backends.rooms.furniture.model import Surface

_SOFT = frozenset({"bed", "sofa", "armchair", "ottoman"})
_NEEDS_FIRM_GROUND = frozenset({electronics.raised_laptop})  # would fall over on a mattress
_AGAIN = 0.3  # weight factor for another object of the same category on the same furniture
_MESSY = 0.8  # the clutter from which on objects lie on the floor
_MESS_PER_M2 = 0.18  # of floor, at clutter 1
_FLOOR_TRIES = 20


def add_clutter(spec: SceneSpec, placed: list[Placed], rng: np.random.Generator, pairs_on: int = -1) -> list[Placed]:
    """Small objects on the surfaces of the placed furniture; they do not count towards spec.min_objects.

    `pairs_on`: the index of a base with the small objects of a wish, which are the only ones of their categories in
    the room.
    """
    small = _small(spec)
    used = {(p.category.name, p.color) for p in placed}
    out: list[Placed] = []
    if not small or spec.clutter <= 0:
        return out
    colors = list(NAMED_COLORS)
    wished = {item.category.name for item in placed if pairs_on >= 0 and item.support == pairs_on}
    for index, base in enumerate(placed):
        if index == pairs_on:
            continue
        top = Top(placed, index)
        weights = _weights(base.category.name, small, bool(spec.categories))
        if pairs_on >= 0 and base.room == placed[pairs_on].room:
            weights *= [c.name not in wished for c in small]
        for surface in base.model.surfaces:
            only = np.array([weights[k] * (surface.holds in ("", c.name)) for k, c in enumerate(small)])
            if only.sum() == 0:
                continue
            wanted = rng.poisson(spec.clutter * (0.6 + 4.0 * _area(surface)))
            for _ in range(int(wanted)):
                k = int(rng.choice(len(small), p=only / only.sum()))
                color = pick(colors, rng) if spec.palette == "named" else ""
                # A small object of the same colour as the furniture below it would be hard to see.
                if color and (color == base.color or (small[k].name, color) in used):
                    continue
                item = _put_on(top, surface, small[k], color, rng)
                if item is not None:
                    used.add((small[k].name, color))
                    out.append(item)
                    if not surface.holds:
                        weights[k] *= _AGAIN
                        only[k] *= _AGAIN
    return out


def add_mess(spec: SceneSpec, plan: FloorPlan, placed: list[Placed], rng: np.random.Generator) -> list[Placed]:
    """Shoes, bags, toys and books on the floor of lived-in homes of the natural palette; they do not count either."""
    small, out = _small(spec), []
    if spec.clutter < _MESSY or spec.palette == "named":
        return []
    for rect, holes, room in zip(plan.rects, plan.holes, plan.room_of):
        likely = ON_FLOOR_OF[plan.rooms[room].category]
        weights = np.array([likely.get(c.name, 0.0) for c in small])
        if weights.sum() == 0:
            continue
        doors, area = door_zones(rect, holes), (rect.x_max - rect.x_min) * (rect.z_max - rect.z_min)
        for _ in range(int(rng.poisson(_MESS_PER_M2 * spec.clutter * area))):
            category = small[int(rng.choice(len(small), p=weights / weights.sum()))]
            item = _put_down(category, rect, room, doors, [*placed, *out], rng)
            if item is not None:
                out.append(item)
    return out


def _small(spec: SceneSpec) -> list[Category]:
    return [c for c in CATEGORIES.values() if c.small and (not spec.categories or c.name in spec.categories)]


def _put_down(
    category: Category, rect: Rect, room: int, doors: list[Footprint], placed: list[Placed], rng: np.random.Generator
) -> Optional[Placed]:
    """One small object on the floor or on a rug; None if no free position is found."""
    model = category.model(rng)
    width, depth = model.size_m()
    top = float(model.bounds()[1][1])
    low_ones = [
        (k, footprint(t)) for k, t in enumerate(placed) if t.room == room and t.y_m + t.low[1] < top + textiles.RUG_M
    ]
    for _ in range(_FLOOR_TRIES):
        x, z = rng.uniform(rect.x_min + 0.15, rect.x_max - 0.15), rng.uniform(rect.z_min + 0.15, rect.z_max - 0.15)
        foot = Footprint(float(x), float(z), width / 2, depth / 2, float(rng.uniform(0, 2 * math.pi)))
        rug, y = ON_FLOOR, 0.0
        blocked = not inside(foot, rect, 0.03) or any(overlap(foot, zone) for zone in doors)
        for index, other in low_ones if not blocked else ():
            if not overlap(foot, other, 0.03):
                continue
            blocked |= placed[index].category.name != "rug" or not _within(foot, other)
            rug, y = index, placed[index].y_m + float(placed[index].high[1])
        if not blocked:
            return put(category, model, "", room, foot, y, rug)
    return None


def _within(foot: Footprint, rug: Footprint) -> bool:
    """Whether a footprint is inside the ellipse that a rug's footprint encloses; round rugs leave the corners free."""
    c, s = math.cos(rug.yaw_rad), math.sin(rug.yaw_rad)
    x, z = (foot.corners() - (rug.x_m, rug.z_m)).T
    u, v = (c * x - s * z) / rug.half_x_m, (s * x + c * z) / rug.half_z_m
    return bool((u**2 + v**2 < 0.9).all())


def _weights(base: str, small: list[Category], listed: bool) -> NDArray[np.float64]:
    """The weight of each small category on the base; uniform if the spec lists some and none of them suits it."""
    known = STANDS_ON.get(base, {})
    weights = np.array([known.get(c.name, 0.0) for c in small])
    return weights if weights.sum() > 0 or not listed else np.ones(len(small))


def _area(surface: Surface) -> float:
    return (surface.x_max_m - surface.x_min_m) * (surface.z_max_m - surface.z_min_m)


def _put_on(top: Top, surface: Surface, category: Category, color: str, rng: np.random.Generator) -> Optional[Placed]:
    """One small object on a surface, clear of the others and of objects that hang on the walls; None if it does not
    fit."""
    soft = top.base.category.name in _SOFT
    shapes = [shape for shape in category.shapes if not (soft and shape in _NEEDS_FIRM_GROUND)]
    model = category.model(rng, shapes)
    low, high = model.bounds()
    half_x, half_z = float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2
    if high[1] > surface.free_m:
        return None
    size = (surface.x_max_m - surface.x_min_m, surface.z_max_m - surface.z_min_m)
    reach_x = reach_z = math.hypot(half_x, half_z)
    turns = not surface.holds and min(size) > 2 * reach_x
    if not turns:  # parallel to the surface
        reach_x, reach_z = half_x, half_z
    if size[0] < 2 * reach_x or size[1] < 2 * reach_z:
        return None
    for _ in range(12):
        x = float(rng.uniform(surface.x_min_m + reach_x, surface.x_max_m - reach_x))
        z = float(rng.uniform(surface.z_min_m + reach_z, surface.z_max_m - reach_z))
        yaw = float(rng.normal(0, 0.4)) if turns else 0.0
        item = top.stand(surface, category, model, color, x, z, yaw)
        if item is not None:
            return item
    return None
