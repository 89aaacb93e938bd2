"""Homes read back from an export of `rooms`, as they were before it: baked light, floor plan and free floor.

An export has two forms of every asset: one with the light in its colours, for other programs, and one in `unlit/` with
materials, from which the light is baked again.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple, Optional, Sequence

import msgspec
import numpy as np

from protocol.errors import VantageError
from protocol.tasks.scene import LIGHTS, Change, SceneDescription, SceneObject, SceneSpec, Vec3
from sim_server.backends.changes import changed_objects, shifts
from sim_server.backends.placements import Placement, SceneFiles
from sim_server.backends.rooms.building.plan import FloorPlan
from sim_server.backends.rooms.draw import textures
from sim_server.backends.rooms.draw.materials import Material
from sim_server.backends.rooms.files.assemble import assemble
from sim_server.backends.rooms.files.gltf import Asset, quaternion_matrix
from sim_server.backends.rooms.files.supports import supported
from sim_server.backends.rooms.furnish.place import free_floor
from sim_server.backends.rooms.geometry import Geometry, GeometryBuilder
from sim_server.backends.rooms.mesh import Part, lengths
from sim_server.backends.rooms.scene import HomeScene
from sim_server.backends.untrusted import read_json

UNLIT_ASSET = "unlit_asset"  # key in the `user_defined` of templates: the asset's other form, relative to the first
_MAX_SPACES, _MIN_SPACE_M, _MAX_REACH_M = 64, 0.5, 100.0
_AROUND_M = 5.0  # around the spaces, where geometry may be
_MAX_AREA_M2 = 20_000.0


class Plan(msgspec.Struct, frozen=True):
    """What the truth file of an export says about a home beside its description.

    spec: from which it was generated (time of day, ceiling height); plan: walls, doors and windows; lamps_m: the
    ceiling lamp of each space.
    """

    spec: SceneSpec
    plan: FloorPlan
    lamps_m: tuple[Vec3, ...]


def material_extras(material: Material) -> dict[str, Any]:
    """A material as exports store it in glTF `extras`."""
    return {"vantage": {**material._asdict(), "pattern": textures.NAMES[material.pattern]}}


class _Source(NamedTuple):
    """An export as read: its files with the unlit assets, its plan, the assets, and all objects."""

    files: SceneFiles
    home: Plan
    assets: dict[Path, Asset]
    objects: tuple[SceneObject, ...]


class ExportedScene(HomeScene):
    """A home read back from its export."""

    def __init__(self, spec: SceneSpec, source: _Source, objects: tuple[SceneObject, ...]) -> None:
        """`objects`: those of the source that are shown, possibly moved.

        Raises VantageError("corrupt") if a material is invalid or the geometry does not fit the plan.
        """
        self._source = source
        files, home = source.files, source.home
        geometry = _geometry(source, objects)
        _check_geometry(geometry, home.plan, files)
        corners = geometry.positions[geometry.faces]
        floor = free_floor(home.plan, [corners[geometry.face_object > 0]])
        description = SceneDescription(files.name, "rooms", files.rooms, files.openings, objects, floor.area_m2)
        super().__init__(spec, home.plan, home.lamps_m, home.spec, geometry, floor, description)

    def edited(self, changes: Sequence[Change]) -> ExportedScene:
        """See backends/base.py. Bakes the light again."""
        return ExportedScene(self.spec, self._source, changed_objects(self.description.objects, changes))


def exported(spec: SceneSpec, files: SceneFiles) -> Optional[ExportedScene]:
    """The scene as it was before its export; None if it is not an export of `rooms` or contains other assets.

    Raises VantageError("corrupt") if the scene's own file, an asset or a material in it is invalid.
    """
    if files.stage is None or "scene_file" not in files.user:
        return None
    unlit = [_unlit(item) for item in (files.stage, *files.objects)]
    if any(item is None for item in unlit):
        return None
    stage, *items = (item for item in unlit if item is not None)
    files = files._replace(stage=stage, objects=tuple(items))
    try:
        truth = read_json(files.file.parent / str(files.user["scene_file"]), files.root)
        home = msgspec.convert(truth["light"], Plan, strict=False)
    except (KeyError, TypeError, ValueError) as error:
        raise _corrupt(files, f"{type(error).__name__}: {error}") from None
    _check_plan(home, files)
    assembled = assemble(files, named_nodes=False)
    objects = supported(assembled, files)
    return ExportedScene(spec, _Source(files, home, assembled.assets, objects), objects)


def _unlit(item: Placement) -> Optional[Placement]:
    name = item.user.get(UNLIT_ASSET)
    return item._replace(asset=item.asset.parent / name) if isinstance(name, str) and name else None


def _geometry(source: _Source, objects: Sequence[SceneObject]) -> Geometry:
    builder, moved = GeometryBuilder(), shifts(source.objects, objects)
    assert source.files.stage is not None
    for item in (source.files.stage, *source.files.objects):
        shift = moved.get(item.id, (0.0, 0.0, 0.0))
        if shift is None:
            continue
        x, y, z = (a + b for a, b in zip(item.translation_m, shift))
        _add(builder, source, item, (x, y, z))
    return builder.build()


def _add(builder: GeometryBuilder, source: _Source, item: Placement, at_m: Vec3) -> None:
    scale = np.array(item.scale, np.float32)
    origin = np.array(item.origin_m if item.origin_m is not None else (0, 0, 0), np.float32)
    parts = []
    for primitive in source.assets[item.asset].primitives:
        try:
            look = _material(primitive.extras["vantage"])
        except (KeyError, TypeError, ValueError) as error:
            defect = f"a material in {item.asset.name}: {type(error).__name__}: {error}"
            raise _corrupt(source.files, defect) from None
        normals = (primitive.normals / np.maximum(lengths(primitive.normals), 1e-12)).astype(np.float32)
        uv = primitive.uv / np.float32(look.repeats_per_m)
        parts.append((Part((primitive.positions - origin) * scale, normals, uv, primitive.faces), look))
    builder.add(item.id, parts, quaternion_matrix(item.rotation_wxyz), at_m)


def _material(stored: Any) -> Material:
    known = {**stored, "pattern": textures.NAMES.index(stored["pattern"])}
    # msgspec decodes named tuples from arrays
    look = msgspec.convert([known[field] for field in Material._fields], Material)
    values = np.array([*look.low, *look.high, look.repeats_per_m, look.glow])
    if not (np.isfinite(values).all() and (values >= 0).all() and (values <= 1e4).all() and look.repeats_per_m > 0):
        raise ValueError("a value is negative, too large or not finite")
    return look


def _check_plan(home: Plan, files: SceneFiles) -> None:
    """Raises VantageError("corrupt") unless the plan is one that make_plan could return; kernels rely on it."""
    plan, spaces, ids = home.plan, len(home.plan.rects), [room.id for room in home.plan.rooms]
    ordered = 1 <= spaces <= _MAX_SPACES and ids == list(range(1, len(ids) + 1))
    ordered &= len(plan.holes) == len(plan.room_of) == len(home.lamps_m) == spaces
    ordered &= set(plan.room_of) == set(range(len(ids))) and len(ids) == len(files.rooms)
    if not ordered:
        raise _corrupt(files, "its rooms, spaces and lamps do not match")
    numbers = [
        *(v for rect in plan.rects for v in rect),
        *(v for lamp in home.lamps_m for v in lamp),
        *(v for holes in plan.holes for hole in holes for v in hole[1:5]),
        *(v for opening in plan.openings for v in (*opening.min_m, *opening.max_m)),
        *(v for room in plan.rooms for v in (room.floor_y_m, room.ceiling_y_m)),
    ]
    sound = all(math.isfinite(v) and abs(v) <= _MAX_REACH_M for v in numbers)
    sound &= all(rect.x_max - rect.x_min >= _MIN_SPACE_M <= rect.z_max - rect.z_min for rect in plan.rects)
    holes = [hole for holes in plan.holes for hole in holes]
    sound &= all(0 <= h.wall <= 3 and h.start_m < h.end_m and h.low_m < h.high_m for h in holes)
    sound &= all(key in ids for opening in plan.openings for key in opening.room_ids)
    if not (sound and 2.2 <= home.spec.ceiling_m <= 4.0 and home.spec.light in LIGHTS):
        raise _corrupt(files, "its plan has an invalid size or light")


def _check_geometry(geometry: Geometry, plan: FloorPlan, files: SceneFiles) -> None:
    """Raises VantageError("corrupt") for geometry outside the home or of an area for which baking light takes long."""
    low = np.array([min(r.x_min for r in plan.rects), 0.0, min(r.z_min for r in plan.rects)]) - _AROUND_M
    high = np.array([max(r.x_max for r in plan.rects), 4.0, max(r.z_max for r in plan.rects)]) + _AROUND_M
    corner = geometry.positions[geometry.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1).sum() / 2
    inside = bool((geometry.positions >= low).all() and (geometry.positions <= high).all())
    if not (inside and area <= _MAX_AREA_M2):
        raise _corrupt(files, "its assets do not fit into its rooms")


def _corrupt(files: SceneFiles, defect: str) -> VantageError:
    name = files.file.parent / str(files.user["scene_file"])
    return VantageError("corrupt", f"{name} cannot restore {files.name} ({defect}): export it again.")
