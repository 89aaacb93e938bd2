"""Skills about two pictures of one scene."""

from __future__ import annotations

from protocol.skills.skill import QUADRANTS, Skill

SKILLS = (
    Skill(
        "camera_position",
        "map",
        "choice",
        "pair",
        "camera",
        QUADRANTS,
        chance=0.5,
        chances=(0.5, 0.5, 0.25, 0.25, 0.25),
    ),
    Skill(
        "camera_elevation",
        "map",
        "choice",
        "pair",
        "camera",
        (
            "above or below, 0.60 m apart",
            "above or below, 0.45 m apart",
            "above, below or the same (within 0.15 m), 0.40 m apart otherwise",
            "above, below or the same (within 0.15 m), 0.30 m apart otherwise",
            "above, below or the same (within 0.15 m), 0.22 m apart otherwise",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.33),
    ),
    Skill(
        "visibility_compare",
        "relate",
        "choice",
        "pair",
        "camera",
        (
            "first or second, unoccluded fractions 0.40 apart",
            "first or second, unoccluded fractions 0.30 apart",
            "first, second or the same (within 0.05), unoccluded fractions 0.25 apart otherwise",
            "first, second or the same (within 0.05), unoccluded fractions 0.18 apart otherwise",
            "first, second or the same (within 0.05), unoccluded fractions 0.12 apart otherwise",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.33),
    ),
    Skill(
        "object_from_camera",
        "map",
        "choice",
        "pair",
        "camera",
        (
            "left or right, 40 degrees from a border",
            "left or right, 20 degrees from a border",
            "left, right or behind, 20 degrees from a border",
            "left, right or behind, 10 degrees from a border",
            "four quadrants, 10 degrees from a border",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.25),
    ),
    Skill(
        "region_from_camera",
        "map",
        "choice",
        "pair",
        "camera",
        QUADRANTS,
        chance=0.5,
        chances=(0.5, 0.5, 0.25, 0.25, 0.25),
        needs=("rooms",),
    ),
    Skill(
        "object_match",
        "relate",
        "choice",
        "pair",
        "camera",
        (
            "2 options, seen from directions 10 degrees apart",
            "2 options, seen from directions 25 degrees apart",
            "2 options, seen from directions 40 degrees apart",
            "3 options, seen from directions 55 degrees apart",
            "3 options, seen from directions 70 degrees apart",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.5, 0.33, 0.33),
    ),
)
