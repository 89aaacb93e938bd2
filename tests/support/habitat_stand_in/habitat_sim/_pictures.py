"""Draws the scenes of the stand-in: all objects, or only some of them without the stage."""

from __future__ import annotations

import math
from typing import Collection, Mapping, NamedTuple, Optional

import numpy as np

from protocol.tasks.scene import Camera, Pose, Vec3
from sim_server.backends.placements import SceneFiles
from sim_server.backends.rooms.draw import plain_shade, raster
from sim_server.backends.rooms.draw.drawing import view_axes
from sim_server.backends.rooms.draw.shade import depth_and_ids
from sim_server.backends.rooms.draw.view import Pinhole, vertex_scratch, visibility_buffer
from sim_server.backends.rooms.files.assemble import assemble

_ENLARGED = np.float32(8)  # as in LoadedScene: the near plane of the rasteriser is at 6 mm


class Seen(NamedTuple):
    rgb: np.ndarray
    depth: np.ndarray
    ids: np.ndarray


class Pictures:
    """The triangles of a scene. `moved`: see sim_server/backends/changes.py, shifts."""

    def __init__(self, files: SceneFiles, moved: Mapping[int, Optional[Vec3]]) -> None:
        assembled = assemble(files, False, moved)
        mesh = assembled.mesh
        self._mesh = mesh._replace(
            positions=mesh.positions * _ENLARGED,
            chunk_low=mesh.chunk_low * _ENLARGED,
            chunk_high=mesh.chunk_high * _ENLARGED,
        )
        values = plain_shade.face_values(mesh.positions, mesh.normals, mesh.uv, mesh.colors, mesh.faces)
        self._surfaces = plain_shade.PlainSurfaces(values, mesh.face_texture, mesh.face_unlit)
        self._bank = plain_shade.texture_bank(assembled.textures)

    def draw(self, pose: Pose, camera: Camera, only: Optional[Collection[int]] = None) -> Seen:
        """`only`: the objects to draw; the stage is left out."""
        mesh, (eye, axes) = self._mesh, view_axes(pose)
        width, height = camera.width_px, camera.height_px
        tan_x = math.tan(camera.hfov_rad / 2)
        view = Pinhole(eye, axes, np.float32(tan_x), np.float32(tan_x * height / width), np.float32(width / 2 / tan_x))
        enlarged = view._replace(eye=eye * _ENLARGED)
        order = raster.visible_chunks(mesh.chunk_low, mesh.chunk_high, enlarged)
        if only is not None:
            order = order[np.isin(mesh.chunk_object[order], list(only))]
        buffer, vertices = visibility_buffer(height, width), vertex_scratch(len(mesh.positions))
        raster.draw(order, mesh.triangles, enlarged, raster.CULL_BACK, buffer, vertices)
        buffer.inverse_depth[:] *= _ENLARGED
        seen = Seen(
            np.empty((height, width, 3), np.uint8), np.empty((height, width), np.float32),
            np.empty((height, width), np.int32),
        )  # fmt: skip
        depth_and_ids(*buffer, mesh.face_object, seen.depth, seen.ids)
        plain_shade.shade(buffer, self._surfaces, self._bank, view, seen.rgb)
        return seen
