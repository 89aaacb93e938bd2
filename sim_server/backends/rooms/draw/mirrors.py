"""Mirror reflections: the room as seen from directly in front of each mirror.

A reflection is rendered once, when the scene opens, for an eye _EYE_M in front of the mirror's centre, and replaces the
light baked on the glass. It does not depend on the camera.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.draw import raster, shade, textures
from sim_server.backends.rooms.draw.film import NEUTRAL
from sim_server.backends.rooms.draw.view import Pinhole, vertex_scratch, visibility_buffer
from sim_server.backends.rooms.geometry import Geometry
from sim_server.backends.rooms.light.baked import Light
from sim_server.backends.rooms.light.shadow_maps import look_axes

_EYE_M = 1.2
_TEXEL_M = 0.015
_OUT_M = 0.02  # the reflection is rendered from this far in front of the glass
_KNEE, _WHITE = 0.6, 0.97  # shade.py compresses radiance above the knee


def with_reflections(geometry: Geometry, light: Light, surfaces: shade.Surfaces) -> Light:
    """The light with a rectangle of texels added for the glass of each mirror."""
    glass = geometry.material_pattern[geometry.face_material] == textures.NAMES.index("mirror")
    if not glass.any():
        return light
    face_rectangle = light.face_rectangle.copy()
    maps, texels, atlas = [light.rectangle_maps], [light.rectangle_texels], [light.atlas]
    for owner in np.unique(geometry.face_object[glass]):
        faces = np.flatnonzero(glass & (geometry.face_object == owner))
        corners = geometry.positions[geometry.faces[faces]].reshape(-1, 3).astype(np.float64)
        axes = look_axes(geometry.normals[geometry.faces[faces[0], 0]].astype(np.float64))
        along = corners @ axes[:2].T.astype(np.float64)
        low, high = along.min(0), along.max(0)
        columns = max(4, int(np.ceil((high[0] - low[0]) / _TEXEL_M)))
        rows = max(4, round(columns * float(high[1] - low[1]) / float(high[0] - low[0])))
        middle = (low + high) / 2 @ axes[:2] + (corners[0] @ axes[2]) * axes[2]
        tangent = float(high[0] - low[0]) / 2 / _EYE_M
        eye = (middle + _OUT_M * axes[2]).astype(np.float32)
        shown = _reflection(geometry, light, surfaces, eye, axes, tangent, columns, rows)
        face_rectangle[faces] = sum(map(len, maps))
        scale = np.array([columns, rows]) / (high - low)
        maps.append(np.array([[*(axes[0] * scale[0]), -low[0] * scale[0] - 0.5,
                               *(axes[1] * scale[1]), -low[1] * scale[1] - 0.5]], np.float32))  # fmt: skip
        texels.append(np.array([[sum(map(len, atlas)), columns, rows]], np.int32))
        atlas.append(np.ascontiguousarray(shown[::-1].reshape(-1, 3)))
    return light._replace(
        face_rectangle=face_rectangle,
        rectangle_maps=np.concatenate(maps),
        rectangle_texels=np.concatenate(texels),
        atlas=np.concatenate(atlas),
    )


def _reflection(
    g: Geometry, light: Light, surfaces: shade.Surfaces, eye: NDArray[np.float32], axes: NDArray[np.float32],
    tangent: float, columns: int, rows: int,
) -> NDArray[np.float32]:  # fmt: skip
    """Radiance float32 [rows, columns, 3], top row first, of a view whose horizontal half angle has this tangent."""
    fine = shade.SAMPLES
    tan_x, tan_y = np.float32(tangent), np.float32(tangent * rows / columns)
    view = Pinhole(eye, axes, tan_x, tan_y, np.float32(columns * fine / 2 / tangent))
    buffer = visibility_buffer(rows * fine, columns * fine)
    rgb = np.empty((rows, columns, 3), np.uint8)
    order = raster.visible_chunks(g.chunk_low, g.chunk_high, view)
    raster.draw(order, g.triangles, view, raster.CULL_BACK, buffer, vertex_scratch(len(g.positions)))
    shade.shade(buffer, surfaces, light, view, NEUTRAL, rgb)
    encoded = rgb.astype(np.float32) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    peak = np.clip(linear.max(2, keepdims=True), 1e-4, _WHITE)
    over = (1 - _KNEE) * (peak - _KNEE) / (1 - peak)
    return (linear * np.where(peak > _KNEE, (_KNEE + over) / peak, 1.0)).astype(np.float32)
