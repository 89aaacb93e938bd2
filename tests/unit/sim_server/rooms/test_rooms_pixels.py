"""Ids and depth at pixel centres, compared with independent ray casting in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.draw.drawing import view_axes

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels


def pose_at(position: tuple[float, float, float], yaw_rad: float, pitch_rad: float) -> Pose:
    """Yaw 0 looks along -z; a positive pitch looks up."""
    cy, sy, cp, sp = math.cos(yaw_rad / 2), math.sin(yaw_rad / 2), math.cos(pitch_rad / 2), math.sin(pitch_rad / 2)
    return Pose(position, (cy * cp, cy * sp, sy * cp, -sy * sp))


def rays(pose: Pose, camera: Camera) -> NDArray[np.float64]:
    """Direction through each pixel centre with z-depth 1, [H * W, 3], computed independently from the quaternion."""
    f = camera.width_px / 2 / math.tan(camera.hfov_rad / 2)
    v, u = np.mgrid[0 : camera.height_px, 0 : camera.width_px] + 0.5
    local = np.stack([(u - camera.width_px / 2) / f, -(v - camera.height_px / 2) / f, -np.ones_like(u)], -1).reshape(
        -1, 3
    )
    w, q = pose.rotation_wxyz[0], np.array(pose.rotation_wxyz[1:])
    return local + 2 * np.cross(q, np.cross(q, local) + w * local)


def cast(
    triangles: NDArray[np.float64],
    owner: NDArray[np.int32],
    origin: NDArray[np.float64],
    directions: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Nearest front-facing hit of every ray (Moeller-Trumbore), as owner and z-depth; 0, 0 where nothing is hit."""
    a, e1, e2 = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    s = origin - a
    q = np.cross(s, e1)
    with np.errstate(divide="ignore", invalid="ignore"):
        det = directions @ np.cross(e2, e1).T
        u = directions @ np.cross(e2, s).T / det
        v = directions @ q.T / det
        t = (e2 * q).sum(1) / det
    t[~((det > 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0.05))] = np.inf
    nearest = t.argmin(1)
    depth = t[np.arange(len(t)), nearest]
    missed = np.isinf(depth)
    return np.where(missed, 0, owner[nearest]), np.where(missed, 0, depth)


@pytest.mark.parametrize("seed", [1, 5])
def test_ids_and_depth_equal_brute_force_rays(seed: int) -> None:
    scene = RoomsBackend().open(SceneSpec(seed=seed, categories=("table", "cabinet", "bed", "box")))
    camera = Camera(44, 33)
    rng = np.random.default_rng(seed)
    x, _, z = scene.sample_navigable(rng)
    poses = []
    for o in scene.description.objects[:2]:
        toward = math.atan2(x - o.box.centre_m[0], z - o.box.centre_m[2])
        poses.append(pose_at((x, 1.5, z), toward + rng.uniform(-0.2, 0.2), rng.uniform(-0.4, -0.2)))
    frames = scene.render(poses, camera, ("depth", "ids"))
    assert frames.depth is not None and frames.ids is not None and frames.rgb is None
    geometry = scene.geometry
    triangles = geometry.positions[geometry.faces].astype(float)
    for k, pose in enumerate(poses):
        ids, depth = cast(triangles, geometry.face_object, np.array(pose.position_m), rays(pose, camera))
        same = ids == frames.ids[k].ravel()
        assert same.mean() >= 0.999
        error = np.abs(depth - frames.depth[k].ravel())
        assert np.quantile(error[same] / np.maximum(depth[same], 0.1), 0.995) < 2e-5
        assert len(np.unique(ids)) > 1


