"""Scenes from files: named nodes as objects, origins and scales, and invalid files."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.wire.messages import Describe, Description
from sim_server.backends import untrusted
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.files.assemble import assemble
from sim_server.backends.rooms.walk.walkable import WalkableMesh
from sim_server.backends.scene_dataset import SceneDataset
from sim_server.sensing.observe import can_stand
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels
REFERENCE = Path(__file__).parents[3] / "data" / "reference"


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    shutil.copytree(REFERENCE / "boxes" / "dataset", tmp_path / "boxes")
    return tmp_path / "boxes" / "boxes.scene_dataset_config.json"


def room_glb(path: Path) -> None:
    """A floor, a wall and two chairs with the same mesh, under one root with scale 2."""
    square = np.array([[-1, 0, -1], [-1, 0, 1], [1, 0, 1], [1, 0, -1]], np.float32)
    order = np.array([0, 1, 2, 0, 2, 3], np.uint16)
    half = math.sqrt(0.5)
    nodes = [
        {"name": "world", "children": [1, 2, 3, 4], "scale": [2, 2, 2]},
        {"name": "Floor", "mesh": 0, "scale": [2, 1, 2]},
        {"name": "wall_north", "mesh": 0, "translation": [0, 1, -2], "rotation": [half, 0, 0, half]},
        {"name": "office_chair_1", "mesh": 0, "translation": [1, 0.25, 0], "scale": [0.2, 1, 0.2]},
        {"name": "office_chair_2", "mesh": 0, "translation": [-1, 0.25, 0], "scale": [0.2, 1, 0.2]},
    ]
    data = square.tobytes() + order.tobytes()
    value = {
        "asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": nodes,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 6, "type": "SCALAR"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": 48}, {"buffer": 0, "byteOffset": 48, "byteLength": 12}],
        "buffers": [{"byteLength": 60, "uri": "room.bin"}],
    }  # fmt: skip
    path.with_suffix(".bin").write_bytes(data)
    path.write_text(json.dumps(value))


def test_named_nodes_of_a_gltf_file_are_objects(tmp_path):
    room_glb(tmp_path / "room.gltf")
    backend = RoomsBackend(str(tmp_path / "room.gltf"))
    assert backend.capabilities.assets == ("room",)
    scene = backend.open(SceneSpec(asset="room"))
    assert [(o.id, o.category) for o in scene.description.objects] == [(1, "office chair"), (2, "office chair")]
    assert np.allclose(scene.description.objects[0].box.centre_m, [2, 0.5, 0])
    down = Pose((2.0, 2.0, 0.0), (math.sqrt(0.5), -math.sqrt(0.5), 0.0, 0.0))
    frames = scene.render([down], Camera(9, 9, math.radians(60)), ("ids", "depth", "amodal"))
    assert frames.ids is not None and frames.depth is not None and frames.amodal is not None
    assert frames.ids[0, 4, 4] == 1 and frames.depth[0, 4, 4] == pytest.approx(1.5, abs=1e-4)
    assert set(frames.amodal[0]) == {1}


def test_an_agent_may_stand_in_a_scene_without_rooms():
    scene = RoomsBackend(str(REFERENCE / "boxes/dataset/boxes.scene_dataset_config.json")).open(
        SceneSpec(asset="boxes")
    )
    x, y, z = scene.sample_navigable(np.random.default_rng(0))
    assert abs(y) < 0.1
    assert can_stand(scene, (x, y + 1.5, z))
    assert not can_stand(scene, (0.6, 1.5, -1.8))  # above a box


def test_translation_places_the_box_centre_or_the_asset_origin(boxes):
    file = boxes.parent / "scenes" / "boxes.scene_instance.json"
    config = json.loads(file.read_text())
    (entry,) = [e for e in config["object_instances"] if e["template_name"] == "green_box_07"]
    entry.update(non_uniform_scale=[1, 2, -1], translation=[1, 3, 0], rotation=[1, 0, 0, 0])
    for origin in ("COM", "asset_local"):
        entry["translation_origin"] = origin
        file.write_text(json.dumps(config))
        assembled = assemble(SceneDataset(boxes).scene("boxes"), named_nodes=False)
        (box,) = [o.box for o in assembled.objects if o.id == 7]
        assert np.allclose(box.half_extents_m, [0.2, 1.2, 0.2], atol=1e-3)
        if origin == "COM":
            assert np.allclose(box.centre_m, [1, 3, 0], atol=1e-5)
        own = assembled.mesh.faces[assembled.mesh.face_object == 7]
        a, b, c = (assembled.mesh.positions[own[:, k]].astype(np.float64) - box.centre_m for k in range(3))
        assert np.einsum("fk,fk->", a, np.cross(b, c)) > 0  # mirrored, but still facing outwards


def test_invalid_files_are_reported_and_the_backend_stays_usable(boxes):
    core = SimCore(SimSettings(dataset=str(boxes)))
    victim = boxes.parent / "objects" / "red_box_03.glb"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:500])
    with pytest.raises(VantageError, match=r"red_box_03\.glb is truncated"):
        core.handle(Describe(SceneSpec(asset="boxes")))
    victim.write_bytes(whole)
    reply, _ = core.handle(Describe(SceneSpec(asset="boxes")))
    assert isinstance(reply, Description) and len(reply.scene.objects) == 10
    core.close()


def test_articulated_objects_are_rejected_with_advice(boxes):
    file = boxes.parent / "scenes" / "boxes.scene_instance.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "articulated_object_instances": [{}]}))
    with pytest.raises(VantageError, match="habitat backend") as caught:
        RoomsBackend(str(boxes)).open(SceneSpec(asset="boxes"))
    assert caught.value.code == "unsupported"


def test_invalid_navmesh_settings_are_reported(boxes):
    file = boxes.parent / "scenes" / "boxes.scene_instance.json"
    for wrong in ({"agent_radius": "wide"}, {"cell_size": 0}, {"agent_height": float("nan")}):
        config = {**json.loads(file.read_text()), "user_defined": {"navmesh_settings": wrong}}
        file.write_text(json.dumps(config))
        with pytest.raises(VantageError, match="navmesh_settings"):
            RoomsBackend(str(boxes)).open(SceneSpec(asset="boxes"))


def _stair(rise: float, base: float = 0.0) -> WalkableMesh:
    """Ten steps from a floor at height `base` to another one."""

    def slab(x0: float, x1: float, y: float) -> list[list[list[float]]]:
        a, b, c, d = [x0, y, 0.0], [x0, y, 2.0], [x1, y, 2.0], [x1, y, 0.0]
        return [[a, b, c], [a, c, d]]

    flat = [*slab(0, 2, base), *slab(4, 6, base + 10 * rise)]
    for k in range(10):
        flat += slab(2 + 0.2 * k, 2.2 + 0.2 * k, base + rise * (k + 1))
    return WalkableMesh(np.array(flat, np.float32))


def test_stairs_connect_floors_and_drops_do_not():
    low, high = (1.0, 0.0, 1.0), (5.0, 0.8, 1.0)
    way = _stair(0.08).path(low, high)
    assert way and sum(math.dist(a, b) for a, b in zip(way, way[1:])) == pytest.approx(4.1, abs=0.2)
    assert _stair(0.3).path(low, (5.0, 3.0, 1.0)) == []


@pytest.mark.parametrize("base", [0.0, 0.7, -3.1, 12.3])
@pytest.mark.parametrize("rise", [0.05, 0.1])  # voxels are 0.05 m high, and 0.1 m is the highest step
def test_stairs_of_whole_voxels_connect_despite_rounding(rise, base):
    stair = _stair(rise, base)
    assert stair.path((1.0, base, 1.0), (5.0, base + 10 * rise, 1.0))


def test_many_instances_of_an_asset_are_refused_before_they_are_placed(boxes, monkeypatch):
    monkeypatch.setitem(untrusted.LIMITS, untrusted.TRIANGLES, 2000)
    path = boxes.parent / "scenes" / "boxes.scene_instance.json"
    scene = json.loads(path.read_text())
    scene["object_instances"] *= 40
    path.write_text(json.dumps(scene))
    with pytest.raises(VantageError, match="too many triangles") as caught:
        RoomsBackend(str(boxes)).open(SceneSpec(asset="boxes"))
    assert caught.value.code == "unsupported"
