"""Assembles a scene from its files: world-frame triangles in chunks for culling, and descriptions of its objects."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, NamedTuple, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import OrientedBox, Room, SceneObject, Vec3
from sim_server.backends.placements import Placement, SceneFiles, category_of
from sim_server.backends.rooms.draw.view import Triangles
from sim_server.backends.rooms.files.gltf import Asset, Primitive, Texture, quaternion_matrix, read_gltf
from sim_server.backends.untrusted import ELEMENTS, OBJECTS, TRIANGLES, Reader

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

CHUNK_FACES = 512
_NONE_MOVED: Mapping[int, Optional[Vec3]] = {}
_BOX_SLACK_M = 1e-4  # boxes are enlarged by this, so that they contain their float32 meshes
_SHELL_WORDS = frozenset(
    {"wall", "floor", "ceiling", "ground", "roof", "room", "stage", "shell", "skirting", "baseboard"}
)


class Mesh(NamedTuple):
    """World-frame triangles. A chunk is a run of faces of one object with its own vertices.

    positions, normals float32 [V, 3]; uv float32 [V, 2]; colors float32 [V, 3]; faces int32 [F, 3]; face_object int32
    [F]; face_texture int32 [F] (-1 for none); face_unlit bool [F]; chunk_faces, chunk_vertices int32 [C, 2] (start,
    end); chunk_low, chunk_high float32 [C, 3]; chunk_object int32 [C].
    """

    positions: F32
    normals: F32
    uv: F32
    colors: F32
    faces: I32
    face_object: I32
    face_texture: I32
    face_unlit: NDArray[np.bool_]
    chunk_faces: I32
    chunk_vertices: I32
    chunk_low: F32
    chunk_high: F32
    chunk_object: I32

    @property
    def triangles(self) -> Triangles:
        """The arrays for the rasteriser."""
        return Triangles(
            self.positions, self.faces, self.chunk_faces, self.chunk_vertices, self.chunk_low, self.chunk_high
        )


class Assembled(NamedTuple):
    """objects: without supports, see supports.py."""

    mesh: Mesh
    textures: tuple[Texture, ...]
    objects: tuple[SceneObject, ...]
    assets: dict[Path, Asset]


def assemble(files: SceneFiles, named_nodes: bool, moved: Mapping[int, Optional[Vec3]] = _NONE_MOVED) -> Assembled:
    """Read every asset once and place its instances.

    With `named_nodes` the nodes of the stage are objects, except those named like parts of a building. `moved`: see
    changes.shifts. Raises VantageError("unsupported") for articulated objects, and what read_gltf raises.
    """
    if files.articulated:
        raise VantageError(
            "unsupported",
            f"scene {files.name!r} has {files.articulated} articulated objects (URDF), which rooms cannot render: "
            "use the habitat backend for it.",
        )
    assets: dict[Path, tuple[Asset, int]] = {}
    textures: list[Texture] = []
    reader, builder = Reader(files.root), _Builder()
    objects: list[SceneObject] = []
    placements = [*([files.stage] if files.stage is not None else []), *files.objects]
    for placement in placements:
        if placement.asset not in assets:
            asset = read_gltf(placement.asset, reader)
            assets[placement.asset] = asset, len(textures)
            textures.extend(asset.textures)
        asset, first_texture = assets[placement.asset]
        if named_nodes and placement is files.stage:
            pieces = _objects_of(asset)
        else:
            pieces = [(placement.id, placement.category, list(asset.primitives))]
        for object_id, category, primitives in pieces:
            shift = moved.get(object_id, (0.0, 0.0, 0.0))
            if shift is None:
                continue
            reader.take(ELEMENTS, sum(len(p.positions) for p in primitives), placement.asset)
            reader.take(TRIANGLES, sum(len(p.faces) for p in primitives), placement.asset)
            low, high, rotation, points = builder.add(object_id, placement, primitives, first_texture, shift)
            if object_id > 0:
                reader.take(OBJECTS, 1, placement.asset)
                objects.append(_describe(object_id, category, placement, low, high, rotation, points, files.rooms))
    if not builder.faces:
        raise VantageError("corrupt", f"scene {files.name!r} has no triangles: add a stage or objects to it.")
    objects.sort(key=lambda o: o.id)
    read = {path: asset for path, (asset, _) in assets.items()}
    return Assembled(builder.build(), tuple(textures), tuple(objects), read)


def _objects_of(asset: Asset) -> list[tuple[int, str, list[Primitive]]]:
    """(id, category, primitives) per top-level node; unnamed nodes and parts of a building have id 0."""
    out: dict[int, tuple[int, str, list[Primitive]]] = {}
    for primitive in asset.primitives:
        category = category_of(primitive.name) if primitive.name else ""
        shell = not category or bool(_SHELL_WORDS & set(category.split()))
        if primitive.top_node not in out:
            number = 0 if shell else 1 + sum(1 for k, _, _ in out.values() if k > 0)
            out[primitive.top_node] = (number, category, [])
        out[primitive.top_node][2].append(primitive)
    return list(out.values())


class _Builder:
    """Collects placed primitives and splits them into chunks of neighbouring faces."""

    def __init__(self) -> None:
        self.faces: list[I32] = []
        self._vertices: list[tuple[F32, F32, F32, F32]] = []
        self._chunks: list[tuple[int, int, int, int, int]] = []
        self._face_rows: list[tuple[int, int, bool, int]] = []  # object, texture, unlit, number of faces
        self._face_count = self._vertex_count = 0

    def add(
        self, object_id: int, placement: Placement, primitives: Sequence[Primitive], first_texture: int, moved_m: Vec3
    ) -> tuple[F64, F64, F64, F32]:
        """Add an instance; return its bounds low and high [3] in the frame of `rotation` [3, 3] about the world's
        origin, that rotation, and its world points."""
        frame = _frame(placement.up, placement.front)
        turned = [p.positions.astype(np.float64) @ frame.T for p in primitives]
        scale = np.array(placement.scale)
        rotation = quaternion_matrix(placement.rotation_wxyz)
        if placement.origin_m is None:
            everything = np.concatenate(turned)
            origin = (everything.min(0) + everything.max(0)) / 2
        else:
            origin = frame @ np.array(placement.origin_m)
        shift = np.array(placement.translation_m) + np.array(moved_m)
        mirrored = bool(np.prod(scale) < 0)
        own_low, own_high, points = np.full(3, np.inf), np.full(3, -np.inf), []
        for primitive, local in zip(primitives, turned):
            scaled = (local - origin) * scale
            own_low, own_high = np.minimum(own_low, scaled.min(0)), np.maximum(own_high, scaled.max(0))
            world = (scaled @ rotation.T + shift).astype(np.float32)
            faces = primitive.faces[:, ::-1] if mirrored else primitive.faces
            if len(primitive.normals):
                safe = np.where(scale == 0, 1, scale)
                normals = ((primitive.normals @ frame.T) / safe @ rotation.T).astype(np.float32)
            else:
                normals = _face_normals(world, faces)
            texture = first_texture + primitive.texture if primitive.texture >= 0 else -1
            self._cut(object_id, world, normals, primitive, faces, texture, placement.unlit)
            points.append(world)
        back = rotation.T @ shift  # bounds are relative to the world's origin
        return own_low + back, own_high + back, rotation, np.concatenate(points)

    def _cut(
        self, object_id: int, world: F32, normals: F32, primitive: Primitive, faces: I32, texture: int, unlit: bool
    ) -> None:
        if len(faces) > CHUNK_FACES:
            faces = faces[_near_order(world[faces].mean(1))]
        for start in range(0, len(faces), CHUNK_FACES):
            piece = faces[start : start + CHUNK_FACES]
            used, inverse = np.unique(piece, return_inverse=True)
            self.faces.append(inverse.reshape(piece.shape).astype(np.int32) + np.int32(self._vertex_count))
            self._vertices.append((world[used], normals[used], primitive.uv[used], primitive.colors[used]))
            ends = self._face_count + len(piece), self._vertex_count + len(used)
            self._chunks.append((self._face_count, ends[0], self._vertex_count, ends[1], object_id))
            self._face_rows.append((object_id, texture, unlit, len(piece)))
            self._face_count, self._vertex_count = ends

    def build(self) -> Mesh:
        positions, normals, uv, colors = (
            np.ascontiguousarray(np.concatenate([v[k] for v in self._vertices])) for k in range(4)
        )
        chunks = np.array(self._chunks, np.int32)
        counts = [row[3] for row in self._face_rows]
        columns = [np.repeat(np.array([row[k] for row in self._face_rows]), counts) for k in range(3)]
        return Mesh(
            positions, normals, uv, colors,
            np.ascontiguousarray(np.concatenate(self.faces)),
            columns[0].astype(np.int32), columns[1].astype(np.int32), columns[2].astype(np.bool_),
            np.ascontiguousarray(chunks[:, :2]), np.ascontiguousarray(chunks[:, 2:4]),
            np.minimum.reduceat(positions, chunks[:, 2]), np.maximum.reduceat(positions, chunks[:, 2]),
            np.ascontiguousarray(chunks[:, 4]),
        )  # fmt: skip


def _frame(up: Vec3, front: Vec3) -> F64:
    """The rotation that maps an asset's up to +y and its front to -z."""
    u, f = np.array(up), np.array(front)
    side = np.cross(f, u)
    norms = np.linalg.norm(u), np.linalg.norm(side)
    if min(norms) < 1e-6:
        raise VantageError(
            "corrupt", f"an asset has up {up} and front {front}: correct them, they must not be parallel."
        )
    u, side = u / norms[0], side / norms[1]
    return np.stack([side, u, np.cross(side, u)]).astype(np.float64)


