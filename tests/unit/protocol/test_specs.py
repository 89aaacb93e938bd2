"""Specs are deterministic, held-out specs never share scenes with training, and specs of a scene differ."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.cameras import PRESETS
from protocol.tasks.scene import HELD_OUT_SEED_BORDER
from protocol.tasks.specs import World, cells_of, deal, held_out_specs, task_spec, training_scene, world_of
from protocol.tasks.task import Degradation

CELLS = [("depth_order", 0), ("depth_order", 1), ("camera_motion", 0)]


@given(seed=st.integers(0, 2**31 - 1), index=st.integers(0, 10**6))
def test_training_scenes_come_from_the_training_range(seed, index):
    scene = training_scene(World(), seed, index)
    assert scene.split == "train" and scene.seed < HELD_OUT_SEED_BORDER
    assert scene == training_scene(World(), seed, index)


@given(seed=st.integers(0, 2**31 - 1))
def test_held_out_specs_come_from_the_held_out_range(seed):
    specs = held_out_specs(World(), seed, dict.fromkeys(CELLS, 3))
    assert all(spec.scene.split == "val" and spec.scene.seed >= HELD_OUT_SEED_BORDER for spec in specs)


def test_held_out_specs_depend_only_on_the_seed():
    specs = held_out_specs(World(), 7, dict.fromkeys(CELLS, 16))
    assert specs == held_out_specs(World(), 7, dict.fromkeys(CELLS, 16))
    others = held_out_specs(World(), 8, dict.fromkeys(CELLS, 16))
    assert not {spec.scene.seed for spec in specs} & {spec.scene.seed for spec in others}
    assert len({spec.spec_id for spec in specs}) == len({spec.seq for spec in specs}) == len(specs)
    asked = Counter((spec.question.skill, spec.question.level) for spec in specs)
    assert asked == dict.fromkeys(CELLS, 16)


def test_held_out_specs_never_share_a_stream_with_training():
    assert min(spec.seq for spec in held_out_specs(World(), 0, dict.fromkeys(CELLS, 4))) > 10**12


def test_a_skill_or_level_outside_the_catalogue_is_refused():
    for cell in (("juggling", 0), ("depth_order", 9)):
        with pytest.raises(VantageError, match="skill catalogue has no"):
            held_out_specs(World(), 0, dict.fromkeys([cell], 1))


def test_the_skill_sets_the_view_budget():
    by_skill = {spec.question.skill: spec.max_views for spec in held_out_specs(World(), 0, dict.fromkeys(CELLS, 1))}
    assert by_skill == {"depth_order": 1, "camera_motion": 2}


@given(cells=st.lists(st.integers(0, 5), min_size=1, max_size=80), per_scene=st.integers(1, 8), same=st.integers(1, 4))
def test_dealing_preserves_every_item_and_spreads_those_of_a_cell(cells, per_scene, same):
    items = list(enumerate(cells))
    dealt = deal(World(specs_per_scene=per_scene, same_cell_per_scene=same), items, lambda item: item[1])
    assert sorted(item for _, item in dealt) == sorted(items)
    scenes = [scene for scene, _ in dealt]
    assert scenes == sorted(scenes) and set(scenes) == set(range(max(scenes) + 1))
    assert max(Counter(scenes).values()) <= per_scene
    assert max(Counter((scene, cell) for scene, (_, cell) in dealt).values()) <= same


def test_the_camera_and_the_scene_come_from_the_table():
    world = world_of({"curriculum": {"world": {"width_px": 64, "hfov_deg": 90.0, "categories": ["chair"], "rooms": 2}}})
    scene = training_scene(world, 0, 0)
    spec = task_spec(world, 0, scene, spec_id="s", seq=1, skill="depth_order", level=2)
    assert (spec.camera.width_px, spec.camera.height_px) == (64, 96)
    assert spec.camera.hfov_rad == pytest.approx(1.5707963)
    assert (scene.categories, scene.rooms) == (("chair",), 2)


def test_data_set_scenes_are_split_by_name():
    world = World(assets=("a", "b"), held_out_assets=("c",))
    assert {training_scene(world, 0, index).asset for index in range(20)} == {"a", "b"}
    assert {spec.scene.asset for spec in held_out_specs(world, 0, dict.fromkeys(CELLS, 4))} == {"c"}


@pytest.mark.parametrize(
    ("world", "sentence"),
    [
        ({"min_objects": 9}, "min_objects may not exceed max_objects"),
        ({"lights": ["disco"]}, "lights are day, overcast, evening, night, not disco"),
        ({"assets": ["a"]}, "set both assets and held_out_assets"),
        ({"assets": ["a"], "held_out_assets": ["a"]}, "scene a is in both assets and held_out_assets"),
        ({"widthpx": 3}, "did you mean width_px"),
    ],
)
def test_an_inconsistent_world_is_refused(world, sentence):
    with pytest.raises(VantageError, match=sentence):
        world_of({"curriculum": {"world": world}})


def test_the_cells_of_a_run():
    tree = {"curriculum": {"skills": [{"name": "depth_order", "levels": [0, 2]}, {"name": "object_count"}]}}
    assert cells_of(tree) == [("depth_order", 0), ("depth_order", 2), ("object_count", 0)]
    assert {name for name, _ in cells_of({})} == {name for name in CATALOGUE if not CATALOGUE[name].world_needs}
    with pytest.raises(VantageError, match="there is no skill juggling"):
        cells_of({"curriculum": {"skills": [{"name": "juggling"}]}})


def test_degradations_are_drawn_for_a_fraction_of_the_specs():
    scene = training_scene(World(), 3, 0)

    def drawn(**knobs):
        world = World(degradations=("fog:3", "noise:0"), **knobs)
        return [
            task_spec(world, 3, scene, spec_id=str(seq), seq=seq, skill="depth_order", level=0).degradations
            for seq in range(200)
        ]

    counts = Counter(drawn())
    assert counts.keys() == {(), (Degradation("fog", 3),), (Degradation("noise", 0),)}
    assert 70 < counts[()] < 130 and min(counts.values()) > 30
    assert drawn() == drawn()
    assert () not in drawn(degraded_share=1.0)
    assert set(drawn(degraded_share=0.0)) == {()}


def test_a_skill_that_reads_whole_images_is_never_drawn_with_a_degradation_that_hides():
    scene, world = training_scene(World(), 3, 0), World(degradations=("fog:3", "noise:0"), degraded_share=1.0)

    def drawn(skill):
        specs = [task_spec(world, 3, scene, spec_id=str(seq), seq=seq, skill=skill, level=0) for seq in range(40)]
        return {item.name for spec in specs for item in spec.degradations}

    assert drawn("depth_order") == {"fog", "noise"}
    assert drawn("path_length") == {"noise"}


def test_a_world_with_an_unknown_degradation_is_refused():
    with pytest.raises(VantageError, match="degradation 'rain'"):
        world_of({"curriculum": {"world": {"degradations": ["rain:2"]}}})
    with pytest.raises(VantageError, match="like fog:3"):
        world_of({"curriculum": {"world": {"degradations": ["fog"]}}})


def test_only_skills_that_look_around_get_a_budget_of_moves():
    world = World(look_around=5)
    scene = training_scene(world, 0, 0)
    given = {
        name: task_spec(world, 0, scene, spec_id="s", seq=0, skill=name, level=0).look_around for name in CATALOGUE
    }
    assert {name for name, budget in given.items() if budget} == {
        name for name, skill in CATALOGUE.items() if skill.looks_around
    }
    assert set(given.values()) == {0, 5}


MIXED = World(
    rooms=(1, 6), objects_per_room=(4, 7), clutter=(0.2, 0.9), cameras=("phone", "portrait", "robot"), width_px=128
)


def test_ranges_are_drawn_per_scene():
    scenes = [training_scene(MIXED, 3, index) for index in range(200)]
    assert {scene.rooms for scene in scenes} == set(range(1, 7))
    assert all((scene.min_objects, scene.max_objects) == (4 * scene.rooms, 7 * scene.rooms) for scene in scenes)
    assert min(scene.clutter for scene in scenes) < 0.3 and max(scene.clutter for scene in scenes) > 0.8
    assert all(0.2 <= scene.clutter <= 0.9 for scene in scenes)
    assert scenes == [training_scene(MIXED, 3, index) for index in range(200)]


def test_a_camera_preset_is_drawn_per_spec():
    scene = training_scene(MIXED, 3, 0)
    cameras = [
        task_spec(MIXED, 3, scene, spec_id=str(seq), seq=seq, skill="depth_order", level=0).camera for seq in range(120)
    ]
    assert {(camera.height_px, camera.width_px) for camera in cameras} == MIXED.image_shapes == {(96, 128), (128, 96)}
    for camera in cameras:
        assert camera.mount is not None
        upright = camera.height_px > camera.width_px
        longer = camera.height_px if upright else camera.width_px
        fov = math.degrees(2 * math.atan(longer / camera.width_px * math.tan(camera.hfov_rad / 2)))
        assert any(abs(fov - given) < 1e-6 for preset in PRESETS.values() for given in preset.fov_deg)
    assert {camera.mount.height_m for camera in cameras if camera.mount} == {
        PRESETS[name].height_m for name in MIXED.cameras
    }
    assert World().image_shapes == {(96, 96)}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rooms": (5, 2)}, "first value of rooms may not exceed the second"),
        ({"rooms": (1, 13)}, "less than or equal to 12"),
        ({"rooms": (1, 8), "objects_per_room": (10, 40)}, "may not exceed 200, but is up to 320"),
        ({"objects_per_room": (3, 4), "max_objects": 9}, "objects_per_room replaces max_objects"),
        ({"cameras": ("phon",)}, "no camera phon, did you mean phone"),
    ],
)
def test_a_world_that_cannot_be_is_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        World(**given)
