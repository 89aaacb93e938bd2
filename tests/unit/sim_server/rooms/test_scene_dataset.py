"""Scene datasets: files of a scene, ids, categories, and messages for invalid files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.errors import VantageError
from sim_server.backends.placements import Annotation, category_of
from sim_server.backends.scene_dataset import SceneDataset

REFERENCE = Path(__file__).parents[3] / "data" / "reference"


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """The config file of a copy of the scene `boxes`."""
    shutil.copytree(REFERENCE / "boxes" / "dataset", tmp_path / "boxes")
    return tmp_path / "boxes" / "boxes.scene_dataset_config.json"


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def instance(config: Path) -> Path:
    return config.parent / "scenes" / "boxes.scene_instance.json"


def test_reading_a_dataset_imports_no_simulator():
    code = "import sys, sim_server.backends.scene_dataset; sys.exit('numba' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_ids_are_the_semantic_ids_of_templates(boxes):
    scene = SceneDataset(boxes).scene("boxes")
    assert {p.id: p.category for p in scene.objects}[14] == "purple cylinder"
    assert scene.stage is not None and scene.stage.id == 0


def test_instances_are_numbered_if_semantic_ids_are_classes(boxes):
    change(boxes.parent / "objects" / "red_box_03.object_config.json", semantic_id=14)
    assert [p.id for p in SceneDataset(boxes).scene("boxes").objects] == list(range(1, 11))


def test_categories_and_rooms_come_from_the_semantic_description(boxes):
    region = {"name": "hall_0", "label": "hallway", "poly_loop": [[0, 0, 0], [1, 0, 0], [1, 0, 2]]}
    semantic = {"classes": [{"id": 14, "name": "round_rug"}]}
    semantic["region_annotations"] = [{**region, "floor_height": 0.1, "extrusion_height": 2.5}]
    folder = boxes.parent / "semantics"
    folder.mkdir()
    (folder / "boxes.semantic_config.json").write_text(json.dumps(semantic))
    change(boxes, semantic_scene_descriptor_instances={"paths": {".json": ["semantics"]}})
    change(instance(boxes), semantic_scene_instance="%%CONFIG_NAME_AS_ASSET_FILENAME%%.semantic_config.json")
    change(boxes.parent / "objects" / "purple_cylinder_14.object_config.json", user_defined={})
    scene = SceneDataset(boxes).scene("boxes")
    assert {p.id: p.category for p in scene.objects}[14] == "round rug"
    (room,) = scene.rooms
    assert (room.category, room.floor_y_m, room.ceiling_y_m) == ("hallway", 0.1, 2.6)
    assert room.polygon_xz_m == ((0.0, 0.0), (1.0, 0.0), (1.0, 2.0))


def test_names_become_categories():
    assert category_of("dining_table_05") == "dining table"
    assert category_of("Office Chair.001") == "office chair"
    assert category_of("42") == "42"


def test_the_digest_depends_on_every_file(boxes):
    before = SceneDataset(boxes).digest()
    assert SceneDataset(boxes).digest() == before
    with (boxes.parent / "objects" / "red_box_03.glb").open("r+b") as file:
        file.seek(400)
        file.write(b"\x01")
    assert SceneDataset(boxes).digest() != before


def test_invalid_files_are_reported(boxes):
    objects = boxes.parent / "objects"
    cases = (
        (lambda: (objects / "red_box_03.glb").unlink(), "red_box_03.glb, which does not exist"),
        (lambda: (objects / "red_box_03.object_config.json").write_text("{"), "invalid JSON"),
        (
            lambda: change(objects / "red_box_03.object_config.json", render_asset="cubeSolid"),
            "convert it to .glb or .gltf",
        ),
        (lambda: change(instance(boxes), object_instances=[{"template_name": "sofa"}]), "'sofa'"),
        (lambda: change(instance(boxes), object_instances=[{}]), "is not a valid scene"),
        (lambda: instance(boxes).write_text("[]"), "no JSON object"),
    )
    for spoil, words in cases:
        original = {p: p.read_bytes() for p in boxes.parent.rglob("*") if p.is_file()}
        spoil()
        with pytest.raises(VantageError) as caught:
            SceneDataset(boxes).scene("boxes")
        assert words in caught.value.message and caught.value.code in ("corrupt", "unsupported")
        for path, data in original.items():
            path.write_bytes(data)
    for field in ("rotation", "translation", "non_uniform_scale"):
        entries = json.loads(instance(boxes).read_text())["object_instances"]
        entries[0][field] = [0, 0, 0, 0] if field == "rotation" else [1, float("nan"), 1]
        whole = instance(boxes).read_bytes()
        change(instance(boxes), object_instances=entries)
        with pytest.raises(VantageError, match="is not a valid"):
            SceneDataset(boxes).scene("boxes")
        instance(boxes).write_bytes(whole)


def test_invalid_datasets_are_rejected(boxes, tmp_path):
    with pytest.raises(VantageError, match="must be a file"):
        SceneDataset(tmp_path)
    with pytest.raises(VantageError, match="cannot be read"):
        SceneDataset(tmp_path / "no.scene_dataset_config.json")
    with pytest.raises(VantageError, match="no file"):
        SceneDataset(tmp_path / "no.glb")
    with pytest.raises(VantageError, match="choose among boxes"):
        SceneDataset(boxes).scene("castle")
    change(boxes, scene_instances={"paths": {".json": ["nowhere"]}}, stages={})
    with pytest.raises(VantageError, match="lists no scene"):
        SceneDataset(boxes)
    change(boxes, stages={"paths": [1]})
    with pytest.raises(VantageError, match="invalid section"):
        SceneDataset(boxes)


def test_annotations_are_read_from_templates_and_instances(boxes):
    half = 2**-0.5
    template = boxes.parent / "objects" / "purple_cylinder_14.object_config.json"
    change(template, user_defined={"category": "sink", "color": "purple", "front": [0, 0, 2]})
    entries = json.loads(instance(boxes).read_text())["object_instances"]
    (entry,) = (e for e in entries if "purple" in e["template_name"])
    entry.update(rotation=[half, 0, half, 0], user_defined={"support_id": 3, "room_id": 0})
    change(instance(boxes), object_instances=entries, user_defined={"navigable_area_m2": 12.5})
    scene = SceneDataset(boxes).scene("boxes")
    (item,) = (p for p in scene.objects if p.id == 14)
    assert item.category == "sink" and scene.navigable_area_m2 == 12.5
    assert item.annotation[:4] == ("sink", "purple", 0, 3)
    assert item.annotation.front == pytest.approx((1, 0, 0))  # a quarter turn about +y


@pytest.mark.parametrize(
    "user",
    [
        {"category": ["chair"], "color": 3, "front": "north", "room_id": "1", "support_id": True},
        {"category": "a\x1b[31m", "front": [0, 0, 0], "room_id": 7, "support_id": 14},  # unknown ids; on itself
        {"category": "x" * 1000, "front": [float("inf"), 0, 0], "room_id": 1.5, "support_id": 10**30},
    ],
)
def test_foreign_user_defined_values_count_as_not_given(boxes, user):
    change(boxes.parent / "objects" / "purple_cylinder_14.object_config.json", user_defined=user)
    (item,) = (p for p in SceneDataset(boxes).scene("boxes").objects if p.id == 14)
    assert item.annotation == Annotation() and item.category == "purple cylinder"


# ---------------------------------------------------------------------- inline configs


def inline(config: Path, section: str, *configs: dict[str, object]) -> None:
    entry = json.loads(config.read_text())[section]
    change(config, **{section: {**entry, "configs": list(configs)}})


def test_inline_configs_are_templates_of_their_own(boxes):
    """Their assets are relative to the data set, as in habitat-sim."""
    asset = "objects/red_box_03.glb"
    inline(boxes, "stages", {"template_handle": "hall", "attributes": {"render_asset": asset, "scale": [2, 2, 2]}})
    inline(boxes, "objects", {"template_handle": "box", "attributes": {"render_asset": asset, "semantic_id": 9}})
    entries = [{"template_name": "box"}]
    change(instance(boxes), stage_instance={"template_name": "hall"}, object_instances=entries)
    scene = SceneDataset(boxes).scene("boxes")
    assert scene.stage is not None and scene.stage.scale == (2, 2, 2)
    (item,) = scene.objects
    assert (item.id, item.name, item.asset) == (9, "box", boxes.parent / asset)


def test_inline_configs_override_attributes_of_a_file(boxes):
    red = "red_box_03.object_config.json"
    inline(
        boxes, "objects",
        {"original_file": red, "template_handle": "large", "attributes": {"scale": [3, 3, 3], "semantic_id": 77}},
        {"original_file": "purple_cylinder_14.object_config.json", "attributes": {"scale": [0.5, 0.5, 0.5]}},
    )  # fmt: skip
    entries = json.loads(instance(boxes).read_text())["object_instances"]
    change(instance(boxes), object_instances=[*entries, {"template_name": "large"}])
    by_id = {item.id: item for item in SceneDataset(boxes).scene("boxes").objects}
    assert by_id[77].scale == (3, 3, 3) and by_id[77].asset == by_id[3].asset
    assert by_id[14].scale == (0.5, 0.5, 0.5) and by_id[3].scale == (1, 1, 1)


def test_scenes_may_be_inline(boxes):
    whole = json.loads(instance(boxes).read_text())
    inline(boxes, "scene_instances", {"template_handle": "copy", "attributes": whole})
    dataset = SceneDataset(boxes)
    assert dataset.names == ("boxes", "copy")
    assert len(dataset.scene("copy").objects) == len(dataset.scene("boxes").objects)


@pytest.mark.parametrize(
    "wrong",
    [
        {"attributes": {}},
        {"template_handle": "x"},
        {"original_file": "none", "attributes": {}},
        "box",
        {"attributes": 3},
    ],
)
def test_invalid_inline_configs_are_reported(boxes, wrong):
    inline(boxes, "objects", wrong)
    with pytest.raises(VantageError, match="invalid section 'objects'"):
        SceneDataset(boxes)


# ---------------------------------------------------------------------- files outside


def test_only_files_inside_the_dataset_are_read(boxes, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(boxes.parent / "objects", outside)
    red = boxes.parent / "objects" / "red_box_03.object_config.json"
    for asset in ("../../outside/red_box_03.glb", str(outside / "red_box_03.glb"), "/dev/zero.glb"):
        change(red, render_asset=asset)
        with pytest.raises(VantageError, match="does not exist inside"):
            SceneDataset(boxes).scene("boxes")
    red.unlink()
    red.symlink_to(outside / red.name)
    with pytest.raises(VantageError, match="is not inside"):
        SceneDataset(boxes).scene("boxes")
    red.unlink()
    os.mkfifo(red)
    with pytest.raises(VantageError, match="not a regular file"):
        SceneDataset(boxes).scene("boxes")
    for pattern in ("../outside", str(outside), "/", "../*", "../../../../../../../**"):
        change(boxes, objects={"paths": {".json": [pattern]}})
        with pytest.raises(VantageError, match=r"not inside its folder|not among the objects"):
            SceneDataset(boxes).scene("boxes")
    boxes.unlink()
    boxes.symlink_to("/dev/zero")
    with pytest.raises(VantageError, match="is not inside"):
        SceneDataset(boxes)


@pytest.mark.parametrize("value", [float("nan"), 1e300, "x", None])
def test_rooms_have_finite_sizes(boxes, value):
    region = {
        "name": "hall",
        "poly_loop": [[0, 0, 0], [1, 0, 0], [1, 0, 2]],
        "floor_height": 0,
        "extrusion_height": 2.5,
    }
    folder = boxes.parent / "semantics"
    folder.mkdir()
    change(boxes, semantic_scene_descriptor_instances={"paths": {".json": ["semantics"]}})
    change(instance(boxes), semantic_scene_instance="boxes.semantic_config.json")
    for spoilt in ({"floor_height": value}, {"extrusion_height": value}, {"poly_loop": [[value, 0, 0]] * 3}):
        semantic = {"region_annotations": [{**region, **spoilt}]}
        (folder / "boxes.semantic_config.json").write_text(json.dumps(semantic))
        with pytest.raises(VantageError, match="no valid regions"):
            SceneDataset(boxes).scene("boxes")
