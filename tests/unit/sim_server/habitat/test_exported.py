"""A home exported from `rooms` and opened by habitat: the same truth, and changes to the scene."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Callable

import numpy as np
import pytest

from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import Camera, Change, SceneDescription, SceneObject, SceneSpec
from protocol.tasks.task import QuestionSpec, TaskSpec
from sim_server.backends.base import Scene
from sim_server.backends.habitat import HabitatBackend
from sim_server.backends.habitat.floor import AGENT, agent_of
from sim_server.backends.habitat.scene import HabitatScene
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.walk.navigation import AGENT_HEIGHT_M, STEP_M
from sim_server.backends.scene_dataset import SceneDataset
from sim_server.questions.geometry import pose_from_yaw_pitch
from sim_server.questions.realise import realise

MakeHabitat = Callable[..., HabitatBackend]
CAMERA = Camera(160, 120, math.radians(90))


@pytest.fixture
def both(make_habitat: MakeHabitat, exported: tuple[Path, str]) -> tuple[HabitatScene, Scene]:
    """The home in habitat and in `rooms`, from the same files."""
    dataset, name = exported
    spec = SceneSpec(asset=name)
    opened = make_habitat(dataset).open(spec)
    assert isinstance(opened, HabitatScene)
    return opened, RoomsBackend(str(dataset)).open(spec)


def facts(description: SceneDescription) -> dict[int, tuple[object, ...]]:
    """Everything about objects but boxes, which habitat-sim measures itself."""
    return {
        item.id: (
            item.category, item.color, item.room_id, item.support_id,
            None if item.front is None else tuple(round(v, 5) + 0.0 for v in item.front),
        )
        for item in description.objects
    }  # fmt: skip


def test_the_description_is_that_of_rooms(both: tuple[HabitatScene, Scene]) -> None:
    ours, right = (scene.description for scene in both)
    assert facts(ours) == facts(right)
    assert any(item.front for item in ours.objects) and any(item.color for item in ours.objects)
    assert any(item.support_id > 0 for item in ours.objects)
    assert ours.rooms == right.rooms and ours.openings == right.openings and ours.openings
    assert ours.navigable_area_m2 == right.navigable_area_m2
    boxes = {item.id: item.box for item in right.objects}
    for item in ours.objects:
        assert np.allclose(item.box.centre_m, boxes[item.id].centre_m, atol=5e-4)
        assert np.allclose(item.box.half_extents_m, boxes[item.id].half_extents_m, atol=5e-4)


def test_annotations_of_other_objects_are_not_used(
    make_habitat: MakeHabitat, exported: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the files list other objects than habitat-sim, it is unknown which annotation belongs to which object."""
    dataset, name = exported
    backend = make_habitat(dataset)
    read = backend._files

    def without_first(asset: str):
        files = read(asset)
        assert files is not None
        return files._replace(objects=files.objects[1:])

    monkeypatch.setattr(backend, "_files", without_first)
    scene = backend.open(SceneSpec(asset=name))
    assert all(item.color == "" and item.front is None for item in scene.description.objects)


def loose(scene: Scene) -> SceneObject:
    """An object that stands on the floor and carries nothing."""
    carrying = {item.support_id for item in scene.description.objects}
    return next(item for item in scene.description.objects if item.support_id == 0 and item.id not in carrying)


def views(scene: Scene, item: SceneObject) -> list:
    x, y, z = item.box.centre_m
    return [
        pose_from_yaw_pitch((x + 1.6 * math.sin(yaw), y + 1.0, z + 1.6 * math.cos(yaw)), yaw, -0.5)
        for yaw in (0.0, 1.6, 3.1, 4.7)
    ]


