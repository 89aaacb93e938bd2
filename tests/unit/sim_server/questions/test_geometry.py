"""Geometry against other methods: sampling, alternating projections, ray casting and rotations of the scene."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.tasks.scene import Camera, OrientedBox, Pose, SceneSpec
from sim_server.questions.geometry import (
    bearing_rad,
    box_distance_m,
    corners,
    point_box_distance,
    pose_from_yaw_pitch,
    project,
    rotation_matrix,
    wrap_rad,
    yaw_rad,
)
from sim_server.questions.views.viewpoints import aim, in_image
from tests.support.questions.fake_scene import FakeScene, hit_depths

_unit = st.floats(-1, 1, allow_nan=False)
_quaternions = st.tuples(_unit, _unit, _unit, _unit).filter(lambda q: sum(v * v for v in q) > 0.1)
_boxes = st.builds(
    OrientedBox,
    st.tuples(*[st.floats(-2, 2)] * 3),
    st.tuples(*[st.floats(0.05, 1.0)] * 3),
    _quaternions,
)


def nearest_by_projection(a: OrientedBox, b: OrientedBox) -> float:
    """Alternating projections between two convex sets converge to their distance from above (Cheney & Goldstein)."""

    frames = [
        (rotation_matrix(box.rotation_wxyz), np.asarray(box.centre_m), np.asarray(box.half_extents_m)) for box in (a, b)
    ]
    points = [np.asarray(a.centre_m), np.asarray(b.centre_m)]
    for step in range(3000):
        turn, centre, half = frames[step % 2]
        points[step % 2] = centre + turn @ np.clip((points[1 - step % 2] - centre) @ turn, -half, half)
    return float(np.linalg.norm(points[0] - points[1]))


@settings(max_examples=25, deadline=None)
@given(_boxes, _boxes)
def test_box_distance_is_that_of_the_closest_points(a: OrientedBox, b: OrientedBox) -> None:
    exact = box_distance_m(a, b)
    assert exact == pytest.approx(box_distance_m(b, a), abs=1e-9)
    bound = nearest_by_projection(a, b)
    assert exact <= bound + 1e-9
    assert exact >= bound - 0.01  # the projections may converge slowly
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 3), -1).reshape(-1, 3)
    points = np.asarray(a.centre_m) + (grid * a.half_extents_m) @ rotation_matrix(a.rotation_wxyz).T
    assert exact <= point_box_distance(points, b).min() + 1e-9


def test_crossed_beams_touch_although_no_corner_is_inside() -> None:
    along_x = OrientedBox((0.0, 0.0, 0.0), (2.0, 0.1, 0.1))
    along_z = OrientedBox((0.0, 0.0, 0.0), (0.1, 0.1, 2.0))
    above = OrientedBox((0.0, 0.5, 0.0), (0.1, 0.1, 2.0))
    assert box_distance_m(along_x, along_z) == 0.0
    assert box_distance_m(along_x, above) == pytest.approx(0.3)


def test_distance_between_edges_that_cross_in_the_air() -> None:
    tilt = math.pi / 4
    low = OrientedBox((0.0, 0.0, 0.0), (2.0, 0.5, 0.5), (math.cos(tilt / 2), math.sin(tilt / 2), 0.0, 0.0))
    high = OrientedBox((0.0, 2.0, 0.0), (0.5, 0.5, 2.0), (math.cos(tilt / 2), 0.0, 0.0, math.sin(tilt / 2)))
    assert box_distance_m(low, high) == pytest.approx(2.0 - 2 * 0.5 * math.sqrt(2))


@settings(max_examples=25, deadline=None)
@given(st.floats(-3, 3), st.floats(-0.7, 0.4), st.tuples(*[st.floats(-1.5, 1.5)] * 3))
def test_projection_agrees_with_a_ray_through_the_pixel(yaw: float, pitch: float, offset: tuple) -> None:
    camera = Camera(64, 48)
    eye = (0.3, 1.5, -0.2)
    pose = pose_from_yaw_pitch(eye, yaw, pitch)
    ahead = -rotation_matrix(pose.rotation_wxyz)[:, 2]
    centre = np.asarray(eye) + 4 * ahead + np.asarray(offset)
    u, v, depth_m = project(pose, camera, centre[None])
    if not (0.05 < u[0] < 0.95 and 0.05 < v[0] < 0.95):
        return
    box = OrientedBox((float(centre[0]), float(centre[1]), float(centre[2])), (0.2, 0.2, 0.2))
    hit = np.isfinite(hit_depths(pose, camera, box)).reshape(48, 64)
    assert hit[int(v[0] * 48), int(u[0] * 64)]
    assert depth_m[0] == pytest.approx(np.dot(centre - np.asarray(eye), ahead))


@settings(max_examples=25, deadline=None)
@given(st.floats(-math.pi, math.pi), st.floats(-3, 3), st.floats(-3, 3), st.floats(0.3, 3))
def test_bearing_is_the_turn_from_facing_to_target(turn: float, x: float, z: float, reach_m: float) -> None:
    """Facing east from (x, z) and turning by `turn` about +y must look at the target."""
    stand = (x, 0.0, z)
    pose = pose_from_yaw_pitch(stand, yaw_rad(pose_from_yaw_pitch(stand, -math.pi / 2, 0.0)) + turn, 0.0)
    ahead = -rotation_matrix(pose.rotation_wxyz)[:, 2]
    target = (x + reach_m * float(ahead[0]), 5.0, z + reach_m * float(ahead[2]))
    assert abs(wrap_rad(bearing_rad(stand, (x + 1.0, 0.0, z), target) - turn)) < 1e-6


def test_left_is_left_in_an_image_taken_while_facing() -> None:
    camera = Camera(32, 32)
    stand, face, target = (0.0, 1.0, 0.0), (2.0, 1.0, 2.0), (3.0, 1.0, 1.5)
    bearing = bearing_rad(stand, face, target)
    yaw = math.atan2(-face[0], -face[2])
    u, _, _ = project(pose_from_yaw_pitch(stand, yaw, 0.0), camera, np.array([face, target]))
    assert u[0] == pytest.approx(0.5)
    assert (u[1] < 0.5) == (bearing > 0)


def test_yaw_round_trip_and_wrap() -> None:
    for yaw in (-3.0, -1.0, 0.0, 0.5, 3.1):
        assert yaw_rad(pose_from_yaw_pitch((0.0, 0.0, 0.0), yaw, -0.4)) == pytest.approx(yaw)
    assert wrap_rad(3 * math.pi / 2) == pytest.approx(-math.pi / 2)
    assert wrap_rad(math.pi) == pytest.approx(math.pi)


def test_corners_span_the_box() -> None:
    box = OrientedBox((1.0, 2.0, 3.0), (0.5, 0.25, 0.1), (math.cos(0.3), 0.0, math.sin(0.3), 0.0))
    got = corners(box)
    assert np.allclose(got.mean(0), box.centre_m)
    assert np.allclose(point_box_distance(got, box), 0, atol=1e-9)


def test_the_vectorised_aim_puts_the_object_at_the_given_place() -> None:
    camera = Camera(80, 60)
    scene = FakeScene(SceneSpec(seed=1))
    centres = np.array([scene.description.objects[0].box.centre_m])
    eyes = centres + np.array([[2.0, 0.9, 1.0], [-1.0, 1.0, 2.5], [0.5, 0.8, -3.0]])
    wanted = np.array([[0.3, 0.5], [0.5, 0.4], [0.7, 0.6]])
    yaws, pitches = aim(eyes, camera, centres, wanted)
    shown = in_image(eyes, yaws, pitches, camera, centres)
    for index in range(3):
        x, y, z = (float(value) for value in eyes[index])
        pose: Pose = pose_from_yaw_pitch((x, y, z), float(yaws[index]), float(pitches[index]))
        u, v, depth_m = project(pose, camera, centres)
        assert (u[0], v[0]) == (pytest.approx(wanted[index, 0], abs=0.06), pytest.approx(wanted[index, 1], abs=0.06))
        assert shown[index, 0] == (0.05 < u[0] < 0.95 and 0.05 < v[0] < 0.95 and 0.9 < depth_m[0] < 7.0)
