"""Normals, panoramas and maps, compared with plain views and with the scene description."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.base import Mappable, Scene
from sim_server.backends.rooms import RoomsBackend
from sim_server.sensing.observe import look_at, multiply, rotate
from sim_server.sensing.panorama import panorama
from sim_server.sensing.visualise import show

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels
REFERENCE = Path(__file__).parents[3] / "data" / "reference" / "boxes"
SPEC = SceneSpec(seed=12, rooms=2, min_objects=10, max_objects=14, palette="natural")


@pytest.fixture(scope="module")
def home() -> Scene:
    return RoomsBackend().open(SPEC)


@pytest.fixture(scope="module")
def loaded() -> Scene:
    return RoomsBackend(str(REFERENCE / "dataset" / "boxes.scene_dataset_config.json")).open(SceneSpec(asset="boxes"))


def standing(scene: Scene, seed: int) -> Pose:
    x, y, z = scene.sample_navigable(np.random.default_rng(seed))
    target = scene.description.objects[seed % len(scene.description.objects)].box.centre_m
    return look_at((x, y + 1.4, z), target)


@pytest.mark.parametrize("made", ["home", "loaded"])
def test_normals_are_perpendicular_to_the_surface_given_by_depth(made: str, request: pytest.FixtureRequest) -> None:
    scene, camera = request.getfixturevalue(made), Camera(160, 120)
    frames = scene.render([standing(scene, k) for k in range(3)], camera, ("depth", "ids", "normals", "amodal"))
    focal = camera.width_px / 2 / math.tan(camera.hfov_rad / 2)
    column, row = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
    rays = np.stack([(column + 0.5 - 80) / focal, (60 - row - 0.5) / focal, -np.ones(column.shape)], -1)
    checked = 0
    for depth, normals in zip(frames.depth, frames.normals):
        hit = depth > 0
        assert np.allclose(np.linalg.norm(normals[hit], axis=-1), 1, atol=1e-5) and not normals[~hit].any()
        assert ((normals * rays).sum(-1)[hit] < 1e-3).all()  # towards the viewer
        points = rays * depth[..., None]
        for step in ((0, 1), (1, 0)):
            a, b = points[: 120 - step[0], : 160 - step[1]], points[step[0] :, step[1] :]
            na, nb = normals[: 120 - step[0], : 160 - step[1]], normals[step[0] :, step[1] :]
            apart = np.linalg.norm(b - a, axis=-1)
            flat = (na == nb).all(-1) & na.any(-1) & (apart < 0.1)  # neighbours on the same or on parallel planes
            away = np.abs(((b - a) * na).sum(-1))[flat]
            assert np.mean(away < 1e-3 + 0.02 * apart[flat]) > 0.98
            checked += int(flat.sum())
    assert checked > 50000


def test_a_panorama_agrees_with_views_along_its_rays(home: Scene) -> None:
    pose, width = standing(home, 1), 720
    around = panorama(home, pose, width)
    assert around.rgb is not None and around.depth is not None and around.ids is not None
    assert around.rgb.shape == (360, 720, 3) and around.ids.shape == around.depth.shape == (360, 720)
    rng, same, errors, colours = np.random.default_rng(0), [], [], []
    for _ in range(80):
        row, column = int(rng.integers(360)), int(rng.integers(720))
        azimuth, elevation = ((column + 0.5) / 720 - 0.5) * 2 * math.pi, (0.5 - (row + 0.5) / 360) * math.pi
        yaw = (math.cos(azimuth / 2), 0.0, -math.sin(azimuth / 2), 0.0)
        pitch = (math.cos(elevation / 2), math.sin(elevation / 2), 0.0, 0.0)
        view = Pose(pose.position_m, multiply(pose.rotation_wxyz, multiply(yaw, pitch)))
        one = home.render([view], Camera(15, 15, 0.15), ("rgb", "depth", "ids"))
        assert one.rgb is not None and one.depth is not None and one.ids is not None
        same.append(one.ids[0, 7, 7] == around.ids[row, column])
        if same[-1]:
            errors.append(abs(one.depth[0, 7, 7] - around.depth[row, column]) / max(one.depth[0, 7, 7], 0.1))
            colours.append(np.abs(one.rgb[0, 6:9, 6:9].mean((0, 1)) - around.rgb[row, column]).mean())
    assert np.mean(same) > 0.95  # rays near edges may differ
    assert np.median(errors) < 0.005 and np.median(colours) < 6


def test_the_centre_of_a_panorama_is_in_the_camera_direction(home: Scene) -> None:
    pose = standing(home, 3)
    around, ahead = panorama(home, pose, 400), home.render([pose], Camera(201, 201), ("ids",))
    assert ahead.ids is not None
    assert around.ids[100, 200] == ahead.ids[0, 100, 100]
    with pytest.raises(ValueError, match="8192"):
        panorama(home, pose, 9000)


def test_a_map_covers_the_rooms_and_shows_objects_at_their_positions(home: Scene) -> None:
    drawn = cast(Mappable, home).top_down(600)
    rows, columns = drawn.ids.shape
    x = drawn.x_min_m + (np.arange(columns) + 0.5) * drawn.m_per_px
    z = drawn.z_min_m + (np.arange(rows) + 0.5) * drawn.m_per_px
    floor = np.zeros(drawn.ids.shape, bool)
    for room in home.description.rooms:
        (x0, z0), (x1, z1) = np.min(room.polygon_xz_m, 0), np.max(room.polygon_xz_m, 0)
        floor |= ((x > x0) & (x < x1))[None] & ((z > z0) & (z < z1))[:, None]
    paper = np.all(drawn.rgb >= 250, axis=-1)
    assert paper[floor].mean() < 0.02 and paper[~floor].mean() > 0.5  # walls with doors and windows are next to rooms
    shown = 0
    for item in home.description.objects:
        on = np.argwhere(drawn.ids == item.id)
        if not len(on):
            continue
        shown += 1
        w, qx, qy, qz = item.box.rotation_wxyz
        relative = np.stack([x[on[:, 1]], np.full(len(on), item.box.centre_m[1]), z[on[:, 0]]], 1)
        relative -= item.box.centre_m
        local = np.array([rotate((w, -qx, -qy, -qz), tuple(point)) for point in relative.tolist()])
        assert (np.abs(local[:, [0, 2]]) < np.array(item.box.half_extents_m)[[0, 2]] + 2 * drawn.m_per_px).all()
    assert shown > 0.7 * len(home.description.objects)


def test_a_map_of_a_loaded_scene(loaded: Scene) -> None:
    drawn = cast(Mappable, loaded).top_down(200)
    assert drawn.rgb.shape[1] == 200 and len(np.unique(drawn.ids)) > 2
    with pytest.raises(ValueError, match="4096"):
        cast(Mappable, loaded).top_down(5000)


@pytest.mark.parametrize("sensor", ["depth", "ids", "normals", "panorama", "map"])
def test_every_sensor_is_written_as_an_image_and_as_arrays(home: Scene, tmp_path: Path, sensor: str) -> None:
    camera, poses = Camera(64, 48), [standing(home, 1), standing(home, 2)]
    show(home, sensor, poses, camera, tmp_path / "seen.png")
    show(home, sensor, poses, camera, tmp_path / "seen.npz")
    assert (tmp_path / "seen.png").stat().st_size > 100
    arrays = np.load(tmp_path / "seen.npz", allow_pickle=False)
    if sensor in ("depth", "ids", "normals"):
        assert np.array_equal(arrays[sensor], getattr(home.render(poses, camera, (sensor,)), sensor))
    else:
        assert arrays["rgb"].dtype == np.uint8 and arrays["ids"].dtype == np.int32


def test_unknown_sensors_are_rejected(home: Scene, tmp_path: Path) -> None:
    with pytest.raises(VantageError, match="panorama"):
        show(home, "heat", [standing(home, 1)], Camera(8, 8), tmp_path / "seen.png")
    with pytest.raises(VantageError, match="4096"):
        show(home, "map", [], Camera(8, 8), tmp_path / "seen.png")
