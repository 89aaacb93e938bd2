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


def overlap(a: Footprint, b: Footprint, gap_m: float = 0.0) -> bool:
    """Whether two rectangles, `gap_m` apart at least, overlap (separating axes of both)."""
    dx, dz = b.x_m - a.x_m, b.z_m - a.z_m
    around = math.hypot(a.half_x_m, a.half_z_m) + math.hypot(b.half_x_m, b.half_z_m) + gap_m
    if dx * dx + dz * dz >= around * around:
        return False
    for yaw in (a.yaw_rad, b.yaw_rad):
        for ax, az in ((math.cos(yaw), -math.sin(yaw)), (math.sin(yaw), math.cos(yaw))):
            reach = gap_m
            for f in (a, b):
                c, s = math.cos(f.yaw_rad), math.sin(f.yaw_rad)
                reach += f.half_x_m * abs(ax * c - az * s) + f.half_z_m * abs(ax * s + az * c)
            if abs(dx * ax + dz * az) >= reach:
                return False
    return True
