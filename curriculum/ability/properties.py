"""Numeric properties of a world, on which the ability model regresses: a world that was never asked is predicted.

Each property is 0 for a plain world (one room, few objects, daylight) and about 1 after a clear change.
"""

from __future__ import annotations

import math
from statistics import fmean

from protocol.tasks.cameras import PRESETS
from protocol.tasks.scene import LIGHTS
from protocol.tasks.specs import World

_EYE_HEIGHT_M = 1.5
_OBJECTS_IN_A_ROOM = 4.5
_KINDS = 10  # categories, beyond which look-alikes are rare


def properties_of(world: World) -> dict[str, float]:
    """Name -> value; those that are 0 are left out.

    A scene of a dataset has properties that only its simulator knows: of such a world only those of the camera count.
    """
    found = {**({} if world.assets else _of_scene(world)), **_of_camera(world)}
    return {name: round(value, 6) for name, value in found.items() if value}


def _of_scene(world: World) -> dict[str, float]:
    rooms = fmean(world.rooms) if isinstance(world.rooms, tuple) else world.rooms
    objects = fmean((world.min_objects, world.max_objects)) / rooms
    if world.objects_per_room is not None:
        objects = fmean(world.objects_per_room)
    clutter = fmean(world.clutter) if isinstance(world.clutter, tuple) else world.clutter
    return {
        "rooms": math.log2(rooms),
        "objects": math.log2(objects / _OBJECTS_IN_A_ROOM),
        "clutter": 2.0 * clutter,
        "dark": fmean(LIGHTS.index(light) for light in world.lights) / (len(LIGHTS) - 1),
        "look-alikes": math.log2(_KINDS / len(world.categories)) if 0 < len(world.categories) < _KINDS else 0.0,
        "natural": float(world.palette == "natural"),
    }


def _of_camera(world: World) -> dict[str, float]:
    presets = [PRESETS[name] for name in world.cameras]
    lens = fmean(fmean(preset.fov_deg) for preset in presets) if presets else world.hfov_deg
    height = fmean(fmean(preset.height_m) for preset in presets) if presets else _EYE_HEIGHT_M
    return {
        "wide lens": (lens - 70.0) / 30.0,
        "low camera": _EYE_HEIGHT_M - height,
        "small images": math.log2(96.0 * 96.0 / (world.width_px * world.height_px)) / 2.0,
    }
