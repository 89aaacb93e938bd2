"""Presets of cameras: the fields of view, heights and pitches of devices that take indoor images."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from protocol.seeds import pick
from protocol.tasks.scene import Camera, Mount


class Preset(msgspec.Struct, frozen=True):
    """One of several fields of view along the longer side of the image, and the mount.

    The fields of view are few, since some simulators set up a new sensor for each.
    """

    fov_deg: tuple[float, ...]
    height_m: tuple[float, float]
    pitch_deg: tuple[float, float]
    upright: bool = False  # the image is at least as high as wide


# Main cameras of phones have 24 to 28 mm of equivalent focal length (66 to 74 degrees), a 2 x crop 38; depth cameras
# on robots have 69 to 90 degrees, and are mounted between a robot vacuum's top and a mobile manipulator's head.
PRESETS = {
    "eye": Preset((75.0, 90.0), (1.45, 1.75), (-43.0, 6.0)),
    "phone": Preset((57.0, 66.0, 74.0), (1.1, 1.75), (-35.0, 6.0)),
    "portrait": Preset((57.0, 66.0, 74.0), (1.1, 1.75), (-35.0, 6.0), upright=True),
    "robot": Preset((69.0, 79.0, 90.0), (0.4, 1.25), (-22.0, 10.0)),
}


def draw_camera(name: str, width_px: int, height_px: int, rng: np.random.Generator) -> Camera:
    """A camera of this preset with images of this size, on their side if the preset is upright."""
    preset = PRESETS[name]
    sides = sorted((width_px, height_px), reverse=not preset.upright)
    half = math.tan(math.radians(pick(preset.fov_deg, rng)) / 2) * sides[0] / max(sides)
    low, high = (math.radians(angle) for angle in preset.pitch_deg)
    return Camera(sides[0], sides[1], 2 * math.atan(half), Mount(preset.height_m, (low, high)))
