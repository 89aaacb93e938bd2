"""Skills about several cameras at once, whose answers no single camera gives."""

from __future__ import annotations

from protocol.skills.levels import PERCEIVE
from protocol.skills.single import CountLevel
from protocol.skills.skill import Level, Skill


class SharedLevel(Level, frozen=True, kw_only=True):
    """The one object that every camera sees."""

    cameras: int  # at most
    options: int

    def __str__(self) -> str:
        return f"{self.cameras} cameras, {self.options} options"


class CamerasCountLevel(CountLevel, frozen=True, kw_only=True):
    """How many objects of a kind the cameras see together; no camera sees all, or several see the only one."""

    cameras: int  # at most
    in_two: int  # least number of them that two cameras or more see: adding up the cameras counts them twice

    def __str__(self) -> str:
        return f"{super().__str__()}, {self.in_two} of them seen twice or more, {self.cameras} cameras"


class NearestCameraLevel(Level, frozen=True, kw_only=True):
    """The camera nearest to an object that all cameras see."""

    cameras: int  # at most
    apart_m: float  # least difference between the distances of the nearest camera and the next one

    def __str__(self) -> str:
        return f"{self.cameras} cameras, distances {self.apart_m} m apart"


CAMERAS_SHARED = Skill(
    name="cameras_shared",
    reasoning="map",
    answer_type="choice",
    views="several cameras",
    frame="camera",
    levels=(
        SharedLevel(chance=0.5, cameras=2, options=2),
        SharedLevel(chance=0.33, cameras=2, options=3),
        SharedLevel(chance=0.33, cameras=3, options=3),
        SharedLevel(chance=0.25, cameras=3, options=4),
        SharedLevel(chance=0.25, cameras=4, options=4),
    ),
)
CAMERAS_COUNT = Skill(
    name="cameras_count",
    reasoning="map",
    answer_type="number",
    views="several cameras",
    frame="camera",
    evidence="maps",
    scene_wish="several",
    levels=tuple(
        CamerasCountLevel(chance=chance, clarity=clarity, most=most, cameras=cameras, in_two=in_two)
        for clarity, (chance, most, cameras, in_two) in zip(
            PERCEIVE, ((0.5, 2, 2, 0), (0.45, 3, 2, 0), (0.45, 3, 3, 1), (0.45, 4, 3, 1), (0.4, 5, 4, 1))
        )
    ),
)
CAMERAS_NEAREST = Skill(
    name="cameras_nearest",
    reasoning="map",
    answer_type="choice",
    views="several cameras",
    frame="camera",
    levels=(
        NearestCameraLevel(chance=0.5, cameras=2, apart_m=1.2),
        NearestCameraLevel(chance=0.5, cameras=2, apart_m=0.8),
        NearestCameraLevel(chance=0.33, cameras=3, apart_m=0.6),
        NearestCameraLevel(chance=0.33, cameras=3, apart_m=0.4),
        NearestCameraLevel(chance=0.25, cameras=4, apart_m=0.3),
    ),
)

SKILLS = (CAMERAS_SHARED, CAMERAS_COUNT, CAMERAS_NEAREST)
