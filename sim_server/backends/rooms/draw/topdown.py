"""Maps: nearly orthographic views straight down on a scene without its ceiling."""

from __future__ import annotations

from typing import Callable

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import SceneDescription
from sim_server.backends.base import TopDown
from sim_server.backends.rooms.draw import raster
from sim_server.backends.rooms.draw.view import (
    Pinhole,
    Triangles,
    VisibilityBuffer,
    vertex_scratch,
    visibility_buffer,
)

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

_ABOVE_M = 4000.0  # height of the eye: rays are parallel to within 0.06 % at the height of a person
_BELOW_CEILING_M = 0.15  # removes objects that hang from the ceiling
_CUT_M = 2.2  # cut height above the lowest point if no room has a ceiling
_MARGIN_M = 0.1
_DOWN = np.array([[1, 0, 0], [0, 0, -1], [0, -1, 0]], np.float32)  # rows right, up in the image, forward
_WHITE = np.uint8(255)


def top_down(
    triangles: Triangles,
    face_object: I32,
    description: SceneDescription,
    width_px: int,
    samples: int,
    shade: Callable[[VisibilityBuffer, Pinhole, NDArray[np.uint8]], None],
) -> TopDown:
    """Scene.top_down of backends/base.py.

    face_object int32 [F]: object ids. `shade` fills rgb uint8 [H, W, 3] from a buffer with samples x samples points per
    pixel. Raises ValueError for a width outside 16..4096.
    """
    if not 16 <= width_px <= 4096:
        raise ValueError(f"a map must be 16 to 4096 pixels wide, not {width_px}")
    low, high = triangles.positions.min(0).astype(np.float64), triangles.positions.max(0).astype(np.float64)
    floor, cut = low[1], low[1] + _CUT_M
    if description.rooms:
        floor = min(room.floor_y_m for room in description.rooms)
        cut = min(room.ceiling_y_m for room in description.rooms) - _BELOW_CEILING_M
    low, high = low - _MARGIN_M, high + _MARGIN_M
    m_per_px = float(high[0] - low[0]) / width_px
    height_px = max(1, round(float(high[2] - low[2]) / m_per_px))
    eye = np.array([(low[0] + high[0]) / 2, cut + _ABOVE_M, low[2] + m_per_px * height_px / 2])
    focal_px = (eye[1] - floor) / m_per_px

    def draw(fine: int) -> tuple[VisibilityBuffer, Pinhole]:
        # scaled down so that the rasteriser's near plane coincides with the cut
        scale = np.float32(raster.NEAR_M / _ABOVE_M)
        buffer = visibility_buffer(height_px * fine, width_px * fine)
        tan_x, tan_y = np.float32(width_px / 2 / focal_px), np.float32(height_px / 2 / focal_px)
        view = Pinhole(eye.astype(np.float32), _DOWN, tan_x, tan_y, np.float32(focal_px * fine))
        small_view = view._replace(eye=view.eye * scale)
        small = triangles._replace(
            positions=triangles.positions * scale,
            chunk_low=triangles.chunk_low * scale,
            chunk_high=triangles.chunk_high * scale,
        )
        order = raster.visible_chunks(small.chunk_low, small.chunk_high, small_view)
        raster.draw(order, small, small_view, raster.CULL_BACK, buffer, vertex_scratch(len(small.positions)))
        return buffer._replace(inverse_depth=buffer.inverse_depth * scale), view

    rgb = np.empty((height_px, width_px, 3), np.uint8)
    shade(*draw(samples), rgb)
    seen = draw(1)[0].seen
    rgb[seen < 0] = _WHITE
    ids = np.where(seen >= 0, face_object[seen], 0).astype(np.int32)
    return TopDown(rgb, ids, float(low[0]), float(low[2]), m_per_px)
