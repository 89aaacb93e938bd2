"""Camera moves: resulting poses, and collisions."""

from __future__ import annotations

import math

import pytest

from protocol.errors import VantageError
from protocol.tasks.scene import Pose, SceneSpec
from sim_server.sensing.observe import MAX_PITCH_RAD, can_stand, look_at, move, rotate
from tests.support.third_party.vantage_toy import ToyBackend

LEVEL = (1.0, 0.0, 0.0, 0.0)


@pytest.fixture
def scene():
    return ToyBackend().open(SceneSpec())


def ahead(pose: Pose):
    return rotate(pose.rotation_wxyz, (0.0, 0.0, -1.0))


def test_forward_moves_a_quarter_metre_in_the_camera_direction(scene):
    pose, collided = move(scene, Pose((2.0, 1.5, 2.0), LEVEL), "forward")
    assert not collided
    assert pose.position_m == pytest.approx((2.0, 1.5, 1.75))


def test_forward_stays_level_when_the_camera_looks_down(scene):
    down, _ = move(scene, Pose((2.0, 1.5, 2.0), LEVEL), "look_down")
    pose, _ = move(scene, down, "forward")
    assert pose.position_m == pytest.approx((2.0, 1.5, 1.75))


def test_a_wall_stops_a_move(scene):
    start = Pose((2.0, 1.5, 0.3), LEVEL)
    assert move(scene, start, "forward") == (start, True)


def test_left_turns_left_and_twelve_turns_are_a_full_rotation(scene):
    start = Pose((2.0, 1.5, 2.0), LEVEL)
    left, _ = move(scene, start, "turn_left")
    assert ahead(left) == pytest.approx((-0.5, 0.0, -math.sqrt(3) / 2))
    back, _ = move(scene, left, "turn_right")
    assert ahead(back) == pytest.approx((0.0, 0.0, -1.0))
    pose = start
    for _ in range(12):
        pose, _ = move(scene, pose, "turn_left")
    assert ahead(pose) == pytest.approx((0.0, 0.0, -1.0), abs=1e-9)


def test_looks_tilt_by_fifteen_degrees_up_to_a_limit(scene):
    pose, _ = move(scene, Pose((2.0, 1.5, 2.0), LEVEL), "look_up")
    assert math.asin(ahead(pose)[1]) == pytest.approx(math.radians(15))
    for _ in range(10):
        pose, _ = move(scene, pose, "look_up")
    assert math.asin(ahead(pose)[1]) == pytest.approx(MAX_PITCH_RAD)


def test_turning_while_looking_down_keeps_the_horizon_level(scene):
    pose, _ = move(scene, Pose((2.0, 1.5, 2.0), LEVEL), "look_down")
    pose, _ = move(scene, pose, "turn_left")
    assert rotate(pose.rotation_wxyz, (1.0, 0.0, 0.0))[1] == pytest.approx(0.0)


@pytest.mark.parametrize("position_m", [(9.0, 1.5, 2.0), (2.0, 5.0, 2.0), (2.0, -1.0, 2.0), (math.nan, 1.5, 2.0)])
def test_a_free_pose_must_be_in_navigable_space(scene, position_m):
    assert not can_stand(scene, position_m)
    with pytest.raises(VantageError, match="navigable") as caught:
        move(scene, Pose(position_m, LEVEL), "")
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize("rotation", [(0.0, 0.0, 0.0, 0.0), (2.0, 0.0, 0.0, 0.0), (math.nan, 0.0, 0.0, 1.0)])
def test_invalid_rotations_are_rejected(scene, rotation):
    with pytest.raises(VantageError, match="quaternion"):
        move(scene, Pose((2.0, 1.5, 2.0), rotation), "")


def test_an_unknown_action_is_rejected_with_a_list_of_actions(scene):
    with pytest.raises(VantageError, match="turn_left"):
        move(scene, Pose((2.0, 1.5, 2.0), LEVEL), "jump")


def test_look_at_centres_the_target():
    pose = look_at((1.0, 1.5, 3.0), (2.0, 0.5, 1.0))
    assert ahead(pose) == pytest.approx([d / math.sqrt(6) for d in (1.0, -1.0, -2.0)])
    assert rotate(pose.rotation_wxyz, (1.0, 0.0, 0.0))[1] == pytest.approx(0.0)
