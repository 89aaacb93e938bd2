"""Skills about walks, maps, other viewpoints and scenes that change."""

from __future__ import annotations

from protocol.skills.levels import Sectors, plural
from protocol.skills.skill import Level, Skill


class AppearanceLevel(Level, frozen=True, kw_only=True):
    """The order in which objects come into view on a walk."""

    objects: int
    apart_views: int  # least number of views between the first views of two objects
    image_fraction: float  # an object counts as in view from this fraction of the image on

    def __str__(self) -> str:
        apart = plural(self.apart_views, "view")
        return f"{self.objects} objects, {apart} apart, in view from {self.image_fraction:.1%} of the image"


class WalkLevel(Level, frozen=True, kw_only=True):
    """Length of a walk."""

    shortest_m: float = 0.8
    longest_m: float
    corners: int  # at most

    def __str__(self) -> str:
        corners = f"up to {plural(self.corners, 'corner')}" if self.corners else "no corner"
        return f"{self.shortest_m} to {self.longest_m} m, {corners}"


class MovesLevel(Sectors, frozen=True, kw_only=True):
    """Where an object is after moves that the question names."""

    moves: int  # alternating turns and walks

    def __str__(self) -> str:
        return f"{plural(self.moves, 'move')}, {super().__str__()}"


class RouteLevel(Level, frozen=True, kw_only=True):
    """The turns along a route from object to object."""

    turns: int
    words: tuple[str, ...] = ("left", "right", "back")
    margin_deg: float  # least distance of a turn from straight ahead, and from 135 degrees, where "back" begins

    def __str__(self) -> str:
        words = f"{', '.join(self.words[:-1])} or {self.words[-1]}"
        return f"{plural(self.turns, 'turn')}, {words}, {self.margin_deg:g} degrees from a border"


class MapLevel(Level, frozen=True, kw_only=True):
    """The cells of objects on a map of the room."""

    objects: int
    apart_m: float  # least distance between the centres of two objects on the floor plan

    def __str__(self) -> str:
        return f"{self.objects} objects, {self.apart_m} m apart"


class TurnLevel(Level, frozen=True, kw_only=True):
    """The turn of the camera that brings an object into view."""

    turns_deg: tuple[int, ...]  # the options; left is positive
    margin: float  # least distance of the object's centre from the border of an image, as a fraction of the image

    def __str__(self) -> str:
        return f"{len(self.turns_deg)} turns, {self.margin:.2f} of the image from its border"


class FitsLevel(Level, frozen=True, kw_only=True):
    """Whether a box fits between two objects."""

    margin_m: float  # a box larger by this fits too, or a box smaller by this does not fit either

    def __str__(self) -> str:
        return f"yes or no, {self.margin_m:.2f} m from the border"


class CrossViewLevel(Level, frozen=True, kw_only=True):
    """Where on a view from above the camera of another view is, or which way it looks."""

    asks: str  # "half" | "heading" | "cell"
    margin: float = 0.0  # of a half or cell: least distance from a border, as a fraction of the image
    margin_deg: float = 0.0  # of a heading: least distance from the border between two ways
    any_angle: bool = False  # the view from above may be turned by any angle, else by quarter turns

    def __str__(self) -> str:
        asked = {
            "half": f"left or right half, {self.margin:.2f} of the image from the middle",
            "heading": f"four headings, {self.margin_deg:g} degrees from a border",
            "cell": f"cell of a 3 x 3 grid, {self.margin:.2f} of the image from a border",
        }[self.asks]
        return f"{asked}, the map at any angle" if self.any_angle else asked


class ChangeLevel(Level, frozen=True, kw_only=True):
    """The object that was moved, taken away or added between two images."""

    kinds: tuple[str, ...]  # of "gone", "new" and "moved"
    options: int
    moved_m: float = 0.0  # least distance between the visible surfaces of a moved object
    same_camera: bool = False

    def __str__(self) -> str:
        change = f"moved by at least {self.moved_m} m" if self.kinds == ("moved",) else " or ".join(self.kinds)
        return f"{change}, {self.options} options, {'the same' if self.same_camera else 'another'} camera"


