"""Directions on the floor plan as words: the sectors around a standing point, and distances from their borders."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_server.questions.geometry import Array
from sim_server.questions.language.functions.words import (
    AHEAD_DEG,
    BEHIND_DEG,
    quadrant,
    side,
    side_or_ahead,
    side_or_behind,
)

# The keys are those of protocol.skills.levels.SECTORS.
_FUNCTIONS = {"side": side, "side_or_ahead": side_or_ahead, "side_or_behind": side_or_behind, "quadrant": quadrant}
_BORDERS_DEG = {
    "side": (0.0, 180.0),
    "side_or_ahead": (AHEAD_DEG, 180.0),
    "side_or_behind": (0.0, BEHIND_DEG),
    "quadrant": (0.0, 90.0, 180.0),
}
_MEANINGS = {
    "side": '"Left" and "right" are relative to {facing}.',
    "side_or_ahead": f'"Ahead" means within {AHEAD_DEG:g} degrees of {{facing}}; anything else is left or right.',
    "side_or_behind": (
        f'"Behind" means more than {BEHIND_DEG:g} degrees away from {{facing}}; anything else is left or right.'
    ),
    "quadrant": '"Front" means less than 90 degrees away from {facing}, and "back" means more.',
}
LEAST_APART_M = 0.8  # from the standing point to the faced object and to the target, on the floor plan
TOO_CLOSE = f"the standing point and the target are within {LEAST_APART_M} m of each other"


def word(sectors: str, angle_deg: float) -> str:
    """The sector of an angle in (-180, 180], left positive."""
    return _FUNCTIONS[sectors](math.radians(angle_deg))


def meaning(sectors: str, facing: str) -> str:
    """The rule that defines these sectors for a question; `facing` is a phrase like "the direction you face"."""
    return _MEANINGS[sectors].format(facing=facing)


def margin_deg(sectors: str, angle_deg: float) -> float:
    """Distance in degrees of an angle from the nearest border of a sector."""
    return min(abs(abs(angle_deg) - border) for border in _BORDERS_DEG[sectors])


def near_border(least_deg: float) -> str:
    """The rule that rejects an angle with too small a margin."""
    return f"a direction is within {least_deg:g} degrees of the border of a sector"


def inside(sectors: str, key: str, angles_rad: Array, least_deg: float) -> NDArray[np.bool_]:
    """Which angles are in the sector `key` with this margin."""
    angles = np.degrees(angles_rad).tolist()
    return np.array([word(sectors, angle) == key and margin_deg(sectors, angle) >= least_deg for angle in angles])
