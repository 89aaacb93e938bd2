"""Annotations of scans from habitat-sim: gaps, an "Unknown" entry, boxes with rotations x, y, z, w."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from protocol.tasks.scene import SceneSpec
from sim_server.backends.habitat.truth import read_truth
from sim_server.backends.habitat.words import category, is_structure, room_category
from sim_server.backends.rooms.building.plan import make_plan
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES


def entry(semantic_id: int, name: str, centre: tuple[float, float, float], half: tuple[float, float, float]) -> Any:
    turn = math.sin(math.pi / 8), math.cos(math.pi / 8)
    return SimpleNamespace(
        semantic_id=semantic_id,
        category=SimpleNamespace(name=lambda: name),
        obb=SimpleNamespace(
            center=np.array(centre), half_extents=np.array(half), rotation=np.array([0.0, turn[0], 0.0, turn[1]])
        ),
        aabb=SimpleNamespace(center=np.zeros(3), sizes=np.full(3, 99.0)),  # stretched to the origin, must not be used
    )


def region(name: str, low: float, high: float) -> Any:
    corners = [(low, 0.0), (high, 0.0), (high, 4.0), (low, 4.0)]  # x and z
    return SimpleNamespace(
        id=name,
        category=SimpleNamespace(name=lambda: name),
        poly_loop_points=corners,
        floor_height=0.0,
        extrusion_height=2.5,
    )


def scan(objects: list[Any], regions: list[Any]) -> Any:
    return SimpleNamespace(semantic_scene=SimpleNamespace(objects=objects, regions=regions, categories=[None]))


def test_objects_of_scans_have_semantic_ids_and_categories() -> None:
    objects = [
        entry(0, "Unknown", (0, 0, 0), (1, 1, 1)),
        None,
        entry(3, "couch", (1.0, 0.4, 1.0), (0.9, 0.4, 0.4)),
        entry(4, "wall", (2.0, 1.2, 0.0), (2.0, 1.2, 0.1)),
        entry(7, "Potted_Plant", (1.0, 1.05, 1.0), (0.1, 0.25, 0.1)),
        entry(9, "lamp", (5.0, 2.3, 2.0), (0.1, 0.15, 0.1)),
        entry(11, "chair", (5.0, math.nan, 2.0), (math.nan, 0.4, 0.2)),
    ]
    truth = read_truth(scan(objects, [region("living_room", 0.0, 4.0), region("Kitchen", 4.1, 8.0)]), False)
    assert [(item.id, item.category) for item in truth.objects] == [(3, "sofa"), (7, "plant"), (9, "lamp")]
    assert truth.ids == {3: 3, 7: 7, 9: 9}  # walls belong to the stage
    sofa, plant, lamp = truth.objects
    assert sofa.box.rotation_wxyz == pytest.approx((math.cos(math.pi / 8), 0.0, math.sin(math.pi / 8), 0.0))
    assert (sofa.support_id, plant.support_id, lamp.support_id) == (0, 3, -1)
    assert (sofa.room_id, lamp.room_id) == (1, 2)
    assert [room.category for room in truth.rooms] == ["living room", "kitchen"]


def test_a_scene_without_annotations_has_no_objects() -> None:
    truth = read_truth(SimpleNamespace(semantic_scene=None), False)
    assert truth.objects == () and truth.rooms == () and truth.ids == {}


def test_words() -> None:
    assert category("tv_monitor") == "television" and category("Chest_of-Drawers") == "dresser"
    assert category("standing lamp") == "lamp" and category("Teddy Bear") == "teddy bear"
    assert category("bathroom sink") == "washbasin" and category("Sink") == "sink"
    assert is_structure(category("Ceiling")) and is_structure("") and not is_structure("bed")
    assert room_category("familyroom/lounge") == "living room" and room_category("") == "room"


def test_the_words_of_rooms_stay_as_they_are() -> None:
    for one in CATEGORIES:
        assert category(one) == one and not is_structure(one)
    for seed in range(4):
        plan = make_plan(SceneSpec(seed=seed, rooms=6, min_objects=3, max_objects=30), np.random.default_rng(seed))
        for room in plan.rooms:
            assert room_category(room.category) == room.category