class UncoverLevel(Level, frozen=True, kw_only=True):
    """The object of which more is visible once another one is taken away."""

    options: int
    uncovered: float  # least fraction of the object that the other one hides

    def __str__(self) -> str:
        return f"{self.options} options, {self.uncovered:.0%} of one is hidden"


APPEARANCE_ORDER = Skill(
    name="appearance_order",
    reasoning="map",
    answer_type="sequence",
    views="trajectory",
    frame="camera",
    evidence="maps",
    levels=(
        AppearanceLevel(chance=0.5, objects=2, apart_views=3, image_fraction=0.012),
        AppearanceLevel(chance=0.5, objects=2, apart_views=2, image_fraction=0.010),
        AppearanceLevel(chance=0.5, objects=3, apart_views=2, image_fraction=0.008),
        AppearanceLevel(chance=0.5, objects=3, apart_views=1, image_fraction=0.006),
        AppearanceLevel(chance=0.5, objects=4, apart_views=1, image_fraction=0.004),
    ),
)
PATH_LENGTH = Skill(
    name="path_length",
    reasoning="map",
    answer_type="number",
    views="trajectory",
    frame="camera",
    evidence="maps",
    levels=(
        WalkLevel(chance=0.5, longest_m=2.0, corners=0),
        WalkLevel(chance=0.5, longest_m=3.0, corners=0),
        WalkLevel(chance=0.5, longest_m=4.0, corners=1),
        WalkLevel(chance=0.5, longest_m=5.0, corners=2),
        WalkLevel(chance=0.5, longest_m=6.0, corners=2),
    ),
)
ACTION_CONSEQUENCE = Skill(
    name="action_consequence",
    reasoning="predict",
    answer_type="choice",
    views="trajectory",
    frame="agent",
    staged=True,
    levels=(
        MovesLevel(chance=0.5, moves=1, sectors="side", margin_deg=30.0),
        MovesLevel(chance=0.5, moves=2, sectors="side", margin_deg=20.0),
        MovesLevel(chance=0.33, moves=2, sectors="side_or_behind", margin_deg=20.0),
        MovesLevel(chance=0.33, moves=4, sectors="side_or_behind", margin_deg=12.0),
        MovesLevel(chance=0.25, moves=4, sectors="quadrant", margin_deg=10.0),
    ),
)
ROUTE_PLAN = Skill(
    name="route_plan",
    reasoning="plan",
    answer_type="choice",
    views="few",
    frame="agent",
    looks_around=True,
    staged=True,
    options_vary=True,
    levels=(
        RouteLevel(chance=0.5, turns=1, words=("left", "right"), margin_deg=45.0),
        RouteLevel(chance=0.33, turns=1, margin_deg=30.0),
        RouteLevel(chance=0.25, turns=2, margin_deg=25.0),
        RouteLevel(chance=0.25, turns=2, margin_deg=15.0),
        RouteLevel(chance=0.25, turns=3, margin_deg=15.0),
    ),
)
COGNITIVE_MAP = Skill(
    name="cognitive_map",
    reasoning="map",
    answer_type="map",
    views="few",
    frame="agent",
    looks_around=True,
    staged=True,
    backend_needs=("room outlines",),
    levels=(
        MapLevel(chance=0.3, objects=2, apart_m=1.5),
        MapLevel(chance=0.3, objects=3, apart_m=1.2),
        MapLevel(chance=0.3, objects=3, apart_m=0.8),
        MapLevel(chance=0.3, objects=4, apart_m=0.6),
        MapLevel(chance=0.3, objects=5, apart_m=0.4),
    ),
)
PERSPECTIVE = Skill(
    name="perspective",
    reasoning="map",
    answer_type="choice",
    views="few",
    frame="object",
    looks_around=True,
    staged=True,
    backend_needs=("fronts",),
    # Furniture mostly faces into the room: few objects are behind it, many are ahead of it.
    levels=(
        Sectors(chance=0.5, sectors="side", margin_deg=40.0),
        Sectors(chance=0.5, sectors="side", margin_deg=20.0),
        Sectors(chance=0.33, sectors="side_or_ahead", margin_deg=16.0),
        Sectors(chance=0.33, sectors="side_or_ahead", margin_deg=10.0),
        Sectors(chance=0.33, sectors="side_or_ahead", margin_deg=5.0),
    ),
)
VIEW_CHOICE = Skill(
    name="view_choice",
    reasoning="predict",
    answer_type="choice",
    views="few",
    frame="agent",
    evidence="pinhole",
    staged=True,
    levels=(
        TurnLevel(chance=0.5, turns_deg=(90, -90), margin=0.20),
        TurnLevel(chance=0.5, turns_deg=(90, -90), margin=0.10),
        TurnLevel(chance=0.33, turns_deg=(90, -90, 180), margin=0.12),
        TurnLevel(chance=0.33, turns_deg=(90, -90, 180), margin=0.06),
        TurnLevel(chance=0.25, turns_deg=(60, -60, 120, -120), margin=0.04),
    ),
)
FITS = Skill(
    name="fits",
    reasoning="predict",
    answer_type="choice",
    views="few",
    frame="object",
    evidence="maps",
    looks_around=True,
    staged=True,
    backend_needs=("room outlines",),
    levels=(
        FitsLevel(chance=0.5, margin_m=0.50),
        FitsLevel(chance=0.5, margin_m=0.40),
        FitsLevel(chance=0.5, margin_m=0.30),
        FitsLevel(chance=0.5, margin_m=0.20),
        FitsLevel(chance=0.5, margin_m=0.15),
    ),
)
CROSS_VIEW = Skill(
    name="cross_view",
    reasoning="map",
    answer_type="choice",
    views="pair",
    frame="camera",
    evidence="pinhole",
    backend_needs=("room outlines",),
    levels=(
        CrossViewLevel(chance=0.5, asks="half", margin=0.12),
        CrossViewLevel(chance=0.25, asks="heading", margin_deg=30.0),
        CrossViewLevel(chance=0.25, asks="heading", margin_deg=15.0, any_angle=True),
        CrossViewLevel(chance=0.11, asks="cell", margin=0.06, any_angle=True),
        CrossViewLevel(chance=0.11, asks="cell", margin=0.03, any_angle=True),
    ),
)
BEFORE_AFTER = Skill(
    name="before_after",
    reasoning="perceive",
    answer_type="choice",
    views="pair",
    frame="camera",
    evidence="maps",
    staged=True,
    backend_needs=("edits",),
    levels=(
        ChangeLevel(chance=0.5, kinds=("gone", "new"), options=2, same_camera=True),
        ChangeLevel(chance=0.5, kinds=("moved",), moved_m=1.0, options=2, same_camera=True),
        ChangeLevel(chance=0.33, kinds=("gone", "new"), options=3),
        ChangeLevel(chance=0.5, kinds=("moved",), moved_m=1.0, options=2),
        ChangeLevel(chance=0.5, kinds=("moved",), moved_m=0.6, options=2),
    ),
)
OCCLUSION_REMOVAL = Skill(
    name="occlusion_removal",
    reasoning="predict",
    answer_type="choice",
    views="single",
    frame="camera",
    evidence="maps",
    staged=True,
    backend_needs=("edits",),
    scene_wish="loose",
    levels=(
        UncoverLevel(chance=0.5, options=2, uncovered=0.40),
        UncoverLevel(chance=0.5, options=2, uncovered=0.30),
        UncoverLevel(chance=0.33, options=3, uncovered=0.25),
        UncoverLevel(chance=0.33, options=3, uncovered=0.18),
        UncoverLevel(chance=0.33, options=3, uncovered=0.12),
    ),
)

SKILLS = (
    APPEARANCE_ORDER,
    PATH_LENGTH,
    ACTION_CONSEQUENCE,
    ROUTE_PLAN,
    COGNITIVE_MAP,
    PERSPECTIVE,
    VIEW_CHOICE,
    FITS,
    CROSS_VIEW,
    BEFORE_AFTER,
    OCCLUSION_REMOVAL,
)
