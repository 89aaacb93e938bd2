"""The contents of a scene as its files describe them: placed assets, and what `user_defined` says about each.

Pure data and parsing, without files or numpy, so that every backend can use it.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional

from protocol.tasks.scene import Opening, Quat, Room, Vec3

_MAX_NAME = 80  # characters of a category or colour


class Annotation(NamedTuple):
    """Properties of an object that Habitat's format lacks, from `user_defined` of its template and instance.

    category, color: "" if not given; front: unit vector in the world frame. An entry of another type or an unknown id
    counts as not given, since other programs may use the same names.
    """

    category: str = ""
    color: str = ""
    room_id: Optional[int] = None
    support_id: Optional[int] = None
    front: Optional[Vec3] = None


class Placement(NamedTuple):
    """One asset in the scene. A vertex v is mapped to R (S (F v - origin)) + t, with S the scale along the axes.

    id: its value in id images, 0 for the stage; category: the annotated one, else the semantic class, else from the
    name; unlit: rendered in its own colours, without light; frame: up and front of the asset, which F maps to +y and
    -z; origin_m: the point of the asset that translation_m places, None for the centre of its box; user: `user_defined`
    of the template and the instance.
    """

    id: int
    name: str
    category: str
    asset: Path
    unlit: bool
    up: Vec3
    front: Vec3
    origin_m: Optional[Vec3]
    scale: Vec3
    rotation_wxyz: Quat
    translation_m: Vec3
    annotation: Annotation
    user: dict[str, Any]


class SceneFiles(NamedTuple):
    """A scene as described by its files.

    root: the data set's folder, which holds all files; file: the scene instance or the only asset; user: the instance's
    `user_defined`; navigable_area_m2: from there, None if not given; articulated: the number of articulated objects
    (URDF), which are not in `objects`.
    """

    name: str
    root: Path
    file: Path
    stage: Optional[Placement]
    objects: tuple[Placement, ...] = ()
    rooms: tuple[Room, ...] = ()
    openings: tuple[Opening, ...] = ()
    navigable_area_m2: Optional[float] = None
    articulated: int = 0
    user: Mapping[str, Any] = {}


def category_of(name: str) -> str:
    """The category in an asset's or node's name: "dining_table_05" and "Dining table.001" are a "dining table"."""
    word = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    word = re.sub(r"[\W_]+", " ", word).lower()
    return re.sub(r"( \d+)+$", "", word.strip()).strip() or name


def vector(values: Any) -> Vec3:
    """Three finite numbers. Raises TypeError or ValueError otherwise."""
    x, y, z = (float(v) for v in values)
    if not all(math.isfinite(v) for v in (x, y, z)):
        raise ValueError("a number is not finite")
    return (x, y, z)


def rotated(wxyz: Quat, v: Vec3) -> Vec3:
    """The vector rotated by a unit quaternion."""
    w, x, y, z = wxyz
    tx, ty, tz = 2 * (y * v[2] - z * v[1]), 2 * (z * v[0] - x * v[2]), 2 * (x * v[1] - y * v[0])
    return (
        v[0] + w * tx + y * tz - z * ty,
        v[1] + w * ty + z * tx - x * tz,
        v[2] + w * tz + x * ty - y * tx,
    )


def placement(
    object_id: int, name: str, template: dict[str, Any], entry: dict[str, Any], asset: Path, word: str
) -> Placement:
    """The placement of an instance (`entry`) of a template. May raise the exceptions of indexing invalid data."""
    user = {**template.get("user_defined", {}), **entry.get("user_defined", {})}
    factor = float(entry.get("uniform_scale", 1.0))
    own, other = vector(template.get("scale", (1, 1, 1))), vector(entry.get("non_uniform_scale", (1, 1, 1)))
    at_origin = not entry or str(entry.get("translation_origin", "COM")).lower() == "asset_local"
    origin: Optional[Vec3] = (0.0, 0.0, 0.0) if at_origin else None
    if origin is None and "COM" in template:
        origin = vector(template["COM"])
    shader = str(entry.get("shader_type", template.get("shader_type", "material")))
    if shader == "unspecified":
        shader = str(template.get("shader_type", "material"))
    w, x, y, z = (float(v) for v in entry.get("rotation", (1, 0, 0, 0)))
    length = math.sqrt(w * w + x * x + y * y + z * z)
    if not (math.isfinite(length) and length > 1e-6):
        raise ValueError("a rotation has length 0 or is not finite")
    rotation = (w / length, x / length, y / length, z / length)
    annotation = _annotation(user, rotation)
    return Placement(
        id=object_id,
        name=name,
        category=annotation.category or word or category_of(name),
        asset=asset,
        unlit=shader == "flat",
        up=vector(template.get("up", (0, 1, 0))),
        front=vector(template.get("front", (0, 0, -1))),
        origin_m=origin,
        scale=(own[0] * other[0] * factor, own[1] * other[1] * factor, own[2] * other[2] * factor),
        rotation_wxyz=rotation,
        translation_m=vector(entry.get("translation", (0, 0, 0))),
        annotation=annotation,
        user=user,
    )


def _annotation(user: Mapping[str, Any], rotation: Quat) -> Annotation:
    return Annotation(
        category=_word(user.get("category")),
        color=_word(user.get("color")),
        room_id=_number(user.get("room_id")),
        support_id=_number(user.get("support_id")),
        front=_direction(user.get("front"), rotation),
    )


def _word(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= _MAX_NAME and value.isprintable() else ""


def _number(value: Any) -> Optional[int]:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _direction(value: Any, rotation: Quat) -> Optional[Vec3]:
    """A direction in the template's frame, as a unit vector in the world frame."""
    try:
        x, y, z = vector(value)
    except (TypeError, ValueError, OverflowError):
        return None
    length = math.sqrt(x * x + y * y + z * z)
    if not (math.isfinite(length) and length > 1e-6):
        return None
    return rotated(rotation, (x / length, y / length, z / length))


def with_known_ids(objects: tuple[Placement, ...], rooms: tuple[Room, ...]) -> tuple[Placement, ...]:
    """The placements without annotations that refer to a room or a support which the scene lacks."""
    supports = {-1, 0, *(item.id for item in objects)}
    room_ids = {0, *(room.id for room in rooms)}
    out = []
    for item in objects:
        given = item.annotation
        support = given.support_id if given.support_id in supports - {item.id} else None
        room = given.room_id if given.room_id in room_ids else None
        out.append(item._replace(annotation=given._replace(support_id=support, room_id=room)))
    return tuple(out)
