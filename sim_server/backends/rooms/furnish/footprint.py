"""Rectangles on the floor, and whether they overlap."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Footprint(NamedTuple):
    """A rectangle on the floor: centre, half sizes along its own axes, yaw."""

    x_m: float
    z_m: float
    half_x_m: float
    half_z_m: float
    yaw_rad: float

    def corners(self) -> NDArray[np.float64]:
        c, s = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        a, b = self.half_x_m, self.half_z_m
        signs = ((-a, -b), (a, -b), (a, b), (-a, b))
        return np.array([(self.x_m + c * u + s * v, self.z_m - s * u + c * v) for u, v in signs])

    def bounds(self) -> tuple[float, float, float, float]:
        """x_min, x_max, z_min, z_max."""
        c, s = abs(math.cos(self.yaw_rad)), abs(math.sin(self.yaw_rad))
        a, b = self.half_x_m, self.half_z_m
        return self.x_m - c * a - s * b, self.x_m + c * a + s * b, self.z_m - s * a - c * b, self.z_m + s * a + c * b


def overlap(a: Footprint, b: Footprint, gap_m: float = 0.0) -> bool:
    """Whether two rectangles overlap or are less than `gap_m` apart (separating-axis test)."""
    dx, dz = b.x_m - a.x_m, b.z_m - a.z_m
    around = math.hypot(a.half_x_m, a.half_z_m) + math.hypot(b.half_x_m, b.half_z_m) + gap_m
    if dx * dx + dz * dz >= around * around:
        return False
    ca, sa, cb, sb = math.cos(a.yaw_rad), math.sin(a.yaw_rad), math.cos(b.yaw_rad), math.sin(b.yaw_rad)
    for ax, az in ((ca, -sa), (sa, ca), (cb, -sb), (sb, cb)):
        reach = gap_m
        reach += a.half_x_m * abs(ax * ca - az * sa) + a.half_z_m * abs(ax * sa + az * ca)
        reach += b.half_x_m * abs(ax * cb - az * sb) + b.half_z_m * abs(ax * sb + az * cb)
        if abs(dx * ax + dz * az) >= reach:
            return False
    return True
