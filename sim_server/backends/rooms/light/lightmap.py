"""Lightmap layout: a grid of texels on every large flat rectangle; all other faces have one value per vertex."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.mesh import cross, lengths
from sim_server.jit import jit

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

MIN_EDGE_M = 0.06
MIN_AREA_M2 = 0.04
# Texel sizes: finest on floors and tops, where shadows fall, and coarsest on ceilings.
UPWARD_M, SIDEWAYS_M, DOWNWARD_M = 0.065, 0.12, 0.18


class Rectangles(NamedTuple):
    """The rectangles of a scene.

    face int32 [F]: the rectangle of each face, or -1; corner, edge_u, edge_v, normal float32 [R, 3] m; size int32
    [R, 2]: texels along u and v; start int32 [R]: first texel in the atlas; first int32 [R]: first of its two faces.
    """

    face: I32
    corner: F32
    edge_u: F32
    edge_v: F32
    normal: F32
    size: I32
    start: I32
    first: I32

    @property
    def texels(self) -> int:
        return int(self.start[-1] + self.size[-1].prod()) if len(self.start) else 0

    def lookup(self) -> tuple[F32, I32]:
        """Affine maps float32 [R, 8] from a world point to texel units (texel centres at integers), and int32 [R, 3] =
        first texel, texels along u and v."""
        out = np.empty((len(self.start), 8), np.float32)
        for at, edge, count in ((0, self.edge_u, self.size[:, 0]), (4, self.edge_v, self.size[:, 1])):
            step = edge.astype(np.float64)
            step *= (count / (step * step).sum(1))[:, None]
            out[:, at : at + 3] = step
            out[:, at + 3] = -(step * self.corner).sum(1) - 0.5
        return out, np.column_stack([self.start, self.size]).astype(np.int32)

    def spread(self, count: int) -> tuple[F32, F32]:
        """Edges along u and v of each texel, float32 [count, 3] each; 0 for the points that follow the texels."""
        counts, out = self.size[:, 0] * self.size[:, 1], np.zeros((2, count, 3), np.float32)
        out[0, : self.texels] = np.repeat(self.edge_u / self.size[:, :1], counts, 0)
        out[1, : self.texels] = np.repeat(self.edge_v / self.size[:, 1:], counts, 0)
        return out[0], out[1]

    def reach(self) -> F32:
        """Lowest and highest place on the rectangle along u, then v, in texels from each centre; float32 [T, 4].

        A quarter of a texel at the edges is left out: beyond them is a wall or the open air.
        """
        counts = self.size[:, 0] * self.size[:, 1]
        own = np.arange(self.texels) - np.repeat(self.start, counts)
        size = np.repeat(self.size, counts, 0)
        column, row = own % size[:, 0], own // size[:, 0]
        return np.column_stack(
            [-column - 0.25, size[:, 0] - column - 0.75, -row - 0.25, size[:, 1] - row - 0.75]
        ).astype(np.float32)

    def points(self) -> tuple[F32, F32]:
        """Centres of all texels and their normals, float32 [T, 3] each."""
        points, normals = np.empty((self.texels, 3), np.float32), np.empty((self.texels, 3), np.float32)
        _fill_points(self.corner, self.edge_u, self.edge_v, self.normal, self.size, points, normals)
        return points, normals


@jit
def _fill_points(corner, edge_u, edge_v, normal, size, points, normals):
    half = np.float32(0.5)
    at = 0
    for r in range(size.shape[0]):
        for row in range(size[r, 1]):
            v = (np.float32(row) + half) / np.float32(size[r, 1])
            for column in range(size[r, 0]):
                u = (np.float32(column) + half) / np.float32(size[r, 0])
                for k in range(3):
                    points[at, k] = corner[r, k] + u * edge_u[r, k] + v * edge_v[r, k]
                    normals[at, k] = normal[r, k]
                at += 1


def find_rectangles(positions: F32, normals: F32, faces: I32) -> Rectangles:
    """Find pairs of consecutive faces (a, b, c), (a, c, d) that form a large flat rectangle with equal normals."""
    first = np.flatnonzero((faces[:-1, 0] == faces[1:, 0]) & (faces[:-1, 2] == faces[1:, 1]))
    corners = np.column_stack([faces[first], faces[first + 1, 2]])
    a, b, c, d = (positions[corners[:, k]] for k in range(4))
    u, v = b - a, d - a
    length_u, length_v = lengths(u)[:, 0], lengths(v)[:, 0]
    good = (np.minimum(length_u, length_v) >= MIN_EDGE_M) & (length_u * length_v >= MIN_AREA_M2)
    good &= np.abs(a + c - b - d).max(1) < 1e-4
    good &= np.abs((u * v).sum(1)) < 1e-3 * length_u * length_v
    normal = cross(u, v) / np.maximum(length_u * length_v, 1e-12)[:, None]
    for k in range(4):
        good &= np.abs(normals[corners[:, k]] - normal).max(1) < 1e-2
    good[1:] &= ~(good[:-1] & (first[1:] == first[:-1] + 1))  # a face belongs to one rectangle
    first, a, u, v, normal = first[good], a[good], u[good], v[good], normal[good]
    texel = np.where(normal[:, 1] > 0.9, UPWARD_M, np.where(normal[:, 1] < -0.9, DOWNWARD_M, SIDEWAYS_M))
    size = np.column_stack([np.maximum(2, np.ceil(np.linalg.norm(e, axis=1) / texel)) for e in (u, v)]).astype(np.int32)
    start = np.concatenate([[0], np.cumsum(size[:, 0] * size[:, 1])[:-1]]) if len(size) else np.zeros(0)
    face = np.full(len(faces), -1, np.int32)
    face[first] = face[first + 1] = np.arange(len(first))
    return Rectangles(face, a, u, v, normal.astype(np.float32), size, start.astype(np.int32), first.astype(np.int32))
