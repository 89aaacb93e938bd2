"""Exported homes: habitat-sim's requirements on the files, and equal truth, ids and depth when read back."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Change, Pose, SceneSpec
from sim_server.backends.base import Editable, Scene
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.files.export import CONFIG_NAME, export_scenes
from sim_server.backends.rooms.files.exported import UNLIT_ASSET
from sim_server.backends.rooms.files.gltf import Asset, read_gltf
from sim_server.backends.rooms.files.loaded import LoadedScene
from sim_server.backends.rooms.scene import RoomsScene
from sim_server.backends.scene_dataset import SceneDataset
from sim_server.backends.untrusted import Reader
from sim_server.sensing.observe import look_at
from tests.support.rooms import silent

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels
SPEC = SceneSpec(seed=5, min_objects=6, max_objects=9, clutter=0.6, palette="natural")


@pytest.fixture(scope="module")
def made() -> RoomsScene:
    scene = RoomsBackend().open(SPEC)
    assert isinstance(scene, RoomsScene)
    return scene


@pytest.fixture(scope="module")
def folder(made: RoomsScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "set"
    assert export_scenes([made], out, "rooms-test") == ["rooms-5"]
    return out


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Scene:
    return RoomsBackend(str(folder / CONFIG_NAME)).open(SceneSpec(asset="rooms-5"))


def configs(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob(f"*.{kind}.json"))]


def assets(folder: Path) -> list[tuple[dict[str, Any], Asset]]:
    out = []
    for path in sorted(folder.rglob("*.glb")):
        data = path.read_bytes()
        out.append((json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")]), read_gltf(path, Reader(folder))))
    return out


def test_one_template_per_instance_with_its_own_id(folder, made):
    templates = configs(folder, "object_config")
    (scene,) = configs(folder, "scene_instance")
    names = [entry["template_name"] for entry in scene["object_instances"]]
    assert len(set(names)) == len(names) == len(templates) == len(made.description.objects)
    assert sorted(t["semantic_id"] for t in templates) == sorted(o.id for o in made.description.objects)


def test_instances_meet_the_requirements_of_habitat(folder):
    (scene,) = configs(folder, "scene_instance")
    for entry in [scene["stage_instance"], *scene["object_instances"]]:
        assert entry["translation_origin"] == "asset_local"
        assert math.isclose(math.hypot(*entry["rotation"]), 1, abs_tol=1e-6)
    assert all(entry["motion_type"] == "static" for entry in scene["object_instances"])
    assert scene["default_lighting"] == "no_lights"
    for config in configs(folder, "object_config") + configs(folder, "stage_config"):
        assert config["shader_type"] == "flat" and config["up"] == [0, 1, 0]


def test_materials_are_plain(folder):
    for document, _ in assets(folder):
        for mesh in document["meshes"]:
            assert all("material" in primitive for primitive in mesh["primitives"])
        for material in document["materials"]:
            # no alphaMode, no emission, no doubleSided
            assert set(material) - {"extras"} == {"name", "pbrMetallicRoughness"}
            assert material["pbrMetallicRoughness"]["baseColorFactor"][3] == 1.0


def test_textures_are_png_files_shared_by_all(folder):
    used = {image["uri"] for document, _ in assets(folder) for image in document.get("images", [])}
    files = {f"../textures/{path.name}" for path in (folder / "textures").iterdir()}
    assert used == files and used and all(uri.endswith(".png") for uri in used)
    for path in (folder / "textures").iterdir():
        data = path.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[25] == 2  # colour type 2: RGB without alpha


def test_fronts_face_outwards(folder):
    """A closed surface with outward fronts has a positive volume; thin sheets are modelled on both sides."""
    for document, asset in assets(folder):
        if document["nodes"][0]["name"] == "rooms-5":
            continue  # the building is seen from inside
        volume = 0.0
        for part in asset.primitives:
            a, b, c = (part.positions[part.faces[:, k]].astype(np.float64) for k in range(3))
            volume += float(np.einsum("fk,fk->", a, np.cross(b, c))) / 6
        assert volume > 0, document["nodes"][0]["name"]


def test_rooms_become_regions(folder, made):
    (semantic,) = configs(folder, "semantic_config")
    assert {c["id"]: c["name"] for c in semantic["classes"]} == {o.id: o.category for o in made.description.objects}
    for region, room in zip(semantic["region_annotations"], made.description.rooms):
        assert region["label"] == room.category
        assert [(x, z) for x, _, z in region["poly_loop"]] == list(room.polygon_xz_m)
        low, high = region["min_bounds"], region["max_bounds"]
        assert (low[1], high[1]) == (room.floor_y_m, room.ceiling_y_m)
        assert all(low[0] <= x <= high[0] and low[2] <= z <= high[2] for x, z in room.polygon_xz_m)


def test_the_truth_is_read_back(loaded, made, folder):
    stored = json.loads((folder / "rooms-5.scene.json").read_text())
    assert stored["spec"]["seed"] == 5 and len(stored["scene"]["objects"]) == len(made.description.objects)
    got, want = loaded.description, made.description
    assert (got.scene_id, got.rooms, got.openings) == (want.scene_id, want.rooms, want.openings)
    for a, b in zip(got.objects, want.objects):
        assert (a.id, a.category, a.color, a.room_id, a.support_id) == (
            b.id, b.category, b.color, b.room_id, b.support_id,
        )  # fmt: skip
        assert np.allclose(a.box.centre_m, b.box.centre_m, atol=1e-5)
        assert np.allclose(a.box.half_extents_m, b.box.half_extents_m, atol=1e-5)
        assert abs(np.dot(a.box.rotation_wxyz, b.box.rotation_wxyz)) > 1 - 1e-9
        assert (a.front is None) == (b.front is None)
        assert a.front is None or b.front is None or np.allclose(a.front, b.front, atol=1e-6)
    assert got.navigable_area_m2 == pytest.approx(want.navigable_area_m2, abs=0.02)
    assert SceneDataset(folder / CONFIG_NAME).scene("rooms-5").navigable_area_m2 == want.navigable_area_m2


def test_the_free_floor_and_paths_are_the_same_when_read_back(loaded, made):
    rng = np.random.default_rng(3)
    points = [made.sample_navigable(rng) for _ in range(300)]
    assert np.mean([loaded.is_navigable(point) for point in points]) > 0.995
    for start, goal in zip(points[:20], points[20:40]):
        assert loaded.geodesic_m(start, goal) == pytest.approx(made.geodesic_m(start, goal), abs=0.05)


def some_poses(scene: Scene) -> list[Pose]:
    rng, poses = np.random.default_rng(1), []
    for yaw in (0.4, 2.0, 3.7, 5.2):
        x, y, z = scene.sample_navigable(rng)
        poses.append(Pose((x, y + 1.4, z), (math.cos(yaw / 2), 0.0, math.sin(yaw / 2), 0.0)))
    return poses


def test_images_are_the_same_when_read_back(loaded, made):
    """Ids, depth and colours are equal, light included."""
    poses, camera = some_poses(made), Camera(160, 120, math.radians(80))
    want = made.render(poses, camera, ("rgb", "depth", "ids"))
    got = loaded.render(poses, camera, ("rgb", "depth", "ids"))
    assert want.rgb is not None and want.depth is not None and want.ids is not None
    assert got.rgb is not None and got.depth is not None and got.ids is not None
    same = got.ids == want.ids
    assert same.mean() >= 0.9999
    error = np.abs(got.depth - want.depth)[same]
    assert np.median(error) < 5e-5 and np.percentile(error, 99.9) < 2e-4
    difference = np.abs(got.rgb.astype(int) - want.rgb)
    assert difference.mean() < 0.5 and np.percentile(difference, 99) <= 4


def flat(folder: Path) -> LoadedScene:
    """The export as a flat shader shows it."""
    return LoadedScene(SceneSpec(asset="rooms-5"), SceneDataset(folder / CONFIG_NAME).scene("rooms-5"), False)


def test_a_flat_shader_shows_the_baked_light(folder, made):
    poses, camera = some_poses(made), Camera(320, 240, math.radians(80))
    want = silent(made).render(poses, camera, ("rgb", "depth", "ids"))
    got = flat(folder).render(poses, camera, ("rgb", "depth", "ids"))
    assert want.rgb is not None and want.depth is not None and got.rgb is not None and got.ids is not None
    surface = want.depth > 0  # the view through windows is not in the files
    difference = np.abs(got.rgb.astype(int) - want.rgb).mean(-1)[surface]
    assert difference.mean() < 2.5 and np.percentile(difference, 90) < 5
    assert (got.ids == want.ids).mean() >= 0.9999


@pytest.mark.parametrize("form", ["as before", "flat"])
def test_objects_of_an_export_can_be_removed_and_moved(loaded, folder, made, form):
    scene = loaded if form == "as before" else flat(folder)
    assert isinstance(scene, Editable)
    carrying = {item.support_id for item in made.description.objects}
    gone = next(item for item in made.description.objects if item.id not in carrying and item.support_id == 0)
    camera = Camera(160, 120, 1.6)
    x, _, z = made.sample_navigable(np.random.default_rng(5))
    poses = [look_at((x, 1.5, z), gone.box.centre_m)]
    want = made.edited((Change(gone.id),)).render(poses, camera, ("depth", "ids"))
    got = scene.edited((Change(gone.id),))
    assert [item.id for item in got.description.objects] == [
        item.id for item in made.description.objects if item.id != gone.id
    ]
    frames = got.render(poses, camera, ("depth", "ids"))
    assert frames.ids is not None and want.ids is not None and (frames.ids == want.ids).mean() > 0.9999
    there = (gone.box.centre_m[0] + 0.2, gone.box.centre_m[1], gone.box.centre_m[2] - 0.1)
    want = made.edited((Change(gone.id, there),)).render(poses, camera, ("depth", "ids"))
    got = scene.edited((Change(gone.id, there),))
    (moved,) = (item for item in got.description.objects if item.id == gone.id)
    assert moved.box.centre_m == there and moved.support_id == gone.support_id
    frames = got.render(poses, camera, ("depth", "ids"))
    assert frames.ids is not None and want.ids is not None and (frames.ids == want.ids).mean() > 0.9999
    back = got.edited((Change(gone.id, gone.box.centre_m),)).render(poses, camera, ("ids",)).ids
    original = scene.render(poses, camera, ("ids",)).ids
    assert back is not None and original is not None and (back == original).mean() > 0.9999
    with pytest.raises(VantageError, match="no object 999"):
        scene.edited((Change(999),))
    if carrying - {0, -1}:
        with pytest.raises(VantageError, match="carries others"):
            scene.edited((Change(max(carrying)),))


def _opened(folder: Path) -> Scene:
    return RoomsBackend(str(folder / CONFIG_NAME)).open(SceneSpec(asset="rooms-5"))


def test_an_export_with_a_foreign_object_is_shown_flat(folder, tmp_path):
    """Light is baked again only if all assets are known."""
    shutil.copytree(folder, tmp_path / "set")
    path = next(iter(sorted((tmp_path / "set" / "objects").glob("*.json"))))
    config = json.loads(path.read_text())
    del config["user_defined"][UNLIT_ASSET]
    path.write_text(json.dumps(config))
    assert isinstance(_opened(tmp_path / "set"), LoadedScene) and not isinstance(_opened(folder), LoadedScene)


@pytest.mark.parametrize("wrong", ['{"light": 1}', "{", '{"light": {"spec": {"seed": -1}}}', "[" * 10**5])
def test_an_invalid_light_is_reported(folder, tmp_path, wrong):
    shutil.copytree(folder, tmp_path / "set")
    (tmp_path / "set" / "rooms-5.scene.json").write_text(wrong)
    with pytest.raises(VantageError, match=r"rooms-5\.scene\.json") as caught:
        _opened(tmp_path / "set")
    assert caught.value.code == "corrupt"


def test_exports_write_only_to_new_folders_or_earlier_exports(made, loaded, folder, tmp_path):
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(VantageError, match="other files"):
        export_scenes([made], tmp_path, "rooms-test")
    (tmp_path / "file").write_text("")
    with pytest.raises(VantageError):
        export_scenes([made], tmp_path / "file", "rooms-test")
    with pytest.raises(VantageError, match="not generated"):
        export_scenes([loaded], tmp_path / "new", "rooms-test")
    assert not (tmp_path / "new").exists()
    assert export_scenes([made], folder, "rooms-test") == ["rooms-5"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plan: plan[1].__setitem__(0, [0, 0, 1e9, 1e9]),
        lambda plan: plan[1].__setitem__(0, [0, 0, 0, 0]),
        lambda plan: plan[1].clear(),
        lambda plan: plan[2].__setitem__(0, 7),
        lambda plan: plan[3][0][0].__setitem__(0, 9),
        lambda plan: plan[4][0].__setitem__("room_ids", [99]),
    ],
)
def test_a_plan_that_no_home_has_is_reported(folder, tmp_path, spoil):
    """Members of the plan: rooms, rects, room_of, holes, openings."""
    shutil.copytree(folder, tmp_path / "set")
    path = tmp_path / "set" / "rooms-5.scene.json"
    truth = json.loads(path.read_text())
    spoil(truth["light"]["plan"])
    path.write_text(json.dumps(truth))
    with pytest.raises(VantageError, match=r"rooms-5\.scene\.json") as caught:
        _opened(tmp_path / "set")
    assert caught.value.code == "corrupt"
