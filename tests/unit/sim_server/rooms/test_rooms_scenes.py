"""Generated scenes: counts, colours, boxes, free floor, determinism, errors."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.base import Scene
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES, CEILING_LAMP

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels

DEMO = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
SIX = {"red", "green", "blue", "yellow", "purple", "orange"}

_HASH = """
import hashlib, sys
from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.rooms import RoomsBackend
b = RoomsBackend()
s = b.open(SceneSpec(seed=11, rooms=2, min_objects=6, max_objects=9, clutter=0.5, palette="natural"))
f = s.render([Pose((0.2, 1.5, 0.1), (0.9, 0.0, 0.4358899, 0.0))], Camera(64, 48), ("rgb", "depth", "ids", "amodal"))
h = hashlib.sha256(repr(s.description).encode())
for a in (f.rgb, f.depth, f.ids):
    h.update(a.tobytes())
h.update(repr(sorted(f.amodal[0].items())).encode())
print(b.digest, h.hexdigest())
"""


@pytest.fixture(scope="module")
def backend() -> RoomsBackend:
    return RoomsBackend()


def test_hundred_seeds_keep_counts_categories_and_colors(backend: RoomsBackend) -> None:
    seen: set[str] = set()
    for seed in range(100):
        scene = backend.open(SceneSpec(seed=seed, categories=DEMO))
        objects = scene.description.objects
        assert 3 <= len(objects) <= 6
        assert [o.id for o in objects] == list(range(1, len(objects) + 1))
        assert all(o.category in DEMO and o.color in SIX for o in objects)
        pairs = [(o.category, o.color) for o in objects]
        assert len(set(pairs)) == len(pairs)
        seen |= {o.category for o in objects}
    assert seen == set(DEMO)


def test_boxes_contain_their_meshes_and_are_inside_their_rooms(backend: RoomsBackend) -> None:
    for seed in range(12):
        scene = backend.open(SceneSpec(seed=seed, rooms=1 + seed % 3, min_objects=6, max_objects=12, clutter=0.8))
        geometry = scene.geometry
        rooms = {r.id: np.array(r.polygon_xz_m) for r in scene.description.rooms}
        for o in scene.description.objects:
            points = geometry.positions[np.unique(geometry.faces[geometry.face_object == o.id])].astype(float)
            w, q = o.box.rotation_wxyz[0], -np.array(o.box.rotation_wxyz[1:])
            local = points - o.box.centre_m
            local = local + 2 * np.cross(q, np.cross(q, local) + w * local)
            half = np.array(o.box.half_extents_m)
            assert (np.abs(local) <= half).all()
            assert (np.abs(local).max(0) > half - 2e-3).all(), "the box is tight"
            polygon = rooms[o.room_id]
            assert (points[:, [0, 2]] >= polygon.min(0) - 1e-3).all() and (
                points[:, [0, 2]] <= polygon.max(0) + 1e-3
            ).all()
            if o.front is not None:
                assert math.dist(o.front, (0, 0, 0)) == pytest.approx(1)


def test_furniture_does_not_interpenetrate(backend: RoomsBackend) -> None:
    """Densely sampled points of footprints on the floor belong to only one object."""
    for seed in range(10):
        scene = backend.open(SceneSpec(seed=seed, min_objects=8, max_objects=12))
        objects = [o for o in scene.description.objects if o.support_id == 0]
        for a in objects:
            grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 15)] * 2), -1).reshape(-1, 2)
            yaw_a = 2 * math.atan2(a.box.rotation_wxyz[2], a.box.rotation_wxyz[0])
            u, v = (grid * [a.box.half_extents_m[0], a.box.half_extents_m[2]]).T
            x = a.box.centre_m[0] + math.cos(yaw_a) * u + math.sin(yaw_a) * v
            z = a.box.centre_m[2] - math.sin(yaw_a) * u + math.cos(yaw_a) * v
            for b in objects:
                if b.id == a.id:
                    continue
                yaw = 2 * math.atan2(b.box.rotation_wxyz[2], b.box.rotation_wxyz[0])
                dx, dz = x - b.box.centre_m[0], z - b.box.centre_m[2]
                in_u = np.abs(math.cos(yaw) * dx - math.sin(yaw) * dz) < b.box.half_extents_m[0]
                in_v = np.abs(math.sin(yaw) * dx + math.cos(yaw) * dz) < b.box.half_extents_m[2]
                assert not (in_u & in_v).any(), (seed, a.category, b.category)


def test_small_objects_are_on_their_supports(backend: RoomsBackend) -> None:
    found = 0
    for seed in range(10):
        scene = backend.open(SceneSpec(seed=seed, min_objects=6, max_objects=8, clutter=1.0, palette="natural"))
        by_id = {o.id: o for o in scene.description.objects}
        furniture = [o for o in by_id.values() if o.category != CEILING_LAMP and not CATEGORIES[o.category].small]
        assert 6 <= len(furniture) <= 8
        for o in by_id.values():
            if o.support_id > 0:
                found += 1
                base = by_id[o.support_id]
                foot = o.box.centre_m[1] - o.box.half_extents_m[1]
                low, top = (base.box.centre_m[1] + s * base.box.half_extents_m[1] for s in (-1, 1))
                assert low < foot <= top + 0.02
                assert o.room_id == base.room_id
    assert found > 10


def test_paths_avoid_every_mesh_and_connect_all_rooms(backend: RoomsBackend) -> None:
    for seed in range(6):
        scene = backend.open(SceneSpec(seed=seed, rooms=1 + seed % 3, min_objects=6, max_objects=9))
        floor = blocked_points(scene)
        rng = np.random.default_rng(seed)
        for _ in range(8):
            a, b = scene.sample_navigable(rng), scene.sample_navigable(rng)
            assert scene.is_navigable(a) and a[1] == 0.0
            way = scene.path(a, b)
            assert way[0] == a and way[-1] == b
            assert math.dist(a, b) - 1e-9 <= scene.geodesic_m(a, b) < math.inf
            for p, q in zip(way, way[1:]):
                on_way = np.array(p)[[0, 2]] + np.linspace(0, 1, 40)[:, None] * (np.array(q) - p)[[0, 2]]
                nearest = np.linalg.norm(on_way[:, None] - floor[None], axis=2).min()
                assert nearest > 0.2 - 0.05, "a straight line cuts at most the corner of a cell"


def blocked_points(scene: Scene) -> NDArray[np.float64]:
    """Points (x, z) [N, 2] on the edges of meshes up to 1.6 m high, on the floor or on walls."""
    geometry = scene.geometry
    standing = [o.id for o in scene.description.objects if o.support_id <= 0]
    triangles = geometry.positions[geometry.faces[np.isin(geometry.face_object, standing)]].astype(float)
    triangles = triangles[(triangles[..., 1].min(1) < 1.6) & (triangles[..., 1].max(1) > 0.05)]
    t = np.linspace(0, 1, 20)[None, :, None]
    edges = [triangles[:, None, k] * t + triangles[:, None, (k + 1) % 3] * (1 - t) for k in range(3)]
    points = np.round(np.concatenate(edges).reshape(-1, 3)[:, [0, 2]] / 0.02).astype(int)
    return np.unique(points, axis=0) * 0.02


def test_a_round_table_leaves_the_floor_at_its_corners(backend: RoomsBackend) -> None:
    freed = 0
    for seed in range(40):
        scene = backend.open(SceneSpec(seed=seed, min_objects=1, max_objects=1, categories=("table",)))
        box = scene.description.objects[0].box
        yaw = 2 * math.atan2(box.rotation_wxyz[2], box.rotation_wxyz[0])
        for u, v in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            u, v = u * (box.half_extents_m[0] + 0.1), v * (box.half_extents_m[2] + 0.1)
            x = box.centre_m[0] + math.cos(yaw) * u + math.sin(yaw) * v
            z = box.centre_m[2] - math.sin(yaw) * u + math.cos(yaw) * v
            freed += scene.is_navigable((x, 0.0, z))
        assert not scene.is_navigable((box.centre_m[0], 0.0, box.centre_m[2])), "the floor below a table is not free"
    assert freed > 10


@pytest.mark.timeout(300)
def test_two_processes_give_the_same_bits() -> None:
    runs = [
        subprocess.run([sys.executable, "-c", _HASH], capture_output=True, text=True, check=True).stdout for _ in (0, 1)
    ]
    assert runs[0] == runs[1] and len(runs[0].split()) == 2


def test_importing_the_backend_does_not_import_numba() -> None:
    code = (
        "import sys, json; import sim_server.backends.rooms as r; "
        "r.RoomsBackend(); print(json.dumps('numba' in sys.modules))"
    )
    assert (
        json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        is False
    )


def test_seeds_and_options_change_the_image(backend: RoomsBackend) -> None:
    pose, camera = Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0)), Camera(32, 32)
    digests = set()
    specs = [
        SceneSpec(seed=1),
        SceneSpec(seed=2),
        SceneSpec(seed=1, light="evening"),
        SceneSpec(seed=1, palette="natural"),
    ]
    for spec in specs:
        rgb = backend.open(spec).render([pose], camera, ("rgb",)).rgb
        assert rgb is not None and rgb.std() > 5
        digests.add(hashlib.sha256(rgb.tobytes()).hexdigest())
    assert len(digests) == len(specs)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (SceneSpec(categories=("chair", "spaceship")), "spaceship"),
        (SceneSpec(asset="apartment"), "apartment"),
        (SceneSpec(palette="neon"), "neon"),
        (SceneSpec(light="noon"), "noon"),
        (SceneSpec(ceiling_m=1.0), "ceiling_m"),
        (SceneSpec(clutter=2.0), "clutter"),
    ],
)
def test_invalid_specs_are_rejected(backend: RoomsBackend, spec: SceneSpec, word: str) -> None:
    with pytest.raises(VantageError) as error:
        backend.open(spec)
    assert error.value.code == "bad_request" and word in error.value.message


def test_an_unknown_category_is_rejected_with_a_list_of_categories(backend: RoomsBackend) -> None:
    with pytest.raises(VantageError) as error:
        backend.open(SceneSpec(categories=("couch",)))
    assert all(c in error.value.message for c in DEMO)


def test_too_many_objects_are_infeasible(backend: RoomsBackend) -> None:
    with pytest.raises(Infeasible):
        backend.open(
            SceneSpec(min_objects=60, max_objects=60, categories=("bed", "sofa", "wardrobe"), palette="natural")
        )
    with pytest.raises(Infeasible):
        backend.open(SceneSpec(min_objects=7, max_objects=7, categories=("ball",)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_poses_must_be_finite(backend: RoomsBackend, value: float) -> None:
    scene = backend.open(SceneSpec())
    for pose in (Pose((0, value, 0), (1, 0, 0, 0)), Pose((0, 1, 0), (value, 0, 0, 0)), Pose((0, 1, 0), (0, 0, 0, 0))):
        with pytest.raises(VantageError):
            scene.render([pose], Camera(8, 8), ("ids",))


def test_a_camera_outside_every_room_still_renders(backend: RoomsBackend) -> None:
    scene = backend.open(SceneSpec())
    frames = scene.render([Pose((0, 1.5, 30.0), (1, 0, 0, 0))], Camera(16, 16), ("rgb", "depth", "ids"))
    assert frames.rgb is not None and frames.rgb.shape == (1, 16, 16, 3)
    with pytest.raises(ValueError):
        Camera(0, 16)


def test_an_unknown_sensor_is_rejected(backend: RoomsBackend) -> None:
    with pytest.raises(VantageError):
        backend.open(SceneSpec()).render([Pose((0, 1, 0), (1, 0, 0, 0))], Camera(8, 8), ("lidar",))
