"""An open scene: generated once from its spec, then rendered and walked through."""

from __future__ import annotations

import math
import threading
from typing import Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.scene import Camera, Change, OrientedBox, Pose, SceneDescription, SceneObject, SceneSpec, Vec3
from protocol.seeds import rng_for
from sim_server.backends.base import SENSORS, Frames
from sim_server.backends.rooms import raster, shade, textures
from sim_server.backends.rooms.clutter import add_clutter
from sim_server.backends.rooms.geometry import Geometry, GeometryBuilder, shading_table
from sim_server.backends.rooms.lighting import light_scene
from sim_server.backends.rooms.materials import slot_materials
from sim_server.backends.rooms.mesh import rotation_y
from sim_server.backends.rooms.place import free_floor, furnish_reachable
from sim_server.backends.rooms.placed import Placed
from sim_server.backends.rooms.plan import make_plan
from sim_server.backends.rooms.shell import light_position, shell_parts
from sim_server.backends.rooms.solids import in_wall, object_around
from sim_server.backends.rooms.style import make_style

_BOX_SLACK_M = 1e-4  # a box must contain its float32 mesh
_TONE = shade.tone_table()


def view_axes(pose: Pose) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Eye position [3] and rows right, up, forward [3, 3] of a pose, world frame.

    Raises VantageError("bad_request") for a pose that is not finite or has a rotation of length 0.
    """
    values = np.array([*pose.position_m, *pose.rotation_wxyz], np.float64)
    norm = float(np.linalg.norm(values[3:]))
    if not np.isfinite(values).all() or norm < 1e-6:
        raise VantageError(
            "bad_request", "a pose must hold finite numbers and a rotation quaternion of length 1: correct it."
        )
    w, x, y, z = values[3:] / norm
    right = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    up = (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
    back = np.array((2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)))
    return values[:3].astype(np.float32), np.array([right, up, -back], np.float32)


def _yaw_quaternion(yaw_rad: float) -> tuple[float, float, float, float]:
    return (math.cos(yaw_rad / 2), 0.0, math.sin(yaw_rad / 2), 0.0)


class _Scratch(threading.local):
    """Buffers of one thread, by image size."""

    def __init__(self) -> None:
        self.by_size: dict[tuple[int, int], tuple[NDArray[np.float32], NDArray[np.int32]]] = {}
        self.vertices: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def image(self, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        if (height, width) not in self.by_size:
            if len(self.by_size) >= 6:
                self.by_size.clear()
            self.by_size[height, width] = (np.empty((height, width), np.float32), np.empty((height, width), np.int32))
        return self.by_size[height, width]

    def vertex(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self.vertices is None or len(self.vertices[0]) < count:
            self.vertices = (np.empty((count, 3), np.float32), np.empty((count, 3), np.float32))
        return self.vertices


_scratch = _Scratch()


class RoomsScene:
    """A procedural home, its colours anti-aliased.

    Rendering may be called from several threads at once.
    """

    def __init__(self, spec: SceneSpec, changes: Sequence[Change] = ()) -> None:
        self.spec = spec
        self._changes = tuple(changes)
        seed = spec.seed
        plan = make_plan(spec, rng_for(seed, "rooms", "plan"))
        placed, self._navigation = furnish_reachable(spec, plan, rng_for(seed, "rooms", "furniture"))
        placed += add_clutter(spec, placed, rng_for(seed, "rooms", "clutter"))
        gone: set[int] = set()
        if changes:
            gone = _change(placed, changes)
            self._navigation = free_floor(plan, [thing for index, thing in enumerate(placed) if index not in gone])
        look = rng_for(seed, "rooms", "look")
        lamps = [light_position(plan, k, look) for k in range(len(plan.rects))]
        style = make_style(spec, [room.category for room in plan.rooms], look)
        builder = GeometryBuilder()
        for parts in shell_parts(plan, lamps, style):
            builder.add(0, parts)
        objects = []
        for index, thing in enumerate(placed):
            source = look if thing.look < 0 else rng_for(seed, "rooms", "look", thing.look)
            materials = slot_materials(thing.model.kinds, thing.color, source)
            if index in gone:  # its draws are made all the same, so that nothing else looks different
                continue
            parts = [(part, materials[slot]) for part, slot in thing.model.parts]
            builder.add(index + 1, parts, rotation_y(thing.yaw_rad), (thing.x_m, thing.y_m, thing.z_m))
            objects.append(_describe(index + 1, thing))
        self._plan = plan
        self._highest_id = len(placed)
        self._geometry = builder.build()
        self._light = light_scene(self._geometry, plan, spec, lamps)
        self._shading = shading_table(self._geometry, self._light.vertex)
        self.description = SceneDescription(
            scene_id=f"rooms-{seed}",
            backend="rooms",
            rooms=plan.rooms,
            openings=plan.openings,
            objects=tuple(objects),
            navigable_area_m2=self._navigation.area_m2,
        )

    @property
    def geometry(self) -> Geometry:
        """Its triangles, for exporters."""
        return self._geometry

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        """See backends/base.py. Raises VantageError("bad_request") for an unknown sensor, a pose that is not finite, or
        a camera inside a wall or an object. Outside the home a camera may stand: it looks through the walls."""
        unknown = [s for s in sensors if s not in SENSORS]
        if unknown:
            raise VantageError("bad_request", f"unknown sensor {unknown[0]!r}: choose among {', '.join(SENSORS)}.")
        count, height, width = len(poses), camera.height_px, camera.width_px
        frames = Frames(poses=tuple(poses), camera=camera)
        if "rgb" in sensors:
            frames.rgb = np.empty((count, height, width, 3), np.uint8)
        if "amodal" in sensors:
            frames.amodal = []
        depth = np.empty((count, height, width), np.float32)
        ids = np.empty((count, height, width), np.int32)
        for k, pose in enumerate(poses):
            self._render_view(pose, camera, frames, k, depth[k], ids[k], "depth" in sensors or "ids" in sensors)
        frames.depth = depth if "depth" in sensors else None
        frames.ids = ids if "ids" in sensors else None
        return frames

    def _render_view(
        self,
        pose: Pose,
        camera: Camera,
        frames: Frames,
        k: int,
        depth: NDArray[np.float32],
        ids: NDArray[np.int32],
        with_depth: bool,
    ) -> None:
        g, lit = self._geometry, self._light
        eye, axes = view_axes(pose)
        self._refuse_solid(eye)
        height, width = depth.shape
        tan_x = np.float32(math.tan(camera.hfov_rad / 2))
        tan_y = np.float32(math.tan(camera.hfov_rad / 2) * height / width)
        focal = np.float32(width / 2 / math.tan(camera.hfov_rad / 2))
        in_camera, on_screen = _scratch.vertex(len(g.positions))
        order = raster.visible_chunks(g.chunk_low, g.chunk_high, eye, axes, tan_x, tan_y)
        order = np.concatenate([order[g.chunk_object[order] == 0], order[g.chunk_object[order] > 0]])  # walls hide most
        mesh = (g.positions, g.faces, g.chunk_faces, g.chunk_vertices)
        view = (g.chunk_low, g.chunk_high, eye, axes)
        if frames.rgb is not None:
            fine = shade.SAMPLES
            inverse_depth, seen = _scratch.image(height * fine, width * fine)
            raster.draw(
                order,
                *mesh,
                *view,
                focal * np.float32(fine),
                raster.CULL_BACK,
                inverse_depth,
                seen,
                in_camera,
                on_screen,
            )
            shade.shade(
                inverse_depth, seen, g.face_key, self._shading, g.face_material, g.material_pattern,
                g.material_values, textures.bank(), lit.face_rectangle, lit.rectangle_maps, lit.rectangle_texels,
                lit.atlas, lit.outside, lit.glow, eye, axes, tan_x, tan_y, _TONE, frames.rgb[k],
            )  # fmt: skip
        inverse_depth, seen = _scratch.image(height, width)
        if with_depth:
            raster.draw(order, *mesh, *view, focal, raster.CULL_BACK, inverse_depth, seen, in_camera, on_screen)
            shade.depth_and_ids(inverse_depth, seen, g.face_object, depth, ids)
        if frames.amodal is not None:
            counts = raster.count_unoccluded(
                order,
                g.chunk_object,
                self._highest_id,
                *mesh,
                eye,
                axes,
                focal,
                inverse_depth,
                seen,
                in_camera,
                on_screen,
            )
            frames.amodal.append({int(i): int(counts[i]) for i in np.flatnonzero(counts)})

    def _refuse_solid(self, eye: NDArray[np.float32]) -> None:
        around = object_around(self._geometry, eye)
        at_m = (float(eye[0]), float(eye[1]), float(eye[2]))
        if around or in_wall(self._plan, at_m):
            names = {item.id: item.category for item in self.description.objects}
            thing = f"object {around} ({names[around]})" if around else "a wall"
            where = ", ".join(f"{v:.2f}" for v in at_m)
            raise VantageError(
                "bad_request", f"the camera at ({where}) m is inside {thing}: place it in free space of a room."
            )

    def is_navigable(self, point_m: Vec3) -> bool:
        """Whether an agent of 0.2 m radius can stand at the point's x and z."""
        return self._navigation.is_free(point_m[0], point_m[2])

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        x, z = self._navigation.sample(rng)
        return (x, 0.0, z)

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        return self._navigation.path(start_m, goal_m)

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        way = self.path(start_m, goal_m)
        if not way:
            return math.inf
        return float(sum(math.dist(a, b) for a, b in zip(way, way[1:])))

    def edited(self, changes: Sequence[Change]) -> RoomsScene:
        """See backends/base.py. Made anew from the spec, shadows included."""
        return RoomsScene(self.spec, (*self._changes, *changes))

    def close(self) -> None:
        """Nothing to release: a scene is plain memory."""


