"""A reader of glTF 2.0 (.glb and .gltf): triangles with colours and textures, node transforms applied.

Reads positions, normals, texture coordinates, vertex colours, base colours and base-colour textures (PNG, JPEG), which
plain shading, ids and depth need. Formulas and layouts: the glTF 2.0 specification (Khronos). Files are untrusted:
every defect raises a VantageError that names the file and says what to do.
"""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Optional, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol.errors import VantageError
from sim_server.backends.rooms.files.gltf_data import GltfData, broken, index_of
from sim_server.backends.untrusted import ELEMENTS, NODES, PIXELS, Reader

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_MAX_PIXELS = 2**26  # per image
_MAX_COORDINATE_M = 1e5

REPEAT, MIRROR, CLAMP = 0, 1, 2
_WRAPS = {10497: REPEAT, 33648: MIRROR, 33071: CLAMP}  # by GL's constants


class Texture(NamedTuple):
    """pixels uint8 [H, W, 3] as stored (sRGB), row 0 at v = 0; wrap_u, wrap_v: REPEAT, MIRROR or CLAMP."""

    pixels: NDArray[np.uint8]
    wrap_u: int
    wrap_v: int


class Primitive(NamedTuple):
    """Triangles with one material, in the asset's frame.

    positions float32 [V, 3] m; normals float32 [V, 3], not normalised, or [0, 3] if the file has none; faces int32 [F,
    3], counter-clockwise seen from the front; uv float32 [V, 2], v downwards; colors float32 [V, 3], base colour factor
    times vertex colour; texture: index into Asset.textures, or -1; extras: those of the material (exports of `rooms`
    store a pattern there); top_node: index of its top-level node, or of the node below a single root without a mesh;
    name: that node's name, "" if it has none.
    """

    top_node: int
    name: str
    positions: F32
    normals: F32
    faces: I32
    uv: F32
    colors: F32
    texture: int
    extras: Any


class Asset(NamedTuple):
    primitives: tuple[Primitive, ...]
    textures: tuple[Texture, ...]


def read_gltf(path: Path, reader: Reader) -> Asset:
    """The triangles of the default scene of a .glb or .gltf file.

    Raises VantageError("corrupt") for a file that is missing, invalid or without triangles, VantageError("unsupported")
    for one that requires an unsupported extension.
    """
    try:
        with np.errstate(all="ignore"):  # results are checked for invalid numbers instead
            asset = _Document(path, reader).asset()
    except VantageError:
        raise
    except (
        KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, struct.error,
    ) as error:  # fmt: skip
        raise broken(path, f"is not valid glTF ({type(error).__name__}: {error})") from error
    if not asset.primitives:
        raise broken(path, "has no triangles")
    return asset


