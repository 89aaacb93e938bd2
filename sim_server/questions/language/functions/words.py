"""Functions of numbers, vectors and words."""

from __future__ import annotations

import math
from typing import Optional

from sim_server.questions.language.functions.registry import NUMBER, TEXT, VECTOR, Fault, Vector, decimal, define

AHEAD_DEG = 45.0
BEHIND_DEG = 135.0


@define(NUMBER, vector=VECTOR)
def x(vector: Vector) -> float:
    """First component."""
    return vector[0]


@define(NUMBER, vector=VECTOR)
def y(vector: Vector) -> float:
    """Second component."""
    return vector[1]


@define(NUMBER, vector=VECTOR)
def z(vector: Vector) -> float:
    """Third component."""
    return vector[2]


@define(NUMBER, value=NUMBER)
def _abs(value: float) -> float:
    """Absolute value."""
    return abs(value)


@define(NUMBER, value=NUMBER, to=NUMBER)
def _round(value: float, to: float) -> float:
    """The nearest multiple of `to`, with halves rounded up: round(2.46, 0.1) is 2.5."""
    if not to > 0:
        raise Fault("round needs a step above 0")
    steps = value / to
    if not abs(steps) < 1e15:
        raise Fault("round needs a step that fits the value")
    return math.floor(steps + 0.5) * to


@define(TEXT, angle=NUMBER)
def side(angle: float) -> str:
    """ "left" for a positive bearing, else "right"."""
    return "left" if angle > 0 else "right"


@define(TEXT, angle=NUMBER)
def side_or_behind(angle: float) -> str:
    """ "behind" beyond 135 degrees to either side, else "left" or "right"."""
    if abs(angle) > math.radians(BEHIND_DEG):
        return "behind"
    return side(angle)


@define(TEXT, angle=NUMBER)
def side_or_ahead(angle: float) -> str:
    """ "ahead" within 45 degrees to either side, else "left" or "right"."""
    if abs(angle) < math.radians(AHEAD_DEG):
        return "ahead"
    return side(angle)


@define(TEXT, angle=NUMBER)
def turn_word(angle: float) -> str:
    """ "back" beyond 135 degrees to either side, else "left" or "right": the name of a turn by this angle."""
    if abs(angle) > math.radians(BEHIND_DEG):
        return "back"
    return side(angle)


@define(TEXT, angle=NUMBER)
def quadrant(angle: float) -> str:
    """ "front left", "front right", "back left" or "back right"."""
    return f"{'front' if abs(angle) < math.pi / 2 else 'back'} {side(angle)}"


@define(TEXT, x=NUMBER, y=NUMBER)
def grid_cell(x: float, y: float) -> str:
    """The cell of a 3 x 3 grid over the image: "top left" … "middle left", "center" … "bottom right"."""
    row = "top" if y < 1 / 3 else "middle" if y < 2 / 3 else "bottom"
    column = "left" if x < 1 / 3 else "middle" if x < 2 / 3 else "right"
    return "center" if row == column else f"{row} {column}"


@define(TEXT, shift=VECTOR)
def heading(shift: Vector) -> str:
    """The direction of the larger horizontal component of a shift: "forward", "backward", "left" or "right"."""
    right, _, back = shift
    if abs(back) >= abs(right):
        return "forward" if back < 0 else "backward"
    return "right" if right > 0 else "left"


@define(TEXT, a=TEXT, b=TEXT, c=TEXT + "?", d=TEXT + "?", e=TEXT + "?", f=TEXT + "?")
def join(*texts: Optional[str]) -> str:
    """The texts joined by spaces, without a space before a comma."""
    return " ".join(text for text in texts if text).replace(" ,", ",")


@define(TEXT, value=NUMBER)
def _text(value: float) -> str:
    """A number as answer text."""
    return decimal(value)
