"""Checks the files of a scene before habitat-sim reads them: on bad ones it fails, or ends the process later."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from protocol.errors import VantageError
from sim_server.backends.placements import SceneFiles

_MAGIC, _JSON, _BINARY = b"glTF", 0x4E4F534A, 0x004E4942
_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<II")


def check_assets(files: SceneFiles) -> None:
    """Raises VantageError("corrupt") with the file's name for a .glb or .gltf that is incomplete or is none."""
    placements = (*((files.stage,) if files.stage is not None else ()), *files.objects)
    for path in dict.fromkeys(placement.asset for placement in placements):
        try:
            if path.suffix.lower() == ".glb":
                _check_glb(path)
            elif path.suffix.lower() == ".gltf":
                _check_document(json.loads(path.read_bytes()))
        except OSError as error:
            raise VantageError(
                "corrupt", f"{path} cannot be read ({error.strerror or error}): restore the file."
            ) from None
        except (ValueError, struct.error, RecursionError) as error:
            raise VantageError("corrupt", f"{path} is not a valid glTF file ({error}): restore the file.") from None


def _check_glb(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        magic, version, length = _HEADER.unpack(file.read(_HEADER.size))
        if magic != _MAGIC or version != 2:
            raise ValueError("it does not start like a .glb")
        if length > size:
            raise ValueError(f"{length - size} bytes are missing")
        chunk, kind = _CHUNK.unpack(file.read(_CHUNK.size))
        if kind != _JSON or _HEADER.size + _CHUNK.size + chunk > length:
            raise ValueError("its first part is not JSON")
        document = json.loads(file.read(chunk))
        binary = 0
        if file.tell() + _CHUNK.size <= length:
            binary, kind = _CHUNK.unpack(file.read(_CHUNK.size))
            if kind != _BINARY or file.tell() + binary > length:
                raise ValueError("its binary part is incomplete")
    _check_document(document)
    for buffer in document.get("buffers", [])[:1]:
        if "uri" not in buffer and int(buffer.get("byteLength", 0)) > binary:
            raise ValueError("its binary part is shorter than its buffer")


def _check_document(document: Any) -> None:
    if not (isinstance(document, dict) and isinstance(document.get("asset"), dict)):
        raise ValueError("its JSON is not a glTF document")
    views, buffers = document.get("bufferViews", []), document.get("buffers", [])
    if not (isinstance(views, list) and isinstance(buffers, list) and all(isinstance(b, dict) for b in buffers)):
        raise ValueError("its buffers are not lists")
