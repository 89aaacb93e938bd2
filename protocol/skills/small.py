"""Skills about small things on furniture, a ladder: is it there, what is it nearest to, where exactly is it."""

from __future__ import annotations

from protocol.skills.skill import Skill, both

_CLEAR = (
    "90% unoccluded, 0.40% of the picture, within 1.6 m",
    "75% unoccluded, 0.30% of the picture, within 1.8 m",
    "60% unoccluded, 0.20% of the picture, within 2.0 m",
    "45% unoccluded, 0.15% of the picture, within 2.4 m",
    "30% unoccluded, 0.10% of the picture, within 2.8 m",
)

SKILLS = (
    Skill("small_presence", "perceive", "choice", "single", "camera", _CLEAR, chance=0.5, needs=("clutter",)),
    Skill(
        "small_nearest",
        "relate",
        "choice",
        "single",
        "object",
        both(
            _CLEAR,
            "2 options, distances 0.60 m apart",
            "2 options, distances 0.45 m apart",
            "3 options, distances 0.30 m apart",
            "3 options, distances 0.20 m apart",
            "4 options, distances 0.15 m apart",
        ),
        chance=0.5,
        chances=(0.5, 0.5, 0.33, 0.33, 0.25),
        needs=("clutter",),
    ),
    Skill(
        "small_location",
        "relate",
        "choice",
        "single",
        "camera",
        both(
            _CLEAR,
            "2 options, neighbours 0.12 of the picture apart, wrong distances wrong by 0.6 m",
            "3 options, neighbours 0.09 of the picture apart, wrong distances wrong by 0.5 m",
            "3 options, neighbours 0.07 of the picture apart, wrong distances wrong by 0.5 m",
            "4 options, neighbours 0.05 of the picture apart, wrong distances wrong by 0.4 m",
            "4 options, neighbours 0.03 of the picture apart, wrong distances wrong by 0.3 m",
        ),
        chance=0.5,
        chances=(0.5, 0.33, 0.33, 0.25, 0.25),
        needs=("clutter",),
    ),
)
