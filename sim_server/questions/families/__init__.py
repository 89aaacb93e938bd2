"""The families of questions, by name. To add one: write it beside the others, list it here and in protocol/skills/."""

from __future__ import annotations

from protocol.errors import VantageError
from protocol.skills import CATALOGUE
from sim_server.questions.families.across import ObjectFromCamera, RegionFromCamera
from sim_server.questions.families.cameras import CamerasCount, CamerasNearest, CamerasShared
from sim_server.questions.families.change import BeforeAfter, OcclusionRemoval
from sim_server.questions.families.maps import CognitiveMap, CrossView
from sim_server.questions.families.match import ObjectMatch, VisibilityCompare
from sim_server.questions.families.measures import CameraObjectDistance, ObjectSize
from sim_server.questions.families.motion import CameraMotion
from sim_server.questions.families.pairs import CameraElevation, CameraPosition
from sim_server.questions.families.perceive import ObjectCategory, ObjectColor, ObjectCount, ObjectLocation
from sim_server.questions.families.picture import DepthOrder, ViewDirection
from sim_server.questions.families.room_for import Fits
from sim_server.questions.families.rooms import RoomSize
from sim_server.questions.families.route import ActionConsequence, RoutePlan
from sim_server.questions.families.scene import (
    ObjectDistance,
    SceneCount,
    SceneRelativeDirection,
    SceneRelativeDistance,
    SceneSize,
)
from sim_server.questions.families.small import SmallLocation, SmallNearest, SmallPresence
from sim_server.questions.families.space import RelativeDirection, RelativeDistance
from sim_server.questions.families.viewpoint import Perspective, ViewChoice
from sim_server.questions.families.walk import AppearanceOrder, PathLength
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
