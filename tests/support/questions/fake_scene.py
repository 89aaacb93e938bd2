"""A small analytic backend for tests: coloured oriented boxes in one room, ray cast with numpy."""

from __future__ import annotations

import math
from typing import Sequence

import msgspec
import numpy as np

from protocol.seeds import rng_for
from protocol.tasks.scene import Camera, Change, OrientedBox, Pose, Room, SceneDescription, SceneObject, SceneSpec, Vec3
from sim_server.backends.base import Frames
from sim_server.questions.geometry import box_distance_m, rotation_matrix

COLORS = ("red", "green", "blue", "yellow", "purple", "orange")
CATEGORIES = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
SMALL_CATEGORIES = ("cup", "vase", "bottle", "bowl")
ROOM_HALF_M = 3.0
CEILING_M = 2.6


def _directions(camera: Camera) -> np.ndarray:
    """Rays through pixel centres in the camera's frame with unit depth, [H * W, 3]."""
    focal = camera.width_px / 2 / math.tan(camera.hfov_rad / 2)
    x = (np.arange(camera.width_px) + 0.5 - camera.width_px / 2) / focal
    y = (camera.height_px / 2 - np.arange(camera.height_px) - 0.5) / focal
    grid_x, grid_y = np.meshgrid(x, y)
    return np.stack([grid_x, grid_y, -np.ones_like(grid_x)], -1).reshape(-1, 3)


def hit_depths(pose: Pose, camera: Camera, box: OrientedBox) -> np.ndarray:
    """z-depth at which each pixel's ray enters the box, inf if it misses, [H * W]."""
    rays = _directions(camera) @ rotation_matrix(pose.rotation_wxyz).T
    turn = rotation_matrix(box.rotation_wxyz)
    origin = (np.asarray(pose.position_m) - np.asarray(box.centre_m)) @ turn
    local = rays @ turn
    local = np.where(np.abs(local) < 1e-12, 1e-12, local)
    half = np.asarray(box.half_extents_m)
    first, second = (-half - origin) / local, (half - origin) / local
    enter, leave = np.minimum(first, second).max(1), np.maximum(first, second).min(1)
    return np.where((enter < leave) & (enter > 1e-3), enter, np.inf)


def wall_depths(pose: Pose, camera: Camera) -> np.ndarray:
    """z-depth at which each pixel's ray meets the room's walls, floor or ceiling, [H * W]."""
    rays = _directions(camera) @ rotation_matrix(pose.rotation_wxyz).T
    rays = np.where(np.abs(rays) < 1e-12, 1e-12, rays)
    eye = np.asarray(pose.position_m)
    low, high = np.array([-ROOM_HALF_M, 0.0, -ROOM_HALF_M]), np.array([ROOM_HALF_M, CEILING_M, ROOM_HALF_M])
    return np.maximum((low - eye) / rays, (high - eye) / rays).min(1)


def _small_on(
    base: SceneObject, count: int, names: set[tuple[str, str]], rng: np.random.Generator
) -> list[SceneObject]:
    """Two small boxes on a box, left and right of its centre, with the ids after `count`."""
    found: list[SceneObject] = []
    turn = rotation_matrix(base.box.rotation_wxyz)
    for side in (-0.6, 0.6):
        half = tuple(float(value) for value in rng.uniform((0.05, 0.07, 0.05), (0.09, 0.16, 0.08)))
        offset = turn @ [side * base.box.half_extents_m[0], base.box.half_extents_m[1] + half[1], 0.0]
        name = (COLORS[int(rng.integers(6))], SMALL_CATEGORIES[int(rng.integers(len(SMALL_CATEGORIES)))])
        if name in names:
            continue
        names.add(name)
        box = OrientedBox(tuple(np.add(base.box.centre_m, offset).tolist()), half, base.box.rotation_wxyz)
        found.append(SceneObject(count + len(found) + 1, name[1], box, name[0], base.room_id, support_id=base.id))
    return found


