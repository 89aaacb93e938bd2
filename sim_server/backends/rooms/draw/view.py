"""Named groups of arrays for the drawing kernels: triangles, camera, buffers.

Compiled kernels receive them as plain tuples: Numba's disk cache would store a reference to the class of a named tuple,
and could not be read after the class moves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Triangles(NamedTuple):
    """World-frame triangles in chunks; a chunk is a run of faces with its own run of vertices.

    positions float32 [V, 3] m; faces int32 [F, 3]; chunk_faces, chunk_vertices int32 [C, 2] (start, end);
    chunk_low, chunk_high float32 [C, 3], the bounds of each chunk.
    """

    positions: F32
    faces: I32
    chunk_faces: I32
    chunk_vertices: I32
    chunk_low: F32
    chunk_high: F32


class Pinhole(NamedTuple):
    """A pinhole camera in the world frame.

    eye float32 [3] m; axes float32 [3, 3], rows right, up, forward; tan_x, tan_y: tangents of the half angles;
    focal_px: focal length in pixels of the image that is drawn.
    """

    eye: F32
    axes: F32
    tan_x: np.float32
    tan_y: np.float32
    focal_px: np.float32


class VisibilityBuffer(NamedTuple):
    """inverse_depth float32 [H, W] 1/m, 0 = nothing; seen int32 [H, W], the face at the pixel centre or -1."""

    inverse_depth: F32
    seen: I32


def visibility_buffer(height_px: int, width_px: int) -> VisibilityBuffer:
    """An uninitialised buffer; `raster.draw` clears it."""
    return VisibilityBuffer(np.empty((height_px, width_px), np.float32), np.empty((height_px, width_px), np.int32))


class VertexScratch(NamedTuple):
    """Scratch of the rasteriser: vertices in the camera's frame and on the screen, float32 [>= V, 3] each."""

    camera: F32
    screen: F32


def vertex_scratch(count: int) -> VertexScratch:
    return VertexScratch(np.empty((count, 3), np.float32), np.empty((count, 3), np.float32))
