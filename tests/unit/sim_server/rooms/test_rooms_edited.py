"""Edited copies of a home: only removed and moved objects change; all else stays the same, including ids."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Change, SceneSpec, Vec3
from sim_server.backends.base import Editable
from sim_server.backends.rooms.scene import RoomsScene
from sim_server.questions.floor import standable
from sim_server.sensing.observe import look_at

CAMERA = Camera(64, 48, 1.6)
SENSORS = ("rgb", "depth", "ids", "amodal")


@pytest.fixture(scope="module")
def scene() -> RoomsScene:
    return RoomsScene(SceneSpec(seed=5, min_objects=5, max_objects=6))


def poses_of(scene: RoomsScene):
    rng = np.random.default_rng(1)
    for item in scene.description.objects:
        x, _, z = scene.sample_navigable(rng)
        yield look_at((x, 1.5, z), item.box.centre_m)


def free_place(scene: RoomsScene) -> tuple[int, Vec3]:
    """An object on the floor, and a free position for it."""
    rng = np.random.default_rng(2)
    for item in scene.description.objects:
        for _ in range(200):
            x, _, z = scene.sample_navigable(rng)
            there = (x, item.box.centre_m[1], z)
            if standable(scene.description, msgspec.structs.replace(item.box, centre_m=there), item.id, 0.1):
                return item.id, there
    raise AssertionError("no object has a free position")


def test_a_removed_object_is_gone_and_the_rest_unchanged(scene: RoomsScene) -> None:
    assert isinstance(scene, Editable)
    gone = scene.description.objects[0].id
    without = scene.edited((Change(gone),))
    assert without.description.objects == scene.description.objects[1:]
    assert scene.description.objects[0].id == gone  # the scene itself is unchanged
    poses = list(poses_of(scene))
    before, after = scene.render(poses, CAMERA, SENSORS), without.render(poses, CAMERA, SENSORS)
    assert before.ids is not None and before.depth is not None and before.amodal is not None
    assert after.ids is not None and after.depth is not None and after.amodal is not None
    assert np.any(before.ids == gone) and not np.any(after.ids == gone)
    elsewhere = before.ids != gone
    assert np.array_equal(before.ids[elsewhere], after.ids[elsewhere])
    assert np.array_equal(before.depth[elsewhere], after.depth[elsewhere])
    for counts, fewer in zip(before.amodal, after.amodal):
        assert {key: value for key, value in counts.items() if key != gone} == fewer


def test_a_moved_object_is_at_its_new_position_and_blocks_the_floor(scene: RoomsScene) -> None:
    key, there = free_place(scene)
    changed = scene.edited((Change(key, there),))
    old, new = (
        next(item for item in description.objects if item.id == key)
        for description in (scene.description, changed.description)
    )
    assert new.box.centre_m == pytest.approx(there) and new.box.half_extents_m == old.box.half_extents_m
    assert new.box.rotation_wxyz == old.box.rotation_wxyz
    others = [item for item in scene.description.objects if item.id != key]
    assert [item for item in changed.description.objects if item.id != key] == others
    eye = (there[0] + 0.01, 2.4, there[2])
    ids = changed.render([look_at(eye, there)], CAMERA, ("ids",)).ids
    assert ids is not None and np.any(ids == key)
    assert scene.is_navigable((there[0], 0.0, there[2])) and not changed.is_navigable((there[0], 0.0, there[2]))


def test_the_same_change_gives_the_same_bits(scene: RoomsScene) -> None:
    pose = next(iter(poses_of(scene)))
    first, second, untouched, original = (
        made.render([pose], CAMERA, ("rgb",)).rgb
        for made in (scene.edited((Change(2),)), scene.edited((Change(2),)), scene.edited(()), scene)
    )
    assert first is not None and second is not None and untouched is not None and original is not None
    assert np.array_equal(first, second) and np.array_equal(untouched, original)


def test_changes_of_unknown_or_supporting_objects_are_rejected() -> None:
    scene = RoomsScene(SceneSpec(seed=4, clutter=1.0, min_objects=5, max_objects=6, palette="natural"))
    with pytest.raises(VantageError, match="no object 999"):
        scene.edited((Change(999),))
    with pytest.raises(VantageError, match="no object 1 "):
        lone = RoomsScene(SceneSpec(seed=5, min_objects=3, max_objects=3))
        lone.edited((Change(1), Change(1)))
    carrying = next(item.support_id for item in scene.description.objects if item.support_id > 0)
    with pytest.raises(VantageError, match=f"object {carrying} carries others"):
        scene.edited((Change(carrying),))
