"""Skills about one image, and about the motion of the camera between two."""

from __future__ import annotations

from protocol.skills.levels import PERCEIVE, RELATIVE_DISTANCES, RELATIVE_SECTORS, Visible, plural, same_or
from protocol.skills.skill import Level, Skill


class CellLevel(Visible, frozen=True, kw_only=True):
    """The cell of a 3 x 3 grid over the image that holds an object."""

    cell_margin: float  # least distance of the object's centroid from a cell border, as a fraction of the image side

    def __str__(self) -> str:
        return f"{self.clarity}, {self.cell_margin:.2f} of the image side from a cell border"


class CountLevel(Visible, frozen=True, kw_only=True):
    """How many objects of a kind are visible."""

    most: int

    def __str__(self) -> str:
        return f"{self.clarity}, up to {plural(self.most, 'object')}"


class CameraDistanceLevel(Visible, frozen=True, kw_only=True):
    """Distance of an object from the camera."""

    nearest_m: float = 0.8
    farthest_m: float

    def __str__(self) -> str:
        return f"{self.clarity}, {self.nearest_m} to {self.farthest_m} m from the camera"


class SideLevel(Level, frozen=True, kw_only=True):
    """The side of one object on which another one is in the image."""

    apart: float  # least distance between their centroids, as a fraction of the image's width or height
    asks_vertical: bool = False

    def __str__(self) -> str:
        sides = "left or right, or above or below" if self.asks_vertical else "left or right"
        return f"{sides}, {self.apart:.2f} of the image apart"


class DepthLevel(Level, frozen=True, kw_only=True):
    """The nearer of two objects."""

    depth_gap: float  # least difference of their depths, as a fraction of the larger depth
    same_within_m: float = 0.15  # a smaller difference is "the same"
    asks_same: bool = False

    def __str__(self) -> str:
        within = f"{self.same_within_m} m"
        return same_or("nearer, farther", self.asks_same, within, f"depths {self.depth_gap:.0%} apart")


class SizeLevel(Visible, frozen=True, kw_only=True):
    """Length of the longest side of an object."""

    def __str__(self) -> str:
        return f"{self.clarity}, entirely inside the image"


class MotionLevel(Level, frozen=True, kw_only=True):
    """How the camera turned or moved: it turns if `turn_deg` is given, else it moves."""

    turn_deg: float = 0.0  # least turn
    move_m: float = 0.0  # least length of a move
    other_turn_deg: float = 0.0  # largest turn that a move is combined with

    def __str__(self) -> str:
        if self.turn_deg:
            return f"a turn of at least {self.turn_deg:g} degrees, left or right"
        also = f", combined with a turn of up to {self.other_turn_deg:g} degrees" if self.other_turn_deg else ""
        return f"a move of at least {self.move_m} m in one of four directions{also}"


def _counts(*levels: tuple[float, int]) -> tuple[CountLevel, ...]:
    return tuple(
        CountLevel(chance=chance, clarity=clarity, most=most) for clarity, (chance, most) in zip(PERCEIVE, levels)
    )


def _visible(chance: float) -> tuple[Visible, ...]:
    return tuple(Visible(chance=chance, clarity=clarity) for clarity in PERCEIVE)


OBJECT_CATEGORY = Skill(
    name="object_category",
    reasoning="perceive",
    answer_type="choice",
    views="single",
    frame="camera",
    levels=_visible(0.1),
)
OBJECT_COLOR = Skill(
    name="object_color",
    reasoning="perceive",
    answer_type="choice",
    views="single",
    frame="camera",
    levels=_visible(0.16),
)
OBJECT_LOCATION = Skill(
    name="object_location",
    reasoning="perceive",
    answer_type="choice",
    views="single",
    frame="camera",
    levels=tuple(
        CellLevel(chance=0.11, clarity=clarity, cell_margin=margin)
        for clarity, margin in zip(PERCEIVE, (0.11, 0.09, 0.07, 0.05, 0.03))
    ),
)
OBJECT_COUNT = Skill(
    name="object_count",
    reasoning="perceive",
    answer_type="number",
    views="single",
    frame="camera",
    scene_wish="several",
    levels=_counts((0.5, 2), (0.45, 3), (0.45, 4), (0.4, 5), (0.4, 6)),
)
CAMERA_OBJECT_DISTANCE = Skill(
    name="camera_object_distance",
    reasoning="perceive",
    answer_type="number",
    views="single",
    frame="camera",
    levels=tuple(
        CameraDistanceLevel(chance=0.45, clarity=clarity, farthest_m=farthest_m)
        for clarity, farthest_m in zip(PERCEIVE, (2.5, 3.2, 4.0, 5.0, 6.0))
    ),
)
VIEW_DIRECTION = Skill(
    name="view_direction",
    reasoning="relate",
    answer_type="choice",
    views="single",
    frame="camera",
    levels=(
        SideLevel(chance=0.5, apart=0.30),
        SideLevel(chance=0.5, apart=0.22),
        SideLevel(chance=0.5, apart=0.15, asks_vertical=True),
        SideLevel(chance=0.5, apart=0.10, asks_vertical=True),
        SideLevel(chance=0.5, apart=0.06, asks_vertical=True),
    ),
)
DEPTH_ORDER = Skill(
    name="depth_order",
    reasoning="relate",
    answer_type="choice",
    views="single",
    frame="camera",
    levels=(
        DepthLevel(chance=0.5, depth_gap=0.40),
        DepthLevel(chance=0.5, depth_gap=0.30),
        DepthLevel(chance=0.5, depth_gap=0.22),
        DepthLevel(chance=0.33, depth_gap=0.15, asks_same=True),
        DepthLevel(chance=0.33, depth_gap=0.10, asks_same=True),
    ),
)
RELATIVE_DISTANCE = Skill(
    name="relative_distance",
    reasoning="relate",
    answer_type="choice",
    views="single",
    frame="object",
    levels=RELATIVE_DISTANCES,
)
OBJECT_SIZE = Skill(
    name="object_size",
    reasoning="relate",
    answer_type="number",
    views="single",
    frame="object",
    levels=tuple(SizeLevel(chance=0.5, clarity=clarity) for clarity in PERCEIVE),
)
RELATIVE_DIRECTION = Skill(
    name="relative_direction",
    reasoning="map",
    answer_type="choice",
    views="single",
    frame="object",
    levels=RELATIVE_SECTORS,
)
CAMERA_MOTION = Skill(
    name="camera_motion",
    reasoning="map",
    answer_type="choice",
    views="pair",
    frame="camera",
    levels=(
        MotionLevel(chance=0.5, turn_deg=25.0),
        MotionLevel(chance=0.5, turn_deg=12.0),
        MotionLevel(chance=0.25, move_m=0.6),
        MotionLevel(chance=0.25, move_m=0.3),
        MotionLevel(chance=0.25, move_m=0.3, other_turn_deg=25.0),
    ),
)

SKILLS = (
    OBJECT_CATEGORY,
    OBJECT_COLOR,
    OBJECT_LOCATION,
    OBJECT_COUNT,
    CAMERA_OBJECT_DISTANCE,
    VIEW_DIRECTION,
    DEPTH_ORDER,
    RELATIVE_DISTANCE,
    OBJECT_SIZE,
    RELATIVE_DIRECTION,
    CAMERA_MOTION,
)
