"""Baked light, the view outside, mirrors, and cameras inside solid objects."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneObject, SceneSpec
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.draw.materials import NAMED_COLORS
from sim_server.backends.rooms.light.lightmap import find_rectangles
from sim_server.backends.rooms.scene import RoomsScene
from sim_server.sensing.observe import look_at
from tests.support.rooms import silent

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels

SQUARE = Camera(96, 96)


def opened(spec: SceneSpec) -> RoomsScene:
    scene = RoomsBackend().open(spec)
    assert isinstance(scene, RoomsScene)
    return scene


def views(scene: RoomsScene, count: int, seed: int = 0) -> list[Pose]:
    """Poses on free floor at eye height that look at an object."""
    rng = np.random.default_rng(seed)
    poses = []
    for _ in range(count):
        x, _, z = scene.sample_navigable(rng)
        target = scene.description.objects[int(rng.integers(len(scene.description.objects)))].box.centre_m
        poses.append(look_at((x, 1.5, z), target))
    return poses


def image(scene: RoomsScene, pose: Pose, camera: Camera = SQUARE) -> NDArray[np.float64]:
    frames = scene.render([pose], camera, ("rgb",))
    assert frames.rgb is not None
    return frames.rgb[0].astype(float)


def test_a_ball_darkens_the_floor_below_it() -> None:
    scene = opened(SceneSpec(seed=4, min_objects=1, max_objects=1, categories=("ball",)))
    ball = scene.description.objects[0].box
    room = scene.description.rooms[0]
    centre = np.mean(room.polygon_xz_m, axis=0)
    away = np.array([centre[0] - ball.centre_m[0], centre[1] - ball.centre_m[2]])
    away /= np.linalg.norm(away)

    def light_on_floor(distance_m: float) -> float:
        """Baked light of the floor texel nearest to a point at this distance from the ball."""
        rectangles = find_rectangles(scene.geometry.positions, scene.geometry.normals, scene.geometry.faces)
        points, normals = rectangles.points()
        floor = (normals[:, 1] > 0.9) & (points[:, 1] < 0.01)
        at = np.array([ball.centre_m[0] + away[0] * distance_m, ball.centre_m[2] + away[1] * distance_m])
        nearest = np.flatnonzero(floor)[np.linalg.norm(points[floor][:, [0, 2]] - at, axis=1).argmin()]
        return float(scene.light.atlas[nearest].mean())

    assert light_on_floor(0.0) < 0.6 * light_on_floor(1.0)


def test_light_is_finite_and_never_negative() -> None:
    for light in ("day", "evening"):
        scene = opened(SceneSpec(seed=11, rooms=3, min_objects=20, max_objects=24, palette="natural", light=light))
        for values in (scene.light.atlas, scene.light.vertex):
            assert np.isfinite(values).all() and values.min() >= 0.0 and values.max() < 60.0


def test_evening_is_darker_and_warmer_than_day() -> None:
    for seed in (1, 2):
        day, evening = (opened(SceneSpec(seed=seed, light=light)) for light in ("day", "evening"))
        poses = views(day, 4)
        bright = np.mean([image(day, p) for p in poses], axis=(0, 1, 2))
        dim = np.mean([image(evening, p) for p in poses], axis=(0, 1, 2))
        assert dim.mean() < bright.mean()
        assert dim[0] / dim[2] > bright[0] / bright[2]


def test_windows_show_a_garden_by_day_and_no_object() -> None:
    scene = opened(SceneSpec(seed=3))
    window = next(o for o in scene.description.openings if o.kind == "window")
    middle = (np.array(window.min_m) + np.array(window.max_m)) / 2
    centre = np.mean(scene.description.rooms[0].polygon_xz_m, axis=0)
    frames = scene.render(
        [look_at((float(centre[0]), 1.5, float(centre[1])), (float(middle[0]), float(middle[1]), float(middle[2])))],
        Camera(128, 96, math.radians(50)),
        ("rgb", "depth", "ids"),
    )
    assert frames.rgb is not None and frames.depth is not None and frames.ids is not None
    outside = frames.depth[0] == 0
    assert 0.01 < outside.mean() < 0.9
    assert (frames.ids[0][outside] == 0).all()
    red, green, _ = (frames.rgb[0][outside][:, c].astype(int) for c in range(3))
    assert (green > red + 15).mean() > 0.15  # leaves and lawn


def test_named_colours_are_distinguishable_in_every_light() -> None:
    """The dominant hue of a painted object is closest to the hue of its own colour."""

    def chroma(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
        linear = (rgb / 255) ** 2.2
        return linear / linear.sum(-1, keepdims=True)

    names = list(NAMED_COLORS)
    wanted = chroma(np.array([NAMED_COLORS[n] for n in names], float))
    right = seen = 0
    for seed in range(12):
        scene = opened(SceneSpec(seed=seed, categories=("ball", "box", "sofa", "chair", "table", "cabinet")))
        frames = scene.render(views(scene, 3, seed), SQUARE, ("rgb", "ids"))
        assert frames.rgb is not None and frames.ids is not None
        for rgb, ids in zip(frames.rgb, frames.ids):
            for o in scene.description.objects:
                pixels = rgb[ids == o.id].astype(float)
                if len(pixels) >= 60:
                    guess = names[int(np.abs(wanted - np.median(chroma(pixels), axis=0)).sum(1).argmin())]
                    right, seen = right + (guess == o.color), seen + 1
    assert seen >= 30 and right / seen >= 0.95


def test_threads_and_reopened_scenes_give_the_same_bits() -> None:
    spec = SceneSpec(seed=8, rooms=2, min_objects=10, max_objects=12, clutter=0.5, palette="natural")
    scene, again = opened(spec), opened(spec)
    poses = views(scene, 6)

    def draw(pose: Pose) -> bytes:
        frames = scene.render([pose], Camera(80, 60), ("rgb", "depth", "ids"))
        assert frames.rgb is not None and frames.depth is not None and frames.ids is not None
        return frames.rgb.tobytes() + frames.depth.tobytes() + frames.ids.tobytes()

    alone = [draw(p) for p in poses]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(draw, poses * 2)) == alone * 2
    assert np.array_equal(image(scene, poses[0]), image(again, poses[0]))


def test_rectangles_cover_their_faces_and_no_face_twice() -> None:
    geometry = opened(SceneSpec(seed=5, rooms=2, min_objects=8, max_objects=10)).geometry
    found = find_rectangles(geometry.positions, geometry.normals, geometry.faces)
    assert (np.bincount(found.face[found.face >= 0], minlength=len(found.start)) == 2).all()
    maps, sizes = found.lookup()
    for face in np.flatnonzero(found.face >= 0)[::7]:
        r = found.face[face]
        corners = geometry.positions[geometry.faces[face]].astype(float)
        u, v = corners @ maps[r, :3] + maps[r, 3], corners @ maps[r, 4:7] + maps[r, 7]
        for at, count in ((u, sizes[r, 1]), (v, sizes[r, 2])):
            ends = np.minimum(
                np.abs(at + 0.5), np.abs(at - count + 0.5)
            )  # corners are half a texel from the centres of the end texels
            assert ends.max() < 2e-2


def test_a_camera_inside_an_object_is_rejected_and_the_scene_stays_usable() -> None:
    scene = opened(SceneSpec(seed=4, min_objects=2, max_objects=2, categories=("ball", "box")))
    for item in scene.description.objects:
        if item.category == "ball":
            x, y, z = item.box.centre_m
            with pytest.raises(VantageError, match=r"inside object \d+ \(ball\).*free space") as refused:
                scene.render([Pose((x, y, z), (1.0, 0.0, 0.0, 0.0))], SQUARE, ("rgb", "depth", "ids"))
            assert refused.value.code == "bad_request"
            above = Pose((x, y + 2 * item.box.half_extents_m[1], z), (1.0, 0.0, 0.0, 0.0))
            assert scene.render([above], SQUARE, ("rgb",)).rgb is not None
            return
    pytest.fail("the scene has no ball")


def test_a_camera_under_a_table_is_allowed() -> None:
    scene = opened(SceneSpec(seed=2, min_objects=1, max_objects=1, categories=("table",)))
    x, _, z = scene.description.objects[0].box.centre_m
    for height_m in (0.2, 0.35):
        under = Pose((x + 0.17, height_m, z + 0.11), (1.0, 0.0, 0.0, 0.0))
        assert scene.render([under], SQUARE, ("rgb",)).rgb is not None


def test_a_camera_in_a_wall_is_rejected_but_not_in_a_doorway() -> None:
    scene = opened(SceneSpec(seed=6, rooms=2))
    x_max = max(x for room in scene.description.rooms for x, _ in room.polygon_xz_m)
    z = np.mean([z for room in scene.description.rooms for x, z in room.polygon_xz_m if x == x_max])
    with pytest.raises(VantageError, match="inside a wall"):
        scene.render([Pose((x_max + 0.06, 2.5, float(z)), (1.0, 0.0, 0.0, 0.0))], SQUARE, ("rgb",))
    door = next(o for o in scene.description.openings if o.kind == "door" and len(o.room_ids) == 2)
    middle = (np.array(door.min_m) + np.array(door.max_m)) / 2
    pose = Pose((float(middle[0]), 1.2, float(middle[2])), (1.0, 0.0, 0.0, 0.0))
    assert scene.render([pose], SQUARE, ("rgb",)).rgb is not None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_poses_that_are_not_finite_are_rejected(bad: float) -> None:
    scene = opened(SceneSpec(seed=1))
    for pose in (
        Pose((bad, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0)),
        Pose((0.0, 1.5, 0.0), (bad, 0.0, 0.0, 0.0)),
        Pose((0.0, 1.5, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ):
        with pytest.raises(VantageError, match="finite") as refused:
            scene.render([pose], SQUARE, ("rgb",))
        assert refused.value.code == "bad_request"


def test_an_image_without_pixels_is_rejected() -> None:
    for size in ((0, 96), (96, 0), (-1, 96), (5000, 96)):
        with pytest.raises(ValueError, match="1..4096"):
            Camera(*size)


def test_a_mirror_shows_the_room_across() -> None:
    """From 1.2 m in front of its centre, the glass shows the mirror image of what a camera in its place sees."""
    agreed = 0
    for seed in range(8):
        scene = opened(SceneSpec(seed=seed, rooms=2, min_objects=24, max_objects=28, palette="natural"))
        for item in scene.description.objects:
            if item.category == "mirror" and agreed < 2:
                agreed += _mirror_agrees(scene, item)
    assert agreed


def _coarse(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Grey values of blocks of 4 x 4 pixels around their mean: the reflection does not resolve the texture of walls."""
    grey = rgb[: len(rgb) // 4 * 4].mean(2)
    blocks = grey.reshape(len(grey) // 4, 4, -1, 4).mean((1, 3)).ravel()
    return blocks - blocks.mean()


def _mirror_agrees(scene: RoomsScene, item: SceneObject) -> bool:
    """False if the position in front of it is not free, or if it shows only a plain wall, or a window."""
    assert item.front is not None
    middle, front, half = np.array(item.box.centre_m), np.array(item.front), np.array(item.box.half_extents_m)
    eye = middle + front * (1.2 + half[2])
    if not scene.is_navigable((eye[0], eye[1], eye[2])):
        return False
    half *= 0.5  # clear of the frame
    camera = Camera(48, round(48 * half[1] / half[0]), 2 * math.atan(half[0] / 1.2))
    there, here = look_at(tuple(middle + front * 0.05), tuple(eye)), look_at(tuple(eye), tuple(middle))
    scene = silent(scene)
    seen = scene.render([here], camera, ("rgb", "ids"))
    across = scene.render([there], camera, ("rgb", "depth"))
    assert seen.rgb is not None and seen.ids is not None and across.rgb is not None and across.depth is not None
    a, b = (_coarse(rgb) for rgb in (seen.rgb[0][:, ::-1], across.rgb[0]))
    if (seen.ids[0] != item.id).mean() > 0.01 or b.std() < 8 or across.depth.min() == 0:
        return False
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.85
    return True


def test_sunlight_stays_inside_the_room() -> None:
    """The filter of sunlight does not reach beyond a wall: the top row of its texels is as dark as the next one."""
    for seed in (101, 7):
        scene = opened(SceneSpec(seed=seed, rooms=6, min_objects=30, max_objects=40, palette="natural"))
        rectangles = find_rectangles(scene.geometry.positions, scene.geometry.normals, scene.geometry.faces)
        high = scene.spec.ceiling_m
        compared = 0
        for r in range(len(rectangles.start)):
            top = rectangles.corner[r, 1] + rectangles.edge_v[r, 1]
            columns, rows = rectangles.size[r]
            if abs(rectangles.normal[r, 1]) > 0.1 or abs(top - high) > 0.01 or min(rows, columns) < 8:
                continue
            first = int(rectangles.start[r])
            own = scene.light.atlas[first : first + columns * rows].reshape(rows, columns, 3).mean(2)
            brighter = own[-1] / (own[-3] + 0.02)  # tall furniture darkens single columns of the lower row
            assert np.median(brighter) < 1.3
            compared += 1
        assert compared >= 10
