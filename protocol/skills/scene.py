"""Skills about a scene over few pictures that together cover it."""

from __future__ import annotations

from protocol.skills.skill import CLEAR, DISTANCES_APART, SECTORS, Skill, both

_TOGETHER = ("2 pictures", "3 pictures", "2 pictures, none of them shows all", "3 pictures, none of them shows all",
             "4 pictures, none of them shows all")  # fmt: skip

SKILLS = (
    Skill("object_distance", "map", "number", "few", "object", _TOGETHER, chance=0.25),
    Skill(
        "room_size",
        "map",
        "number",
        "few",
        "object",
        (
            "4 pictures of one room, 80% to 100% of its walls shown",
            "4 pictures of one room, 70% to 95% of its walls shown",
            "3 pictures of one room, 60% to 85% of its walls shown",
            "3 pictures of one or two rooms, 50% to 75% of their walls shown",
            "2 pictures of one or two rooms, 40% to 65% of their walls shown",
        ),
        chance=0.4,
    ),
    Skill(
        "scene_count",
        "map",
        "number",
        "few",
        "object",
        both(
            CLEAR,
            *both(_TOGETHER, "2 to 3 things", "2 to 4 things", "2 to 5 things", "3 to 6 things", "3 to 8 things"),
        ),
        chance=0.5,
        chances=(0.5, 0.33, 0.25, 0.25, 0.17),
    ),
    Skill(
        "scene_size",
        "map",
        "number",
        "few",
        "object",
        both(CLEAR, "2 pictures", "3 pictures", "2 pictures", "3 pictures", "4 pictures"),
        chance=0.55,
    ),
    Skill(
        "scene_relative_distance",
        "map",
        "choice",
        "few",
        "object",
        both(_TOGETHER, *DISTANCES_APART),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.25),
    ),
    Skill(
        "scene_relative_direction",
        "map",
        "choice",
        "few",
        "object",
        both(_TOGETHER, *SECTORS),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.25),
    ),
)