class FakeScene:
    """`objects` boxes of random category, colour and size on the floor of a 6 x 6 m room, none sharing both words.

    With rooms=2 the floor is two rooms that meet at x = 0 without a wall; with clutter each object carries two small
    things.
    """

    def __init__(self, spec: SceneSpec, objects: Sequence[SceneObject] | None = None) -> None:
        self.spec = spec
        self.renders = 0
        chosen = tuple(objects) if objects is not None else self._furnish(spec)
        half = ROOM_HALF_M
        edges = (-half, 0.0, half) if spec.rooms == 2 else (-half, half)
        rooms = tuple(
            Room(index + 1, "living room", ((x0, -half), (x1, -half), (x1, half), (x0, half)), 0.0, CEILING_M)
            for index, (x0, x1) in enumerate(zip(edges, edges[1:]))
        )
        self.description = SceneDescription(f"fake-{spec.seed}", "fake", rooms, (), chosen, 30.0)

    @staticmethod
    def _furnish(spec: SceneSpec) -> tuple[SceneObject, ...]:
        rng = rng_for(spec.seed, "fake")
        count = int(rng.integers(spec.min_objects, spec.max_objects + 1))
        categories = spec.categories or CATEGORIES
        placed: list[SceneObject] = []
        names: set[tuple[str, str]] = set()
        for _ in range(2000):
            if len(placed) == count:
                break
            half = tuple(float(value) for value in rng.uniform((0.2, 0.2, 0.2), (0.7, 0.6, 0.5)))
            x, z = (float(value) for value in rng.uniform(-ROOM_HALF_M + 0.8, ROOM_HALF_M - 0.8, 2))
            yaw = float(rng.uniform(-math.pi, math.pi))
            box = OrientedBox((x, half[1], z), half, (math.cos(yaw / 2), 0.0, math.sin(yaw / 2), 0.0))
            name = (COLORS[int(rng.integers(6))], categories[int(rng.integers(len(categories)))])
            if name in names or any(box_distance_m(box, other.box) < 0.1 for other in placed):
                continue
            names.add(name)
            front = (math.sin(yaw), 0.0, math.cos(yaw))
            room = 2 if spec.rooms == 2 and x > 0 else 1
            placed.append(SceneObject(len(placed) + 1, name[1], box, name[0], room, front=front))
        for base in tuple(placed) if spec.clutter else ():
            placed += _small_on(base, len(placed), names, rng)
        return tuple(placed)

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        self.renders += len(poses)
        height, width = camera.height_px, camera.width_px
        depth = np.zeros((len(poses), height, width), np.float32)
        ids = np.zeros((len(poses), height, width), np.int32)
        amodal: list[dict[int, int]] = []
        for index, pose in enumerate(poses):
            layers = [hit_depths(pose, camera, item.box) for item in self.description.objects]
            stack = np.stack([wall_depths(pose, camera), *layers])
            owner = stack.argmin(0)
            keys = np.array([0, *(item.id for item in self.description.objects)])
            ids[index] = keys[owner].reshape(height, width)
            depth[index] = stack.min(0).reshape(height, width)
            amodal.append(
                {item.id: int(np.isfinite(layer).sum()) for item, layer in zip(self.description.objects, layers)}
            )
        rgb = np.stack([ids * 37 % 256, ids * 59 % 256, ids * 83 % 256], -1).astype(np.uint8)
        return Frames(
            tuple(poses),
            camera,
            rgb if "rgb" in sensors else None,
            depth if "depth" in sensors else None,
            ids if "ids" in sensors else None,
            amodal if "amodal" in sensors else None,
        )

    def is_navigable(self, point_m: Vec3) -> bool:
        x, _, z = point_m
        if max(abs(x), abs(z)) > ROOM_HALF_M - 0.3:
            return False
        body = OrientedBox((x, 0.5, z), (0.05, 0.5, 0.05))
        return all(box_distance_m(body, item.box) > 0.25 for item in self.description.objects if not item.support_id)

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        while True:
            x, z = rng.uniform(-ROOM_HALF_M, ROOM_HALF_M, 2)
            if self.is_navigable((float(x), 0.0, float(z))):
                return (float(x), 0.0, float(z))

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        return [start_m, goal_m]

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        return math.dist(start_m, goal_m)

    def edited(self, changes: Sequence[Change]) -> FakeScene:
        gone = {change.object_id for change in changes if change.moved_to_m is None}
        moved = {change.object_id: change.moved_to_m for change in changes}
        kept = [item for item in self.description.objects if item.id not in gone]
        objects = [
            msgspec.structs.replace(item, box=msgspec.structs.replace(item.box, centre_m=moved[item.id]))
            if item.id in moved
            else item
            for item in kept
        ]
        return FakeScene(self.spec, objects)

    def close(self) -> None:
        pass
