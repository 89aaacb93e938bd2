"""Skills about small objects on furniture: whether one is there, what it is nearest to, and exactly where it is."""

from __future__ import annotations

from protocol.skills.levels import Clarity
from protocol.skills.skill import Level, Skill


class SmallLevel(Level, frozen=True, kw_only=True):
    """A small object and a camera near it."""

    clarity: Clarity
    within_m: float  # largest distance of the camera from the object on the floor plan

    def __str__(self) -> str:
        return f"{self.clarity}, within {self.within_m} m"


class SmallNearestLevel(SmallLevel, frozen=True, kw_only=True):
    """The option nearest to a small object."""

    options: int
    apart_m: float  # least difference between the distances of two options

    def __str__(self) -> str:
        return f"{super().__str__()}, {self.options} options, distances {self.apart_m:.2f} m apart"


class SmallLocationLevel(SmallLevel, frozen=True, kw_only=True):
    """The support, neighbour, side and distance of a small object."""

    options: int
    apart: float  # least distance of the neighbour in the image, as a fraction of the image width
    wrong_times: float  # least ratio of the longer to the shorter of the right distance and a wrong one

    def __str__(self) -> str:
        return (
            f"{super().__str__()}, {self.options} options, neighbours {self.apart:.2f} of the image width apart, "
            f"wrong distances off by a factor of {self.wrong_times:g} or more"
        )


_CLOSE = (
    (Clarity(0.90, 0.0040), 1.6),
    (Clarity(0.75, 0.0030), 1.8),
    (Clarity(0.60, 0.0020), 2.0),
    (Clarity(0.45, 0.0015), 2.4),
    (Clarity(0.30, 0.0010), 2.8),
)

SMALL_PRESENCE = Skill(
    name="small_presence",
    reasoning="perceive",
    answer_type="choice",
    views="single",
    frame="camera",
    world_needs=("clutter",),
    levels=tuple(SmallLevel(chance=0.5, clarity=clarity, within_m=within_m) for clarity, within_m in _CLOSE),
)
SMALL_NEAREST = Skill(
    name="small_nearest",
    reasoning="relate",
    answer_type="choice",
    views="single",
    frame="object",
    world_needs=("clutter",),
    scene_wish="small",
    levels=tuple(
        SmallNearestLevel(chance=chance, clarity=clarity, within_m=within_m, options=options, apart_m=apart_m)
        for (clarity, within_m), (chance, options, apart_m) in zip(
            _CLOSE, ((0.5, 2, 0.60), (0.5, 2, 0.45), (0.5, 2, 0.30), (0.33, 3, 0.20), (0.33, 3, 0.15))
        )
    ),
)
SMALL_LOCATION = Skill(
    name="small_location",
    reasoning="relate",
    answer_type="choice",
    views="single",
    frame="camera",
    world_needs=("clutter",),
    options_vary=True,
    scene_wish="small",
    levels=tuple(
        SmallLocationLevel(
            chance=chance, clarity=clarity, within_m=within_m, options=options, apart=apart, wrong_times=wrong_times
        )
        for (clarity, within_m), (chance, options, apart, wrong_times) in zip(
            _CLOSE,
            (
                (0.5, 2, 0.12, 2.0),
                (0.33, 3, 0.09, 2.0),
                (0.33, 3, 0.07, 2.0),
                (0.25, 4, 0.05, 1.75),
                (0.25, 4, 0.03, 1.5),
            ),
        )
    ),
)

SKILLS = (SMALL_PRESENCE, SMALL_NEAREST, SMALL_LOCATION)
