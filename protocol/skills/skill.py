"""What a skill is, and the words that many skills share."""

from __future__ import annotations

import msgspec


class Skill(msgspec.Struct, frozen=True):
    name: str
    reasoning: str  # "perceive" | "relate" | "map" | "predict" | "plan"
    answer_type: str  # "choice" | "number" | "sequence" | "map"
    views: str  # "single" | "pair" | "few" | "trajectory" | "several cameras"
    frame: str  # "camera" | "object" | "agent"
    levels: tuple[str, ...]  # the measurable meaning of level 0, 1, 2 …
    chance: float  # what a guesser earns who knows the answers of other scenes (sim-server audit), at the easiest level
    chances: tuple[float, ...] = ()  # the same per level, where levels differ in the number of options
    needs: tuple[str, ...] = ()  # of "clutter" (small things on furniture), "rooms" (several): what not every world has

    @property
    def feasible_levels(self) -> tuple[int, ...]:
        return tuple(range(len(self.levels)))

    def chance_at(self, level: int) -> float:
        """What a guesser without pictures earns, at this level."""
        return self.chances[level] if self.chances else self.chance


# What "visible" asks of an object: unoccluded fraction of what the frame could show, and share of the picture.
CLEAR = (
    "90% unoccluded, 1.2% of the picture",
    "75% unoccluded, 0.9% of the picture",
    "60% unoccluded, 0.6% of the picture",
    "45% unoccluded, 0.4% of the picture",
    "30% unoccluded, 0.3% of the picture",
)


# What several skills of relations ask, over one picture, two or more.
DISTANCES_APART = (
    "2 options, distances 1.00 m apart",
    "2 options, distances 0.60 m apart",
    "3 options, distances 0.40 m apart",
    "3 options, distances 0.25 m apart",
    "4 options, distances 0.15 m apart",
)
SECTORS = (
    "left or right, 40 degrees from a border",
    "left or right, 20 degrees from a border",
    "left, right or behind, 25 degrees from a border",
    "left, right or behind, 12 degrees from a border",
    "four quadrants, 10 degrees from a border",
)
QUADRANTS = (
    "left or right, 40 degrees from a border",
    "left or right, 20 degrees from a border",
    "four quadrants, 25 degrees from a border",
    "four quadrants, 15 degrees from a border",
    "four quadrants, 8 degrees from a border",
)


def both(first: tuple[str, ...], *more: str) -> tuple[str, ...]:
    """Levels each of which asks for one thing and for another."""
    return tuple(f"{one}, {other}" for one, other in zip(first, more))
