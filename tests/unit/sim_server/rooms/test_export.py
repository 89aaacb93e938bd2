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
from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.base import Scene
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.files.export import CONFIG_NAME, export_scenes
from sim_server.backends.rooms.files.gltf import Asset, read_gltf
from sim_server.backends.rooms.scene import RoomsScene

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
        out.append((json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")]), read_gltf(path)))
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
            assert set(material) == {"name", "pbrMetallicRoughness", "extras"}
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
    assert abs(got.navigable_area_m2 - want.navigable_area_m2) < 0.1 * want.navigable_area_m2


def test_images_are_the_same_when_read_back(loaded, made):
    """Ids, depth and colours are equal, light included."""
    rng, poses = np.random.default_rng(1), []
    for yaw in (0.4, 2.0, 3.7, 5.2):
        x, y, z = made.sample_navigable(rng)
        poses.append(Pose((x, y + 1.4, z), (math.cos(yaw / 2), 0.0, math.sin(yaw / 2), 0.0)))
    camera = Camera(160, 120, math.radians(80))
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


def _opened(folder: Path) -> Scene:
    return RoomsBackend(str(folder / CONFIG_NAME)).open(SceneSpec(asset="rooms-5"))


def test_an_export_with_a_foreign_object_has_plain_colours(made, folder, tmp_path):
    """Light is baked only if all materials are known."""
    shutil.copytree(folder, tmp_path / "set")
    path = next(iter(sorted((tmp_path / "set" / "objects").glob("*.glb"))))
    data = path.read_bytes()
    end = 20 + int.from_bytes(data[12:16], "little")
    document = json.loads(data[20:end])
    for material in document["materials"]:
        del material["extras"]
    path.write_bytes(data[:20] + json.dumps(document, separators=(",", ":")).encode().ljust(end - 20) + data[end:])
    x, _, z = made.sample_navigable(np.random.default_rng(0))
    pose = [Pose((x, 1.4, z), (1.0, 0.0, 0.0, 0.0))]
    plain, lit = (s.render(pose, Camera(32, 32), ("rgb",)).rgb for s in (_opened(tmp_path / "set"), made))
    assert plain is not None and lit is not None and np.abs(plain.astype(int) - lit).mean() > 5


@pytest.mark.parametrize("wrong", ['{"light": 1}', "{", '{"light": {"spec": {"seed": -1}}}'])
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
