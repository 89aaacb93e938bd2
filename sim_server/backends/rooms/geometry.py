"""A scene's triangles as flat arrays: vertices, faces, materials, and chunks for culling."""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.draw.materials import Material
from sim_server.backends.rooms.draw.view import Triangles
from sim_server.backends.rooms.mesh import Part
from sim_server.jit import jit

CHUNK_FACES = 512


class Geometry(NamedTuple):
    """World-frame triangles. A chunk is a run of faces of one object with its own run of vertices.

    positions float32 [V, 3] m; faces int32 [F, 3]; face_material int32 [F]; face_object int32 [F], the object id or 0
    for the building; face_key int32 [F], equal for faces of one object, material and side; normals float32 [V, 3] unit;
    uv float32 [V, 2] m; chunk_faces, chunk_vertices int32 [C, 2] (start, end); chunk_low, chunk_high float32 [C, 3]
    bounds; chunk_object int32 [C]; material_pattern int32 [M]; material_values float32 [M, 8] = low rgb, high rgb,
    repeats per metre, glow.
    """

    positions: NDArray[np.float32]
    faces: NDArray[np.int32]
    face_material: NDArray[np.int32]
    face_object: NDArray[np.int32]
    face_key: NDArray[np.int32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]
    chunk_faces: NDArray[np.int32]
    chunk_vertices: NDArray[np.int32]
    chunk_low: NDArray[np.float32]
    chunk_high: NDArray[np.float32]
    chunk_object: NDArray[np.int32]
    material_pattern: NDArray[np.int32]
    material_values: NDArray[np.float32]

    @property
    def triangles(self) -> Triangles:
        """The arrays for the rasteriser."""
        return Triangles(
            self.positions, self.faces, self.chunk_faces, self.chunk_vertices, self.chunk_low, self.chunk_high
        )


