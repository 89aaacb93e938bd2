"""A reader of glTF 2.0 (.glb and .gltf): triangles with colours and textures, node transforms applied.

Read are positions, normals, texture coordinates, vertex colours, base colours and base-colour textures (PNG, JPEG),
which is what a plainly shaded picture, ids and depth need. Formulas and layouts: the glTF 2.0 specification (Khronos).
A file is untrusted: whatever is wrong with it is a VantageError that names the file and what to do.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import struct
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Optional, Union
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol.errors import VantageError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_READABLE = frozenset({"KHR_texture_transform", "KHR_mesh_quantization", "KHR_materials_unlit"})
_ADVICE = {
    "KHR_draco_mesh_compression": "write it without Draco compression",
    "EXT_meshopt_compression": "write it without meshopt compression",
    "KHR_texture_basisu": "write its textures as PNG or JPEG instead of KTX2",
    "EXT_texture_webp": "write its textures as PNG or JPEG instead of WebP",
}
_MOST_ELEMENTS = 2**24  # of one accessor
_MOST_PIXELS = 2**26  # of one picture
_MOST_COORDINATE_M = 1e5
_WRAPS = {10497: 0, 33648: 1, 33071: 2}  # GL constants of REPEAT, MIRRORED_REPEAT, CLAMP_TO_EDGE

REPEAT, MIRROR, CLAMP = 0, 1, 2


class Texture(NamedTuple):
    """pixels uint8 [H, W, 3] as stored (sRGB), row 0 at v = 0; wrap_u, wrap_v: REPEAT, MIRROR or CLAMP."""

    pixels: NDArray[np.uint8]
    wrap_u: int
    wrap_v: int


class Primitive(NamedTuple):
    """Triangles of one look, in the asset's frame.

    positions float32 [V, 3] m; normals float32 [V, 3], not of length 1, or [0, 3] where the file has none; faces
    int32 [F, 3], counter-clockwise seen from the front; uv float32 [V, 2], v downwards; colors float32 [V, 3], base
    colour factor times vertex colour; texture: index into Asset.textures, or -1; thing: index of the node at the top of
    the scene that holds it (below a single root without a mesh), which is what people name; name: that node's name, ""
    where it has none.
    """

    thing: int
    name: str
    positions: F32
    normals: F32
    faces: I32
    uv: F32
    colors: F32
    texture: int


class Asset(NamedTuple):
    primitives: tuple[Primitive, ...]
    textures: tuple[Texture, ...]


def read_gltf(path: Path) -> Asset:
    """Everything that the default scene of a .glb or .gltf file draws as triangles.

    Raises VantageError("corrupt") for a file that is missing, broken or without triangles, VantageError("unsupported")
    for one that requires an extension that is not read here.
    """
    try:
        with np.errstate(all="ignore"):  # wrong numbers are found by looking at the results
            asset = _Document(path).asset()
    except VantageError:
        raise
    except (
        KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, struct.error,
    ) as error:  # fmt: skip
        raise broken(path, f"is not valid glTF ({type(error).__name__}: {error})") from error
    if not asset.primitives:
        raise broken(path, "holds no triangles")
    return asset


def broken(path: Path, what: str) -> VantageError:
    return VantageError("corrupt", f"{path} {what}: export or download it again.")


class _Document:
    """One file with its buffers; every method may raise what indexing wrong data raises."""

    def __init__(self, path: Path) -> None:
        self._path = path
        data = self._file(path)
        self._binary: Optional[bytes] = None
        if data[:4] == struct.pack("<I", _MAGIC):
            text = self._chunks(data)
        elif path.suffix.lower() == ".glb":
            raise broken(path, "is not a GLB file (it does not begin with glTF)")
        else:
            text = data
        try:
            self._root = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise broken(path, f"holds wrong JSON ({error})") from None
        if not isinstance(self._root, dict) or str(self._root["asset"]["version"]).partition(".")[0] != "2":
            raise broken(path, "is not glTF of version 2")
        for name in self._root.get("extensionsRequired", ()):
            if name not in _READABLE:
                advice = _ADVICE.get(name, "write it without that extension")
                raise VantageError("unsupported", f"{path} requires {name}, which is not read here: {advice}.")
        self._buffers: dict[int, bytes] = {}
        self._textures: list[Texture] = []
        self._texture_index: dict[int, int] = {}

    def asset(self) -> Asset:
        primitives = []
        for thing, matrix, mesh in self._placed_meshes():
            for primitive in self._root["meshes"][mesh]["primitives"]:
                read = self._primitive(thing, matrix, primitive)
                if read is not None:
                    primitives.append(read)
        return Asset(tuple(primitives), tuple(self._textures))

    # ------------------------------------------------------------------ files and buffers

    def _file(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise VantageError("corrupt", f"{path} cannot be read ({reason}): restore the file.") from None

    def _chunks(self, data: bytes) -> bytes:
        """The JSON of a GLB; notes its binary chunk."""
        if len(data) < 20:
            raise broken(self._path, "is cut off")
        _, version, length = struct.unpack_from("<III", data)
        if version != 2:
            raise broken(self._path, f"is GLB of version {version}, not 2")
        if length > len(data):
            raise broken(self._path, f"is cut off: it has {len(data)} of {length} bytes")
        text, at = None, 12
        while at + 8 <= length:
            size, kind = struct.unpack_from("<II", data, at)
            at += 8
            if at + size > length:
                raise broken(self._path, "is cut off inside a chunk")
            if kind == _JSON_CHUNK and text is None:
                text = data[at : at + size]
            elif kind == _BINARY_CHUNK and self._binary is None:
                self._binary = data[at : at + size]
            at += size
        if text is None:
            raise broken(self._path, "has no JSON chunk")
        return text

    def _uri(self, uri: str) -> bytes:
        if uri.startswith("data:"):
            head, _, body = uri.partition(",")
            if not head.endswith(";base64"):
                raise broken(self._path, "has a data URI that is not base64")
            try:
                return base64.b64decode(body, validate=True)
            except (binascii.Error, ValueError) as error:
                raise broken(self._path, f"has a broken data URI ({error})") from None
        if "://" in uri:
            raise VantageError(
                "unsupported", f"{self._path} names {uri[:80]!r}: only files beside it are read, so put it there."
            )
        return self._file(self._path.parent / unquote(uri))

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            entry = self._root["buffers"][_index(index)]
            if "uri" in entry:
                data = self._uri(str(entry["uri"]))
            elif index == 0 and self._binary is not None:
                data = self._binary
            else:
                raise broken(self._path, f"has no data for buffer {index}")
            length = int(entry["byteLength"])
            if not 0 <= length <= len(data):
                raise broken(self._path, f"is cut off: buffer {index} has {len(data)} of {length} bytes")
            self._buffers[index] = data[:length]
        return self._buffers[index]

    def _view(self, index: int) -> tuple[memoryview, int]:
        """The bytes of a buffer view and its stride, 0 where tightly packed."""
        view = self._root["bufferViews"][_index(index)]
        data = memoryview(self._buffer(view["buffer"]))
        start, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
        if start < 0 or length < 0 or start + length > len(data):
            raise broken(self._path, f"has a view {index} beyond its buffer")
        return data[start : start + length], int(view.get("byteStride", 0))

    def _array(self, view: int, offset: int, component: int, count: int, width: int) -> NDArray[Any]:
        """[count, width] elements of a view, as stored."""
        dtype = np.dtype(_COMPONENTS[component])
        data, stride = self._view(view)
        packed = dtype.itemsize * width
        stride = stride or packed
        if offset < 0 or stride < packed or (count and offset + stride * (count - 1) + packed > len(data)):
            raise broken(self._path, f"has an accessor beyond view {view}")
        return np.ndarray((count, width), dtype=dtype, buffer=data, offset=offset, strides=(stride, dtype.itemsize))

    def _accessor(self, index: int) -> NDArray[Any]:
        """[count, width]: float32 for floating and normalised components, else integers."""
        entry = self._root["accessors"][_index(index)]
        component, count = entry["componentType"], int(entry["count"])
        width = _WIDTHS[entry["type"]]
        if not 0 <= count <= _MOST_ELEMENTS:
            raise broken(self._path, f"has an accessor of {count} elements, more than {_MOST_ELEMENTS}")
        if "bufferView" in entry:
            values = self._array(entry["bufferView"], int(entry.get("byteOffset", 0)), component, count, width)
        else:
            values = np.zeros((count, width), _COMPONENTS[component])
        if "sparse" in entry:
            values = self._with_sparse(values, entry["sparse"], component, width)
        if entry.get("normalized", False) and values.dtype.kind in "iu":
            highest = np.float32(np.iinfo(values.dtype).max)
            return np.maximum(values.astype(np.float32) / highest, np.float32(-1))
        return values.astype(values.dtype.newbyteorder("="))

    def _with_sparse(self, values: NDArray[Any], entry: dict[str, Any], component: int, width: int) -> NDArray[Any]:
        count = int(entry["count"])
        if not 0 <= count <= len(values):
            raise broken(self._path, "has a sparse accessor with more changes than elements")
        at, new = entry["indices"], entry["values"]
        where = self._array(at["bufferView"], int(at.get("byteOffset", 0)), at["componentType"], count, 1)[:, 0]
        if count and (where.dtype.kind != "u" or int(where.max()) >= len(values)):
            raise broken(self._path, "has a sparse accessor with an index beyond its elements")
        out = values.copy()
        out[where.astype(np.int64)] = self._array(
            new["bufferView"], int(new.get("byteOffset", 0)), component, count, width
        )
        return out

    # ------------------------------------------------------------------ nodes

    def _placed_meshes(self) -> Iterator[tuple[int, F64, int]]:
        """(node at the top, matrix to the asset's frame, mesh) of every node of the scene, parents first."""
        nodes = self._root.get("nodes", [])
        scenes = self._root.get("scenes", [])
        if scenes:
            roots = scenes[_index(self._root.get("scene", 0))].get("nodes", [])
        else:  # without a scene, all nodes that nothing holds
            held = {child for node in nodes for child in node.get("children", [])}
            roots = [k for k in range(len(nodes)) if k not in held]
        matrix = np.eye(4)
        seen: set[int] = set()
        while len(roots) == 1 and "mesh" not in nodes[_index(roots[0])] and roots[0] not in seen:
            seen.add(roots[0])
            matrix = matrix @ _local(nodes[roots[0]])
            roots = nodes[roots[0]].get("children", [])
        stack = [(_index(root), root, matrix) for root in reversed(roots)]
        while stack:
            index, thing, parent = stack.pop()
            if index in seen:
                raise broken(self._path, f"has node {index} in two places of its tree")
            seen.add(index)
            node = nodes[index]
            matrix = parent @ _local(node)
            if not np.isfinite(matrix).all():
                raise broken(self._path, f"has numbers that are not finite in node {index}")
            if "mesh" in node:
                yield thing, matrix, _index(node["mesh"])
            stack.extend((_index(child), thing, matrix) for child in reversed(node.get("children", [])))

    # ------------------------------------------------------------------ meshes

    def _primitive(self, thing: int, matrix: F64, entry: dict[str, Any]) -> Optional[Primitive]:
        mode = entry.get("mode", _TRIANGLES)
        if mode not in (_TRIANGLES, _STRIP, _FAN):
            return None  # points and lines
        name = str(self._root["nodes"][thing].get("name", ""))
        attributes = entry["attributes"]
        local = self._accessor(attributes["POSITION"]).astype(np.float64)
        if local.shape[1] != 3:
            raise broken(self._path, "has positions that are not points of three numbers")
        positions = (local @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32)
        if not np.isfinite(positions).all():
            raise broken(self._path, f"has a vertex that is not finite in {name or 'an unnamed node'!r}")
        if len(positions) and float(np.abs(positions).max()) > _MOST_COORDINATE_M:
            raise broken(self._path, f"has a vertex farther than {_MOST_COORDINATE_M:.0f} m from its origin")
        faces = self._faces(entry, mode, len(positions))
        if not len(faces):
            return None
        if np.linalg.det(matrix[:3, :3]) < 0:  # a mirrored node is seen from the other side
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
        return Primitive(thing, name, positions, normals, faces, np.ascontiguousarray(uv), colors, texture)

    def _faces(self, entry: dict[str, Any], mode: int, vertices: int) -> I32:
        """Indices as triangles [F, 3]."""
        if "indices" in entry:
            index = self._accessor(entry["indices"])
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
        odd = np.arange(len(index) - 2) % 2  # every other triangle of a strip runs the other way round
        last = np.arange(len(index) - 2)
        return np.stack([index[last], index[last + 1 + odd], index[last + 2 - odd]], 1)

    def _floats(self, index: int, count: int, least_width: int) -> F32:
        values = self._accessor(index)
        if values.dtype.kind != "f" or len(values) != count or values.shape[1] < least_width:
            raise broken(self._path, "has normals, texture coordinates or colours of a wrong type or number")
        if not np.isfinite(values).all():
            raise broken(self._path, "has normals, texture coordinates or colours that are not finite")
        return values

    # ------------------------------------------------------------------ materials

    def _material(self, index: Optional[int]) -> tuple[list[float], int, int, F64]:
        """Base colour, texture, its set of coordinates, and the map [2, 3] that they go through."""
        identity = np.eye(2, 3)
        if index is None:
            return [1.0, 1.0, 1.0], -1, 0, identity
        metal = self._root["materials"][_index(index)].get("pbrMetallicRoughness", {})
        color = [float(c) for c in metal.get("baseColorFactor", (1, 1, 1, 1))][:3]
        if len(color) < 3 or not all(0 <= c <= 1 for c in color):
            raise broken(self._path, f"has a base colour outside 0..1 in material {index}")
        if "baseColorTexture" not in metal:
            return color, -1, 0, identity
        info = metal["baseColorTexture"]
        uv_set = _index(info.get("texCoord", 0))
        moved = info.get("extensions", {}).get("KHR_texture_transform")
        if moved is not None:
            turn = float(moved.get("rotation", 0.0))
            (su, sv), (ou, ov) = moved.get("scale", (1, 1)), moved.get("offset", (0, 0))
            c, s = math.cos(turn), math.sin(turn)
            identity = np.array([[c * su, s * sv, ou], [-s * su, c * sv, ov]], np.float64)
            uv_set = _index(moved.get("texCoord", uv_set))
        return color, self._texture(_index(info["index"])), uv_set, identity

    def _texture(self, index: int) -> int:
        if index not in self._texture_index:
            entry = self._root["textures"][index]
            sampler = self._root["samplers"][_index(entry["sampler"])] if "sampler" in entry else {}
            texture = Texture(
                self._picture(_index(entry["source"])),
                _WRAPS[sampler.get("wrapS", 10497)],
                _WRAPS[sampler.get("wrapT", 10497)],
            )
            self._texture_index[index] = len(self._textures)
            self._textures.append(texture)
        return self._texture_index[index]

    def _picture(self, index: int) -> NDArray[np.uint8]:
        entry = self._root["images"][index]
        data: Union[bytes, memoryview]
        data = self._uri(str(entry["uri"])) if "uri" in entry else self._view(entry["bufferView"])[0]
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    raise broken(self._path, f"has a picture of more than {_MOST_PIXELS} pixels")
                return np.asarray(picture.convert("RGB"), np.uint8)
        except VantageError:
            raise
        except Exception as error:  # Pillow's decoders raise many kinds
            raise broken(self._path, f"has a picture {index} that is no PNG or JPEG ({error})") from error


def _index(value: Any) -> int:
    """A reference to an element of a list. Raises ValueError for a negative one, which a list would take."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no index")
    return value


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
    """Rotation matrix [3, 3] of a quaternion of any length but 0. Raises ValueError for that one."""
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