def test_removed_and_moved_objects_look_as_in_rooms(both: tuple[HabitatScene, Scene]) -> None:
    ours, right = both
    item = loose(ours)
    poses = views(ours, item)
    before = ours.render(poses, CAMERA, ("rgb", "depth", "ids", "amodal"))
    assert before.ids is not None and (before.ids == item.id).any()
    x, y, z = item.box.centre_m
    for change in (Change(item.id), Change(item.id, (x + 0.3, y, z - 0.2))):
        changed, expected = ours.edited([change]), right.edited([change])
        assert facts(changed.description) == facts(expected.description)
        frames, exact = (scene.render(poses, CAMERA, ("depth", "ids", "amodal")) for scene in (changed, expected))
        assert frames.ids is not None and exact.ids is not None and frames.amodal is not None
        assert (frames.ids == exact.ids).mean() > 0.999 and not (frames.ids == before.ids).all()
        assert (item.id in frames.amodal[0]) == (change.moved_to_m is not None)
    after = ours.render(poses, CAMERA, ("rgb", "depth", "ids", "amodal"))
    assert (after.rgb == before.rgb).all() and (after.depth == before.depth).all() and after.amodal == before.amodal


def test_changes_add_up_and_free_the_floor(both: tuple[HabitatScene, Scene]) -> None:
    ours, right = both
    carrying = {item.support_id for item in ours.description.objects}
    item, there = next(  # one that does not stand at a wall
        (item, (item.box.centre_m[0], 0.0, item.box.centre_m[2]))
        for item in ours.description.objects
        if item.support_id == 0 and item.id not in carrying
        and right.edited([Change(item.id)]).is_navigable((item.box.centre_m[0], 0.0, item.box.centre_m[2]))
        and not right.is_navigable((item.box.centre_m[0], 0.0, item.box.centre_m[2]))
    )  # fmt: skip
    x, y, z = item.box.centre_m
    moved = ours.edited([Change(item.id, (x + 0.3, y, z))])
    back = moved.edited([Change(item.id, (x, y, z))])
    gone = moved.edited([Change(item.id)])
    assert back.description == ours.description and not ours.is_navigable(there)
    assert (
        back.render(views(ours, item), CAMERA, ("ids",)).ids == ours.render(views(ours, item), CAMERA, ("ids",)).ids
    ).all()
    assert gone.is_navigable(there) and not ours.is_navigable(there)
    with pytest.raises(VantageError, match=f"no object {item.id}"):
        gone.edited([Change(item.id)])
    carrier = next(other.support_id for other in ours.description.objects if other.support_id > 0)
    with pytest.raises(VantageError, match="carries others"):
        ours.edited([Change(carrier)])


@pytest.mark.parametrize("skill", ["before_after", "occlusion_removal", "perspective"])
def test_skills_that_need_fronts_or_changes_are_feasible(both: tuple[HabitatScene, Scene], skill: str) -> None:
    ours, _ = both
    for seq in range(12):
        spec = TaskSpec(f"s{seq}", 5, seq, ours.spec, QuestionSpec(skill, 0), Camera(128, 96), max_views=2)
        try:
            realised = realise(ours, spec)
        except Infeasible:
            continue
        assert realised.question.answer in realised.question.options
        return
    pytest.fail("infeasible")


def test_the_agent_is_that_of_the_scene(make_habitat: MakeHabitat, exported: tuple[Path, str], tmp_path: Path) -> None:
    """A dog bed is no obstacle for habitat-sim's own agent, which climbs 20 cm, but it is for that of exports."""
    home, name = exported
    files = SceneDataset(home).scene(name)
    assert agent_of(None) == AGENT
    assert agent_of(files) == {**AGENT, "agent_height": AGENT_HEIGHT_M, "agent_max_climb": STEP_M}
    config = Path(shutil.copytree(home.parent, tmp_path / "copy")) / home.name
    path = config.parent / "scenes" / f"{name}.scene_instance.json"
    scene = json.loads(path.read_text())
    scene["user_defined"]["navmesh_settings"]["agent_radius"] = "wide"
    path.write_text(json.dumps(scene))
    with pytest.raises(VantageError, match="agent_radius = 'wide'") as caught:
        make_habitat(config).open(SceneSpec(asset=name))
    assert caught.value.code == "corrupt"
