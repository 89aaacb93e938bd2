"""The skill catalogue: what can be asked, at which level of reasoning, answered how, and how hard.

Levels 0..4 have a measurable meaning per skill, in words here and in numbers beside each family; a test holds the two
together. `feasible_levels` is what is implemented today.
"""

from __future__ import annotations

import msgspec


class Skill(msgspec.Struct, frozen=True):
    name: str
    reasoning: str  # "perceive" | "relate" | "map" | "predict" | "plan"
    answer_type: str  # "choice" | "number" | "sequence" | "map"
    views: str  # "single" | "pair" | "few" | "trajectory" | "several cameras"
    frame: str  # "camera" | "object" | "agent"
    levels: tuple[str, ...]  # the measurable meaning of level 0, 1, 2 …
    chance: float  # success of a guesser who knows the answer format, at the easiest level
    chances: tuple[float, ...] = ()  # the same per level, where levels differ in the number of options

    @property
    def feasible_levels(self) -> tuple[int, ...]:
        return tuple(range(len(self.levels)))

    def chance_at(self, level: int) -> float:
        """Success of a guesser who knows the answer format, at this level."""
        return self.chances[level] if self.chances else self.chance


# What "visible" asks of an object: unoccluded fraction of what the frame could show, and share of the picture.
_CLEAR = (
    "90% unoccluded, 1.2% of the picture",
    "75% unoccluded, 0.9% of the picture",
    "60% unoccluded, 0.6% of the picture",
    "45% unoccluded, 0.4% of the picture",
    "30% unoccluded, 0.3% of the picture",
)


def _clear(*more: str) -> tuple[str, ...]:
    """The levels of _CLEAR, each with what else it asks."""
    return tuple(f"{clear}, {text}" for clear, text in zip(_CLEAR, more))


CATALOGUE: dict[str, Skill] = {
    skill.name: skill
    for skill in (
        Skill("object_category", "perceive", "choice", "single", "camera", _CLEAR, chance=0.1),
        Skill("object_color", "perceive", "choice", "single", "camera", _CLEAR, chance=0.16),
        Skill(
            "object_location",
            "perceive",
            "choice",
            "single",
            "camera",
            _clear(
                "0.11 of the side from a cell's border",
                "0.09 of the side from a cell's border",
                "0.07 of the side from a cell's border",
                "0.05 of the side from a cell's border",
                "0.03 of the side from a cell's border",
            ),
            chance=0.11,
        ),
        Skill(
            "object_count",
            "perceive",
            "number",
            "single",
            "camera",
            _clear("1 to 2 things", "1 to 3 things", "2 to 4 things", "2 to 5 things", "3 to 6 things"),
            chance=0.5,
            chances=(0.5, 0.33, 0.33, 0.25, 0.25),
        ),
        Skill(
            "camera_object_distance",
            "perceive",
            "number",
            "single",
            "camera",
            _clear(
                "0.8 to 2.5 m from the camera",
                "0.8 to 3.2 m from the camera",
                "0.8 to 4.0 m from the camera",
                "0.8 to 5.0 m from the camera",
                "0.8 to 6.0 m from the camera",
            ),
            chance=0.2,
        ),
        Skill(
            "view_direction",
            "relate",
            "choice",
            "single",
            "camera",
            (
                "left or right, 0.30 of the picture apart",
                "left or right, 0.22 of the picture apart",
                "left or right, or above or below, 0.15 of the picture apart",
                "left or right, or above or below, 0.10 of the picture apart",
                "left or right, or above or below, 0.06 of the picture apart",
            ),
            chance=0.5,
        ),
        Skill(
            "depth_order",
            "relate",
            "choice",
            "single",
            "camera",
            (
                "nearer or farther, depths differ by 40%",
                "nearer or farther, depths differ by 30%",
                "nearer or farther, depths differ by 22%",
                "nearer or farther, depths differ by 15%",
                "nearer or farther, depths differ by 10% and 0.15 m",
            ),
            chance=0.5,
        ),
        Skill(
            "relative_distance",
            "relate",
            "choice",
            "single",
            "object",
            (
                "2 options, distances 1.00 m apart",
                "2 options, distances 0.60 m apart",
                "3 options, distances 0.40 m apart",
                "3 options, distances 0.25 m apart",
                "4 options, distances 0.15 m apart",
            ),
            chance=0.5,
            chances=(0.5, 0.5, 0.33, 0.33, 0.25),
        ),
        Skill(
            "object_size",
            "relate",
            "number",
            "single",
            "object",
            _clear(*["wholly in the frame"] * 5),
            chance=0.2,
        ),
        Skill(
            "relative_direction",
            "map",
            "choice",
            "single",
            "object",
            (
                "left or right, 40 degrees from a border",
                "left or right, 20 degrees from a border",
                "left, right or behind, 25 degrees from a border",
                "left, right or behind, 12 degrees from a border",
                "four quadrants, 10 degrees from a border",
            ),
            chance=0.5,
            chances=(0.5, 0.5, 0.33, 0.33, 0.25),
        ),
        Skill(
            "camera_motion",
            "map",
            "choice",
            "pair",
            "camera",
            (
                "a turn of 25 degrees or more, left or right",
                "a turn of 12 degrees or more, left or right",
                "a move of 0.6 m or more, four directions",
                "a move of 0.3 m or more, four directions",
                "a move of 0.3 m or more, four directions, with a turn of up to 25 degrees",
            ),
            chance=0.5,
            chances=(0.5, 0.5, 0.25, 0.25, 0.25),
        ),
    )
}
