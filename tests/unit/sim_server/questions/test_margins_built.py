"""Rules that need a scene built for them: with the rule on and switched off."""

from __future__ import annotations

import math
from typing import Iterator

import msgspec
import numpy as np
import pytest

from protocol.skills.levels import Clarity
from protocol.skills.space import ROUTE_PLAN
from protocol.tasks.scene import Camera, OrientedBox, Pose, Room, SceneDescription, SceneObject, SceneSpec, Vec3
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import FAMILIES, rules
from sim_server.questions.families.pair import change
from sim_server.questions.families.single import space
from sim_server.questions.families.walk import fits, maps, route
from sim_server.questions.family import Candidate, Findings
from sim_server.questions.floor import gap
from sim_server.questions.geometry import point_box_distance, pose_from_yaw_pitch
from sim_server.questions.views.viewpoints import draw_pose
from tests.support.questions import measured as m
from tests.support.questions.cases import spec_of
from tests.support.questions.fake_scene import FakeScene
from tests.support.questions.pools import CAMERA, SENSORS, fake, view_sets
from tests.support.questions.switches import switch_off

OFF = Clarity(0.0, 0.0)


def test_options_in_a_large_room_are_farther_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    corners = ((-4.0, -3.0), (4.0, -3.0), (4.0, 3.0), (-4.0, 3.0))

    def described(seed: int, large: bool) -> SceneDescription:
        room = Room(1, "living room", corners, 0.0, 2.6)
        description = fake(seed).description  # 36 square metres
        return msgspec.structs.replace(description, rooms=(room,)) if large else description

    def least_gap(large: bool) -> float:
        found = Findings()
        for description in (described(seed, large) for seed in range(8)):
            space.RelativeDistance().judge_objects(description.objects, 4, found, description)
        return min(item.margin for item in found.accepted)

    assert least_gap(True) >= 0.30 > least_gap(False) >= 0.15
    larger = described(1, True)
    assert space.large_room(larger) and not space.large_room(described(1, False))
    with monkeypatch.context() as without:
        switch_off("families.single.space.LARGE_ROOM_M2", 99.0, without)
        assert not space.large_room(larger)
    switch_off("families.single.space.LARGE_ROOM_GAP_M", 0.0, monkeypatch)
    assert least_gap(True) < 0.30


def test_a_leg_with_a_detour_is_not_walkable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Detoured(FakeScene):
        def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
            return 2.0 * math.dist(start_m, goal_m) + 0.4

    def ways() -> Iterator[bool]:
        for seed in range(6):
            objects = fake(seed).description.objects
            boxes = [max(objects, key=lambda item: item.box.centre_m[axis]).box for axis in (0, 2)]
            yield route.walkable(Detoured(SceneSpec(seed=seed), objects), boxes)

    assert not any(ways())
    switch_off("families.walk.route.DETOUR", 9.0, monkeypatch)
    assert any(ways())


def test_a_long_object_is_not_small(monkeypatch: pytest.MonkeyPatch) -> None:
    item = fake(1).description.objects[0]
    lying = msgspec.structs.replace(item, support_id=9, box=OrientedBox((0.0, 1.0, 0.0), (0.4, 0.1, 0.1)))
    assert not rules.is_small(lying)
    switch_off("families.rules.SMALL_LONGEST_M", 1.0, monkeypatch)
    assert rules.is_small(lying)


def _boxes(*boxes: tuple[Vec3, Vec3]) -> FakeScene:
    """A scene of red boxes, each given by its centre and half its size."""
    names = ("chair", "table", "sofa")
    items = [
        SceneObject(index + 1, names[index], OrientedBox(*box), "red", 1, front=(0.0, 0.0, 1.0))
        for index, box in enumerate(boxes)
    ]
    return FakeScene(SceneSpec(seed=0), items)


def _asked(family: str, level: int, scene: FakeScene, poses: tuple[Pose, ...]) -> list[Candidate]:
    found = Findings()
    FAMILIES[family].judge(Evidence.of(scene.description, scene.render(poses, CAMERA, SENSORS)), level, found)
    return found.accepted


def test_objects_at_one_depth_have_centres_at_one_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = _boxes(((-0.6, 0.3, -1.2), (0.3, 0.3, 0.2)), ((0.6, 0.3, -1.8), (0.3, 0.3, 0.8)))
    level_eye = (pose_from_yaw_pitch((0.0, 0.3, 1.5), 0.0, 0.0),)
    assert not _asked("depth_order", 4, scene, level_eye)
    switch_off("families.single.image.SAME_CENTRES_M", 9.0, monkeypatch)
    assert {item.key for item in _asked("depth_order", 4, scene, level_eye)} == {"the same"}


