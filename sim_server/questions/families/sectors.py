"""Directions on the floor plan in words: the sectors around a standing point, and how far an angle is from a border."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_server.questions.geometry import Array
from sim_server.questions.language.functions.words import quadrant, side, side_or_ahead, side_or_behind

# By the names of the functions of the expression language that say these words.
_SAY = {"side": side, "side_or_ahead": side_or_ahead, "side_or_behind": side_or_behind, "quadrant": quadrant}
WORDS = {
    "side": ("left", "right"),
    "side_or_ahead": ("ahead", "left", "right"),
    "side_or_behind": ("left", "right", "behind"),
    "quadrant": ("front left", "front right", "back left", "back right"),
}
_BORDERS_DEG = {
    "side": (0.0, 180.0),
    "side_or_ahead": (45.0, 180.0),
    "side_or_behind": (0.0, 135.0),
    "quadrant": (0.0, 90.0, 180.0),
}
LEAST_APART_M = 0.8  # from the standing point to what it faces and to the target, on the floor plan
TOO_CLOSE = f"the standing point and the target are within {LEAST_APART_M} m of each other"


def word(form: str, angle_deg: float) -> str:
    """The sector of an angle in (-180, 180], left positive."""
    return _SAY[form](math.radians(angle_deg))


def margin_deg(form: str, angle_deg: float) -> float:
    """How far an angle is from the nearest border of the form's sectors, degrees."""
    return min(abs(abs(angle_deg) - border) for border in _BORDERS_DEG[form])


def near_border(least_deg: float) -> str:
    """The rule that refuses an angle with too small a margin."""
    return f"a direction lies within {least_deg:g} degrees of a sector's border"


def inside(form: str, key: str, angles_rad: Array, least_deg: float) -> NDArray[np.bool_]:
    """Which angles lie in the sector `key` with this margin."""
    angles = np.degrees(angles_rad).tolist()
    return np.array([word(form, angle) == key and margin_deg(form, angle) >= least_deg for angle in angles])
