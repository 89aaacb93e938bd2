"""Writes generated homes as a Habitat scene dataset, with a description of each.

habitat-sim's requirements, found by opening exports in it: one template per instance, since a semantic_id in an
instance is ignored; `asset_local` translations and static motion, else an object is moved and left out of the navmesh;
unit quaternions; the flat shader without lights for exact colours; PNG textures, no transparency and no emission; a
material for every part; outward front faces, since back faces are never drawn.

Every asset has two forms. The one that templates name shows the baked light in its own colours (lit.py), since the
format has no baked light. The one in `unlit/` has materials, patterns in their `extras`, from which `rooms` bakes the
light again (exported.py); other programs ignore it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
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
from sim_server.backends.rooms.files.exported import UNLIT_ASSET, Plan, material_extras
from sim_server.backends.rooms.files.glb import Surface, glb
from sim_server.backends.rooms.files.gltf import quaternion_matrix
from sim_server.backends.rooms.files.lit import Shown, lit_surfaces
from sim_server.backends.rooms.geometry import Geometry
from sim_server.backends.rooms.scene import RoomsScene
from sim_server.backends.rooms.walk.navigation import AGENT_HEIGHT_M, AGENT_RADIUS_M, CELL_M, STEP_M

CONFIG_NAME = "rooms.scene_dataset_config.json"
_NAVMESH = {
    "agent_radius": AGENT_RADIUS_M, "agent_height": AGENT_HEIGHT_M, "agent_max_climb": STEP_M, "agent_max_slope": 45.0,
    "cell_size": CELL_M, "cell_height": STEP_M, "include_static_objects": True,
}  # fmt: skip


_IMAGE_LEVEL = 1  # mip level of patterns in textures


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
    for folder in ("stages", "objects", "scenes", "semantics", "textures", "unlit"):
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

    def write_asset(
        folder: str, asset: str, owner: int, rotation: NDArray[np.float64], centre: NDArray[np.float64]
    ) -> dict[str, Any]:
        """Write both forms of an asset and return what its template says about it."""
        faces = np.flatnonzero(geometry.face_object == owner)
        surfaces = _lit(scene, faces, rotation, centre, out / "textures")
        (out / folder / f"{asset}.glb").write_bytes(glb(asset, surfaces))
        unlit = _unlit(geometry, faces, looks, rotation, centre)
        (out / "unlit" / f"{asset}.glb").write_bytes(glb(asset, unlit))
        return {
            "render_asset": f"{asset}.glb", "collision_asset": f"{asset}.glb", "up": [0, 1, 0], "front": [0, 0, -1],
            "is_collidable": True, "shader_type": "flat",
        }  # fmt: skip

    stage = write_asset("stages", name, 0, np.eye(3), np.zeros(3))
    _write(
        out / "stages" / f"{name}.stage_config.json",
        {**stage, "origin": [0, 0, 0], "user_defined": {UNLIT_ASSET: f"../unlit/{name}.glb"}},
    )
    instances = []
    for item in scene.description.objects:
        template = f"{name}_{item.id:03d}_{re.sub('[^a-z0-9]+', '_', item.category)}"
        rotation = quaternion_matrix(item.box.rotation_wxyz)
        asset = write_asset("objects", template, item.id, rotation, np.array(item.box.centre_m))
        truth = {**_template_truth(item, rotation), UNLIT_ASSET: f"../unlit/{template}.glb"}
        _write(
            out / "objects" / f"{template}.object_config.json",
            {**asset, "semantic_id": item.id, "mass": 1.0, "user_defined": truth},
        )
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
    plan = Plan(scene.spec, scene.plan, scene.lamps_m)
    truth = {"renderer_digest": digest, "spec": scene.spec, "scene": description, "light": plan}
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
    pattern = textures.mip_level(int(geometry.material_pattern[material]), _IMAGE_LEVEL)[..., None]
    own = Material(int(geometry.material_pattern[material]), _rgb(low), _rgb(high), repeats, glow)
    shown = _srgb(np.clip((low + (high - low) * pattern) * (1 + glow), 0, 1))
    if (shown == shown[0, 0]).all():
        name = "color_" + bytes(shown[0, 0]).hex()
        return _Look(own, name, tuple(float(c) for c in shown[0, 0] / 255), "", 1.0)
    name = _write_image(shown, folder)
    return _Look(own, name, (1.0, 1.0, 1.0), f"../textures/{name}.png", repeats)


def _rgb(values: NDArray[np.float32]) -> Rgb:
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def _srgb(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """IEC 61966-2-1 encoding of linear 0..1 to bytes."""
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)


def _unlit(
    geometry: Geometry, faces: NDArray[np.int64], looks: Sequence[_Look], rotation: NDArray[np.float64],
    centre: NDArray[np.float64],
) -> list[Surface]:  # fmt: skip
    """These faces in the frame that `rotation` and `centre` map to the world, with their materials.

    There is one surface per chunk and look, so that reading it back gives the same chunks.
    """
    out = []
    chunks = np.searchsorted(geometry.chunk_faces[:, 1], faces, "right")
    materials = geometry.face_material[faces]
    for chunk, material in np.unique(np.stack([chunks, materials], 1), axis=0).tolist():
        own = faces[(chunks == chunk) & (materials == material)]
        vertices, inverse = np.unique(geometry.faces[own], return_inverse=True)
        look = looks[material]
        uv = geometry.uv[vertices] * np.float32(look.repeats_per_m)
        out.append(
            Surface(
                *_placed(geometry, vertices, rotation, centre), inverse.reshape(-1, 3),
                uv if textures.NAMES[look.own.pattern] != "plain" else None, None, look.name, look.color, look.texture,
                material_extras(look.own),
            )
        )  # fmt: skip
    return out


def _lit(
    scene: RoomsScene, faces: NDArray[np.int64], rotation: NDArray[np.float64], centre: NDArray[np.float64],
    folder: Path,
) -> list[Surface]:  # fmt: skip
    """These faces in the same frame, with the light in their colours; writes their textures into `folder`."""
    geometry, out = scene.geometry, []
    for part in lit_surfaces(Shown(geometry, scene.light, scene.film.overall), faces):
        corners = geometry.faces[part.faces].reshape(-1)
        columns = [corners[:, None].astype(np.float64)]
        columns += [part.uv.reshape(-1, 2)] if part.uv is not None else []
        columns += [part.colors.reshape(-1, 3)] if part.colors is not None else []
        _, first, inverse = np.unique(np.concatenate(columns, 1), axis=0, return_index=True, return_inverse=True)
        opaque = np.full((len(first), 1), 255, np.uint8)
        name = _write_image(part.image, folder) if part.image is not None else ""
        out.append(
            Surface(
                *_placed(geometry, corners[first], rotation, centre), inverse.reshape(-1, 3),
                part.uv.reshape(-1, 2)[first] if part.uv is not None else None,
                np.hstack([part.colors.reshape(-1, 3)[first], opaque]) if part.colors is not None else None,
                name or "colors", (1.0, 1.0, 1.0), f"../textures/{name}.png" if name else "", None,
            )
        )  # fmt: skip
    return out


def _placed(
    geometry: Geometry, vertices: NDArray[np.integer], rotation: NDArray[np.float64], centre: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Positions and normals of these vertices in the asset's frame."""
    positions = (geometry.positions[vertices].astype(np.float64) - centre) @ rotation
    return positions.astype(np.float32), (geometry.normals[vertices] @ rotation).astype(np.float32)


def _write_image(image: NDArray[np.uint8], folder: Path) -> str:
    """Write a PNG named after its content and return the name without suffix."""
    name = hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=6).hexdigest()
    if not (folder / f"{name}.png").exists():
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        (folder / f"{name}.png").write_bytes(buffer.getvalue())
    return name


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
