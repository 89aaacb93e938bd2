"""Scenes as every simulator backend describes them: rooms, openings, objects, cameras, poses.

World frame: right-handed, y up, metres; a camera looks along its own -z with x to the right (glTF,
OpenGL and Habitat agree). Quaternions are (w, x, y, z).
"""

from __future__ import annotations

from typing import Optional

import msgspec

Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]

# Scene seeds below the border train, seeds from it on are held out; the two can never mix.
HELD_OUT_SEED_BORDER = 2**31
SEED_END = 2**32

LIGHTS = ("day", "overcast", "evening", "night")  # times of day and weather of generated scenes


class Pose(msgspec.Struct, frozen=True):
    """A camera pose in the world frame; the camera looks along its own -z."""

    position_m: Vec3
    rotation_wxyz: Quat


class Mount(msgspec.Struct, frozen=True):
    """How a camera is held or mounted: ranges of its height above the floor and of its pitch, positive upwards."""

    height_m: tuple[float, float]
    pitch_rad: tuple[float, float]

    def __post_init__(self) -> None:
        if not 0.05 <= self.height_m[0] <= self.height_m[1] <= 4.0:
            raise ValueError("mount height_m must be an ascending pair in 0.05..4")
        if not -1.5 <= self.pitch_rad[0] <= self.pitch_rad[1] <= 1.5:
            raise ValueError("mount pitch_rad must be an ascending pair in -1.5..1.5")


class Camera(msgspec.Struct, frozen=True):
    """A pinhole camera with square pixels; focal length in pixels is (width / 2) / tan(hfov / 2).

    Without a mount, each skill places the camera at its own range of heights and pitches.
    """

    width_px: int = 96
    height_px: int = 96
    hfov_rad: float = 1.2217304763960306  # 70 degrees
    mount: Optional[Mount] = None

    def __post_init__(self) -> None:
        if not (1 <= self.width_px <= 4096 and 1 <= self.height_px <= 4096):
            raise ValueError("camera width_px and height_px must lie in 1..4096")
        if not 0.1 <= self.hfov_rad <= 2.8:
            raise ValueError("camera hfov_rad must lie in 0.1..2.8")


WISHES = ("several", "small", "loose")
MOST_WISHED = 12


class Wish(msgspec.Struct, frozen=True):
    """Objects that a generated scene contains, all in one room; what it leaves open is drawn from the scene's seed.

    "several": `count` objects of one category on the floor, and no others of it in the scene; `alike` of them have the
    same shape and materials. "small": small objects of different categories, `count` in all, in pairs on one piece of
    furniture. "loose": `count` objects of different categories that stand on the floor away from the walls.
    """

    kind: str  # of WISHES
    count: int = 0  # 0: drawn
    category: str = ""  # of "several"; empty: drawn
    alike: int = 0  # of "several"; 0: drawn

    def __post_init__(self) -> None:
        if self.kind not in WISHES:
            raise ValueError(f"the wishes are {', '.join(WISHES)}, not {self.kind[:40]!r}")
        if not (0 <= self.count <= MOST_WISHED and 0 <= self.alike <= (self.count or MOST_WISHED)):
            raise ValueError(f"a wish needs 0 <= alike <= count <= {MOST_WISHED}")
        if self.kind != "several" and (self.category or self.alike):
            raise ValueError(f"a wish of kind {self.kind} has neither a category nor alike")


class SceneSpec(msgspec.Struct, frozen=True):
    """Which scene to open. With an empty `asset` the backend generates the scene from `seed` and the other fields;
    otherwise `asset` names a scene of its dataset and the other fields are ignored.

    A backend ignores the wishes that its capabilities do not list.
    """

    seed: int = 0
    split: str = "train"  # "train" | "val"; must agree with the seed's range
    asset: str = ""
    rooms: int = 1
    min_objects: int = 3
    max_objects: int = 6
    clutter: float = 0.0  # 0..1, density of small objects on surfaces
    palette: str = "named"  # "named": plain colours with a common name | "natural": materials of a home
    light: str = "day"  # of LIGHTS
    ceiling_m: float = 2.6
    categories: tuple[str, ...] = ()  # empty: every category the backend has
    backend: str = ""  # that opens the scene; empty: any
    wishes: tuple[Wish, ...] = ()  # of different kinds

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SEED_END:
            raise ValueError("scene seed must lie in 0..2**32-1")
        held_out = self.seed >= HELD_OUT_SEED_BORDER
        if self.split not in ("train", "val"):
            raise ValueError(f"scene split is 'train' or 'val', not {self.split!r}")
        if held_out != (self.split == "val"):
            raise ValueError(
                f"scene seed {self.seed} belongs to the {'val' if held_out else 'train'} split, not to {self.split!r}"
            )
        if not (1 <= self.rooms <= 12 and 1 <= self.min_objects <= self.max_objects <= 200):
            raise ValueError("scene needs 1 <= rooms <= 12 and 1 <= min_objects <= max_objects <= 200")
        if len({wish.kind for wish in self.wishes}) < len(self.wishes):
            raise ValueError("a scene has at most one wish of each kind")


class OrientedBox(msgspec.Struct, frozen=True):
    """A box with centre in the world frame, half extents along its own axes, and its rotation."""

    centre_m: Vec3
    half_extents_m: Vec3
    rotation_wxyz: Quat = (1.0, 0.0, 0.0, 0.0)


class Room(msgspec.Struct, frozen=True):
    id: int
    category: str
    polygon_xz_m: tuple[tuple[float, float], ...]
    floor_y_m: float
    ceiling_y_m: float


class Opening(msgspec.Struct, frozen=True):
    kind: str  # "door" | "window"
    room_ids: tuple[int, ...]
    min_m: Vec3
    max_m: Vec3


class SceneObject(msgspec.Struct, frozen=True):
    """One object. `id` is stable and is the value of its pixels in the id image."""

    id: int
    category: str  # the common word, lower case, spaces allowed: "coffee table"
    box: OrientedBox
    color: str = ""  # a colour word if one describes the object well, else ""
    room_id: int = 0
    support_id: int = 0  # id of the supporting object; 0: the floor, -1: a wall or the ceiling
    front: Optional[Vec3] = None  # unit vector in the world frame, if the category has a front


class Change(msgspec.Struct, frozen=True):
    """An object removed from the scene, or moved without rotation to put the centre of its box at `moved_to_m`."""

    object_id: int
    moved_to_m: Optional[Vec3] = None


class SceneDescription(msgspec.Struct, frozen=True):
    """Ground truth about a scene, in the same form for every backend."""

    scene_id: str
    backend: str
    rooms: tuple[Room, ...]
    openings: tuple[Opening, ...]
    objects: tuple[SceneObject, ...]
    navigable_area_m2: float = 0.0
