"""An example of a question of every skill, with its rule and options, for the generated page about skills.

The questions are drafted about a scene written down here, so that the page depends on no renderer. Nothing is answered.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from protocol.skills.levels import SECTORS
from protocol.tasks.scene import Camera, OrientedBox, Pose, SceneDescription, SceneObject
from protocol.tasks.task import ObjectTruth
from sim_server.questions.evidence import Evidence, ViewEvidence
from sim_server.questions.families import FAMILIES
from sim_server.questions.family import SAME_HOME, Candidate, render_text


class Example(NamedTuple):
    text: str
    rule: str
    options: tuple[str, ...]  # empty if the prompt lists none


def _item(key: int, category: str, place: tuple[float, float, float], half: float, support: int = 0) -> SceneObject:
    return SceneObject(key, category, OrientedBox(place, (half, half, half)), "", 1, support, (0.0, 0.0, 1.0))


SOFA, TABLE, LAMP, TELEVISION, VASE, CUP, BOX = range(1, 8)
_OBJECTS = (
    _item(SOFA, "sofa", (-2.0, 0.4, 0.0), 0.4),
    _item(TABLE, "coffee table", (0.0, 0.2, 0.0), 0.2),
    _item(LAMP, "lamp", (-2.0, 0.8, 2.0), 0.3),
    _item(TELEVISION, "television", (2.0, 0.8, 0.0), 0.4),
    _item(VASE, "vase", (0.0, 0.5, 0.0), 0.1, TABLE),
    _item(CUP, "cup", (0.4, 0.45, 0.0), 0.05, TABLE),
    SceneObject(BOX, "box", OrientedBox((2.0, 0.3, 2.0), (0.3, 0.3, 0.3)), "red", 1),
)
_CAMERA = Camera(96, 96)


def _sectors(skill: str, level: int, objects: tuple[int, ...], numbers: tuple[float, ...] = ()) -> Candidate:
    form = FAMILIES[skill].skill.levels[level].sectors  # type: ignore[attr-defined]
    return Candidate(SECTORS[form][0], objects, 1.0, form, numbers)


# By skill: the level, and what is asked at it.
_ASKED: dict[str, tuple[int, Candidate]] = {
    "object_category": (2, Candidate("box", (BOX,), 1.0)),
    "object_color": (2, Candidate("red", (BOX,), 1.0)),
    "object_location": (2, Candidate("top left", (LAMP,), 1.0)),
    "object_count": (2, Candidate("2", (VASE,), 1.0, "category vase")),
    "camera_object_distance": (2, Candidate("near", (SOFA,), 1.0)),
    "view_direction": (0, Candidate("left", (LAMP, SOFA), 1.0, "horizontal")),
    "depth_order": (4, Candidate("nearer", (LAMP, SOFA), 1.0, "depth or same")),
    "relative_distance": (2, Candidate("vase", (SOFA, VASE, LAMP, TELEVISION), 1.0)),
    "object_size": (2, Candidate("sofa", (SOFA,), 1.0)),
    "relative_direction": (2, _sectors("relative_direction", 2, (SOFA, TELEVISION, LAMP))),
    "camera_motion": (2, Candidate("forward", (), 1.0, "move")),
    "camera_position": (2, _sectors("camera_position", 2, ())),
    "camera_elevation": (2, Candidate("higher", (), 1.0, "rise or same")),
    "visibility_compare": (2, Candidate("Image 1", (LAMP,), 1.0, "shown or same")),
    "object_from_camera": (2, _sectors("object_from_camera", 2, (LAMP,))),
    "region_from_camera": (2, _sectors("region_from_camera", 2, (LAMP,))),
    "object_match": (2, Candidate("bottom left", (LAMP,), 1.0)),
    "object_distance": (2, Candidate("near", (SOFA, TELEVISION), 1.0)),
    "room_size": (2, Candidate("", (), 1.0, "room")),
    "scene_count": (2, Candidate("2", (VASE,), 1.0, "category vase")),
    "scene_size": (2, Candidate("sofa", (SOFA,), 1.0)),
    "scene_relative_distance": (2, Candidate("vase", (SOFA, VASE, LAMP, TELEVISION), 1.0)),
    "scene_relative_direction": (2, _sectors("scene_relative_direction", 2, (SOFA, TELEVISION, LAMP))),
    "cameras_shared": (2, Candidate("sofa", (SOFA, LAMP, TELEVISION), 1.0)),
    "cameras_count": (2, Candidate("2", (VASE,), 1.0, "category vase")),
    "cameras_nearest": (2, Candidate("Image 1", (LAMP,), 1.0)),
    "small_presence": (2, Candidate("yes", (VASE,), 1.0)),
    "small_nearest": (3, Candidate("vase", (CUP, VASE, LAMP, SOFA), 1.0)),
    "small_location": (1, Candidate("right", (CUP, VASE), 1.0, "", (0.6, 0.3))),
    "appearance_order": (2, Candidate("", (SOFA, LAMP, TELEVISION), 1.0)),
    "path_length": (2, Candidate("short", (), 1.0)),
    "action_consequence": (2, _sectors("action_consequence", 2, (LAMP,), (60.0, 1.0))),
    "route_plan": (2, Candidate("left right", (SOFA, TABLE, LAMP, TELEVISION), 1.0)),
    "cognitive_map": (2, Candidate("", (SOFA, LAMP, TELEVISION), 1.0)),
    "perspective": (2, _sectors("perspective", 2, (SOFA, LAMP))),
    "view_choice": (2, Candidate("left", (LAMP,), 1.0)),
    "fits": (2, Candidate("yes", (SOFA, TELEVISION), 1.0, "", (0.8,))),
    "cross_view": (1, Candidate("up", (), 1.0, "heading")),
    "before_after": (2, Candidate("", (LAMP, SOFA, TELEVISION), 1.0, "gone")),
    "occlusion_removal": (2, Candidate("", (TABLE, SOFA, LAMP, TELEVISION), 1.0)),
}


def example_of(skill: str) -> Example:
    """The example of a skill of this package."""
    family = FAMILIES[skill]
    level, candidate = _ASKED[skill]
    evidence = _evidence({"few": 2, "trajectory": 8, "several cameras": 3}.get(family.skill.views, family.views))
    draft = family.draft(evidence, candidate, level, np.random.default_rng(0))
    text, _ = render_text(draft.templates[0], draft.slots)
    rule = f"{SAME_HOME} {draft.rule}" if len(evidence.views) > 1 else draft.rule
    return Example(text, rule, draft.options if draft.show_options else ())


def _evidence(count: int) -> Evidence:
    """Views that show every object, each in another cell of the image."""
    seen: dict[int, ObjectTruth] = {}
    for index, item in enumerate(_OBJECTS):
        v, u = divmod(index, 3)
        truth = ObjectTruth(item.id, item.category, item.color, 900, (u + 0.5) / 3, (v + 0.5) / 3, 2.0, 1.0)
        seen[item.id] = truth
    centres = {key: (truth.u, truth.v, truth.depth_m) for key, truth in seen.items()}
    empty = np.zeros((_CAMERA.height_px, _CAMERA.width_px))
    view = ViewEvidence(
        pose=Pose((0.0, 1.5, 3.0), (1.0, 0.0, 0.0, 0.0)),
        camera=_CAMERA,
        seen=seen,
        cut=frozenset(),
        centres=centres,
        ids=empty.astype(np.int32),
        depth_m=empty.astype(np.float32),
    )
    description = SceneDescription("example", "example", (), (), _OBJECTS)
    return Evidence(description, (view,) * count, {item.id: item for item in _OBJECTS})
