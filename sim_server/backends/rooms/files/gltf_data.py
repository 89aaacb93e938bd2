"""The contents of a glTF 2.0 file: its JSON, and its buffers as arrays.

Files are untrusted: a defect raises a VantageError that names the file and says what to do, or an exception of indexing
invalid data.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Any, Optional
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from sim_server.backends.untrusted import ELEMENTS, MAX_JSON_BYTES, ZEROS, Reader

_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_READABLE = frozenset({"KHR_texture_transform", "KHR_mesh_quantization", "KHR_materials_unlit", "KHR_node_visibility"})
_ADVICE = {
    "KHR_draco_mesh_compression": "write it without Draco compression",
    "EXT_meshopt_compression": "write it without meshopt compression",
    "KHR_texture_basisu": "write its textures as PNG or JPEG instead of KTX2",
    "EXT_texture_webp": "write its textures as PNG or JPEG instead of WebP",
}
_MAX_ELEMENTS = 2**24  # per accessor


def broken(path: Path, defect: str) -> VantageError:
    return VantageError("corrupt", f"{path} {defect}: export or download it again.")


class GltfData:
    """One file with its buffers; `root` is its JSON."""

    def __init__(self, path: Path, reader: Reader) -> None:
        self.path, self._reader = path, reader
        data = reader.read(path)
        self._binary: Optional[bytes] = None
        if data[:4] == struct.pack("<I", _MAGIC):
            text = self._chunks(data)
        elif path.suffix.lower() == ".glb":
            raise broken(path, "is not a GLB file (it does not start with 'glTF')")
        else:
            text = data
        if len(text) > MAX_JSON_BYTES:
            raise broken(path, f"has more than {MAX_JSON_BYTES} bytes of JSON")
        try:
            self.root = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise broken(path, f"contains invalid JSON ({error})") from None
        if not isinstance(self.root, dict) or str(self.root["asset"]["version"]).partition(".")[0] != "2":
            raise broken(path, "is not glTF of version 2")
        for name in self.root.get("extensionsRequired", ()):
            if name not in _READABLE:
                advice = _ADVICE.get(name, "write it without that extension")
                raise VantageError("unsupported", f"{path} requires {name}, which is not supported: {advice}.")
        self._buffers: dict[int, bytes] = {}

    def _chunks(self, data: bytes) -> bytes:
        """The JSON of a GLB; also stores its binary chunk."""
        if len(data) < 20:
            raise broken(self.path, "is truncated")
        _, version, length = struct.unpack_from("<III", data)
        if version != 2:
            raise broken(self.path, f"is GLB of version {version}, not 2")
        if length > len(data):
            raise broken(self.path, f"is truncated: it has {len(data)} of {length} bytes")
        text, at = None, 12
        while at + 8 <= length:
            size, kind = struct.unpack_from("<II", data, at)
            at += 8
            if at + size > length:
                raise broken(self.path, "is truncated inside a chunk")
            if kind == _JSON_CHUNK and text is None:
                text = data[at : at + size]
            elif kind == _BINARY_CHUNK and self._binary is None:
                self._binary = data[at : at + size]
            at += size
        if text is None:
            raise broken(self.path, "has no JSON chunk")
        return text

    def uri(self, uri: str) -> bytes:
        if uri.startswith("data:"):
            head, _, body = uri.partition(",")
            if not head.endswith(";base64"):
                raise broken(self.path, "has a data URI that is not base64-encoded")
            try:
                return base64.b64decode(body, validate=True)
            except (binascii.Error, ValueError) as error:
                raise broken(self.path, f"has an invalid data URI ({error})") from None
        if "://" in uri:
            raise VantageError(
                "unsupported",
                f"{self.path} refers to {uri[:80]!r}: put that file into the same folder, no other location is read.",
            )
        return self._reader.read(self.path.parent / unquote(uri))

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            entry = self.root["buffers"][index_of(index)]
            if "uri" in entry:
                data = self.uri(str(entry["uri"]))
            elif index == 0 and self._binary is not None:
                data = self._binary
            else:
                raise broken(self.path, f"has no data for buffer {index}")
            length = int(entry["byteLength"])
            if not 0 <= length <= len(data):
                raise broken(self.path, f"is truncated: buffer {index} has {len(data)} of {length} bytes")
            self._buffers[index] = data[:length]
        return self._buffers[index]

    def view(self, index: int) -> tuple[memoryview, int]:
        """The bytes of a buffer view and its stride, 0 if tightly packed."""
        view = self.root["bufferViews"][index_of(index)]
        data = memoryview(self._buffer(view["buffer"]))
        start, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
        if start < 0 or length < 0 or start + length > len(data):
            raise broken(self.path, f"has a view {index} beyond its buffer")
        return data[start : start + length], int(view.get("byteStride", 0))

    def _array(self, view: int, offset: int, component: int, count: int, width: int) -> NDArray[Any]:
        """[count, width] elements of a view, as stored."""
        dtype = np.dtype(_COMPONENTS[component])
        data, stride = self.view(view)
        packed = dtype.itemsize * width
        stride = stride or packed
        if offset < 0 or stride < packed or (count and offset + stride * (count - 1) + packed > len(data)):
            raise broken(self.path, f"has an accessor beyond view {view}")
        return np.ndarray((count, width), dtype=dtype, buffer=data, offset=offset, strides=(stride, dtype.itemsize))

    def accessor(self, index: int) -> NDArray[Any]:
        """Elements [count, width]: float32 for floating-point and normalised components, else integers."""
        entry = self.root["accessors"][index_of(index)]
        component, count = entry["componentType"], int(entry["count"])
        width = _WIDTHS[entry["type"]]
        if not 0 <= count <= _MAX_ELEMENTS:
            raise broken(self.path, f"has an accessor of {count} elements, more than {_MAX_ELEMENTS}")
        self._reader.take(ELEMENTS, count, self.path)
        if "bufferView" in entry:
            values = self._array(entry["bufferView"], int(entry.get("byteOffset", 0)), component, count, width)
        else:
            self._reader.take(ZEROS, count, self.path)
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
            raise broken(self.path, "has a sparse accessor with more changes than elements")
        at, new = entry["indices"], entry["values"]
        where = self._array(at["bufferView"], int(at.get("byteOffset", 0)), at["componentType"], count, 1)[:, 0]
        if count and (where.dtype.kind != "u" or int(where.max()) >= len(values)):
            raise broken(self.path, "has a sparse accessor with an index beyond its elements")
        out = values.copy()
        out[where.astype(np.int64)] = self._array(
            new["bufferView"], int(new.get("byteOffset", 0)), component, count, width
        )
        return out


def index_of(value: Any) -> int:
    """The value as a list index. Raises ValueError for negative numbers, which Python would accept."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not an index")
    return value