class GeometryBuilder:
    """Collects parts object by object and splits them into chunks between parts."""

    def __init__(self) -> None:
        self._materials: dict[Material, int] = {}
        self._parts: list[Part] = []
        self._face_runs: list[tuple[int, int, int]] = []  # faces, their material, their object
        self._chunks: list[tuple[int, int, int, int, int]] = []  # faces start, end, vertices start, end, object
        self._vertices = 0
        self._faces = 0

    def add(
        self,
        object_id: int,
        parts: Sequence[tuple[Part, Material]],
        rotation: NDArray[np.float64] | None = None,
        offset_m: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> NDArray[np.float32]:
        """Append one object, rotated and then moved; return its vertices in the world frame."""
        first_part = len(self._parts)
        start_face = start_vertex = -1
        for part, material in parts:
            slot = self._materials.setdefault(material, len(self._materials))
            if start_face < 0 or self._faces + len(part.faces) - start_face > CHUNK_FACES:
                if start_face >= 0:
                    self._chunks.append((start_face, self._faces, start_vertex, self._vertices, object_id))
                start_face, start_vertex = self._faces, self._vertices
            self._parts.append(part)
            self._face_runs.append((len(part.faces), slot, object_id))
            self._faces += len(part.faces)
            self._vertices += len(part.positions)
        self._chunks.append((start_face, self._faces, start_vertex, self._vertices, object_id))
        own = self._parts[first_part:]
        positions = np.concatenate([p.positions for p in own])
        normals = np.concatenate([p.normals for p in own])
        if rotation is not None:
            matrix = rotation.T.astype(np.float32)
            positions, normals = positions @ matrix, normals @ matrix
        positions = (positions + np.asarray(offset_m, np.float32)).astype(np.float32)
        offsets = np.cumsum([0] + [len(p.positions) for p in own[:-1]])
        merged = Part(
            positions,
            normals,
            np.concatenate([p.uv for p in own]),
            np.concatenate([p.faces + np.int32(o) for p, o in zip(own, offsets)]),
        )
        self._parts[first_part:] = [merged]
        return positions

    def build(self) -> Geometry:
        offsets = np.cumsum([0] + [len(p.positions) for p in self._parts[:-1]])
        positions = np.ascontiguousarray(np.concatenate([p.positions for p in self._parts]))
        chunks = np.array(self._chunks, np.int32)
        materials = list(self._materials)
        starts = chunks[:, 2]
        normals = np.concatenate([p.normals for p in self._parts])
        faces = np.ascontiguousarray(np.concatenate([p.faces + np.int32(o) for p, o in zip(self._parts, offsets)]))
        runs = np.array(self._face_runs, np.int32)
        face_material, face_object = np.repeat(runs[:, 1], runs[:, 0]), np.repeat(runs[:, 2], runs[:, 0])
        # the side, one of 27 directions, separates the walls of a room and the sides of a box
        side = (np.round(normals[faces[:, 0]]).astype(np.int32) + 1) @ np.array([1, 3, 9], np.int32)
        return Geometry(
            positions,
            faces,
            face_material,
            face_object,
            (face_object * len(materials) + face_material) * 27 + side,
            normals,
            np.concatenate([p.uv for p in self._parts]),
            np.ascontiguousarray(chunks[:, :2]),
            np.ascontiguousarray(chunks[:, 2:4]),
            np.minimum.reduceat(positions, starts),
            np.maximum.reduceat(positions, starts),
            np.ascontiguousarray(chunks[:, 4]),
            np.array([m.pattern for m in materials], np.int32),
            np.array([(*m.low, *m.high, m.repeats_per_m, m.glow) for m in materials], np.float32),
        )


def shading_table(geometry: Geometry, vertex_light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Per-face values for shading, float32 [F, 32].

    Barycentric weights of corners 1 and 2 as affine functions of the world point (4 + 4), the unit normal (3), then uv
    (6) and light (9): the value of the first corner and the differences of the other two. The rest pads the row to two
    cache lines.
    """
    out = np.zeros((len(geometry.faces), 32), np.float32)
    _fill_shading(geometry.positions, geometry.uv, vertex_light, geometry.faces, out)
    return out


@jit
def _fill_shading(positions, uv, light, faces, out):
    e1, e2 = np.empty(3, np.float64), np.empty(3, np.float64)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        d00, d01, d11 = 0.0, 0.0, 0.0
        for k in range(3):
            e1[k] = np.float64(positions[b, k]) - np.float64(positions[a, k])
            e2[k] = np.float64(positions[c, k]) - np.float64(positions[a, k])
            d00 += e1[k] * e1[k]
            d01 += e1[k] * e2[k]
            d11 += e2[k] * e2[k]
        scale = 1.0 / (d00 * d11 - d01 * d01 + 1e-20)
        zero1, zero2 = 0.0, 0.0
        for k in range(3):
            g1 = (d11 * e1[k] - d01 * e2[k]) * scale
            g2 = (d00 * e2[k] - d01 * e1[k]) * scale
            out[f, k], out[f, 4 + k] = g1, g2
            zero1 -= g1 * positions[a, k]
            zero2 -= g2 * positions[a, k]
        out[f, 3], out[f, 7] = zero1, zero2
        nx, ny, nz = e1[1] * e2[2] - e1[2] * e2[1], e1[2] * e2[0] - e1[0] * e2[2], e1[0] * e2[1] - e1[1] * e2[0]
        length = max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-20)
        out[f, 8], out[f, 9], out[f, 10] = nx / length, ny / length, nz / length
        for k in range(2):
            out[f, 11 + k] = uv[a, k]
            out[f, 13 + k] = uv[b, k] - uv[a, k]
            out[f, 15 + k] = uv[c, k] - uv[a, k]
        for k in range(3):
            out[f, 17 + k] = light[a, k]
            out[f, 20 + k] = light[b, k] - light[a, k]
            out[f, 23 + k] = light[c, k] - light[a, k]
