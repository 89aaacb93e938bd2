"""The habitat backend, compared with recordings of habitat-sim and with `rooms` on the same files."""

from __future__ import annotations

import ctypes
import json
import math
import shutil
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import numpy as np
import pytest

from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import Camera, Change, Pose, SceneSpec
from protocol.tasks.task import QuestionSpec, TaskSpec
from sim_server.backends.habitat import HabitatBackend
from sim_server.backends.habitat.scene import HabitatScene
from sim_server.backends.habitat.simulator import Simulator
from sim_server.backends.registry import make_backend
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.geometry import pose_from_yaw_pitch
from sim_server.questions.realise import realise
from sim_server.settings import SimSettings

from .conftest import INSTALLED, REFERENCE, close_habitat, dataset_of

MakeHabitat = Callable[..., HabitatBackend]

FLAT = SceneSpec(asset="flat")


@pytest.fixture
def backend(make_habitat: MakeHabitat) -> HabitatBackend:
    return make_habitat(dataset_of("flat"))


def recorded_views() -> list[tuple[str, Pose, Camera]]:
    views = json.loads((REFERENCE / "flat" / "views.json").read_text())
    return [
        (
            view["view"],
            Pose(tuple(view["position"]), tuple(view["rotation_wxyz"])),
            Camera(320, 240, math.radians(view["hfov_deg"])),
        )
        for view in views
    ]


def test_frames_match_the_recordings(backend: HabitatBackend) -> None:
    scene = backend.open(FLAT)
    ids, depth = np.load(REFERENCE / "flat" / "ids.npz"), np.load(REFERENCE / "flat" / "depth.npz")
    for name, pose, camera in recorded_views()[::4]:
        frames = scene.render([pose], camera, ("rgb", "depth", "ids"))
        assert frames.rgb is not None and frames.depth is not None and frames.ids is not None
        assert frames.rgb.shape == (1, 240, 320, 3) and frames.rgb.dtype == np.uint8
        assert frames.ids.dtype == np.int32 and frames.depth.dtype == np.float32
        assert (frames.ids[0] == ids[name]).mean() > 0.999
        if name in depth:
            assert np.median(np.abs(frames.depth[0] - depth[name])) < 5e-5


def test_objects_have_the_recorded_ids_categories_boxes_and_supports(backend: HabitatBackend) -> None:
    found = {item.id: item for item in backend.open(FLAT).description.objects}
    truth = json.loads((REFERENCE / "flat" / "objects.json").read_text())
    assert len(found) >= len(truth) - 1
    wrong_support = 0
    for item in truth:
        own = found[item["id"]]
        assert item["category"] not in ("book", "tv stand") or own.category == item["category"]
        assert np.allclose(own.box.centre_m, item["obb"]["centre"], atol=0.01)
        wrong_support += own.support_id != item["supported_by"]
    assert wrong_support <= 1


def test_sampled_points_are_on_floors(backend: HabitatBackend) -> None:
    scene = backend.open(FLAT)
    rng = np.random.default_rng(3)
    points = [scene.sample_navigable(rng) for _ in range(40)]
    assert all(y < 0.2 for _, y, _ in points)  # like the real library, the stand-in also samples the top of the ceiling
    assert not scene.is_navigable((2.0, 2.9, 2.0))
    assert all(scene.is_navigable(point) for point in points)
    length, way = scene.geodesic_m(points[0], points[1]), scene.path(points[0], points[1])
    assert len(way) >= 2 and length >= math.dist(points[0][::2], points[1][::2]) - 0.1


@pytest.mark.parametrize("name", ["flat", "exported home"])
def test_unoccluded_pixels_are_those_of_rooms(make_habitat: MakeHabitat, exported: tuple[Path, str], name: str) -> None:
    dataset, asset = exported if name == "exported home" else (dataset_of("flat"), "flat")
    spec = SceneSpec(asset=asset)
    scene, exact_scene = make_habitat(dataset).open(spec), RoomsBackend(str(dataset)).open(spec)
    rng = np.random.default_rng(2)
    poses = [pose for _, pose, _ in recorded_views()[:6]] if name == "flat" else []
    for yaw in range(6 - len(poses)):
        x, y, z = scene.sample_navigable(rng)
        poses.append(pose_from_yaw_pitch((x, y + 1.4, z), float(yaw), -0.2))
    camera = Camera(160, 120, math.radians(90))
    ours, exact = (made.render(poses, camera, ("ids", "amodal")) for made in (scene, exact_scene))
    assert ours.amodal is not None and exact.amodal is not None and ours.ids is not None
    hidden = 0
    for ids, found, right in zip(ours.ids, ours.amodal, exact.amodal):
        assert set(found) == set(np.unique(ids[ids > 0]).tolist())
        for key, pixels in found.items():
            assert abs(pixels - right[key]) <= 3, key
            hidden += pixels > (ids == key).sum()
    assert hidden >= 2


