"""Depth maps of a scene as seen from lights, in which baking looks up shadows."""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.draw import raster
from sim_server.backends.rooms.draw.view import Pinhole, vertex_scratch, visibility_buffer
from sim_server.backends.rooms.geometry import Geometry
from sim_server.backends.rooms.mesh import cross
from sim_server.jit import jit

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

# Face order +x -x +y -y +z -z; rows right, up, forward. kernels.py looks up texels with the same axes.
CUBE_AXES = np.array(
    [
        [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
        [[0, 1, 0], [0, 0, 1], [-1, 0, 0]],
        [[1, 0, 0], [0, 0, 1], [0, 1, 0]],
        [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [0, 1, 0], [0, 0, -1]],
    ],
    np.float32,
)


class Shadows:
    """Draws depth maps of the shadow casters: all faces that do not glow, without details smaller than `grid_m`."""

    def __init__(self, geometry: Geometry, grid_m: float) -> None:
        self._g = geometry
        faces, keep = _coarse(geometry, grid_m)
        self._face_of = np.flatnonzero(keep).astype(np.int32)
        self._casters = geometry.triangles._replace(
            faces=np.ascontiguousarray(faces[keep]),
            chunk_faces=np.concatenate([[0], np.cumsum(keep)]).astype(np.int32)[geometry.chunk_faces],
        )
        self._scratch = vertex_scratch(len(geometry.positions))

    def draw(
        self, eye: F32, axes: F32, focal: float, size: int, chunks: Optional[I32] = None, back: bool = False
    ) -> tuple[F32, I32]:
        """Inverse depth float32 [size, size] and caster int32 [size, size] or -1, of the given chunks or of all.

        `back` draws the far sides of objects instead of the near ones.
        """
        g = self._g
        buffer = visibility_buffer(size, size)
        tangent = np.float32(size / 2 / focal)
        view = Pinhole(eye, axes, tangent, tangent, np.float32(focal))
        order = raster.visible_chunks(
            g.chunk_low if chunks is None else g.chunk_low[chunks],
            g.chunk_high if chunks is None else g.chunk_high[chunks],
            view,
        )
        if chunks is not None:
            order = chunks[order]
        # front and back faces are swapped in a left-handed frame
        mirrored = float(cross(axes[0], axes[1]) @ axes[2]) > 0
        cull = raster.CULL_BACK if back == mirrored else raster.CULL_FRONT
        raster.draw(order, self._casters, view, cull, buffer, self._scratch)
        return buffer.inverse_depth, buffer.seen

    @property
    def face_of(self) -> I32:
        """The scene's face index of each caster, int32."""
        return self._face_of

    def cube(self, eye: F32, size: int) -> F32:
        """Inverse depth around `eye`, float32 [6, size, size], one square per direction of CUBE_AXES."""
        return np.stack([self.draw(eye, axes, size / 2, size)[0] for axes in CUBE_AXES])


def _coarse(geometry: Geometry, grid_m: float) -> tuple[I32, NDArray[np.bool_]]:
    """Faces int32 [F, 3] after merging the vertices of each chunk on a grid, and bool [F]: the casters among them."""
    first = np.empty(len(geometry.positions), np.int32)
    _first_in_cell(geometry.positions, geometry.chunk_vertices, np.float32(1 / grid_m), first)
    faces = first[geometry.faces]
    a, b, c = faces[:, 0], faces[:, 1], faces[:, 2]
    glows = geometry.material_values[geometry.face_material, 7] > 0
    return faces, (a != b) & (b != c) & (c != a) & ~glows


@jit
def _first_in_cell(positions, chunk_vertices, per_m, first):
    """Fill `first`: for each vertex, the first vertex of its chunk in the same cell of a grid with `per_m` cells per
    metre."""
    most = 0
    for k in range(chunk_vertices.shape[0]):
        most = max(most, chunk_vertices[k, 1] - chunk_vertices[k, 0])
    places = 4
    while places < 2 * most:
        places *= 2
    owner = np.empty(places, np.int32)  # hash table: the first vertex of a cell, or -1
    for k in range(chunk_vertices.shape[0]):
        owner[:] = -1
        for v in range(chunk_vertices[k, 0], chunk_vertices[k, 1]):
            x, y, z = _cell(positions, v, per_m)
            at = (x * 73856093 ^ y * 19349663 ^ z * 83492791) & (places - 1)
            while owner[at] >= 0:
                ox, oy, oz = _cell(positions, owner[at], per_m)
                if ox == x and oy == y and oz == z:
                    break
                at = (at + 1) & (places - 1)
            if owner[at] < 0:
                owner[at] = v
            first[v] = owner[at]


@jit
def _cell(positions, v, per_m):
    return (
        np.int64(np.floor(positions[v, 0] * per_m)),
        np.int64(np.floor(positions[v, 1] * per_m)),
        np.int64(np.floor(positions[v, 2] * per_m)),
    )


def look_axes(forward: NDArray[np.float64]) -> F32:
    """Rows right, up, forward of a view in the direction of the unit vector `forward`."""
    helper = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.95 else np.array([1.0, 0.0, 0.0])
    right = cross(forward, helper)
    right /= np.linalg.norm(right)
    return np.stack([right, cross(right, forward), forward]).astype(np.float32)