def _face_normals(world: F32, faces: I32) -> F32:
    """Vertex normals: the mean normals of the adjacent faces."""
    a, b, c = (world[faces[:, k]] for k in range(3))
    out = np.zeros_like(world)
    for k in range(3):
        np.add.at(out, faces[:, k], np.cross(b - a, c - a))
    return out


def _near_order(centres: F32) -> NDArray[np.int64]:
    """An order in which neighbours are close: Morton order of x, y and z."""
    low, high = centres.min(0), centres.max(0)
    cell = ((centres - low) / np.maximum(high - low, 1e-9).max() * 1023).astype(np.int64)
    key = np.zeros(len(centres), np.int64)
    for bit in range(10):
        for axis in range(3):
            key |= ((cell[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(key, kind="stable")


# ---------------------------------------------------------------------- truth


def _describe(
    object_id: int, category: str, placement: Placement, low: F64, high: F64, rotation: F64, points: F32,
    rooms: Sequence[Room],
) -> SceneObject:  # fmt: skip
    centre, half = rotation @ ((low + high) / 2), (high - low) / 2 + _BOX_SLACK_M
    given, middle = placement.annotation, (points.min(0) + points.max(0)) / 2
    return SceneObject(
        id=object_id,
        category=category,
        box=OrientedBox(
            (float(centre[0]), float(centre[1]), float(centre[2])),
            (float(half[0]), float(half[1]), float(half[2])),
            placement.rotation_wxyz,
        ),
        color=given.color,
        room_id=given.room_id if given.room_id is not None else _room_of(middle, rooms),
        front=given.front,
    )


def _room_of(point: F32, rooms: Sequence[Room]) -> int:
    """The id of the room whose polygon and height range contain the point; 0 if none."""
    x, y, z = (float(v) for v in point)
    for room in rooms:
        inside, polygon = False, room.polygon_xz_m
        for (ax, az), (bx, bz) in zip(polygon, polygon[1:] + polygon[:1]):
            if (az > z) != (bz > z) and x < ax + (z - az) / (bz - az) * (bx - ax):
                inside = not inside
        if inside and room.floor_y_m - 0.5 <= y <= room.ceiling_y_m + 0.5:
            return room.id
    return 0
