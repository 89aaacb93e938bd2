"""Skills about walks, maps, other standing points and scenes that change."""

from __future__ import annotations

from protocol.skills.skill import Skill

TRAJECTORY = (
    Skill(
        "appearance_order",
        "map",
        "sequence",
        "trajectory",
        "camera",
        (
            "2 things, 3 views apart, in view from 1.2% of the picture",
            "2 things, 2 views apart, in view from 1.0% of the picture",
            "3 things, 2 views apart, in view from 0.8% of the picture",
            "3 things, 1 view apart, in view from 0.6% of the picture",
            "4 things, 1 view apart, in view from 0.4% of the picture",
        ),
        chance=0.5,
    ),
    Skill(
        "path_length",
        "map",
        "number",
        "trajectory",
        "camera",
        (
            "0.8 to 2.0 m, 0 corners",
            "0.8 to 3.0 m, 0 corners",
            "0.8 to 4.0 m, up to 1 corner",
            "0.8 to 5.0 m, up to 2 corners",
            "0.8 to 6.0 m, up to 2 corners",
        ),
        chance=0.5,
    ),
    Skill(
        "action_consequence",
        "predict",
        "choice",
        "trajectory",
        "agent",
        (
            "1 move, left or right, 30 degrees from a border",
            "2 moves, left or right, 20 degrees from a border",
            "2 moves, left, right or behind, 20 degrees from a border",
            "4 moves, left, right or behind, 12 degrees from a border",
            "4 moves, four quadrants, 10 degrees from a border",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.25),
    ),
)
FEW = (
    Skill(
        "route_plan",
        "plan",
        "choice",
        "few",
        "agent",
        (
            "1 turn, left or right, 45 degrees from another turn",
            "1 turn, left, right or back, 30 degrees from another turn",
            "2 turns, 25 degrees from another turn",
            "2 turns, 15 degrees from another turn",
            "3 turns, 15 degrees from another turn",
        ),
        chance=0.5,
        chances=(0.5, 0.33, 0.25, 0.25, 0.25),
    ),
    Skill(
        "cognitive_map",
        "map",
        "map",
        "few",
        "agent",
        (
            "2 things, 1.5 m apart",
            "3 things, 1.2 m apart",
            "3 things, 0.8 m apart",
            "4 things, 0.6 m apart",
            "5 things, 0.4 m apart",
        ),
        chance=0.3,
    ),
    Skill(
        "perspective",
        "map",
        "choice",
        "few",
        "object",
        (
            "left or right, 40 degrees from a border",
            "left or right, 20 degrees from a border",
            "left, right or ahead, 16 degrees from a border",
            "left, right or ahead, 10 degrees from a border",
            "left, right or ahead, 5 degrees from a border",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.33),
    ),
    Skill(
        "view_choice",
        "predict",
        "choice",
        "few",
        "agent",
        (
            "2 turns, 0.20 of the picture from its border",
            "2 turns, 0.10 of the picture from its border",
            "3 turns, 0.12 of the picture from its border",
            "3 turns, 0.06 of the picture from its border",
            "4 turns, 0.04 of the picture from its border",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.25),
    ),
    Skill(
        "fits",
        "predict",
        "choice",
        "few",
        "object",
        (
            "yes or no, 0.50 m from the border",
            "yes or no, 0.40 m from the border",
            "yes or no, 0.30 m from the border",
            "yes or no, 0.20 m from the border",
            "yes or no, 0.15 m from the border",
        ),
        chance=0.5,
    ),
)
PAIRS = (
    Skill(
        "cross_view",
        "map",
        "choice",
        "pair",
        "camera",
        (
            "left or right half, 0.12 of the picture from the middle",
            "four headings, 30 degrees from a border",
            "four headings, 15 degrees from a border, the map at any angle",
            "cell of a 3 x 3 grid, 0.06 of the picture from a border, the map at any angle",
            "cell of a 3 x 3 grid, 0.03 of the picture from a border, the map at any angle",
        ),
        chance=0.5,
        chances=(0.5, 0.25, 0.25, 0.11, 0.11),
    ),
    Skill(
        "before_after",
        "perceive",
        "choice",
        "pair",
        "camera",
        (
            "gone or new, 2 options, the same camera",
            "moved by 1.0 m or more, 2 options, the same camera",
            "gone or new, 3 options, another camera",
            "moved by 1.0 m or more, 3 options, another camera",
            "moved by 0.6 m or more, 3 options, another camera",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.33),
    ),
)
SINGLE = (
    Skill(
        "occlusion_removal",
        "predict",
        "choice",
        "single",
        "camera",
        (
            "2 options, 40% of one is hidden",
            "2 options, 30% of one is hidden",
            "3 options, 25% of one is hidden",
            "3 options, 18% of one is hidden",
            "3 options, 12% of one is hidden",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.33),
    ),
)
SKILLS = (*TRAJECTORY, *FEW, *PAIRS, *SINGLE)
