"""Conformance of every installed backend to sim_server/backends/base.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Optional

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import WISHES, Camera, Pose, SceneSpec, Vec3, Wish
from sim_server.backends.base import SENSORS, Frames

if TYPE_CHECKING:
    from tests.conformance.conftest import Case

CAMERA = Camera(96, 72, math.radians(80))
EYE_M = 1.4
YAWS = (0.3, 1.9, 3.5, 5.1)
pytestmark = pytest.mark.timeout(600)  # the first scene may compile kernels


def matrix(wxyz: tuple[float, float, float, float]) -> NDArray[np.float64]:
    w, x, y, z = wxyz
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def pose_at(point: Vec3, yaw: float) -> Pose:
    """A pose that looks along -z, rotated by `yaw` about +y, and slightly down."""
    c, s, d, e = math.cos(yaw / 2), math.sin(yaw / 2), math.cos(-0.1), math.sin(-0.1)
    return Pose((point[0], point[1] + EYE_M, point[2]), (c * d, c * e, s * d, -s * e))


def poses_of(case: Case) -> list[Pose]:
    rng = np.random.default_rng(7)
    return [pose_at(case.scene.sample_navigable(rng), yaw) for yaw in YAWS]


_rendered: dict[int, Frames] = {}


def frames_of(case: Case) -> Frames:
    """Four views with every sensor that the backend has, rendered once per scene."""
    if id(case.scene) not in _rendered:
        sensors = [s for s in SENSORS if s in case.backend.capabilities.sensors]
        _rendered[id(case.scene)] = case.scene.render(poses_of(case), CAMERA, sensors)
    return _rendered[id(case.scene)]


def wanted(case: Case, sensor: str) -> None:
    if sensor not in case.backend.capabilities.sensors:
        pytest.skip(f"backend {case.backend.name} has no sensor {sensor}")


def world_points(frames: Frames, k: int) -> NDArray[np.float64]:
    """The world point seen at every pixel centre, [H, W, 3], from depth along the optical axis."""
    assert frames.depth is not None
    height, width = frames.depth[k].shape
    focal = width / 2 / math.tan(frames.camera.hfov_rad / 2)
    v, u = np.mgrid[0:height, 0:width] + 0.5
    z = frames.depth[k].astype(np.float64)
    local = np.stack([(u - width / 2) / focal * z, -(v - height / 2) / focal * z, -z], -1)
    pose = frames.poses[k]
    return local @ matrix(pose.rotation_wxyz).T + np.array(pose.position_m)


# ---------------------------------------------------------------------- description


def test_object_descriptions_are_valid(case: Case) -> None:
    description = case.scene.description
    assert description.backend == case.backend.name
    assert description.scene_id
    ids = [o.id for o in description.objects]
    assert len(set(ids)) == len(ids) and all(i > 0 for i in ids)
    rooms = {room.id for room in description.rooms}
    for item in description.objects:
        assert item.category and item.category == item.category.strip().lower()
        assert np.isfinite([*item.box.centre_m, *item.box.half_extents_m]).all()
        assert all(half >= 0 for half in item.box.half_extents_m) and max(item.box.half_extents_m) > 0
        assert math.isclose(math.hypot(*item.box.rotation_wxyz), 1, abs_tol=1e-4)
        assert item.support_id in (-1, 0, *ids) and item.support_id != item.id
        assert item.room_id == 0 or item.room_id in rooms
        if item.front is not None:
            assert math.isclose(math.hypot(*item.front), 1, abs_tol=1e-4)


def test_supports_end_at_the_building(case: Case) -> None:
    below = {o.id: o.support_id for o in case.scene.description.objects}
    for start in below:
        at, steps = start, 0
        while at > 0:
            at, steps = below[at], steps + 1
            assert steps <= len(below), f"object {start} supports itself"


def test_room_descriptions_are_valid(case: Case) -> None:
    description = case.scene.description
    ids = [room.id for room in description.rooms]
    assert len(set(ids)) == len(ids) and all(i > 0 for i in ids)
    for room in description.rooms:
        assert room.ceiling_y_m > room.floor_y_m and room.category
        x, z = np.array(room.polygon_xz_m).T
        assert abs(float(np.dot(x, np.roll(z, 1)) - np.dot(z, np.roll(x, 1)))) / 2 > 0.5
    for opening in description.openings:
        assert all(low <= high for low, high in zip(opening.min_m, opening.max_m))
        assert set(opening.room_ids) <= set(ids)
    assert description.navigable_area_m2 > 0


def test_the_wishes_that_a_backend_lists_are_placed(case: Case) -> None:
    listed = case.backend.capabilities.wishes
    assert set(listed) <= set(WISHES)
    spec = case.scene.spec
    if "several" not in listed or spec.asset or spec.palette != "natural":
        pytest.skip(f"backend {case.backend.name} does not place several objects in this scene")
    wishing = msgspec.structs.replace(spec, wishes=(Wish("several", 3, "stool"),))
    objects = case.backend.open(wishing).description.objects
    assert len({item.room_id for item in objects if item.category == "stool"}) == 1
    assert sum(item.category == "stool" for item in objects) == 3


# ---------------------------------------------------------------------- images


def test_shapes_and_types(case: Case) -> None:
    frames, shape = frames_of(case), (len(YAWS), CAMERA.height_px, CAMERA.width_px)
    assert frames.rgb is not None and frames.rgb.shape == (*shape, 3) and frames.rgb.dtype == np.uint8
    if "depth" in case.backend.capabilities.sensors:
        assert frames.depth is not None and frames.depth.shape == shape and frames.depth.dtype == np.float32
    if "ids" in case.backend.capabilities.sensors:
        assert frames.ids is not None and frames.ids.shape == shape and frames.ids.dtype == np.int32
    assert len(frames.poses) == len(YAWS) and frames.camera == CAMERA
    alone = case.scene.render(frames.poses[:1], CAMERA, ("rgb",))
    assert alone.rgb is not None and (alone.rgb[0] == frames.rgb[0]).all()
    assert alone.depth is None and alone.ids is None and alone.amodal is None


def test_the_same_spec_gives_the_same_bits(case: Case) -> None:
    again = case.backend.open(case.scene.spec)
    try:
        assert again.description == case.scene.description
        first, second = frames_of(case), again.render(frames_of(case).poses, CAMERA, [
            s for s in SENSORS if s in case.backend.capabilities.sensors
        ])  # fmt: skip
    finally:
        again.close()
    for a, b in ((first.rgb, second.rgb), (first.depth, second.depth), (first.ids, second.ids)):
        assert (a is None) == (b is None)
        assert a is None or b is None or a.tobytes() == b.tobytes()
    assert first.amodal == second.amodal


def test_ids_and_depth_are_consistent(case: Case) -> None:
    wanted(case, "ids")
    frames = frames_of(case)
    assert frames.ids is not None and frames.depth is not None
    known = {0, *(o.id for o in case.scene.description.objects)}
    assert set(np.unique(frames.ids).tolist()) <= known
    assert np.isfinite(frames.depth).all() and (frames.depth >= 0).all()
    assert (frames.ids[frames.depth == 0] == 0).all()


def test_pixels_are_inside_the_boxes_of_their_objects(case: Case) -> None:
    wanted(case, "ids")
    frames = frames_of(case)
    assert frames.ids is not None and frames.depth is not None
    for k in range(len(frames.poses)):
        points = world_points(frames, k)
        for item in case.scene.description.objects:
            own = frames.ids[k] == item.id
            local = (points[own] - np.array(item.box.centre_m)) @ matrix(item.box.rotation_wxyz)
            outside = np.abs(local) - np.array(item.box.half_extents_m)
            assert not own.any() or outside.max() < 2e-3 + 2e-4 * float(frames.depth[k][own].max()), item


def test_visible_pixels_do_not_exceed_amodal_pixels(case: Case) -> None:
    wanted(case, "amodal")
    frames = frames_of(case)
    assert frames.ids is not None and frames.amodal is not None and len(frames.amodal) == len(frames.poses)
    known = {o.id for o in case.scene.description.objects}
    for ids, alone in zip(frames.ids, frames.amodal):
        assert set(alone) <= known
        for object_id, pixels in zip(*np.unique(ids[ids > 0], return_counts=True)):
            assert alone.get(int(object_id), 0) >= pixels


def test_a_rotated_camera_sees_the_same_objects(case: Case) -> None:
    """Points seen by one camera, projected into another one at the same position, have the same ids: checks poses,
    field of view and pixel centres."""
    wanted(case, "ids")
    first = frames_of(case).poses[0]
    turn, (w, x, y, z) = 0.35, first.rotation_wxyz
    c, s = math.cos(turn / 2), math.sin(turn / 2)
    turned = Pose(first.position_m, (c * w - s * y, c * x + s * z, c * y + s * w, c * z - s * x))
    frames = case.scene.render([first, turned], CAMERA, ("depth", "ids"))
    assert frames.ids is not None and frames.depth is not None
    if not frames.ids.any():
        pytest.skip("no suitable object is visible")
    focal = CAMERA.width_px / 2 / math.tan(CAMERA.hfov_rad / 2)
    local = (world_points(frames, 0) - np.array(first.position_m)) @ matrix(turned.rotation_wxyz)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = CAMERA.width_px / 2 + focal * local[..., 0] / -local[..., 2]
        v = CAMERA.height_px / 2 - focal * local[..., 1] / -local[..., 2]
    inside = (frames.depth[0] > 0) & (local[..., 2] < 0) & (u >= 1) & (v >= 1)
    inside &= (u < CAMERA.width_px - 1) & (v < CAMERA.height_px - 1)
    assert inside.mean() > 0.3
    row, column = v[inside].astype(int), u[inside].astype(int)
    around = [frames.ids[1][row + dy, column + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    plain = np.all([a == around[4] for a in around], axis=0)
    assert (around[4] == frames.ids[0][inside])[plain].mean() > 0.99
    far = np.abs(frames.depth[1][row, column] + local[inside][:, 2])[plain]
    assert np.median(far) < 0.05


# ---------------------------------------------------------------------- navigation


def test_sampled_points_are_reachable(case: Case) -> None:
    scene = case.scene
    points = [scene.sample_navigable(np.random.default_rng(seed)) for seed in range(6)]
    assert points == [scene.sample_navigable(np.random.default_rng(seed)) for seed in range(6)]
    for point in points:
        assert scene.is_navigable(point), point
    for a, b in zip(points, points[1:]):
        way = scene.path(a, b)
        assert way, (a, b)
        assert math.dist(way[0], a) < 0.3 and math.dist(way[-1], b) < 0.3
        length = sum(math.dist(p, q) for p, q in zip(way, way[1:]))
        assert math.isclose(scene.geodesic_m(a, b), length, abs_tol=1e-3)
        assert length >= math.dist(way[0], way[-1]) - 1e-6
        assert abs(scene.geodesic_m(b, a) - length) <= 0.05 * length + 0.15


def test_points_outside_the_scene_are_unreachable(case: Case) -> None:
    inside, outside = case.scene.sample_navigable(np.random.default_rng(0)), (1e4, 0.0, 1e4)
    assert not case.scene.is_navigable(outside)
    assert case.scene.path(inside, outside) == []
    assert case.scene.geodesic_m(inside, outside) == math.inf


# ---------------------------------------------------------------------- errors


def refused(case: Case, pose: Optional[Pose] = None, sensors: tuple[str, ...] = ("rgb",)) -> str:
    with pytest.raises(VantageError) as caught:
        case.scene.render([pose or frames_of(case).poses[0]], CAMERA, sensors)
    return caught.value.code


def test_invalid_requests_are_rejected_and_the_scene_stays_usable(case: Case) -> None:
    before = frames_of(case)
    assert refused(case, Pose((math.nan, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0))) == "bad_request"
    assert refused(case, Pose((0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 0.0))) == "bad_request"
    assert refused(case, sensors=("smell",)) == "bad_request"
    with pytest.raises(VantageError) as caught:
        case.backend.open(SceneSpec(asset="no such scene"))
    assert caught.value.code == "bad_request" and "no such scene" in caught.value.message
    after = case.scene.render(before.poses[:1], CAMERA, ("rgb",))
    assert before.rgb is not None and after.rgb is not None and (after.rgb[0] == before.rgb[0]).all()
