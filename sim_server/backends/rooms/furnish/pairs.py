"""Places the small objects that a spec wishes for: pairs on one piece of furniture, near one another within a pair.

Each object of a pair is nearest to the other one, and a view from either side exchanges left and right, so that no
category is a likelier answer than another.
"""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.tasks.scene import SceneSpec, Wish
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES
from sim_server.backends.rooms.furnish.placed import Placed
from sim_server.backends.rooms.furnish.roomstate import RoomState
from sim_server.backends.rooms.furnish.tops import Top
from sim_server.backends.rooms.furniture.model import Surface

# Small objects at home on any furniture, large enough to be recognised from two metres away.
_NAMES = ("alarm clock", "bottle", "bowl", "candle", "statue", "vase")
_COUNT = 4
_BASES = ("cabinet", "dresser", "coffee table", "table")  # of which one is added to a home without a suitable base
_LONG_M, _DEEP_M, _FREE_M = 0.75, 0.25, 0.35  # least sizes of a surface with pairs
_AMPLE_M = 1.1  # length of a surface that is preferred
_HEIGHT_M = (0.35, 1.2)
_AT = (0.0, 0.25, 0.7, 1.0)  # along the surface, in fractions of the free length
_JITTER, _ACROSS = 0.03, 0.2
_TRIES = 12


def wished_pairs(spec: SceneSpec) -> Optional[Wish]:
    return next((wish for wish in spec.wishes if wish.kind == "small"), None)


def provide_base(rooms: Sequence[RoomState], placed: Sequence[Placed], rng: np.random.Generator) -> bool:
    """Whether some placed object is a suitable base, or one piece more of furniture is."""
    room = rooms[int(rng.integers(len(rooms)))]
    room.left += 1
    if any(_fitting(item) and Top(placed, index).is_bare for index, item in enumerate(placed)):
        return True
    index = room.scatter(_BASES[int(rng.integers(len(_BASES)))])
    return index >= 0 and bool(_fitting(placed[index]))


def add_pairs(spec: SceneSpec, placed: Sequence[Placed], rng: np.random.Generator) -> tuple[list[Placed], int]:
    """The small objects of the spec's wish and the index of their base; no object and -1 without such a wish.

    Raises Infeasible if no furniture has a bare surface for them.
    """
    wish = wished_pairs(spec)
    if wish is None:
        return [], -1
    count = wish.count or _COUNT
    rooms: dict[int, list[str]] = {}
    for item in placed:
        rooms.setdefault(item.room, []).append(item.category.name)
    bases = [(index, surface) for index, item in enumerate(placed) for surface in _fitting(item)]
    order = rng.permutation(len(bases)).tolist()

    def last(k: int) -> tuple[bool, bool]:
        index, surface = bases[k]
        alone = rooms[placed[index].room].count(placed[index].category.name) == 1  # questions name the base
        return not alone, max(_sides(surface)) < _AMPLE_M

    order.sort(key=last)
    for index, surface in (bases[k] for k in order):
        here = rooms[placed[index].room]
        names = [name for name in rng.permutation(_NAMES).tolist() if name not in here]
        if len(names) < count or not Top(placed, index).is_bare:
            continue
        for _ in range(_TRIES):
            found = _set_out(Top(placed, index), surface, names[:count], rng)
            if found is not None:
                return found, index
    raise Infeasible(f"no furniture has a bare surface for the {count} small objects that the spec wishes for.")


def _fitting(base: Placed) -> list[Surface]:
    """The open surfaces of a base that are long enough, at a height at which people see what is on them."""
    return [
        surface
        for surface in base.model.surfaces
        if not surface.holds
        and surface.free_m >= _FREE_M
        and _HEIGHT_M[0] <= base.y_m + surface.y_m <= _HEIGHT_M[1]
        and min(_sides(surface)) >= _DEEP_M
        and max(_sides(surface)) >= _LONG_M
    ]


def _sides(surface: Surface) -> tuple[float, float]:
    return surface.x_max_m - surface.x_min_m, surface.z_max_m - surface.z_min_m


def _set_out(top: Top, surface: Surface, names: Sequence[str], rng: np.random.Generator) -> Optional[list[Placed]]:
    """The objects along the longer side of the surface; None if one of them does not fit."""
    width, depth = _sides(surface)
    middle = (surface.x_min_m + surface.x_max_m) / 2, (surface.z_min_m + surface.z_max_m) / 2
    mirror = bool(rng.integers(2))
    found: list[Placed] = []
    for number, name in enumerate(names):
        model = CATEGORIES[name].model(rng)
        wide, deep = model.size_m()
        pair, second = divmod(number, 2)
        fraction = _AT[2 * (pair % 2) + second] + rng.uniform(-_JITTER, _JITTER)
        along = min(max(1 - fraction if mirror else fraction, 0.0), 1.0) * 2 - 1
        across = rng.uniform(-_ACROSS, _ACROSS)
        u, v = (along, across) if width >= depth else (across, along)
        if wide > width or deep > depth or float(model.bounds()[1][1]) > surface.free_m:
            return None
        x, z = middle[0] + u * (width - wide) / 2, middle[1] + v * (depth - deep) / 2
        item = top.stand(surface, CATEGORIES[name], model, "", float(x), float(z), float(rng.normal(0, 0.1)))
        if item is None:
            return None
        found.append(item)
    return found
