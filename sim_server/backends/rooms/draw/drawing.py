"""Draws lit triangles from poses: colour, depth, ids, normals, unoccluded pixels. Scenes that are made and scenes that
are read back from an export go through the same code."""

from __future__ import annotations

import math
import threading
from typing import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneDescription
from sim_server.backends.base import ALL_SENSORS, Frames, TopDown
from sim_server.backends.rooms.draw import raster, shade, textures
from sim_server.backends.rooms.draw.mirrors import with_reflections
from sim_server.backends.rooms.draw.topdown import Drawn, top_down
from sim_server.backends.rooms.geometry import Geometry, shading_table
from sim_server.backends.rooms.light.shading import Light

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
_TONE = shade.tone_table()
_PAPER = np.float32(8)  # radiance around a map: white


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


def check_sensors(sensors: Sequence[str]) -> None:
    """Raises VantageError("bad_request") for a sensor that is none."""
    unknown = [s for s in sensors if s not in ALL_SENSORS]
    if unknown:
        raise VantageError("bad_request", f"unknown sensor {unknown[0]!r}: choose among {', '.join(ALL_SENSORS)}.")


def camera_normals(seen: I32, face_normals: F32, axes: F32) -> F32:
    """Normals float32 [H, W, 3] in the camera's frame (x right, y up, z towards the viewer) of the faces int32 [H, W]
    that are seen, 0 where none is. face_normals float32 [F, 3] unit, world frame; axes: see view_axes."""
    own = face_normals @ np.stack([axes[0], axes[1], -axes[2]]).T
    return np.where(seen[..., None] >= 0, own[seen], np.float32(0))


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


class Drawing:
    """Triangles with their baked light. Drawing may be called from several threads at once."""

    def __init__(self, geometry: Geometry, light: Light) -> None:
        self.geometry = geometry
        self._shading = shading_table(geometry, light.vertex)
        self.light = with_reflections(geometry, light, self._shading)
        self._highest_id = int(geometry.chunk_object.max())

    def render(
        self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str], check: Callable[[F32], None]
    ) -> Frames:
        """See Scene.render; `check` may refuse an eye float32 [3]. Raises VantageError("bad_request") for an unknown
        sensor and a pose that is not finite."""
        check_sensors(sensors)
        count, height, width = len(poses), camera.height_px, camera.width_px
        frames = Frames(poses=tuple(poses), camera=camera)
        if "rgb" in sensors:
            frames.rgb = np.empty((count, height, width, 3), np.uint8)
        if "normals" in sensors:
            frames.normals = np.empty((count, height, width, 3), np.float32)
        if "amodal" in sensors:
            frames.amodal = []
        exact = bool({"depth", "ids", "normals"} & set(sensors))
        depth = np.empty((count, height, width), np.float32)
        ids = np.empty((count, height, width), np.int32)
        for k, pose in enumerate(poses):
            eye, axes = view_axes(pose)
            check(eye)
            self._view(eye, axes, camera, frames, k, depth[k], ids[k], exact)
        frames.depth = depth if "depth" in sensors else None
        frames.ids = ids if "ids" in sensors else None
        return frames

    def _view(
        self, eye: F32, axes: F32, camera: Camera, frames: Frames, k: int, depth: F32, ids: I32, exact: bool
    ) -> None:
        g = self.geometry
        height, width = depth.shape
        tangent = math.tan(camera.hfov_rad / 2)
        tan_x, tan_y = np.float32(tangent), np.float32(tangent * height / width)
        focal = np.float32(width / 2 / tangent)
        in_camera, on_screen = _scratch.vertex(len(g.positions))
        order = raster.visible_chunks(g.chunk_low, g.chunk_high, eye, axes, tan_x, tan_y)
        order = np.concatenate([order[g.chunk_object[order] == 0], order[g.chunk_object[order] > 0]])  # walls hide most
        mesh = (g.positions, g.faces, g.chunk_faces, g.chunk_vertices)
        view = (g.chunk_low, g.chunk_high, eye, axes)
        if frames.rgb is not None:
            fine = shade.SAMPLES
            inverse_depth, seen = _scratch.image(height * fine, width * fine)
            raster.draw(
                order, *mesh, *view, focal * np.float32(fine), raster.CULL_BACK, inverse_depth, seen, in_camera,
                on_screen,
            )  # fmt: skip
            self._shade(inverse_depth, seen, eye, axes, tan_x, tan_y, frames.rgb[k], self.light)
        inverse_depth, seen = _scratch.image(height, width)
        if exact:
            raster.draw(order, *mesh, *view, focal, raster.CULL_BACK, inverse_depth, seen, in_camera, on_screen)
            shade.depth_and_ids(inverse_depth, seen, g.face_object, depth, ids)
        if frames.normals is not None:
            frames.normals[k] = camera_normals(seen, self._shading[:, 8:11], axes)
        if frames.amodal is not None:
            counts = raster.count_unoccluded(
                order, g.chunk_object, self._highest_id, *mesh, eye, axes, focal, inverse_depth, seen, in_camera,
                on_screen,
            )  # fmt: skip
            frames.amodal.append({int(i): int(counts[i]) for i in np.flatnonzero(counts)})

    def top_down(self, description: SceneDescription, width_px: int) -> TopDown:
        """See backends/base.py."""

        def colour(drawn: Drawn, axes: F32, rgb: NDArray[np.uint8]) -> None:
            sky = self.light._replace(outside=np.full_like(self.light.outside, _PAPER))
            self._shade(drawn.inverse_depth, drawn.seen, drawn.eye, axes, drawn.tan_x, drawn.tan_y, rgb, sky)

        return top_down(self.geometry, description, width_px, shade.SAMPLES, colour)

    def _shade(
        self, inverse_depth: F32, seen: I32, eye: F32, axes: F32, tan_x: np.float32, tan_y: np.float32,
        rgb: NDArray[np.uint8], lit: Light,
    ) -> None:  # fmt: skip
        g = self.geometry
        shade.shade(
            inverse_depth, seen, g.face_key, self._shading, g.face_material, g.material_pattern, g.material_values,
            textures.bank(), lit.face_rectangle, lit.rectangle_maps, lit.rectangle_texels, lit.atlas, lit.outside,
            lit.glow, eye, axes, tan_x, tan_y, _TONE, rgb,
        )  # fmt: skip
