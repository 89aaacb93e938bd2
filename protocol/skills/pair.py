"""Skills about two images of one scene."""

from __future__ import annotations

from protocol.skills.levels import Sectors, same_or
from protocol.skills.skill import Level, Skill


class ElevationLevel(Level, frozen=True, kw_only=True):
    """The higher of two cameras."""

    apart_m: float  # least difference in height
    same_within_m: float = 0.15  # a smaller difference is "the same"
    asks_same: bool = False

    def __str__(self) -> str:
        return same_or("higher, lower", self.asks_same, f"{self.same_within_m} m", f"{self.apart_m:.2f} m apart")


class VisibilityLevel(Level, frozen=True, kw_only=True):
    """The image in which a larger fraction of an object is visible."""

    apart: float  # least difference of the visible fractions
    same_within: float = 0.05  # a smaller difference is "the same"
    asks_same: bool = False

    def __str__(self) -> str:
        apart = f"visible fractions {self.apart:.2f} apart"
        return same_or("Image 1, Image 2", self.asks_same, f"{self.same_within}", apart)


class MatchLevel(Level, frozen=True, kw_only=True):
    """The cell of the second image that holds an object of the first one."""

    options: int
    turned_deg: float  # least angle between the directions from which the two cameras view the object
    cell_margin: float  # least distance of the object's centroid from a cell border, as a fraction of the image side

    def __str__(self) -> str:
        return (
            f"{self.options} options, viewed from directions {self.turned_deg:g} degrees apart, "
            f"{self.cell_margin:.2f} of the image side from a cell border"
        )


_QUADRANTS = (
    Sectors(chance=0.5, sectors="side", margin_deg=40.0),
    Sectors(chance=0.5, sectors="side", margin_deg=20.0),
    Sectors(chance=0.25, sectors="quadrant", margin_deg=25.0),
    Sectors(chance=0.25, sectors="quadrant", margin_deg=15.0),
    Sectors(chance=0.25, sectors="quadrant", margin_deg=8.0),
)

CAMERA_POSITION = Skill(
    name="camera_position",
    reasoning="map",
    answer_type="choice",
    views="pair",
    frame="camera",
    levels=_QUADRANTS,
)
CAMERA_ELEVATION = Skill(
    name="camera_elevation",
    reasoning="map",
    answer_type="choice",
    views="pair",
    frame="camera",
    levels=(
        ElevationLevel(chance=0.5, apart_m=0.60),
        ElevationLevel(chance=0.5, apart_m=0.45),
        ElevationLevel(chance=0.33, apart_m=0.40, asks_same=True),
        ElevationLevel(chance=0.33, apart_m=0.30, asks_same=True),
        ElevationLevel(chance=0.33, apart_m=0.22, asks_same=True),
    ),
)
VISIBILITY_COMPARE = Skill(
    name="visibility_compare",
    reasoning="relate",
    answer_type="choice",
    views="pair",
    frame="camera",
    evidence="pinhole",
    levels=(
        VisibilityLevel(chance=0.5, apart=0.40),
        VisibilityLevel(chance=0.5, apart=0.30),
        VisibilityLevel(chance=0.33, apart=0.25, asks_same=True),
        VisibilityLevel(chance=0.33, apart=0.18, asks_same=True),
        VisibilityLevel(chance=0.33, apart=0.12, asks_same=True),
    ),
)
OBJECT_FROM_CAMERA = Skill(
    name="object_from_camera",
    reasoning="map",
    answer_type="choice",
    views="pair",
    frame="camera",
    levels=(
        Sectors(chance=0.5, sectors="side", margin_deg=40.0),
        Sectors(chance=0.5, sectors="side", margin_deg=20.0),
        Sectors(chance=0.33, sectors="side_or_behind", margin_deg=20.0),
        Sectors(chance=0.33, sectors="side_or_behind", margin_deg=10.0),
        Sectors(chance=0.25, sectors="quadrant", margin_deg=10.0),
    ),
)
REGION_FROM_CAMERA = Skill(
    name="region_from_camera",
    reasoning="map",
    answer_type="choice",
    views="pair",
    frame="camera",
    levels=_QUADRANTS,
    world_needs=("rooms",),
    backend_needs=("room outlines",),
)
OBJECT_MATCH = Skill(
    name="object_match",
    reasoning="relate",
    answer_type="choice",
    views="pair",
    frame="camera",
    options_vary=True,
    levels=(
        MatchLevel(chance=0.5, options=2, turned_deg=10.0, cell_margin=0.11),
        MatchLevel(chance=0.5, options=2, turned_deg=25.0, cell_margin=0.09),
        MatchLevel(chance=0.5, options=2, turned_deg=40.0, cell_margin=0.07),
        MatchLevel(chance=0.33, options=3, turned_deg=55.0, cell_margin=0.05),
        MatchLevel(chance=0.33, options=3, turned_deg=70.0, cell_margin=0.03),
    ),
)

SKILLS = (
    CAMERA_POSITION,
    CAMERA_ELEVATION,
    VISIBILITY_COMPARE,
    OBJECT_FROM_CAMERA,
    REGION_FROM_CAMERA,
    OBJECT_MATCH,
)
