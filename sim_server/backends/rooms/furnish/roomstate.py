"""State of one room during furnishing: occupied and reserved floor, and placement methods."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional, Sequence

import numpy as np

from sim_server.backends.rooms.building.plan import FloorPlan, Hole, Rect, wall_plane, wall_span
from sim_server.backends.rooms.building.wallparts import inward, wall_yaw_rad
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES, CORNER
from sim_server.backends.rooms.furnish.footprint import Footprint, overlap
from sim_server.backends.rooms.furnish.placed import ON_FLOOR, ON_WALL, Placed, footprint, put
from sim_server.backends.rooms.furnish.poses import free_pose, pose_beside
from sim_server.backends.rooms.furniture.model import Model

GAP_M = 0.07  # minimum gap between two pieces of furniture
WALL_GAP_M = 0.025
TRIES = 40
_PASSAGE_M = 0.9  # free depth in front of doors
_JOINT_M = 0.45  # free depth on either side of the joint between two spaces of a room
_FLAT_M = 0.05  # lower objects can be walked on
_REACH_M = 1.0  # objects above this height are not in the way
_WIDEST_PLANT_M = 0.85  # in homes; the named palette allows larger ones
# In homes: shapes of these kinds are scaled by up to this fraction, in both directions, so that a noun does not give a
# size away.
_HOME_SPREAD = {
    "clock": 0.5, "mirror": 0.6, "ottoman": 0.35, "picture": 0.45, "plant": 0.35, "shelf": 0.4, "trash can": 0.3,
}  # fmt: skip
_HANGING_GAP_M = 0.03
_TOUCH_M = -0.002  # gap between the units of a run


def door_zones(rect: Rect, holes: tuple[Hole, ...]) -> list[Footprint]:
    """Floor that must stay free in front of doors (including open leaves) and at joints between spaces of a room."""
    zones = []
    for hole in holes:
        if hole.kind == "window":
            continue
        start, end = hole.start_m - 0.12 * (hole.leaf < 0), hole.end_m + 0.12 * (hole.leaf > 0)
        zones.append(_before(rect, hole.wall, start, end, _JOINT_M if hole.kind == "joint" else _PASSAGE_M))
    return zones


def _before(rect: Rect, wall: int, start: float, end: float, depth: float) -> Footprint:
    """A strip of floor along a stretch of wall."""
    nx, nz = inward(wall)
    along, half, out = (start + end) / 2, (end - start) / 2, depth / 2
    plane = wall_plane(rect, wall)
    if wall < 2:
        return Footprint(plane + nx * out, along, out, half, 0.0)
    return Footprint(along, plane + nz * out, half, out, 0.0)


def inside(foot: Footprint, rect: Rect, margin_m: float = 0.015) -> bool:
    x_min, x_max, z_min, z_max = foot.bounds()
    return (
        x_min >= rect.x_min + margin_m
        and x_max <= rect.x_max - margin_m
        and z_min >= rect.z_min + margin_m
        and z_max <= rect.z_max - margin_m
    )


def blocks_window(high_m: float, foot: Footprint, rect: Rect, holes: tuple[Hole, ...]) -> bool:
    """Whether something taller than the sill is right in front of a window."""
    return any(
        hole.kind == "window"
        and high_m >= hole.low_m + 0.15
        and overlap(foot, _before(rect, hole.wall, hole.start_m, hole.end_m, 0.4))
        for hole in holes
    )


class _Taken(NamedTuple):
    number: int
    name: str
    foot: Footprint
    low_m: float
    high_m: float


class RoomState:
    """Furnishes one space of a room. Placement methods return the index in the list of placed objects, or -1."""

    def __init__(
        self,
        plan: FloorPlan,
        space: int,
        placed: list[Placed],
        left: int,
        words: tuple[str, ...],
        rng: np.random.Generator,
    ) -> None:
        self.index, self.rng, self.left = plan.room_of[space], rng, left
        self.is_wing = self.index != space
        self.rect, self.holes = plan.rects[space], plan.holes[space]
        self.kind = plan.rooms[self.index].category
        self.home = {room.category for room in plan.rooms}  # kinds of all its rooms
        self.ceiling_m = plan.rooms[self.index].ceiling_y_m
        self.placed, self._words = placed, words
        self.doors = door_zones(self.rect, self.holes)
        self.reserved: frozenset[str] = frozenset()  # categories of which a wish determines the number
        self._taken: list[_Taken] = []
        self._clearances: list[Footprint] = []

    def wants(self, name: str) -> bool:
        """Whether the category is allowed and the object count is not reached."""
        return self.left > 0 and self.allows(name)

    def allows(self, name: str) -> bool:
        """Whether the spec allows the category, and no wish determines its number."""
        return name not in self.reserved and (not self._words or name in self._words)

    def is_listed(self, name: str) -> bool:
        """Whether the spec lists the category."""
        return name in self._words

    def shape(self, name: str) -> Model:
        """A model of one of the category's shapes."""
        model = CATEGORIES[name].model(self.rng)
        if name in _HOME_SPREAD:
            most = math.log1p(_HOME_SPREAD[name])
            model.scale(math.exp(self.rng.uniform(-most, most)))
        if name == "plant" and max(model.size_m()) > _WIDEST_PLANT_M:
            model.scale(_WIDEST_PLANT_M / max(model.size_m()))
        return model

    def area_m2(self) -> float:
        return (self.rect.x_max - self.rect.x_min) * (self.rect.z_max - self.rect.z_min)

    def add(
        self,
        name: str,
        model: Model,
        x: float,
        z: float,
        yaw: float,
        y: float = 0.0,
        support: int = ON_FLOOR,
        look: int = -1,
        gap_m: float = GAP_M,
        grouped: bool = False,
        at_window: bool = False,
    ) -> int:
        """Place the model with the centre of its box over (x, z), if it fits.

        A `grouped` object belongs to one that is already there: it may be in that one's clearance and has none itself.
        """
        if not self.wants(name):
            return -1
        low, high = model.bounds()
        foot = Footprint(float(x), float(z), float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2, float(yaw))
        top = y + float(high[1] - low[1])
        before = None if support == ON_WALL else self._clearance(name, foot)
        if not self._fits(foot, y, top, gap_m, None if grouped else before, grouped, at_window, support):
            return -1
        if before is not None and not grouped:
            self._clearances.append(before)
        index = len(self.placed)
        self.placed.append(put(CATEGORIES[name], model, "", self.index, foot, y, support, look))
        self._taken.append(_Taken(index, name, foot, y, top))
        self.left -= 1
        return index

    def put_on(self, name: str, model: Model, foot: Footprint, y: float, base: int, look: int = -1) -> int:
        """Place an object on another one; later objects keep clear of it. Only small ones do not count."""
        index = len(self.placed)
        top = y + float(model.bounds()[1][1] - model.bounds()[0][1])
        self._taken.append(_Taken(index, name, foot, y, top))
        self.placed.append(put(CATEGORIES[name], model, "", self.index, foot, y, base, look))
        self.left -= not CATEGORIES[name].small
        return index

    def _clearance(self, name: str, foot: Footprint) -> Optional[Footprint]:
        reach = CATEGORIES[name].clearance_m / 2
        if not reach:
            return None
        out = foot.half_z_m + reach
        x, z = foot.x_m + math.sin(foot.yaw_rad) * out, foot.z_m + math.cos(foot.yaw_rad) * out
        return Footprint(x, z, foot.half_x_m - 0.01, reach - 0.005, foot.yaw_rad)

    def _fits(
        self,
        foot: Footprint,
        low: float,
        high: float,
        gap_m: float,
        before: Optional[Footprint],
        grouped: bool,
        at_window: bool,
        support: int,
    ) -> bool:
        if high > self.ceiling_m - 0.05 or not inside(foot, self.rect, 0.001 if support == ON_WALL else 0.015):
            return False
        if not at_window and high > 0 and blocks_window(high, foot, self.rect, self.holes):
            return False
        in_the_way = high > _FLAT_M and low < _REACH_M
        if low < 2.1 and high > _FLAT_M and any(overlap(foot, zone) for zone in self.doors):
            return False
        if in_the_way and not grouped and any(overlap(foot, zone) for zone in self._clearances):
            return False
        for other in self._taken:
            if other.number == support:
                continue
            if low < other.high_m and other.low_m < high and overlap(foot, other.foot, gap_m):
                return False
            in_its_way = other.high_m > _FLAT_M and other.low_m < _REACH_M
            if before is not None and in_its_way and overlap(before, other.foot):
                return False
        return True

    def walls(self) -> list[int]:
        """The four walls in a random order that favours longer ones."""
        length = np.array([wall_span(self.rect, w)[1] - wall_span(self.rect, w)[0] for w in range(4)])
        return [int(w) for w in np.argsort(-length * self.rng.uniform(0.7, 1.3, 4), kind="stable")]

    def at_wall(
        self,
        name: str,
        model: Model,
        walls: Optional[Sequence[int]] = None,
        near: Optional[float] = None,
        corner: bool = False,
        y: float = 0.0,
        support: int = ON_FLOOR,
        look: int = -1,
        gap_m: float = GAP_M,
        at_window: bool = False,
        exact: bool = False,
    ) -> int:
        """Place the model with its back against one of `walls`: near a position along it or `exact`ly there, in a
        corner, or anywhere."""
        if not self.wants(name):
            return -1
        low, high = model.bounds()
        half_x, half_z = float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2
        out = half_z + (0.004 if support == ON_WALL else WALL_GAP_M)
        for wall in self.walls() if walls is None else walls:
            start, end = wall_span(self.rect, wall)
            if end - start < 2 * half_x + 0.04:
                continue
            first, last = start + half_x + 0.02, end - half_x - 0.02
            if near is not None:
                spots = [min(max(near + s, first), last) for s in (0.0, 0.15, -0.15, 0.35, -0.35, 0.6, -0.6)]
                spots = [near] * (first <= near <= last) if exact else spots
            elif corner:
                spots = [first, last] if self.rng.random() < 0.5 else [last, first]
            else:
                spots = [(first + last) / 2, first, last, *self.rng.uniform(first, last, 7)]
                if self.rng.random() < 0.5:
                    spots = spots[1:]
            plane = wall_plane(self.rect, wall)
            nx, nz = inward(wall)
            for along in spots:
                x, z = (plane + nx * out, along) if wall < 2 else (along, plane + nz * out)
                index = self.add(
                    name, model, x, z, wall_yaw_rad(wall), y, support, look, gap_m, at_window=at_window
                )  # fmt: skip
                if index >= 0:
                    return index
        return -1

    def hang(
        self,
        name: str,
        model: Model,
        y: float,
        walls: Optional[Sequence[int]] = None,
        near: Optional[float] = None,
        look: int = -1,
        at_window: bool = False,
        exact: bool = False,
    ) -> int:
        """Hang the model on a wall with its lowest point at `y`."""
        return self.at_wall(name, model, walls, near, False, y, ON_WALL, look, _HANGING_GAP_M, at_window, exact)

    def hang_over(self, name: str, model: Model, index: int, above_m: float, least_y: float = 0.0) -> int:
        """Hang the model on the wall behind a placed object, `above_m` above its top."""
        wall, along = self.wall_of(index)
        top = self.placed[index].y_m + float(self.placed[index].high[1])
        return self.hang(name, model, max(top + above_m, least_y), walls=[wall], near=along)

    def wall_of(self, index: int) -> tuple[int, float]:
        """The wall behind a placed object, and the position along it."""
        foot = footprint(self.placed[index])
        wall = min(range(4), key=lambda w: abs(math.remainder(wall_yaw_rad(w) - foot.yaw_rad, 2 * math.pi)))
        return wall, foot.z_m if wall < 2 else foot.x_m

    def beside(
        self,
        name: str,
        model: Model,
        index: int,
        u: float,
        v: float,
        turn: float,
        y: float = 0.0,
        support: int = ON_FLOOR,
        look: int = -1,
        gap_m: float = GAP_M,
        at_window: bool = False,
    ) -> int:
        """Place the model at (u, v) in the frame of a placed object's footprint, rotated by `turn` relative to it."""
        foot = footprint(self.placed[index])
        c, s = math.cos(foot.yaw_rad), math.sin(foot.yaw_rad)
        x, z = foot.x_m + c * u + s * v, foot.z_m - s * u + c * v
        return self.add(name, model, x, z, foot.yaw_rad + turn, y, support, look, gap_m, True, at_window)

    def scatter(self, name: str, shape: Optional[Model] = None, look: int = -1) -> int:
        """Place the category beside related furniture if there is any, else following category.place."""
        category, model = CATEGORIES[name], shape or self.shape(name)
        low, high = model.bounds()
        half_x, half_z = float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2
        anchors = [(t.name, t.foot) for t in self._taken if t.name in category.beside]
        for attempt in range(TRIES):
            grouped = bool(anchors) and attempt < TRIES // 2
            if grouped:
                x, z, yaw = pose_beside(half_x, half_z, anchors, self.rng)
            elif category.place == CORNER:
                x, z, yaw = self._in_corner(half_x, half_z)
            else:
                x, z, yaw = free_pose(category, self.rect, half_x, half_z, self.rng)
            index = self.add(name, model, x, z, yaw, look=look, grouped=grouped)
            if index >= 0:
                return index
        return -1

    def _in_corner(self, half_x: float, half_z: float) -> tuple[float, float, float]:
        """A pose (x, z, yaw) in a corner or along a wall that faces the middle."""
        rect, rng = self.rect, self.rng
        reach = max(half_x, half_z) * 1.1 + 0.04
        room = np.array([rect.x_max - rect.x_min, rect.z_max - rect.z_min]) - 2 * reach
        slide = rng.uniform(0, 0.12, 2)
        if rng.random() < 0.4:
            slide[int(rng.integers(2))] = rng.uniform(0, 0.5) * max(float(room.max()), 0.0)
        sx, sz = rng.choice([-1, 1], 2)
        x = rect.x_min + reach + slide[0] if sx < 0 else rect.x_max - reach - slide[0]
        z = rect.z_min + reach + slide[1] if sz < 0 else rect.z_max - reach - slide[1]
        middle = (rect.x_min + rect.x_max) / 2 - x, (rect.z_min + rect.z_max) / 2 - z
        return float(x), float(z), math.atan2(*middle) + float(rng.normal(0, 0.15))

    def stretches(self, depth_m: float) -> list[tuple[int, float, float]]:
        """Free stretches of the walls, longest first: wall, start, end. Doors interrupt them, windows do not."""
        out = []
        for wall in range(4):
            start, end = wall_span(self.rect, wall)
            strip = _before(self.rect, wall, start, end, depth_m)
            blocked = []
            for zone in [*self.doors, *(t.foot for t in self._taken)]:
                if overlap(strip, zone):
                    corners = zone.corners()[:, 1 if wall < 2 else 0]
                    blocked.append((float(corners.min()), float(corners.max())))
            at = start + 0.02
            for low, high in [*sorted(blocked), (end - 0.02, end)]:
                if low > at:
                    out.append((wall, at, low))
                at = max(at, high)
        return sorted(out, key=lambda s: s[1] - s[2])

    def run(self, name: str, model: Model, wall: int, start: float, look: int, y: float = 0.0) -> tuple[int, float]:
        """Place a unit that begins at `start` along a wall and touches its neighbour; also return where it ends."""
        low, high = model.bounds()
        width, half_z = float(high[0] - low[0]), float(high[2] - low[2]) / 2
        along = start + width / 2
        plane, (nx, nz) = wall_plane(self.rect, wall), inward(wall)
        hanging = y > 0
        out = half_z + (0.004 if hanging else WALL_GAP_M)
        x, z = (plane + nx * out, along) if wall < 2 else (along, plane + nz * out)
        index = self.add(
            name, model, x, z, wall_yaw_rad(wall), y, ON_WALL if hanging else ON_FLOOR, look, _TOUCH_M,
            grouped=hanging, at_window=not hanging and name == "sink",
        )  # fmt: skip
        return index, start + width
