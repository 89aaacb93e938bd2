"""Lists of worlds: what a listed world inherits, what is refused, and how specs are dealt among worlds."""

from __future__ import annotations

import json

import pytest

from protocol.errors import VantageError
from protocol.run.config import section
from protocol.tasks.specs import (
    World,
    Worlds,
    deal,
    deal_among,
    held_out_specs,
    task_spec,
    training_scene,
    wishes_for,
    world_of,
    worlds_of,
)

LISTED = {
    "curriculum": {
        "world": {"width_px": 64, "max_objects": 30, "categories": ["chair", "table"]},
        "worlds": [{"name": "sparse"}, {"name": "full", "min_objects": 20, "lights": ["night"]}],
    }
}


def test_a_listed_world_changes_keys_of_the_common_table():
    worlds = worlds_of(LISTED)
    assert list(worlds) == ["sparse", "full"]
    full = worlds["full"]
    assert (full.width_px, full.min_objects, full.max_objects, full.lights) == (64, 20, 30, ("night",))
    assert worlds["sparse"].categories == full.categories == ("chair", "table")


def test_a_resolved_configuration_gives_the_same_worlds():
    settings = section(LISTED, "curriculum", Worlds)
    resolved = json.loads(settings.model_dump_json(exclude_none=True))
    assert section({"curriculum": resolved}, "curriculum", Worlds) == settings


def test_a_single_table_is_a_world_without_a_name():
    assert worlds_of({"curriculum": {"world": {"rooms": 2}}}) == {"": World(rooms=2)}
    assert worlds_of({}) == {"": World()}


@pytest.mark.parametrize(
    ("worlds", "sentence"),
    [
        ([{"name": "a"}, {"name": "a"}], r"lists two worlds a; give each its own name"),
        ([{"name": "a"}, {"rooms": 2}], r"world 2 of \[\[curriculum.worlds\]\] has no name"),
        ([{"name": "a", "backend": "rooms"}, {"name": "b"}], r"so world b must name one, too"),
        ([{"name": "A b"}], r"the name of a world has up to 32 of"),
        ([{"name": "a", "romes": 2}], r"unknown key curriculum.worlds.*romes, did you mean rooms"),
        ([{"name": "a", "min_objects": 31}], r"min_objects may not exceed max_objects"),
        ("sparse", r"curriculum.worlds = \"sparse\": must be an array"),
    ],
)
def test_a_bad_list_is_refused_with_one_sentence(worlds, sentence):
    tree = {"curriculum": {**LISTED["curriculum"], "worlds": worlds}}
    with pytest.raises(VantageError, match=sentence) as caught:
        worlds_of(tree)
    assert caught.value.code == "bad_config" and "\n" not in caught.value.message


def test_a_name_belongs_to_the_list():
    with pytest.raises(VantageError, match="only a world in .* has a name"):
        worlds_of({"curriculum": {"world": {"name": "a"}}})


def test_a_command_for_one_world_says_how_to_choose_it():
    with pytest.raises(VantageError, match=r"--set curriculum.worlds=\[\]"):
        world_of(LISTED)


def test_items_share_a_scene_only_if_their_skills_have_the_same_wishes():
    items = [name for name in ("scene_count", "object_count", "depth_order", "small_nearest") for _ in range(8)]
    home = World(palette="natural")
    dealt = deal(home, items, hash, lambda name: name)
    assert sorted(item for _, item in dealt) == sorted(items)
    wishes = {scene: {wishes_for(home, item) for one, item in dealt if one == scene} for scene, _ in dealt}
    assert all(len(own) == 1 for own in wishes.values()) and len(wishes) == 3 * 4, "two of a cell per scene"
    assert len({wishes_for(home, item) for _, item in dealt[:12]}) > 1, "scenes with and without wishes alternate"


@pytest.mark.parametrize("world", [World(), World(palette="natural", categories=("chair",))], ids=["plain", "listed"])
def test_scenes_of_other_worlds_have_no_wishes(world):
    items = [name for name in ("scene_count", "depth_order", "small_nearest") for _ in range(8)]
    assert deal(world, items, hash, lambda name: name) == deal(world, items, hash)
    scene = training_scene(world, 1, 2)
    assert task_spec(world, 1, scene, spec_id="s", seq=1, skill="scene_count", level=4).scene == scene


def test_a_spec_wishes_for_what_its_skill_needs():
    world = World(palette="natural")
    specs = held_out_specs(world, 3, {("scene_count", 4): 2, ("depth_order", 0): 2})
    assert [[wish.kind for wish in spec.scene.wishes] for spec in specs if spec.question.skill == "scene_count"] == [
        ["several"]
    ] * 2
    assert not any(spec.scene.wishes for spec in specs if spec.question.skill == "depth_order")


def test_scenes_of_several_worlds_alternate_and_never_mix():
    items = [("a" if number % 3 else "b", number % 4) for number in range(36)]
    dealt = deal_among({"a": World(), "b": World(specs_per_scene=2)}, items, lambda one: one[0], lambda one: one[1])
    assert sorted(item for _, item in dealt) == sorted(items)
    scenes = [scene for scene, _ in dealt]
    assert scenes == sorted(scenes) and set(scenes) == set(range(max(scenes) + 1))
    of_scene = {scene: {item[0] for one, item in dealt if one == scene} for scene in scenes}
    assert all(len(names) == 1 for names in of_scene.values())
    first_half = {item[0] for _, item in dealt[:12]}
    assert first_half == {"a", "b"}


def test_held_out_specs_of_a_world_do_not_depend_on_the_other_worlds():
    worlds = worlds_of(LISTED)
    wanted = {("depth_order", 0): 3}
    specs = [spec for world in worlds.values() for spec in held_out_specs(world, 7, wanted)]
    assert len({spec.spec_id for spec in specs}) == 6
    assert [spec.world for spec in specs] == ["sparse"] * 3 + ["full"] * 3
    assert [spec.scene.seed for spec in specs[:3]] == [spec.scene.seed for spec in specs[3:]], "the same homes"
    assert specs[3].scene.light == "night"
