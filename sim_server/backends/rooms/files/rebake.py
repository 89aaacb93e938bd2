"""Bakes the light of an exported home when it is read back, so that it renders as before the export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

import msgspec
import numpy as np

from protocol.errors import VantageError
from protocol.tasks.scene import SceneSpec, Vec3
from sim_server.backends.placements import Placement, SceneFiles
from sim_server.backends.rooms.building.plan import FloorPlan
from sim_server.backends.rooms.draw import textures
from sim_server.backends.rooms.draw.drawing import Drawing
from sim_server.backends.rooms.draw.materials import Material
from sim_server.backends.rooms.files.gltf import Asset, quaternion_matrix
from sim_server.backends.rooms.geometry import GeometryBuilder
from sim_server.backends.rooms.light.bake import light_scene
from sim_server.backends.rooms.mesh import Part, lengths


class LitBy(msgspec.Struct, frozen=True):
    """The inputs of baking: the spec (time of day, ceiling height), the plan (windows) and the ceiling lamps."""

    spec: SceneSpec
    plan: FloorPlan
    lamps_m: tuple[Vec3, ...]


def material_extras(material: Material) -> dict[str, Any]:
    """A material as exports store it in glTF `extras`."""
    return {"vantage": {**material._asdict(), "pattern": textures.NAMES[material.pattern]}}


def rebaked(files: SceneFiles, assets: dict[Path, Asset]) -> Optional[Drawing]:
    """The scene as it was before its export; None if it is not an export of `rooms` or contains other assets.

    Raises VantageError("corrupt") if the scene's own file or a material in it is invalid.
    """
    if "scene_file" not in files.user or files.stage is None:
        return None
    placements = (files.stage, *files.objects)
    primitives = [primitive for p in placements for primitive in assets[p.asset].primitives]
    if not all(isinstance(p.extras, dict) and "vantage" in p.extras for p in primitives):
        return None
    file = files.file.parent / str(files.user["scene_file"])
    try:
        lit_by = msgspec.convert(json.loads(file.read_bytes())["light"], LitBy, strict=False)
        builder = GeometryBuilder()
        for placement in placements:
            _add(builder, placement, assets[placement.asset])
        geometry = builder.build()
        return Drawing(geometry, light_scene(geometry, lit_by.plan, lit_by.spec, list(lit_by.lamps_m)))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise VantageError(
            "corrupt",
            f"{file} has no valid light for {files.name} ({type(error).__name__}: {error}): export it again.",
        ) from None


def _add(builder: GeometryBuilder, placement: Placement, asset: Asset) -> None:
    scale = np.array(placement.scale, np.float32)
    origin = np.array(placement.origin_m if placement.origin_m is not None else (0, 0, 0), np.float32)
    parts = []
    for primitive in asset.primitives:
        look = _material(primitive.extras["vantage"])
        normals = (primitive.normals / np.maximum(lengths(primitive.normals), 1e-12)).astype(np.float32)
        uv = primitive.uv / np.float32(look.repeats_per_m)
        parts.append((Part((primitive.positions - origin) * scale, normals, uv, primitive.faces), look))
    builder.add(placement.id, parts, quaternion_matrix(placement.rotation_wxyz), placement.translation_m)


def _material(stored: Any) -> Material:
    known = {**stored, "pattern": textures.NAMES.index(stored["pattern"])}
    # msgspec decodes named tuples from arrays
    look = msgspec.convert([known[field] for field in Material._fields], Material)
    values = np.array([*look.low, *look.high, look.repeats_per_m, look.glow])
    if not (np.isfinite(values).all() and (values >= 0).all() and look.repeats_per_m > 0):
        raise ValueError("a material has a value that is negative or not finite")
    return look
