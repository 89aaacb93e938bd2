"""Writes GLB files: one mesh with a primitive per surface."""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

_FLOAT, _UINT32, _UBYTE = 5126, 5125, 5121
_ARRAY, _ELEMENT = 34962, 34963  # GL's buffer targets
_LINEAR, _LINEAR_MIPMAP_LINEAR, _REPEAT = 9729, 9987, 10497


class Surface(NamedTuple):
    """Triangles with one material.

    positions, normals float32 [V, 3]; faces int [F, 3]; uv float32 [V, 2] or None; colors uint8 [V, 4] or None; name,
    color (0..1), texture ("" or a uri) and extras: of the material.
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    faces: NDArray[np.int64]
    uv: Optional[NDArray[np.float32]]
    colors: Optional[NDArray[np.uint8]]
    name: str
    color: tuple[float, ...]
    texture: str
    extras: Optional[dict[str, Any]]


def glb(name: str, surfaces: Sequence[Surface]) -> bytes:
    """A GLB of a node and mesh called `name`; equal materials are written once."""
    binary, views, accessors, primitives = bytearray(), [], [], []

    def accessor(values: NDArray[Any], kind: str, component: int, target: int, **more: Any) -> int:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": values.nbytes, "target": target})
        binary.extend(values.tobytes())
        entry = {"bufferView": len(views) - 1, "componentType": component, "count": len(values), "type": kind, **more}
        accessors.append(entry)
        return len(accessors) - 1

    images = sorted({surface.texture for surface in surfaces if surface.texture})
    materials: list[dict[str, Any]] = []
    for surface in surfaces:
        positions = surface.positions.astype("<f4")
        bounds = {"min": positions.min(0).tolist(), "max": positions.max(0).tolist()}
        attributes = {
            "POSITION": accessor(positions, "VEC3", _FLOAT, _ARRAY, **bounds),
            "NORMAL": accessor(surface.normals.astype("<f4"), "VEC3", _FLOAT, _ARRAY),
        }
        if surface.uv is not None:
            attributes["TEXCOORD_0"] = accessor(surface.uv.astype("<f4"), "VEC2", _FLOAT, _ARRAY)
        if surface.colors is not None:
            attributes["COLOR_0"] = accessor(surface.colors, "VEC4", _UBYTE, _ARRAY, normalized=True)
        material = _material(surface, images)
        if material not in materials:
            materials.append(material)
        order = accessor(surface.faces.reshape(-1).astype("<u4"), "SCALAR", _UINT32, _ELEMENT)
        index = materials.index(material)
        primitives.append({"attributes": attributes, "indices": order, "material": index, "mode": 4})
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "vantage"},
        "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"name": name, "mesh": 0}],
        "meshes": [{"name": name, "primitives": primitives}], "materials": materials, "accessors": accessors,
        "bufferViews": views, "buffers": [{"byteLength": len(binary)}],
    }  # fmt: skip
    if images:
        sampler = {"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP_LINEAR, "wrapS": _REPEAT, "wrapT": _REPEAT}
        document["images"] = [{"uri": image, "mimeType": "image/png"} for image in images]
        document["samplers"] = [sampler]
        document["textures"] = [{"source": k, "sampler": 0} for k in range(len(images))]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data = bytes(binary) + b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


def _material(surface: Surface, images: Sequence[str]) -> dict[str, Any]:
    look: dict[str, Any] = {"baseColorFactor": [*surface.color, 1.0], "metallicFactor": 0.0, "roughnessFactor": 1.0}
    if surface.texture:
        look["baseColorTexture"] = {"index": images.index(surface.texture)}
    material = {"name": surface.name, "pbrMetallicRoughness": look}
    return material if surface.extras is None else {**material, "extras": surface.extras}