class _Document:
    """One file. Every method may raise the exceptions of indexing invalid data."""

    def __init__(self, path: Path, reader: Reader) -> None:
        self._data = GltfData(path, reader)
        self._path, self._root, self._reader = path, self._data.root, reader
        self._textures: list[Texture] = []
        self._texture_index: dict[int, int] = {}

    def asset(self) -> Asset:
        primitives = []
        for top_node, matrix, mesh in self._placed_meshes():
            for primitive in self._root["meshes"][mesh]["primitives"]:
                read = self._primitive(top_node, matrix, primitive)
                if read is not None:
                    primitives.append(read)
        return Asset(tuple(primitives), tuple(self._textures))

    # ------------------------------------------------------------------ nodes

    def _placed_meshes(self) -> Iterator[tuple[int, F64, int]]:
        """(top-level node, matrix to the asset's frame, mesh) of every visible node of the scene, parents first."""
        nodes = self._root.get("nodes", [])
        scenes = self._root.get("scenes", [])
        if scenes:
            roots = scenes[index_of(self._root.get("scene", 0))].get("nodes", [])
        else:  # without a scene, all nodes without a parent
            held = {child for node in nodes for child in node.get("children", [])}
            roots = [k for k in range(len(nodes)) if k not in held]
        matrix = np.eye(4)
        seen: set[int] = set()
        while len(roots) == 1 and "mesh" not in nodes[index_of(roots[0])] and roots[0] not in seen:
            seen.add(roots[0])
            root = nodes[roots[0]]
            matrix = matrix @ _local(root)
            roots = root.get("children", []) if _is_visible(root) else []
        stack = [(index_of(root), root, matrix) for root in reversed(roots)]
        while stack:
            index, top_node, parent = stack.pop()
            if index in seen:
                raise broken(self._path, f"has node {index} twice in its node tree")
            seen.add(index)
            node = nodes[index]
            self._reader.take(NODES, 1, self._path)
            if not _is_visible(node):
                continue
            matrix = parent @ _local(node)
            if not np.isfinite(matrix).all():
                raise broken(self._path, f"has numbers that are not finite in node {index}")
            if "mesh" in node:
                yield top_node, matrix, index_of(node["mesh"])
            stack.extend((index_of(child), top_node, matrix) for child in reversed(node.get("children", [])))

    # ------------------------------------------------------------------ meshes

    def _primitive(self, top_node: int, matrix: F64, entry: dict[str, Any]) -> Optional[Primitive]:
        mode = entry.get("mode", _TRIANGLES)
        if mode not in (_TRIANGLES, _STRIP, _FAN):
            return None  # points and lines
        name = str(self._root["nodes"][top_node].get("name", ""))
        attributes = entry["attributes"]
        local = self._data.accessor(attributes["POSITION"]).astype(np.float64)
        if local.shape[1] != 3:
            raise broken(self._path, "has positions that are not points of three numbers")
        positions = (local @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32)
        if not np.isfinite(positions).all():
            raise broken(self._path, f"has a vertex that is not finite in {name or 'an unnamed node'!r}")
        if len(positions) and float(np.abs(positions).max()) > _MAX_COORDINATE_M:
            raise broken(self._path, f"has a vertex farther than {_MAX_COORDINATE_M:.0f} m from its origin")
        faces = self._faces(entry, mode, len(positions))
        if not len(faces):
            return None
        self._reader.take(ELEMENTS, 3 * len(positions), self._path)  # for normals, coordinates and colours
        if np.linalg.det(matrix[:3, :3]) < 0:  # mirrored: reverse the winding
            faces = np.ascontiguousarray(faces[:, ::-1])
        normals = np.empty((0, 3), np.float32)
        if "NORMAL" in attributes:
            own = self._floats(attributes["NORMAL"], len(positions), 3)
            normals = (own @ np.linalg.pinv(matrix[:3, :3])).astype(np.float32)
        color, texture, uv_set, uv_map = self._material(entry.get("material"))
        uv = np.zeros((len(positions), 2), np.float32)
        if texture >= 0 and f"TEXCOORD_{uv_set}" in attributes:
            uv = self._floats(attributes[f"TEXCOORD_{uv_set}"], len(positions), 2)[:, :2]
            uv = (uv.astype(np.float64) @ uv_map[:, :2].T + uv_map[:, 2]).astype(np.float32)
        colors = np.repeat(np.array([color], np.float32), len(positions), 0)
        if "COLOR_0" in attributes:
            colors *= np.clip(self._floats(attributes["COLOR_0"], len(positions), 3)[:, :3], 0, 1)
        extras = self._root["materials"][index_of(entry["material"])].get("extras") if "material" in entry else None
        return Primitive(top_node, name, positions, normals, faces, np.ascontiguousarray(uv), colors, texture, extras)

    def _faces(self, entry: dict[str, Any], mode: int, vertices: int) -> I32:
        """The indices as triangles [F, 3]."""
        if "indices" in entry:
            index = self._data.accessor(entry["indices"])
            if index.shape[1] != 1 or index.dtype.kind != "u":
                raise broken(self._path, "has indices that are not unsigned integers")
            index = index[:, 0]
            if len(index) and int(index.max()) >= vertices:
                raise broken(self._path, f"has a triangle with a vertex that does not exist ({int(index.max())})")
        else:
            index = np.arange(vertices)
        index = index.astype(np.int32)
        if mode == _TRIANGLES:
            return index[: len(index) // 3 * 3].reshape(-1, 3)
        if len(index) < 3:
            return np.empty((0, 3), np.int32)
        if mode == _FAN:
            return np.stack([index[1:-1], index[2:], np.full(len(index) - 2, index[0])], 1)
        odd = np.arange(len(index) - 2) % 2  # every other triangle of a strip has reversed winding
        last = np.arange(len(index) - 2)
        return np.stack([index[last], index[last + 1 + odd], index[last + 2 - odd]], 1)

    def _floats(self, index: int, count: int, least_width: int) -> F32:
        values = self._data.accessor(index)
        if values.dtype.kind != "f" or len(values) != count or values.shape[1] < least_width:
            raise broken(self._path, "has normals, texture coordinates or colours of a wrong type or count")
        if not np.isfinite(values).all():
            raise broken(self._path, "has normals, texture coordinates or colours that are not finite")
        return values

    # ------------------------------------------------------------------ materials

    def _material(self, index: Optional[int]) -> tuple[list[float], int, int, F64]:
        """Base colour, texture, its coordinate set, and the transform [2, 3] of the coordinates."""
        identity = np.eye(2, 3)
        if index is None:
            return [1.0, 1.0, 1.0], -1, 0, identity
        metal = self._root["materials"][index_of(index)].get("pbrMetallicRoughness", {})
        color = [float(c) for c in metal.get("baseColorFactor", (1, 1, 1, 1))][:3]
        if len(color) < 3 or not all(math.isfinite(c) for c in color):
            raise broken(self._path, f"has a base colour that is not three finite numbers in material {index}")
        color = [min(max(c, 0.0), 1.0) for c in color]
        if "baseColorTexture" not in metal:
            return color, -1, 0, identity
        info = metal["baseColorTexture"]
        uv_set = index_of(info.get("texCoord", 0))
        moved = info.get("extensions", {}).get("KHR_texture_transform")
        if moved is not None:
            turn = float(moved.get("rotation", 0.0))
            (su, sv), (ou, ov) = moved.get("scale", (1, 1)), moved.get("offset", (0, 0))
            c, s = math.cos(turn), math.sin(turn)
            identity = np.array([[c * su, s * sv, ou], [-s * su, c * sv, ov]], np.float64)
            uv_set = index_of(moved.get("texCoord", uv_set))
        return color, self._texture(index_of(info["index"])), uv_set, identity

    def _texture(self, index: int) -> int:
        if index not in self._texture_index:
            entry = self._root["textures"][index]
            sampler = self._root["samplers"][index_of(entry["sampler"])] if "sampler" in entry else {}
            texture = Texture(
                self._image(index_of(entry["source"])),
                _WRAPS[sampler.get("wrapS", 10497)],
                _WRAPS[sampler.get("wrapT", 10497)],
            )
            self._texture_index[index] = len(self._textures)
            self._textures.append(texture)
        return self._texture_index[index]

    def _image(self, index: int) -> NDArray[np.uint8]:
        entry = self._root["images"][index]
        data: Union[bytes, memoryview]
        data = self._data.uri(str(entry["uri"])) if "uri" in entry else self._data.view(entry["bufferView"])[0]
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise broken(self._path, f"has an image of more than {_MAX_PIXELS} pixels")
                self._reader.take(PIXELS, image.width * image.height, self._path)
                if image.mode.startswith("I"):  # grey of 16 bits, which convert() would clip to 255
                    grey = np.round(np.asarray(image).astype(np.float64) / 257).astype(np.uint8)
                    return np.repeat(grey[..., None], 3, 2)
                return np.asarray(image.convert("RGB"), np.uint8)
        except VantageError:
            raise
        except Exception as error:  # Pillow's decoders raise many types
            raise broken(self._path, f"has an image {index} that is not a PNG or JPEG ({error})") from error


def _is_visible(node: dict[str, Any]) -> bool:
    """Whether KHR_node_visibility shows the node and its children."""
    return node.get("extensions", {}).get("KHR_node_visibility", {}).get("visible", True) is not False


def _local(node: dict[str, Any]) -> F64:
    """The node's own matrix [4, 4]."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = (float(v) for v in node.get("rotation", (0, 0, 0, 1)))
    matrix[:3, :3] = quaternion_matrix((w, x, y, z)) * np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def quaternion_matrix(wxyz: tuple[float, float, float, float]) -> F64:
    """Rotation matrix [3, 3] of a quaternion of any positive length. Raises ValueError for length 0."""
    norm = math.sqrt(sum(v * v for v in wxyz))
    if not (math.isfinite(norm) and norm > 1e-9):
        raise ValueError("a rotation has length 0 or is not finite")
    w, x, y, z = (v / norm for v in wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
