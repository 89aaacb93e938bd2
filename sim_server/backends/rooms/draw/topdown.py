"""The view straight down on a scene without its ceiling, as a map."""

from __future__ import annotations

from typing import Callable, NamedTuple, Union

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import SceneDescription
from sim_server.backends.base import TopDown
from sim_server.backends.rooms.draw import raster
from sim_server.backends.rooms.files.assemble import Mesh
from sim_server.backends.rooms.geometry import Geometry

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

_ABOVE_M = 4000.0  # so high above, rays are parallel to within 0.06 % at the height of a person
_BELOW_CEILING_M = 0.15  # what hangs from the ceiling is cut away
_CUT_M = 2.2  # above the lowest point where no room has a ceiling
_MARGIN_M = 0.1
_DOWN = np.array([[1, 0, 0], [0, 0, -1], [0, -1, 0]], np.float32)  # rows right, up in the picture, forward
_WHITE = np.uint8(255)


class Drawn(NamedTuple):
    """inverse_depth float32 [H, W] 1/m; seen int32 [H, W] face or -1; eye [3]; tangents of the half angles; pixels."""

    inverse_depth: F32
    seen: I32
    eye: F32
    tan_x: np.float32
    tan_y: np.float32
    focal_px: np.float32


def top_down(
    mesh: Union[Geometry, Mesh],
    description: SceneDescription,
    width_px: int,
    samples: int,
    shade: Callable[[Drawn, F32, NDArray[np.uint8]], None],
) -> TopDown:
    """See backends/base.py. `shade` fills rgb uint8 [H, W, 3] from what was drawn with samples x samples points per
    pixel, seen along rows right, up, forward [3, 3]. Raises ValueError for a width outside 16..4096."""
    if not 16 <= width_px <= 4096:
        raise ValueError(f"a map is 16 to 4096 pixels wide, not {width_px}")
    low, high = mesh.positions.min(0).astype(np.float64), mesh.positions.max(0).astype(np.float64)
    floor, cut = low[1], low[1] + _CUT_M
    if description.rooms:
        floor = min(room.floor_y_m for room in description.rooms)
        cut = min(room.ceiling_y_m for room in description.rooms) - _BELOW_CEILING_M
    low, high = low - _MARGIN_M, high + _MARGIN_M
    m_per_px = float(high[0] - low[0]) / width_px
    height_px = max(1, round(float(high[2] - low[2]) / m_per_px))
    eye = np.array([(low[0] + high[0]) / 2, cut + _ABOVE_M, low[2] + m_per_px * height_px / 2])
    focal_px = (eye[1] - floor) / m_per_px

    def draw(fine: int) -> Drawn:
        # made so small that the rasteriser's near plane lies at the cut
        scale = np.float32(raster.NEAR_M / _ABOVE_M)
        size = height_px * fine, width_px * fine
        inverse_depth, seen = np.empty(size, np.float32), np.empty(size, np.int32)
        tan_x, tan_y = np.float32(width_px / 2 / focal_px), np.float32(height_px / 2 / focal_px)
        small_eye = eye.astype(np.float32) * scale
        small = mesh.positions * scale, mesh.chunk_low * scale, mesh.chunk_high * scale
        order = raster.visible_chunks(*small[1:], small_eye, _DOWN, tan_x, tan_y)
        raster.draw(
            order, small[0], mesh.faces, mesh.chunk_faces, mesh.chunk_vertices, *small[1:], small_eye, _DOWN,
            np.float32(focal_px * fine), raster.CULL_BACK, inverse_depth, seen, np.empty_like(small[0]),
            np.empty_like(small[0]),
        )  # fmt: skip
        return Drawn(inverse_depth * scale, seen, eye.astype(np.float32), tan_x, tan_y, np.float32(focal_px * fine))

    rgb = np.empty((height_px, width_px, 3), np.uint8)
    shade(draw(samples), _DOWN, rgb)
    seen = draw(1).seen
    rgb[seen < 0] = _WHITE
    ids = np.where(seen >= 0, mesh.face_object[seen], 0).astype(np.int32)
    return TopDown(rgb, ids, float(low[0]), float(low[2]), m_per_px)
