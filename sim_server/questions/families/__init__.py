"""The families of questions, by name. To add one: write it beside the others, list it here and in protocol/skills/."""

from __future__ import annotations

from protocol.errors import VantageError
from protocol.skills import CATALOGUE
from sim_server.questions.families.pair.across import ObjectFromCamera, RegionFromCamera
from sim_server.questions.families.pair.cameras import CameraElevation, CameraPosition
from sim_server.questions.families.pair.change import BeforeAfter, OcclusionRemoval
from sim_server.questions.families.pair.match import ObjectMatch, VisibilityCompare
from sim_server.questions.families.pair.motion import CameraMotion
from sim_server.questions.families.several.room_size import RoomSize
from sim_server.questions.families.several.scene import (
    ObjectDistance,
    SceneCount,
    SceneRelativeDirection,
    SceneRelativeDistance,
    SceneSize,
)
from sim_server.questions.families.several.streams import CamerasCount, CamerasNearest, CamerasShared
from sim_server.questions.families.single.image import DepthOrder, ViewDirection
from sim_server.questions.families.single.measures import CameraObjectDistance, ObjectSize
from sim_server.questions.families.single.perceive import ObjectCategory, ObjectColor, ObjectCount, ObjectLocation
from sim_server.questions.families.single.small import SmallLocation, SmallNearest, SmallPresence
from sim_server.questions.families.single.space import RelativeDirection, RelativeDistance
from sim_server.questions.families.walk.fits import Fits
from sim_server.questions.families.walk.maps import CognitiveMap, CrossView
from sim_server.questions.families.walk.route import ActionConsequence, RoutePlan
from sim_server.questions.families.walk.trajectory import AppearanceOrder, PathLength
from sim_server.questions.families.walk.viewpoint import Perspective, ViewChoice
from sim_server.questions.family import Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        ObjectCategory(),
        ObjectColor(),
        ObjectLocation(),
        ObjectCount(),
        CameraObjectDistance(),
        ViewDirection(),
        DepthOrder(),
        RelativeDistance(),
        ObjectSize(),
        RelativeDirection(),
        CameraMotion(),
        CameraPosition(),
        CameraElevation(),
        VisibilityCompare(),
        ObjectFromCamera(),
        RegionFromCamera(),
        ObjectMatch(),
        ObjectDistance(),
        RoomSize(),
        SceneCount(),
        SceneSize(),
        SceneRelativeDistance(),
        SceneRelativeDirection(),
        CamerasShared(),
        CamerasCount(),
        CamerasNearest(),
        SmallPresence(),
        SmallNearest(),
        SmallLocation(),
        AppearanceOrder(),
        PathLength(),
        ActionConsequence(),
        RoutePlan(),
        CognitiveMap(),
        Perspective(),
        ViewChoice(),
        Fits(),
        CrossView(),
        BeforeAfter(),
        OcclusionRemoval(),
    )
}
assert FAMILIES.keys() == CATALOGUE.keys()


def family_of(name: str, level: int) -> Family:
    """The family of this name, once it is known to have this level. Raises VantageError("bad_request")."""
    family = FAMILIES.get(name)
    if family is None:
        raise VantageError("bad_request", f"there is no question family {name!r}; choose one of {', '.join(FAMILIES)}")
    if level not in CATALOGUE[name].feasible_levels:
        raise VantageError("bad_request", f"{name} has levels {CATALOGUE[name].feasible_levels}, not {level}")
    return family
