"""Places small objects on surfaces."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from protocol.seeds import pick
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.draw.materials import NAMED_COLORS
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES, Category
from sim_server.backends.rooms.furnish.footprint import Footprint, overlap
from sim_server.backends.rooms.furnish.placed import ON_WALL, Placed, footprint
from sim_server.backends.rooms.furnish.surfaces import STANDS_ON
from sim_server.backends.rooms.furniture.decor import books
from sim_server.backends.rooms.furniture.household import electronics
from sim_server.backends.rooms.furniture.model import Surface
from sim_server.backends.rooms.mesh import rotation_y

_SOFT = frozenset({"bed", "sofa", "armchair", "ottoman"})
_NEEDS_FIRM_GROUND = frozenset({books.standing_books, electronics.raised_laptop})  # would fall over on a mattress
_AGAIN = 0.3  # weight factor for another object of the same category on the same furniture


def add_clutter(spec: SceneSpec, placed: list[Placed], rng: np.random.Generator) -> list[Placed]:
    """Small objects on the surfaces of the placed furniture; they do not count towards spec.min_objects."""
    small = [c for c in CATEGORIES.values() if c.small and (not spec.categories or c.name in spec.categories)]
    used = {(p.category.name, p.color) for p in placed}
    out: list[Placed] = []
    if not small or spec.clutter <= 0:
        return out
    colors = list(NAMED_COLORS)
    for index, base in enumerate(placed):
        taken = [_in_frame(base, item) for item in placed if item.support == index]
        hanging = [t for t in placed if t.support == ON_WALL and t.room == base.room]
        weights = _weights(base.category.name, small)
        for surface in base.model.surfaces if weights.sum() > 0 else ():
            wanted = rng.poisson(spec.clutter * (0.6 + 4.0 * _area(surface)))
            for _ in range(int(wanted)):
                k = int(rng.choice(len(small), p=weights / weights.sum()))
                color = pick(colors, rng) if spec.palette == "named" else ""
                # A small object of the same colour as the furniture below it would be hard to see.
                if color and (color == base.color or (small[k].name, color) in used):
                    continue
                item = _put_on(base, index, surface, small[k], color, taken, hanging, rng)
                if item is not None:
                    used.add((small[k].name, color))
                    out.append(item)
                    weights[k] *= _AGAIN
    return out


def _weights(base: str, small: list[Category]) -> NDArray[np.float64]:
    """The weight of each small category on the base; uniform if STANDS_ON lists none of them."""
    known = STANDS_ON.get(base, {})
    weights = np.array([known.get(c.name, 0.0) for c in small])
    return weights if weights.sum() > 0 else np.ones(len(small))


def _in_frame(base: Placed, item: Placed) -> Footprint:
    """The footprint of an object in the frame of another one."""
    foot = footprint(item)
    c, s = math.cos(base.yaw_rad), math.sin(base.yaw_rad)
    dx, dz = foot.x_m - base.x_m, foot.z_m - base.z_m
    return foot._replace(x_m=c * dx - s * dz, z_m=s * dx + c * dz, yaw_rad=foot.yaw_rad - base.yaw_rad)


def _area(surface: Surface) -> float:
    return (surface.x_max_m - surface.x_min_m) * (surface.z_max_m - surface.z_min_m)


def _put_on(
    base: Placed,
    index: int,
    surface: Surface,
    category: Category,
    color: str,
    taken: list[Footprint],
    hanging: list[Placed],
    rng: np.random.Generator,
) -> Optional[Placed]:
    """One small object on a surface of `base`, clear of `taken` (footprints in the frame of `base`) and of objects that
    hang on the walls; None if it does not fit."""
    soft = base.category.name in _SOFT
    shapes = [shape for shape in category.shapes if not (soft and shape in _NEEDS_FIRM_GROUND)]
    model = category.model(rng, shapes)
    low, high = model.bounds()
    half_x, half_z = float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2
    if high[1] > surface.free_m:
        return None
    reach = math.hypot(half_x, half_z)
    if surface.x_max_m - surface.x_min_m < 2 * reach or surface.z_max_m - surface.z_min_m < 2 * reach:
        return None
    foot_m = base.y_m + surface.y_m
    beside = [
        _in_frame(base, t) for t in hanging
        if t is not base and t.y_m + t.low[1] < foot_m + high[1] - low[1] and t.y_m + t.high[1] > foot_m
    ]  # fmt: skip
    for _ in range(12):
        x = rng.uniform(surface.x_min_m + reach, surface.x_max_m - reach)
        z = rng.uniform(surface.z_min_m + reach, surface.z_max_m - reach)
        yaw = float(rng.normal(0, 0.4))
        foot = Footprint(float(x), float(z), half_x, half_z, yaw)
        if any(overlap(foot, other, 0.02) for other in (*taken, *beside)):
            continue
        taken.append(foot)
        middle = rotation_y(yaw) @ ((low + high) / 2)
        at = rotation_y(base.yaw_rad) @ np.array([x - middle[0], surface.y_m - low[1], z - middle[2]])
        world = (base.x_m + float(at[0]), base.y_m + float(at[1]), base.z_m + float(at[2]))
        return Placed(category, model, color, base.room, *world, base.yaw_rad + yaw, low, high, index)
    return None
