"""A furniture model put into the world."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.furnish.catalogue import Category
from sim_server.backends.rooms.furnish.footprint import Footprint
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import rotation_y

ON_FLOOR, ON_WALL = -1, -2  # supports that are no object


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
    support: int  # index into the list of placed things, or ON_FLOOR, ON_WALL
    look: int = -1  # things of one look have the same materials; -1: its own


def triangles(thing: Placed) -> NDArray[np.float32]:
    """The mesh in the world, float32 [T, 3, 3], corner by corner."""
    corners = np.concatenate([part.positions[part.faces] for part, _ in thing.model.parts])
    turned = corners @ rotation_y(thing.yaw_rad).T.astype(np.float32)
    return turned + np.array([thing.x_m, thing.y_m, thing.z_m], np.float32)


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
    """The model with the middle of its box over the middle of `foot`, its lowest point at `y_m`."""
    low, high = model.bounds()
    middle = (low + high) / 2
    offset = rotation_y(foot.yaw_rad) @ np.array([middle[0], 0.0, middle[2]])
    x, z = foot.x_m - float(offset[0]), foot.z_m - float(offset[2])
    return Placed(category, model, color, room, x, y_m - float(low[1]), z, foot.yaw_rad, low, high, support, look)


def footprint(thing: Placed) -> Footprint:
    """The rectangle of the thing's box on the floor."""
    middle, half = (thing.low + thing.high) / 2, (thing.high - thing.low) / 2
    x, _, z = rotation_y(thing.yaw_rad) @ middle + np.array([thing.x_m, thing.y_m, thing.z_m])
    return Footprint(float(x), float(z), float(half[0]), float(half[2]), thing.yaw_rad)
