"""Skills about several cameras at once: what no single stream tells."""

from __future__ import annotations

from protocol.skills.skill import CLEAR, Skill, both

SKILLS = (
    Skill(
        "cameras_shared",
        "map",
        "choice",
        "several cameras",
        "camera",
        (
            "2 cameras, 2 options",
            "2 cameras, 3 options",
            "3 cameras, 3 options",
            "3 cameras, 4 options",
            "4 cameras, 4 options",
        ),
        chance=0.5,
        chances=(0.5, 0.33, 0.33, 0.25, 0.25),
    ),
    Skill(
        "cameras_count",
        "map",
        "number",
        "several cameras",
        "camera",
        both(
            CLEAR,
            "2 cameras, 2 to 3 things, 0 of them seen twice or more",
            "2 cameras, 3 to 4 things, 1 of them seen twice or more",
            "3 cameras, 2 to 5 things, 1 of them seen twice or more",
            "3 cameras, 3 to 6 things, 2 of them seen twice or more",
            "4 cameras, 3 to 8 things, 2 of them seen twice or more",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.25, 0.25, 0.17),
    ),
    Skill(
        "cameras_nearest",
        "map",
        "choice",
        "several cameras",
        "camera",
        (
            "2 cameras, distances 1.2 m apart",
            "2 cameras, distances 0.8 m apart",
            "3 cameras, distances 0.6 m apart",
            "3 cameras, distances 0.4 m apart",
            "4 cameras, distances 0.3 m apart",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.25),
    ),
)