def test_objects_too_small_from_above_do_not_relate_two_views(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = _boxes(((-0.2, 0.05, -0.3), (0.08, 0.05, 0.08)), ((0.2, 0.05, -0.4), (0.08, 0.05, 0.08)))
    (room,) = scene.description.rooms
    poses = (maps.pose_above(room, CAMERA, 0.0), pose_from_yaw_pitch((0.0, 0.4, 0.4), 0.0, -0.5))
    assert not _asked("cross_view", 1, scene, poses)
    switch_off("families.walk.maps.FROM_ABOVE", OFF, monkeypatch)
    assert _asked("cross_view", 1, scene, poses)


def test_an_object_that_is_hardly_visible_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def least_visible() -> float:
        """The least visible fraction that is asked about, of a box that another one hides increasingly."""
        shown = [1.0]
        for aside_m in np.linspace(0.0, 0.3, 16).tolist():
            scene = _boxes(((0.0, 0.3, -1.5), (0.3, 0.3, 0.3)), ((aside_m, 0.6, -0.8), (0.4, 0.6, 0.1)))
            poses = (pose_from_yaw_pitch((0.0, 0.5, 1.5), 0.0, 0.0), pose_from_yaw_pitch((-2.6, 0.5, -1.5), -1.57, 0.0))
            evidence = Evidence.of(scene.description, scene.render(poses, Camera(96, 96), SENSORS))
            found = Findings()
            FAMILIES["visibility_compare"].judge(evidence, 0, found)
            shown += [evidence.views[0].seen[1].visible_fraction for item in found.accepted if item.objects == (1,)]
        return min(shown)

    assert 0.08 <= least_visible() < 0.5
    switch_off("families.pair.match.COMPARABLE", OFF, monkeypatch)
    assert least_visible() < 0.08


def test_a_room_is_not_asked_about_if_the_images_show_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def most_elsewhere() -> float:
        """The largest fraction of pixels beyond the room; the rooms of the fake scene have no wall between them."""
        found = [0.0]
        for evidence, _ in view_sets(2, two_rooms=True):
            findings = Findings()
            FAMILIES["room_size"].judge(evidence, 4, findings)
            found += [m.other_room(evidence, item) for item in findings.accepted if item.form == "room"]
        return max(found)

    assert most_elsewhere() <= 0.06
    switch_off("families.several.room_size.ELSEWHERE", 1.0, monkeypatch)
    assert most_elsewhere() > 0.06


def test_a_short_leg_makes_no_route(monkeypatch: pytest.MonkeyPatch) -> None:
    low = (0.2, 0.2, 0.2)
    way = _boxes(((0.0, 0.2, 0.0), low), ((0.0, 0.2, -0.7), low), ((-2.0, 0.2, -0.7), low)).description.objects
    assert route.route_turns(way, ROUTE_PLAN.levels[0]) is None
    switch_off("families.walk.route.LEG_M", 0.0, monkeypatch)
    assert route.route_turns(way, ROUTE_PLAN.levels[0]) == ("left", pytest.approx(45.0))


def test_a_gap_as_wide_as_a_room_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = _boxes(((-2.6, 0.3, 0.0), (0.3, 0.3, 0.3)), ((2.6, 0.3, 0.0), (0.3, 0.3, 0.3)))
    assert fits.verdict(scene.description, 1, 2, 0.6, 0.15) is None
    switch_off("families.walk.fits.WIDEST_GAP_M", 9.0, monkeypatch)
    assert fits.verdict(scene.description, 1, 2, 0.6, 0.15) == "yes"


def test_a_moved_object_stands_free_and_away_from_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    def least() -> tuple[float, float]:
        """The least distances of moved boxes from the camera and, on the floor plan, from other objects."""
        from_camera, from_others = [], []
        for seed in range(3):
            scene, rng = fake(seed), np.random.default_rng(seed)
            items = scene.description.objects
            for item in items:
                pose = draw_pose(scene, CAMERA, [item], rng)
                spec = spec_of("before_after", 1, seed)
                for _ in range(6):
                    assert pose is not None
                    moved = change.BeforeAfter._moved(scene, item.id, 0.0, pose, spec, rng)
                    if moved is None or moved.moved_to_m is None:
                        continue
                    box = msgspec.structs.replace(item.box, centre_m=moved.moved_to_m)
                    from_camera.append(float(point_box_distance(np.array([pose.position_m]), box)[0]))
                    gaps = [gap(box, other.box) for other in items if other is not item]
                    from_others += [between.width_m if between else 0.0 for between in gaps]
        return min(from_camera), min(from_others)

    from_camera, from_others = least()
    assert from_camera >= 0.9 and from_others >= 0.15 - 1e-9
    switch_off("families.pair.change.BEFORE_CAMERA_M", 0.0, monkeypatch)
    switch_off("families.pair.change.STAND_APART_M", 0.0, monkeypatch)
    from_camera, from_others = least()
    assert from_camera < 0.9 and from_others < 0.15
