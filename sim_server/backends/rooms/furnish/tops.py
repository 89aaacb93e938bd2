"""The surfaces of a placed piece of furniture, and what stands on them."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional, Sequence

import numpy as np

from sim_server.backends.rooms.furnish.catalogue import Category
from sim_server.backends.rooms.furnish.footprint import Footprint, overlap
from sim_server.backends.rooms.furnish.placed import ON_WALL, Placed, footprint
from sim_server.backends.rooms.furniture.model import Model, Surface
from sim_server.backends.rooms.mesh import rotation_y

_APART_M = 0.02  # least gap between two objects


class _Taken(NamedTuple):
    """A volume on the base, in its frame."""

    foot: Footprint
    low_m: float
    high_m: float


class Top:
    """Keeps account of the volumes that objects occupy on the placed object `index`, the base."""

    def __init__(self, placed: Sequence[Placed], index: int) -> None:
        self.base, self._index = placed[index], index
        base = self.base
        self._taken = [
            _Taken(_in_frame(base, item), item.y_m + item.low[1] - base.y_m, item.y_m + item.high[1] - base.y_m)
            for item in placed if item.support == index
        ]  # fmt: skip
        self._hanging = [t for t in placed if t.support == ON_WALL and t.room == base.room and t is not base]

    @property
    def is_bare(self) -> bool:
        return not self._taken

    def stand(
        self, surface: Surface, category: Category, model: Model, color: str, x: float, z: float, yaw: float
    ) -> Optional[Placed]:
        """The model on a surface at a pose in the frame of the base; None if something is in the way."""
        base = self.base
        low, high = model.bounds()
        foot = Footprint(x, z, float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2, yaw)
        low_m, high_m = surface.y_m, surface.y_m + float(high[1] - low[1])
        if any(t.low_m < high_m and t.high_m > low_m and overlap(foot, t.foot, _APART_M) for t in self._taken):
            return None
        foot_m = base.y_m + surface.y_m
        for other in self._hanging:
            reaches = other.y_m + other.low[1] < foot_m + high[1] - low[1] and other.y_m + other.high[1] > foot_m
            if reaches and overlap(foot, _in_frame(base, other), _APART_M):
                return None
        self._taken.append(_Taken(foot, low_m, high_m))
        middle = rotation_y(yaw) @ ((low + high) / 2)
        at = rotation_y(base.yaw_rad) @ np.array([x - middle[0], surface.y_m - low[1], z - middle[2]])
        world = (base.x_m + float(at[0]), base.y_m + float(at[1]), base.z_m + float(at[2]))
        return Placed(category, model, color, base.room, *world, base.yaw_rad + yaw, low, high, self._index)


def _in_frame(base: Placed, item: Placed) -> Footprint:
    """The footprint of an object in the frame of another one."""
    foot = footprint(item)
    c, s = math.cos(base.yaw_rad), math.sin(base.yaw_rad)
    dx, dz = foot.x_m - base.x_m, foot.z_m - base.z_m
    return foot._replace(x_m=c * dx - s * dz, z_m=s * dx + c * dz, yaw_rad=foot.yaw_rad - base.yaw_rad)
