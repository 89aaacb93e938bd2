"""Skills about a scene that a few images cover together."""

from __future__ import annotations

from protocol.skills.levels import PERCEIVE, RELATIVE_DISTANCES, RELATIVE_SECTORS, Nearest, Sectors
from protocol.skills.single import CountLevel, SizeLevel
from protocol.skills.skill import Level, Skill


def _images(images: int, spread: bool) -> str:
    return f"{images} images{', none of which suffices alone' if spread else ''}"


class SpreadLevel(Level, frozen=True, kw_only=True):
    """Objects that a few images show together."""

    images: int  # at most
    spread: bool  # no image shows all objects of the question, or the only one is in several images

    def __str__(self) -> str:
        return _images(self.images, self.spread)


class RoomSizeLevel(Level, frozen=True, kw_only=True):
    """Floor area of one or more rooms."""

    images: int  # at most
    walls_least: float  # fraction of the walls that the images show, of the room of which they show less
    walls_most: float
    several_rooms: bool = False

    def __str__(self) -> str:
        rooms, walls = ("one or two rooms", "their walls") if self.several_rooms else ("one room", "its walls")
        return f"{self.images} images of {rooms}, {self.walls_least:.0%} to {self.walls_most:.0%} of {walls} visible"


class SceneCountLevel(CountLevel, frozen=True, kw_only=True):
    """How many objects of a kind the images show together."""

    images: int  # at most
    spread: bool

    def __str__(self) -> str:
        return f"{super().__str__()}, {_images(self.images, self.spread)}"


class SceneSizeLevel(SizeLevel, frozen=True, kw_only=True):
    """Length of the longest side of an object that some image shows entirely."""

    images: int  # at most

    def __str__(self) -> str:
        return f"{super().__str__()}, {self.images} images"


class SceneNearest(Nearest, frozen=True, kw_only=True):
    """The nearest of several options, over a few images."""

    images: int  # at most
    spread: bool

    def __str__(self) -> str:
        return f"{super().__str__()}, {_images(self.images, self.spread)}"


class SceneSectors(Sectors, frozen=True, kw_only=True):
    """A direction between objects, over a few images."""

    images: int  # at most
    spread: bool

    def __str__(self) -> str:
        return f"{super().__str__()}, {_images(self.images, self.spread)}"


_SPREAD = ((2, False), (3, False), (2, True), (3, True), (4, True))  # images, and whether no image shows everything

OBJECT_DISTANCE = Skill(
    name="object_distance",
    reasoning="map",
    answer_type="number",
    views="few",
    frame="object",
    evidence="maps",
    levels=tuple(SpreadLevel(chance=0.25, images=images, spread=spread) for images, spread in _SPREAD),
)
ROOM_SIZE = Skill(
    name="room_size",
    reasoning="map",
    answer_type="number",
    views="few",
    frame="object",
    evidence="maps",
    backend_needs=("room outlines",),
    levels=(
        RoomSizeLevel(chance=0.4, images=4, walls_least=0.80, walls_most=1.00),
        RoomSizeLevel(chance=0.4, images=4, walls_least=0.70, walls_most=0.95),
        RoomSizeLevel(chance=0.4, images=3, walls_least=0.60, walls_most=0.85),
        RoomSizeLevel(chance=0.4, images=3, walls_least=0.50, walls_most=0.75, several_rooms=True),
        RoomSizeLevel(chance=0.4, images=2, walls_least=0.40, walls_most=0.65, several_rooms=True),
    ),
)
SCENE_COUNT = Skill(
    name="scene_count",
    reasoning="map",
    answer_type="number",
    views="few",
    frame="object",
    evidence="maps",
    scene_wish="several",
    levels=tuple(
        SceneCountLevel(chance=chance, clarity=clarity, most=most, images=images, spread=spread)
        for clarity, (images, spread), (chance, most) in zip(
            PERCEIVE, _SPREAD, ((0.5, 2), (0.45, 3), (0.45, 3), (0.45, 4), (0.4, 5))
        )
    ),
)
SCENE_SIZE = Skill(
    name="scene_size",
    reasoning="map",
    answer_type="number",
    views="few",
    frame="object",
    levels=tuple(
        SceneSizeLevel(chance=0.55, clarity=clarity, images=images) for clarity, (images, _) in zip(PERCEIVE, _SPREAD)
    ),
)
SCENE_RELATIVE_DISTANCE = Skill(
    name="scene_relative_distance",
    reasoning="map",
    answer_type="choice",
    views="few",
    frame="object",
    evidence="maps",
    levels=tuple(
        SceneNearest(chance=one.chance, options=one.options, apart_m=one.apart_m, images=images, spread=spread)
        for one, (images, spread) in zip(RELATIVE_DISTANCES, _SPREAD)
    ),
)
SCENE_RELATIVE_DIRECTION = Skill(
    name="scene_relative_direction",
    reasoning="map",
    answer_type="choice",
    views="few",
    frame="object",
    evidence="maps",
    levels=tuple(
        SceneSectors(chance=one.chance, sectors=one.sectors, margin_deg=one.margin_deg, images=images, spread=spread)
        for one, (images, spread) in zip(RELATIVE_SECTORS, _SPREAD)
    ),
)

SKILLS = (
    OBJECT_DISTANCE,
    ROOM_SIZE,
    SCENE_COUNT,
    SCENE_SIZE,
    SCENE_RELATIVE_DISTANCE,
    SCENE_RELATIVE_DIRECTION,
)
