"""How views and options are chosen so that words do not give answers away, and where cameras stand."""

from __future__ import annotations

from collections import Counter
from typing import Iterator

import numpy as np
import pytest

from protocol.skills.small import SMALL_NEAREST
from protocol.tasks.scene import OrientedBox, Pose, SceneObject, SceneSpec
from sim_server.questions.families.pair.change import OcclusionRemoval
from sim_server.questions.families.single.small import SmallNearest
from sim_server.questions.family import NO_TARGET, Candidate, Findings
from sim_server.questions.geometry import inside_polygon, pose_from_yaw_pitch
from sim_server.questions.staging import Staging
from sim_server.questions.views.viewpoints import EYE_HEIGHT_M, draw_eyes
from tests.support.questions.cases import spec_of
from tests.support.questions.fake_scene import FakeScene

POSE: Pose = pose_from_yaw_pitch((0.0, 1.5, 2.0), 0.0, 0.0)


def test_an_option_near_a_small_object_is_right_as_often_as_wrong() -> None:
    # Objects 1, 2, 3 are closest to 7 rather than 8, and 4 is closest to 8; 9 is never right.
    places = ((1, 7, 8), (2, 7, 8), (3, 7, 8), (4, 8, 7), (5, 7, 9))
    found = [(POSE, Candidate("usual", place, 1.0)) for place in places]
    family, rng = SmallNearest(), np.random.default_rng(0)
    level = next(at for at, one in enumerate(SMALL_NEAREST.levels) if one.options == 2)
    drawn = [family.choose(found, level, NO_TARGET, rng) for _ in range(400)]
    options = Counter(one.about[1:] for one in drawn if one is not None)
    assert set(options) == {(7, 8), (8, 7)} and 160 < options[7, 8] < 240
    assert family.choose(found[:3], level, NO_TARGET, rng) is None


@pytest.mark.parametrize("color", ["", "red"])
def test_views_of_hidden_objects_are_collected_over_rounds_in_homes(
    color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = OrientedBox((0.0, 0.4, -1.0), (0.3, 0.4, 0.3))
    scene = FakeScene(SceneSpec(seed=1), [SceneObject(key, "ball", box, color, 1) for key in (1, 2, 3)])
    hidden_and_free: Iterator[tuple[list[int], list[int]]] = iter((([1], [2]), ([2], [1])))
    monkeypatch.setattr(OcclusionRemoval, "_line_up", staticmethod(lambda *_: [(POSE, 3)]))
    monkeypatch.setattr(OcclusionRemoval, "_hidden_and_free", lambda *_: next(hidden_and_free))
    spec = spec_of("occlusion_removal", 0, 0)
    staging = OcclusionRemoval().poses(scene, spec, NO_TARGET, np.random.default_rng(0), Findings())
    if color:
        assert staging is None  # one round, in which only 1 is hidden
    else:
        assert isinstance(staging, Staging) and staging.about in ((3, 1, 2), (3, 2, 1))


def test_most_standing_points_are_in_the_room_of_the_object() -> None:
    scene = FakeScene(SceneSpec(seed=3, min_objects=5, max_objects=6, rooms=2))
    item = scene.description.objects[0]
    (room,) = (room for room in scene.description.rooms if room.id == item.room_id)

    def inside(focus: tuple[SceneObject, ...]) -> float:
        eyes = draw_eyes(scene, np.random.default_rng(0), EYE_HEIGHT_M, focus)
        return float(inside_polygon(eyes[:, [0, 2]], room.polygon_xz_m).mean())

    assert inside(()) < 0.75 and inside((item,)) > 0.85
