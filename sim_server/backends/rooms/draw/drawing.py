"""Renders lit triangles: colour, depth, ids, normals, unoccluded pixels.

Generated scenes and scenes read back from an export use the same code.
"""

from __future__ import annotations

import math
import threading
from typing import Callable, NamedTuple, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneDescription
from sim_server.backends.base import ALL_SENSORS, Frames, TopDown
from sim_server.backends.rooms.draw import raster, shade
from sim_server.backends.rooms.draw.film import NEUTRAL, Film
from sim_server.backends.rooms.draw.mirrors import with_reflections
from sim_server.backends.rooms.draw.topdown import top_down
from sim_server.backends.rooms.draw.view import (
    Pinhole,
    VertexScratch,
    VisibilityBuffer,
    vertex_scratch,
    visibility_buffer,
)
from sim_server.backends.rooms.geometry import Geometry
from sim_server.backends.rooms.light.baked import Light

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
_PAPER = np.float32(8)  # radiance of the background of maps: white


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
    """Raises VantageError("bad_request") for an unknown sensor."""
    unknown = [s for s in sensors if s not in ALL_SENSORS]
    if unknown:
        raise VantageError("bad_request", f"unknown sensor {unknown[0]!r}: choose among {', '.join(ALL_SENSORS)}.")


def camera_normals(seen: I32, face_normals: F32, axes: F32) -> F32:
    """Normals float32 [H, W, 3] in the camera's frame (x right, y up, z towards the viewer); 0 where nothing is seen.

    seen int32 [H, W]: faces or -1; face_normals float32 [F, 3] unit, world frame; axes: see view_axes.
    """
    own = face_normals @ np.stack([axes[0], axes[1], -axes[2]]).T
    return np.where(seen[..., None] >= 0, own[seen], np.float32(0))


class _Scratch(threading.local):
    """The buffers of one thread, by image size."""

    def __init__(self) -> None:
        self._by_size: dict[tuple[int, int], VisibilityBuffer] = {}
        self._vertices = vertex_scratch(0)

    def image(self, height: int, width: int) -> VisibilityBuffer:
        if (height, width) not in self._by_size:
            if len(self._by_size) >= 6:
                self._by_size.clear()
            self._by_size[height, width] = visibility_buffer(height, width)
        return self._by_size[height, width]

    def vertices(self, count: int) -> VertexScratch:
        if len(self._vertices.camera) < count:
            self._vertices = vertex_scratch(count)
        return self._vertices


_scratch = _Scratch()


class Look(NamedTuple):
    """What colours need besides the geometry."""

    surfaces: shade.Surfaces
    light: Light
    film: Film


class Drawing:
    """Triangles whose light is baked when colours are first asked for: depth and ids do not need it.

    `render` may be called from several threads at once.
    """

    def __init__(self, geometry: Geometry, bake: Callable[[], tuple[Light, Film]]) -> None:
        self.geometry = geometry
        self._triangles = geometry.triangles
        self._highest_id = int(geometry.chunk_object.max())
        self._bake, self._baking = bake, threading.Lock()
        self._look: Optional[Look] = None

    @property
    def look(self) -> Look:
        """The surfaces, baked light and film."""
        with self._baking:
            if self._look is None:
                light, film = self._bake()
                surfaces = shade.surfaces_of(self.geometry, light.vertex)
                self._look = Look(surfaces, with_reflections(self.geometry, light, surfaces), film)
            return self._look

    def render(
        self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str], check: Callable[[F32], None]
    ) -> Frames:
        """See Scene.render; `check` receives each eye float32 [3] and may raise.

        Raises VantageError("bad_request") for an unknown sensor and a pose that is not finite.
        """
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
        view = Pinhole(eye, axes, tan_x, tan_y, np.float32(width / 2 / tangent))
        vertices = _scratch.vertices(len(g.positions))
        order = raster.visible_chunks(g.chunk_low, g.chunk_high, view)
        order = np.concatenate(
            [order[g.chunk_object[order] == 0], order[g.chunk_object[order] > 0]]
        )  # walls first: they hide the most
        if frames.rgb is not None:
            fine = shade.SAMPLES
            buffer = _scratch.image(height * fine, width * fine)
            fine_view = view._replace(focal_px=view.focal_px * np.float32(fine))
            raster.draw(order, self._triangles, fine_view, raster.CULL_BACK, buffer, vertices)
            look = self.look
            shade.shade(buffer, look.surfaces, look.light, fine_view, look.film.at(eye, axes), frames.rgb[k])
        buffer = _scratch.image(height, width)
        if exact:
            raster.draw(order, self._triangles, view, raster.CULL_BACK, buffer, vertices)
            shade.depth_and_ids(*buffer, g.face_object, depth, ids)
        if frames.normals is not None:
            frames.normals[k] = camera_normals(buffer.seen, self.look.surfaces.shading[:, 8:11], axes)
        if frames.amodal is not None:
            counts = raster.count_unoccluded(
                order, self._triangles, g.chunk_object, self._highest_id, view, buffer, vertices
            )
            frames.amodal.append({int(i): int(counts[i]) for i in np.flatnonzero(counts)})

    def top_down(self, description: SceneDescription, width_px: int) -> TopDown:
        """See backends/base.py."""

        def colour(buffer: VisibilityBuffer, view: Pinhole, rgb: NDArray[np.uint8]) -> None:
            white = np.full_like(self.look.light.outside, 255)
            light = self.look.light._replace(outside=white, outside_scale=_PAPER / np.float32(255**2))
            shade.shade(buffer, self.look.surfaces, light, view, NEUTRAL, rgb)

        g = self.geometry
        return top_down(self._triangles, g.face_object, description, width_px, shade.SAMPLES, colour)