def test_amodal_counts_at_least_the_visible_pixels() -> None:
    backend = RoomsBackend()
    occluded = 0
    for seed in range(6):
        scene = backend.open(SceneSpec(seed=seed, min_objects=10, max_objects=14))
        rng = np.random.default_rng(seed)
        poses = []
        for _ in range(8):
            x, _, z = scene.sample_navigable(rng)
            poses.append(pose_at((x, 1.5, z), rng.uniform(0, 6.28), -0.2))
        frames = scene.render(poses, Camera(96, 72), ("ids", "amodal"))
        assert frames.ids is not None and frames.amodal is not None
        known = {o.id for o in scene.description.objects}
        for ids, amodal in zip(frames.ids, frames.amodal):
            visible = dict(zip(*(x.tolist() for x in np.unique(ids, return_counts=True))))
            assert set(visible) - {0} <= set(amodal) <= known
            assert all(amodal[i] >= n for i, n in visible.items() if i)
            assert all(0 < n <= ids.size for n in amodal.values())
            occluded += sum(amodal[i] > visible.get(i, 0) for i in amodal)
    assert occluded > 10


def test_amodal_of_a_lone_object_equals_its_pixels() -> None:
    """Both counts agree for an object without occlusion."""
    scene = RoomsBackend().open(SceneSpec(seed=2, min_objects=1, max_objects=1, categories=("table",)))
    target = scene.description.objects[0].box.centre_m
    rng = np.random.default_rng(0)
    for _ in range(4):
        x, _, z = scene.sample_navigable(rng)
        yaw = math.atan2(-(target[0] - x), -(target[2] - z))
        frames = scene.render([pose_at((x, 1.6, z), yaw, -0.3)], Camera(64, 64), ("ids", "amodal"))
        assert frames.ids is not None and frames.amodal is not None
        pixels = int((frames.ids[0] == 1).sum())
        assert pixels == frames.amodal[0].get(1, 0) > 0


def test_every_pixel_is_inside_the_box_of_its_object() -> None:
    scene = RoomsBackend().open(SceneSpec(seed=9, min_objects=8, max_objects=12, clutter=0.5))
    rng = np.random.default_rng(1)
    camera = Camera(96, 96)
    boxes = {o.id: o.box for o in scene.description.objects}
    for _ in range(3):
        x, _, z = scene.sample_navigable(rng)
        pose = pose_at((x, 1.5, z), rng.uniform(0, 6.28), -0.25)
        frames = scene.render([pose], camera, ("depth", "ids"))
        assert frames.depth is not None and frames.ids is not None
        points = np.array(pose.position_m) + rays(pose, camera) * frames.depth[0].reshape(-1, 1)
        for object_id in set(np.unique(frames.ids).tolist()) - {0}:
            box = boxes[object_id]
            w, q = box.rotation_wxyz[0], -np.array(box.rotation_wxyz[1:])
            local = points[frames.ids[0].ravel() == object_id] - box.centre_m
            local = local + 2 * np.cross(q, np.cross(q, local) + w * local)
            assert (np.abs(local) <= np.array(box.half_extents_m) + 2e-3).all()


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*(st.floats(-20, 20) for _ in range(3))),
    st.tuples(*(st.floats(-1, 1) for _ in range(4))).filter(lambda q: sum(x * x for x in q) > 0.1),
    st.floats(0.2, 2.5),
    st.floats(0, 95.9),
    st.floats(0, 71.9),
    st.floats(0.1, 30),
)
def test_unprojecting_then_projecting_returns_the_pixel(
    position: tuple[float, float, float],
    rotation: tuple[float, float, float, float],
    hfov: float,
    u: float,
    v: float,
    z: float,
) -> None:
    """view_axes agrees with the documented pinhole model for every pose."""
    eye, axes = view_axes(Pose(position, rotation))
    f = 96 / 2 / math.tan(hfov / 2)
    point = eye + z * (axes[2] + (u - 48) / f * axes[0] - (v - 36) / f * axes[1]).astype(float)
    x, y, depth = axes.astype(float) @ (point - eye)
    assert depth == pytest.approx(z, rel=1e-4)
    scale = f / depth
    assert 48 + x * scale == pytest.approx(u, abs=2e-2)
    assert 36 - y * scale == pytest.approx(v, abs=2e-2)
    assert np.linalg.det(axes) == pytest.approx(-1, abs=1e-5)  # right, up, forward is left-handed