def _change(placed: list[Placed], changes: Sequence[Change]) -> set[int]:
    """Moves what is moved; indices of what is taken away."""
    gone: set[int] = set()
    for change in changes:
        index = change.object_id - 1
        if not 0 <= index < len(placed) or index in gone:
            raise VantageError("bad_request", f"there is no object {change.object_id} to change in this scene.")
        if any(thing.support == index for thing in placed):
            raise VantageError("bad_request", f"object {change.object_id} carries others: change those first.")
        if change.moved_to_m is None:
            gone.add(index)
            continue
        thing = placed[index]
        x, y, z = np.subtract(change.moved_to_m, _describe(index + 1, thing).box.centre_m).tolist()
        placed[index] = thing._replace(x_m=thing.x_m + x, y_m=thing.y_m + y, z_m=thing.z_m + z)
    return gone


def _describe(object_id: int, thing: Placed) -> SceneObject:
    middle, half = (thing.low + thing.high) / 2, (thing.high - thing.low) / 2 + _BOX_SLACK_M
    centre = rotation_y(thing.yaw_rad) @ middle + np.array([thing.x_m, thing.y_m, thing.z_m])
    front = (math.sin(thing.yaw_rad), 0.0, math.cos(thing.yaw_rad)) if thing.category.has_front else None
    return SceneObject(
        id=object_id,
        category=thing.category.name,
        box=OrientedBox(
            (float(centre[0]), float(centre[1]), float(centre[2])),
            (float(half[0]), float(half[1]), float(half[2])),
            _yaw_quaternion(thing.yaw_rad),
        ),
        color=thing.color,
        room_id=thing.room + 1,
        support_id=thing.support + 1,
        front=front,
    )
