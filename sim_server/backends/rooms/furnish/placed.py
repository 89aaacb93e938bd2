"""Furniture models placed in the world."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.furnish.catalogue import Category
from sim_server.backends.rooms.furnish.footprint import Footprint
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import rotation_y

ON_FLOOR, ON_WALL = -1, -2  # supports that are not objects


class Placed(NamedTuple):
    """A model placed in the world. low, high float64 [3]: its bounds in its own frame."""

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
    support: int  # index of the placed object that carries it, or ON_FLOOR, ON_WALL
    look: int = -1  # objects with the same look have the same materials; -1: materials of its own


def triangles(item: Placed) -> NDArray[np.float32]:
    """The mesh in the world frame, float32 [T, 3, 3] (triangle, corner, coordinate)."""
    corners = np.concatenate([part.positions[part.faces] for part, _ in item.model.parts])
    turned = corners @ rotation_y(item.yaw_rad).T.astype(np.float32)
    return turned + np.array([item.x_m, item.y_m, item.z_m], np.float32)


def put(
    category: Category,
    model: Model,
    color: str,
    room: int,
    foot: Footprint,
    y_m: float,
    support: int,
    look: int = -1,
) -> Placed:
    """The model with the centre of its box over the centre of `foot` and its lowest point at `y_m`."""
    low, high = model.bounds()
    middle = (low + high) / 2
    offset = rotation_y(foot.yaw_rad) @ np.array([middle[0], 0.0, middle[2]])
    x, z = foot.x_m - float(offset[0]), foot.z_m - float(offset[2])
    return Placed(category, model, color, room, x, y_m - float(low[1]), z, foot.yaw_rad, low, high, support, look)


def footprint(item: Placed) -> Footprint:
    """The object's box projected onto the floor."""
    middle, half = (item.low + item.high) / 2, (item.high - item.low) / 2
    x, _, z = rotation_y(item.yaw_rad) @ middle + np.array([item.x_m, item.y_m, item.z_m])
    return Footprint(float(x), float(z), float(half[0]), float(half[2]), item.yaw_rad)