def test_a_scan_estimates_unoccluded_pixels_and_cannot_be_changed(
    backend: HabitatBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan is one mesh: its objects cannot be rendered alone."""
    flat = backend.open(FLAT)
    exact_scene = RoomsBackend(str(dataset_of("flat"))).open(FLAT)
    assert isinstance(flat, HabitatScene)
    monkeypatch.setattr(flat, "_of_objects", False)
    monkeypatch.setattr(flat, "_surface", flat._survey())
    differences = []
    for _, pose, camera in recorded_views()[:8]:
        estimate, exact = (made.render([pose], camera, ("ids", "amodal")) for made in (flat, exact_scene))
        assert estimate.amodal is not None and exact.amodal is not None and exact.ids is not None
        for object_id, pixels in exact.amodal[0].items():
            seen = int((exact.ids[0] == object_id).sum())
            if seen > 200 and object_id in estimate.amodal[0]:
                assert estimate.amodal[0][object_id] >= seen * 0.98
                differences.append(abs(seen / pixels - seen / estimate.amodal[0][object_id]))
    assert len(differences) > 20 and np.mean(differences) < 0.08
    with pytest.raises(Infeasible, match="scan"):
        flat.edited([Change(flat.description.objects[0].id)])


def test_questions_are_realised_on_it(backend: HabitatBackend) -> None:
    scene = backend.open(FLAT)
    camera = Camera(160, 120, math.radians(90))
    made = 0
    for seq in range(12):
        spec = TaskSpec(f"s{seq}", 5, seq, FLAT, QuestionSpec("depth_order", 0), camera)
        try:
            realised = realise(scene, spec)
        except VantageError as error:
            assert error.code == "infeasible"
            continue
        made += 1
        assert realised.question.answer in realised.question.options
    assert made >= 6


def test_stages_of_scans_are_scenes(habitat_sim: ModuleType, tmp_path: Path) -> None:
    """MP3D lists no scene instances; habitat-sim creates a scene from each stage."""
    (tmp_path / "17DRP5sb8fy").mkdir()
    (tmp_path / "17DRP5sb8fy" / "17DRP5sb8fy.glb").touch()
    config = tmp_path / "mp3d.scene_dataset_config.json"
    config.write_text(json.dumps({"stages": {"paths": {".glb": ["*/*.glb"]}}}))
    assert Simulator(config, gpu=-1, software=False).scenes == ("17DRP5sb8fy",)


@pytest.mark.stand_in
@pytest.mark.parametrize("version", ["0.3.3", "0.3.4"])
def test_one_simulator_serves_all_scenes_and_cameras_without_leaks(
    habitat_sim: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    if version == "0.3.4":  # has a method to remove a sensor
        monkeypatch.setattr(habitat_sim, "Simulator", habitat_sim.Simulator034)
    dataset = shutil.copytree(dataset_of("flat").parent, tmp_path / "two") / dataset_of("flat").name
    scenes = dataset.parent / "scenes"
    shutil.copy(scenes / "flat.scene_instance.json", scenes / "other.scene_instance.json")
    simulator = Simulator(dataset, gpu=-1, software=False)
    pose = recorded_views()[0][1]
    for scene in ("flat", "other", "flat"):
        for camera in (Camera(32, 24), Camera(48, 32), Camera(32, 24, math.radians(60))):
            seen = simulator.observe(scene, camera, pose, ("rgb", "depth", "ids"))
            assert seen["ids"].shape == (camera.height_px, camera.width_px) and simulator.is_made_of_objects(scene)
            assert habitat_sim.SensorFactory.alive == 3  # the sensors of one camera
    library = habitat_sim.Simulator
    assert (library.made, library.scene_graphs) == (1, 4)  # with the empty scene of the start


@pytest.mark.stand_in
def test_a_navmesh_is_built_once_per_scene_and_then_cached(habitat_sim: Any, make_habitat: MakeHabitat) -> None:
    built = habitat_sim.Simulator.navmeshes
    for _ in range(2):
        make_habitat(dataset_of("flat")).open(FLAT)
    assert habitat_sim.Simulator.navmeshes == built + 1


def test_the_same_spec_gives_the_same_bits(make_habitat: MakeHabitat) -> None:
    """Also while others draw random numbers of the C library, from which habitat-sim takes its own."""
    pose, camera = recorded_views()[1][1:]
    frames, points = [], []
    for seed in range(2):
        scene = make_habitat(dataset_of("flat"), software=bool(seed)).open(FLAT)  # another backend each time
        ctypes.CDLL(None).srand(seed)
        frames.append(scene.render([pose], camera, ("rgb", "depth", "ids", "amodal")))
        points.append([scene.sample_navigable(np.random.default_rng(k)) for k in range(5)])
    assert np.array_equal(frames[0].rgb, frames[1].rgb) and np.array_equal(frames[0].ids, frames[1].ids)
    assert frames[0].amodal == frames[1].amodal and points[0] == points[1]


@pytest.mark.stand_in
def test_an_open_renderer_is_closed_when_the_interpreter_ends(
    make_habitat: MakeHabitat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real library aborts the process otherwise."""
    calls: list[Any] = []
    monkeypatch.setattr("sim_server.backends.habitat.simulator.atexit.register", calls.append)
    monkeypatch.setattr("sim_server.backends.habitat.simulator.atexit.unregister", calls.remove)
    backend = make_habitat(dataset_of("flat"))
    backend.warm()
    assert calls == [backend._simulator.close]
    backend.close()
    assert calls == []


def test_rendering_from_another_thread_is_rejected(backend: HabitatBackend) -> None:
    scene = backend.open(FLAT)
    caught: list[BaseException] = []

    def render() -> None:
        try:
            scene.render([recorded_views()[0][1]], Camera(16, 16), ("rgb",))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=render)
    thread.start()
    thread.join()
    assert isinstance(caught[0], AssertionError)


