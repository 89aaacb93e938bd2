"""The skill catalogue: what can be asked, at which level of reasoning, answered how, and how hard.

Levels 0..4 have a measurable meaning per skill. `feasible_levels` is what is implemented today.
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
    chance: float  # success of a guesser who knows the answer format

    @property
    def feasible_levels(self) -> tuple[int, ...]:
        return tuple(range(len(self.levels)))


CATALOGUE: dict[str, Skill] = {
    skill.name: skill
    for skill in (
        Skill("object_category", "perceive", "choice", "single", "camera", ("1", "2", "3", "4", "5"), 0.1),
        Skill("object_color", "perceive", "choice", "single", "camera", ("1", "2", "3", "4", "5"), 0.16),
        Skill("object_location", "perceive", "choice", "single", "camera", ("1", "2", "3", "4", "5"), 0.11),
        Skill("object_count", "perceive", "number", "single", "camera", ("1", "2", "3", "4", "5"), 0.25),
        Skill("camera_object_distance", "perceive", "number", "single", "camera", ("1", "2", "3", "4", "5"), 0.2),
        Skill("view_direction", "relate", "choice", "single", "camera", ("1", "2", "3", "4", "5"), 0.5),
        Skill("depth_order", "relate", "choice", "single", "camera", ("1", "2", "3", "4", "5"), 0.5),
        Skill("relative_distance", "relate", "choice", "single", "object", ("1", "2", "3", "4", "5"), 0.4),
        Skill("object_size", "relate", "number", "single", "object", ("1", "2", "3", "4", "5"), 0.2),
        Skill("relative_direction", "map", "choice", "single", "object", ("1", "2", "3", "4", "5"), 0.4),
        Skill("camera_motion", "map", "choice", "pair", "camera", ("1", "2", "3", "4", "5"), 0.3),
    )
}
