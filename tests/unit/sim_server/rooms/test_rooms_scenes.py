"""What the generator promises about a scene: counts, colours, boxes, free floor, determinism, errors."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from protocol.errors import Infeasible, VantageError
from protocol.scene import Camera, Pose, SceneSpec
from sim_server.backends.rooms import RoomsBackend

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels

DEMO = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
SIX = {"red", "green", "blue", "yellow", "purple", "orange"}

_HASH = """
import hashlib, sys
from protocol.scene import Camera, Pose, SceneSpec
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


def test_boxes_contain_the_meshes_and_stand_in_their_rooms(backend: RoomsBackend) -> None:
    for seed in range(12):
        scene = backend.open(SceneSpec(seed=seed, rooms=1 + seed % 3, min_objects=6, max_objects=12, clutter=0.8))
        geometry = scene._geometry
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
    """Footprints of things on the floor, sampled densely, belong to one object only."""
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


def test_clutter_stands_on_what_supports_it(backend: RoomsBackend) -> None:
    found = 0
    for seed in range(10):
        scene = backend.open(SceneSpec(seed=seed, min_objects=6, max_objects=8, clutter=1.0, palette="natural"))
        by_id = {o.id: o for o in scene.description.objects}
        assert 6 <= sum(o.support_id <= 0 for o in by_id.values()) <= 8
        for o in by_id.values():
            if o.support_id > 0:
                found += 1
                base = by_id[o.support_id]
                foot = o.box.centre_m[1] - o.box.half_extents_m[1]
                low, top = (base.box.centre_m[1] + s * base.box.half_extents_m[1] for s in (-1, 1))
                assert low < foot <= top + 0.02
                assert o.room_id == base.room_id
    assert found > 10


def test_paths_keep_clear_of_furniture_and_join_rooms(backend: RoomsBackend) -> None:
    for seed in range(6):
        scene = backend.open(SceneSpec(seed=seed, rooms=1 + seed % 3, min_objects=6, max_objects=9))
        rng = np.random.default_rng(seed)
        connected = 0
        for _ in range(8):
            a, b = scene.sample_navigable(rng), scene.sample_navigable(rng)
            assert scene.is_navigable(a) and a[1] == 0.0
            way = scene.path(a, b)
            if not way:
                assert scene.geodesic_m(a, b) == math.inf
                continue
            connected += 1
            assert way[0] == a and way[-1] == b
            assert scene.geodesic_m(a, b) >= math.dist(a, b) - 1e-9
            for p, q in zip(way, way[1:]):
                for t in np.linspace(0, 1, 40):
                    x, z = p[0] + t * (q[0] - p[0]), p[2] + t * (q[2] - p[2])
                    assert _distance_to_furniture(scene, x, z) > 0.1
        assert connected >= 4


def _distance_to_furniture(scene, x: float, z: float) -> float:
    best = math.inf
    for o in scene.description.objects:
        if o.support_id != 0 or o.box.half_extents_m[1] * 2 < 0.05:
            continue
        yaw = 2 * math.atan2(o.box.rotation_wxyz[2], o.box.rotation_wxyz[0])
        dx, dz = x - o.box.centre_m[0], z - o.box.centre_m[2]
        u = abs(math.cos(yaw) * dx - math.sin(yaw) * dz) - o.box.half_extents_m[0]
        v = abs(math.sin(yaw) * dx + math.cos(yaw) * dz) - o.box.half_extents_m[2]
        best = min(best, math.hypot(max(u, 0), max(v, 0)))
    return best


@pytest.mark.timeout(300)
def test_two_processes_make_the_same_bits() -> None:
    runs = [
        subprocess.run([sys.executable, "-c", _HASH], capture_output=True, text=True, check=True).stdout for _ in (0, 1)
    ]
    assert runs[0] == runs[1] and len(runs[0].split()) == 2


def test_importing_the_backend_leaves_numba_alone() -> None:
    code = (
        "import sys, json; import sim_server.backends.rooms as r; "
        "r.RoomsBackend(); print(json.dumps('numba' in sys.modules))"
    )
    assert (
        json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        is False
    )


def test_seeds_and_knobs_change_the_picture(backend: RoomsBackend) -> None:
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
def test_wrong_specs_are_refused_in_one_sentence(backend: RoomsBackend, spec: SceneSpec, word: str) -> None:
    with pytest.raises(VantageError) as error:
        backend.open(spec)
    assert error.value.code == "bad_request" and word in error.value.message


def test_an_unknown_category_is_answered_with_the_known_ones(backend: RoomsBackend) -> None:
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


def test_unknown_sensor_is_refused(backend: RoomsBackend) -> None:
    with pytest.raises(VantageError):
        backend.open(SceneSpec()).render([Pose((0, 1, 0), (1, 0, 0, 0))], Camera(8, 8), ("lidar",))