@pytest.mark.parametrize(
    ("settings", "code", "word"),
    [
        ({}, "bad_config", "sim.dataset"),
        ({"dataset": "nowhere.scene_dataset_config.json"}, "bad_config", "nowhere"),
        ({"dataset": str(dataset_of("flat"))}, "unsupported", "software_rendering"),  # no GPU on the test machine
    ],
)
def test_invalid_settings_are_reported(
    habitat_sim: ModuleType, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], code: str, word: str
) -> None:
    monkeypatch.setattr("sim_server.backends.habitat.library.has_gpu", lambda: False)
    with pytest.raises(VantageError) as caught:
        make_backend("habitat", SimSettings(backend="habitat", **settings))
    assert caught.value.code == code and word in caught.value.message


def test_software_rendering_is_used_if_allowed(habitat_sim: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_server.backends.habitat.library.has_gpu", lambda: False)
    settings = SimSettings(backend="habitat", dataset=str(dataset_of("flat")), software_rendering=True)
    close_habitat()
    made = make_backend("habitat", settings)
    assert made.capabilities.assets == ("flat",)
    assert made.open(FLAT).description.backend == "habitat"  # with a CUDA ordinal habitat-sim would end the process
    if INSTALLED:
        assert isinstance(made, HabitatBackend) and made._simulator.renderer not in ("unknown", "not started")
    made.close()


def test_a_missing_gpu_is_reported(make_habitat: MakeHabitat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_server.backends.habitat.library.has_gpu", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    with pytest.raises(VantageError, match=r"sim\.gpu is 2 .* 2 GPUs"):
        make_habitat(dataset_of("flat"), gpu=2)


@pytest.mark.parametrize("asset", ["", "attic"])
def test_an_unknown_asset_is_rejected(backend: HabitatBackend, asset: str) -> None:
    with pytest.raises(VantageError) as caught:
        backend.open(SceneSpec(asset=asset))
    assert caught.value.code == "bad_request"


def test_a_pose_that_is_not_finite_is_rejected(backend: HabitatBackend) -> None:
    with pytest.raises(VantageError, match="finite"):
        backend.open(FLAT).render([Pose((math.nan, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0))], Camera(16, 16), ("rgb",))


@pytest.mark.stand_in  # needs an environment without the library
def test_a_missing_library_is_reported_with_instructions() -> None:
    with pytest.raises(VantageError) as caught:
        make_backend("habitat", SimSettings(backend="habitat", dataset=str(dataset_of("flat")), gpu=-1))
    assert caught.value.code == "backend_missing" and "docs/guides/habitat.md" in caught.value.message


def test_the_digest_depends_on_files_that_change_images(
    habitat_sim: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest() -> str:
        return HabitatBackend(dataset_of("flat"), gpu=-1).digest

    monkeypatch.chdir(tmp_path)
    first = digest()
    assert digest() == first
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "default.pbr_config.json").write_text("{}")  # habitat-sim reads this file
    second = digest()
    assert second != first
    monkeypatch.setattr(habitat_sim, "__version__", "0.9.9")
    assert digest() != second
