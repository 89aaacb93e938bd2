"""Kinds of levels that several skills share, and the phrases they are described with."""

from __future__ import annotations

import msgspec

from protocol.skills.skill import Level


class Clarity(msgspec.Struct, frozen=True):
    """The least visibility at which an object counts as clearly shown."""

    visible_fraction: float  # visible pixels over the pixels that the object would have in the frame if nothing hid it
    image_fraction: float  # visible pixels over all pixels of the image

    def __str__(self) -> str:
        return f"{self.visible_fraction:.0%} visible, {100 * self.image_fraction:.3g}% of the image"


# Levels 0..4 of the skills about the content of an image: increasingly hidden and small.
PERCEIVE = (
    Clarity(0.90, 0.012),
    Clarity(0.75, 0.009),
    Clarity(0.60, 0.006),
    Clarity(0.45, 0.004),
    Clarity(0.30, 0.003),
)

# Names of the functions of the question language that turn a bearing into an answer.
SECTORS = {
    "side": ("left", "right"),
    "side_or_ahead": ("ahead", "left", "right"),
    "side_or_behind": ("left", "right", "behind"),
    "quadrant": ("front left", "front right", "back left", "back right"),
}
_SECTOR_PHRASES = {
    "side": "left or right",
    "side_or_ahead": "left, right or ahead",
    "side_or_behind": "left, right or behind",
    "quadrant": "four quadrants",
}


def plural(count: int, noun: str) -> str:
    """ "1 view", "2 views"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def same_or(answers: str, asks_same: bool, within: str, apart: str) -> str:
    """Two answers that differ by `apart`, and from some level on also "the same"."""
    if not asks_same:
        return f"{answers.replace(', ', ' or ')}, {apart}"
    return f"{answers} or the same (within {within}), otherwise {apart}"


class Visible(Level, frozen=True, kw_only=True):
    """Objects are at least this visible."""

    clarity: Clarity

    def __str__(self) -> str:
        return str(self.clarity)


class Sectors(Level, frozen=True, kw_only=True):
    """A direction on the floor plan as one of several sectors."""

    sectors: str  # a key of SECTORS
    margin_deg: float  # least distance of the direction from a border between two sectors

    def __str__(self) -> str:
        return f"{_SECTOR_PHRASES[self.sectors]}, {self.margin_deg:g} degrees from a border"


class Nearest(Level, frozen=True, kw_only=True):
    """The nearest of several options."""

    options: int
    apart_m: float  # least difference between the distances of two options

    def __str__(self) -> str:
        return f"{self.options} options, distances {self.apart_m:.2f} m apart"


# Levels 0..4 of the skills about directions and distances between objects, over one image or several.
RELATIVE_SECTORS = (
    Sectors(chance=0.5, sectors="side", margin_deg=40.0),
    Sectors(chance=0.5, sectors="side", margin_deg=20.0),
    Sectors(chance=0.33, sectors="side_or_behind", margin_deg=25.0),
    Sectors(chance=0.33, sectors="side_or_behind", margin_deg=12.0),
    Sectors(chance=0.25, sectors="quadrant", margin_deg=10.0),
)
RELATIVE_DISTANCES = (
    Nearest(chance=0.5, options=2, apart_m=1.00),
    Nearest(chance=0.5, options=2, apart_m=0.60),
    Nearest(chance=0.33, options=3, apart_m=0.40),
    Nearest(chance=0.33, options=3, apart_m=0.25),
    Nearest(chance=0.25, options=4, apart_m=0.15),
)
