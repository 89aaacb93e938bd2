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


def clear(*more: str) -> tuple[str, ...]:
    """The levels of CLEAR, each with what else it asks."""
    return tuple(f"{clear}, {text}" for clear, text in zip(CLEAR, more))
