"""Writes generated homes as a Habitat scene dataset, with a description of each.

habitat-sim's requirements, found by opening exports in it: one template per instance, since a semantic_id in an
instance is ignored; `asset_local` translations and static motion, else an object is moved and left out of the navmesh;
unit quaternions; the flat shader without lights for exact colours; PNG textures, no transparency and no emission; a
material for every part; outward front faces, since back faces are never drawn.

The format has no baked light: in habitat-sim, surfaces have their own colours. The data for baking the light again
(rebake.py) are in places that other readers ignore: light sources in the scene's own file, patterns in the materials'
`extras`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
from pathlib import Path
from typing import Any, Iterable, NamedTuple, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol.errors import VantageError
from protocol.tasks.scene import Room, SceneObject
from sim_server.backends.base import Scene
from sim_server.backends.rooms.draw import textures
from sim_server.backends.rooms.draw.materials import Material, Rgb
from sim_server.backends.rooms.files.gltf import quaternion_matrix
from sim_server.backends.rooms.files.rebake import LitBy, material_extras
from sim_server.backends.rooms.geometry import Geometry
from sim_server.backends.rooms.scene import RoomsScene
from sim_server.backends.rooms.walk.navigation import AGENT_HEIGHT_M, AGENT_RADIUS_M, CELL_M, STEP_M

CONFIG_NAME = "rooms.scene_dataset_config.json"
_FLOAT, _UINT32 = 5126, 5125
_NAVMESH = {
    "agent_radius": AGENT_RADIUS_M, "agent_height": AGENT_HEIGHT_M, "agent_max_climb": STEP_M, "agent_max_slope": 45.0,
    "cell_size": CELL_M, "cell_height": STEP_M, "include_static_objects": True,
}  # fmt: skip


class _Look(NamedTuple):
    """A material, and its glTF form: a base colour, or a texture and its repeats per metre."""

    own: Material
    name: str
    color: tuple[float, ...]
    texture: str
    repeats_per_m: float


def export_scenes(scenes: Iterable[Scene], out: Path, digest: str) -> list[str]:
    """Write generated homes into folder `out` and return their names.

    Raises VantageError("bad_request") for a scene that was not generated, and for a folder that contains other files or
    cannot be written.
    """
    try:
        if out.exists() and any(out.iterdir()) and not (out / CONFIG_NAME).exists():
            raise VantageError("bad_request", f"{out} contains other files: choose a new folder, or an earlier export.")
        names = []
        for scene in scenes:
            if not isinstance(scene, RoomsScene):
                refusal = f"{scene.description.scene_id} was not generated: export generated homes."
                raise VantageError("bad_request", refusal)
            if not names:  # only when there is a scene to write, so that a refusal leaves no folder behind
                _make_folder(out)
            names.append(_export(scene, out, digest))
    except OSError as error:
        raise VantageError("bad_request", f"{out} cannot be written ({error.strerror or error}).") from None
    return names


def _make_folder(out: Path) -> None:
    for folder in ("stages", "objects", "scenes", "semantics", "textures"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    _write(out / CONFIG_NAME, {
        "stages": {"paths": {".json": ["stages"]}},
        "objects": {"paths": {".json": ["objects"]}},
        "scene_instances": {"paths": {".json": ["scenes"]}},
        "semantic_scene_descriptor_instances": {"paths": {".json": ["semantics"]}},
    })  # fmt: skip


def _export(scene: RoomsScene, out: Path, digest: str) -> str:
    name, geometry = scene.description.scene_id, scene.geometry
    looks = [_look(geometry, m, out / "textures") for m in range(len(geometry.material_pattern))]
    shell = np.flatnonzero(geometry.face_object == 0)
    (out / "stages" / f"{name}.glb").write_bytes(_glb(name, geometry, shell, looks, np.eye(3), np.zeros(3)))
    asset = {"up": [0, 1, 0], "front": [0, 0, -1], "is_collidable": True, "shader_type": "flat"}
    _write(
        out / "stages" / f"{name}.stage_config.json",
        {"render_asset": f"{name}.glb", "collision_asset": f"{name}.glb", "origin": [0, 0, 0], **asset},
    )
    instances = []
    for item in scene.description.objects:
        template = f"{name}_{item.id:03d}_{re.sub('[^a-z0-9]+', '_', item.category)}"
        rotation, centre = quaternion_matrix(item.box.rotation_wxyz), np.array(item.box.centre_m)
        faces = np.flatnonzero(geometry.face_object == item.id)
        file = f"{template}.glb"
        (out / "objects" / file).write_bytes(_glb(template, geometry, faces, looks, rotation, centre))
        _write(
            out / "objects" / f"{template}.object_config.json",
            {
                "render_asset": file, "collision_asset": file, "semantic_id": item.id, "mass": 1.0, **asset,
                "user_defined": _template_truth(item, rotation),
            },
        )  # fmt: skip
        instances.append({
            "template_name": template, "translation_origin": "asset_local", "translation": list(item.box.centre_m),
            "rotation": list(item.box.rotation_wxyz), "motion_type": "static",
            "user_defined": {"object_id": item.id, "room_id": item.room_id, "support_id": item.support_id},
        })  # fmt: skip
    description = scene.description
    _write(out / "semantics" / f"{name}.semantic_config.json", {
        "classes": [{"id": o.id, "name": o.category} for o in description.objects],
        "region_annotations": [_region(room) for room in description.rooms],
    })  # fmt: skip
    _write(out / "scenes" / f"{name}.scene_instance.json", {
        "stage_instance": {
            "template_name": f"stages/{name}", "translation_origin": "asset_local", "translation": [0, 0, 0],
            "rotation": [1, 0, 0, 0],
        },
        "default_lighting": "no_lights",
        "semantic_scene_instance": f"{name}.semantic_config.json",
        "object_instances": instances,
        "user_defined": {
            "scene_file": f"../{name}.scene.json", "navmesh_settings": _NAVMESH,
            "openings": msgspec.to_builtins(description.openings),
            "navigable_area_m2": description.navigable_area_m2,
        },
    })  # fmt: skip
    lit_by = LitBy(scene.spec, scene.plan, tuple(scene.lamps_m))
    truth = {"renderer_digest": digest, "spec": scene.spec, "scene": description, "light": lit_by}
    (out / f"{name}.scene.json").write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=1))
    return name


def _template_truth(item: SceneObject, rotation: NDArray[np.float64]) -> dict[str, Any]:
    """Properties of an object that Habitat's format lacks; the front is in the template's frame (placements.py)."""
    stored: dict[str, Any] = {"category": item.category, "color": item.color}
    if item.front is not None:
        stored["front"] = (rotation.T @ np.array(item.front)).tolist()
    return stored


def _region(room: Room) -> dict[str, Any]:
    """A room as a region annotation. habitat-sim reports an error for a region without both bounds."""
    xs, zs = zip(*room.polygon_xz_m)
    return {
        "name": f"{room.category}_{room.id}", "label": room.category,
        "poly_loop": [[x, room.floor_y_m, z] for x, z in room.polygon_xz_m],
        "floor_height": room.floor_y_m, "extrusion_height": room.ceiling_y_m - room.floor_y_m,
        "min_bounds": [min(xs), room.floor_y_m, min(zs)], "max_bounds": [max(xs), room.ceiling_y_m, max(zs)],
    }  # fmt: skip


def _look(geometry: Geometry, material: int, folder: Path) -> _Look:
    """The glTF form of a material; writes its texture unless an equal one exists."""
    low, high = geometry.material_values[material, :3], geometry.material_values[material, 3:6]
    repeats, glow = float(geometry.material_values[material, 6]), float(geometry.material_values[material, 7])
    pattern = textures.bank()[geometry.material_pattern[material], : textures.SIZE**2, None]
    own = Material(int(geometry.material_pattern[material]), _rgb(low), _rgb(high), repeats, glow)
    shown = _srgb(np.clip((low + (high - low) * pattern) * (1 + glow), 0, 1))
    if (shown == shown[0]).all():
        name = "color_" + bytes(shown[0]).hex()
        return _Look(own, name, tuple(float(c) for c in shown[0] / 255), "", 1.0)
    image = shown.reshape(textures.SIZE, textures.SIZE, 3)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    name = hashlib.blake2b(image.tobytes(), digest_size=6).hexdigest()
    (folder / f"{name}.png").write_bytes(buffer.getvalue())
    return _Look(own, name, (1.0, 1.0, 1.0), f"../textures/{name}.png", repeats)


def _rgb(values: NDArray[np.float32]) -> Rgb:
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def _srgb(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """IEC 61966-2-1 encoding of linear 0..1 to bytes."""
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)


def _glb(
    name: str, geometry: Geometry, faces: NDArray[np.int64], looks: Sequence[_Look], rotation: NDArray[np.float64],
    centre: NDArray[np.float64],
) -> bytes:  # fmt: skip
    """A GLB of these faces, in the frame that `rotation` and `centre` map to the world.

    It has one primitive per chunk and look, so that reading it back gives the same chunks.
    """
    binary, views, accessors, primitives = bytearray(), [], [], []

    def accessor(values: NDArray[Any], kind: str, component: int, target: int, bounds: bool = False) -> int:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": values.nbytes, "target": target})
        binary.extend(values.tobytes())
        entry = {"bufferView": len(views) - 1, "componentType": component, "count": len(values), "type": kind}
        if bounds:
            entry.update(min=values.min(0).tolist(), max=values.max(0).tolist())
        accessors.append(entry)
        return len(accessors) - 1

    used = np.unique(geometry.face_material[faces])
    looked_at = np.searchsorted(used, geometry.face_material[faces])
    chunks = np.searchsorted(geometry.chunk_faces[:, 1], faces, "right")
    for chunk, index in np.unique(np.stack([chunks, looked_at], 1), axis=0).tolist():
        material = int(used[index])
        corners = geometry.faces[faces[(chunks == chunk) & (looked_at == index)]]
        vertices, inverse = np.unique(corners, return_inverse=True)
        local = (geometry.positions[vertices].astype(np.float64) - centre) @ rotation
        attributes = {
            "POSITION": accessor(local.astype("<f4"), "VEC3", _FLOAT, 34962, bounds=True),
            "NORMAL": accessor((geometry.normals[vertices] @ rotation).astype("<f4"), "VEC3", _FLOAT, 34962),
        }
        look = looks[material]
        if textures.NAMES[look.own.pattern] != "plain":
            uv = (geometry.uv[vertices] * np.float32(look.repeats_per_m)).astype("<f4")
            attributes["TEXCOORD_0"] = accessor(uv, "VEC2", _FLOAT, 34962)
        order = accessor(inverse.reshape(-1).astype("<u4"), "SCALAR", _UINT32, 34963)
        primitives.append({"attributes": attributes, "indices": order, "material": index, "mode": 4})
    own = [looks[m] for m in used]
    images = sorted({look.texture for look in own if look.texture})
    materials = []
    for look in own:
        surface: dict[str, Any] = {"baseColorFactor": [*look.color, 1.0], "metallicFactor": 0.0, "roughnessFactor": 1.0}
        if look.texture:
            surface["baseColorTexture"] = {"index": images.index(look.texture)}
        materials.append({"name": look.name, "pbrMetallicRoughness": surface, "extras": material_extras(look.own)})
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "vantage"},
        "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"name": name, "mesh": 0}],
        "meshes": [{"name": name, "primitives": primitives}], "materials": materials, "accessors": accessors,
        "bufferViews": views, "buffers": [{"byteLength": len(binary)}],
    }  # fmt: skip
    if images:
        document["images"] = [{"uri": image, "mimeType": "image/png"} for image in images]
        document["samplers"] = [{"magFilter": 9729, "minFilter": 9987, "wrapS": 10497, "wrapT": 10497}]
        document["textures"] = [{"source": k, "sampler": 0} for k in range(len(images))]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data = bytes(binary) + b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
