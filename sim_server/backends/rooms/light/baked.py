"""The baked light of a scene, as the shading kernel reads it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Metering(NamedTuple):
    """What a camera's meter sees: the mean luminance of each room, float32 [rooms], and the mean light, rgb [3]."""

    luminance: F32
    light: F32


class Light(NamedTuple):
    """Baked light (irradiance / pi, linear rgb) and the background.

    vertex float32 [V, 3]; face_rectangle int32 [F], the rectangle whose texels light the face, or -1 for the light of
    its vertices; rectangle_maps float32 [R, 8] and rectangle_texels int32 [R, 3], see Rectangles.lookup; atlas float32
    [T, 3], the texels; outside uint8 [rows, columns, 3] and outside_scale, see outside.Panorama;
    glow: factor on materials that glow.
    """

    vertex: F32
    face_rectangle: I32
    rectangle_maps: F32
    rectangle_texels: I32
    atlas: F32
    outside: NDArray[np.uint8]
    outside_scale: np.float32
    glow: np.float32
