"""Furniture: what a person counts is one object, sizes vary, shapes differ, lived-in homes, people."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Iterator

import numpy as np
import pytest

from protocol.errors import VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import Camera, Change, SceneSpec
from sim_server.backends.rooms.building.plan import make_plan
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES, CEILING_LAMP
from sim_server.backends.rooms.furnish.details import detail_parts
from sim_server.backends.rooms.furnish.place import furnished
from sim_server.backends.rooms.furnish.placed import ON_FLOOR, ON_WALL, Placed, footprint
from sim_server.backends.rooms.furniture.kitchen import sinks
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import Part
from sim_server.backends.rooms.scene import RoomsScene
from sim_server.sensing.observe import look_at

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels

# Categories that are asked most: each has at least three shapes.
ASKED = (
    "chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "armchair", "stool", "desk", "nightstand",
    "dresser", "wardrobe", "coffee table", "television", "television stand", "fridge", "stove",
    "counter", "sink", "dishwasher",
    "washbasin", "rug", "picture", "mirror", "clock", "curtain", "pillow", "vase", "cup", "bowl", "bottle", "plate",
    "pot", "pan", "kettle", "basket", "trash can", "shelf",
    "laptop", "monitor", "table lamp", "stack of books", "candle", "statue", "box", "ball", "shoe rack",
)  # fmt: skip
# Built-in units have one height, and a crib, a stove or a toilet has few sizes.
UNIFORM = {"dishwasher", "stove", "crib", "shower", "toilet", "soap", "coffee machine", "microwave", "kettle", "apple"}


def spec_of(seed: int, rooms: int, clutter: float) -> SceneSpec:
    return SceneSpec(seed=seed, rooms=rooms, min_objects=10 * rooms, max_objects=10 * rooms + 8, palette="natural",
                     clutter=clutter)  # fmt: skip


@pytest.fixture(scope="module")
def homes() -> list[list[Placed]]:
    """Homes of one to eight rooms, from tidy to lived-in."""
    out = []
    for seed in range(64):
        spec = spec_of(seed, 1 + seed % 8, (0.5, 0.8, 1.0)[seed % 3])
        out.append(furnished(spec, make_plan(spec, rng_for(seed, "rooms", "plan")))[0])
    return out


def test_every_category_appears(homes: list[list[Placed]]) -> None:
    """64 homes show all but the rarest categories; `benchmarks/furniture.py` counts 300 homes."""
    seen = {item.category.name for home in homes for item in home}
    assert len(seen) >= len(CATEGORIES) - 3, set(CATEGORIES) - seen


def test_sizes_vary_within_categories_and_overlap_between_them(homes: list[list[Placed]]) -> None:
    longest: dict[str, list[float]] = defaultdict(list)
    for home in homes:
        for item in home:
            longest[item.category.name].append(float((item.high - item.low).max()))
    often = {name: np.array(sizes) for name, sizes in longest.items() if len(sizes) >= 20}
    spread = {name: sizes.std() / sizes.mean() for name, sizes in often.items()}
    narrow = {name for name, value in spread.items() if value < 0.08}
    assert narrow <= UNIFORM, {name: round(spread[name], 3) for name in narrow - UNIFORM}
    assert np.mean([value > 0.12 for value in spread.values()]) > 0.8
    furniture = [s for name, s in often.items() if not CATEGORIES[name].small and s.mean() > 0.5]
    ranges = [np.percentile(s, [5, 95]) for s in furniture]
    touching = [a[0] < b[1] and b[0] < a[1] for k, a in enumerate(ranges) for b in ranges[:k]]
    assert np.mean(touching) > 0.55, "a noun alone seldom tells which of two is larger"


def test_categories_that_are_asked_most_have_three_shapes() -> None:
    for name in ASKED:
        category = CATEGORIES[name]
        assert len({*category.shapes, *category.grouped}) >= 3, name


def test_curtains_frames_and_pillows_are_single_objects(homes: list[list[Placed]]) -> None:
    panels = pillows = pictures = 0
    for home in homes:
        for index, item in enumerate(home):
            name = item.category.name
            size = item.high - item.low
            if name == "curtain":  # one panel of cloth, with the bracket of its heading
                assert size[0] < 0.75
                panels += 1
            elif name == "picture":
                assert size[0] < 1.7 and sum(slot == "main" for _, slot in item.model.parts) <= 4, "one frame"
                pictures += 1
            elif name == "bed":
                heads = [s for s in item.model.surfaces if s.holds == "pillow"]
                mine = [t for t in home if t.support == index and t.category.name == "pillow"]
                assert heads and len(mine) < 12
                pillows += sum(t.model.kinds["main"] == "linen" for t in mine)
    assert panels > 100 and pillows > 60 and pictures > 100


def test_a_sink_is_a_bowl_in_a_counter_and_no_hole_is_without_one(homes: list[list[Placed]]) -> None:
    found = 0
    for home in homes:
        for index, item in enumerate(home):
            if item.category.name == "sink":
                base = home[item.support]
                assert base.category.name == "counter" and float((item.high - item.low).max()) < 1.2
                top = base.y_m + float(base.high[1])
                assert item.y_m + item.low[1] == pytest.approx(top - sinks.BOWL_M, abs=1e-3)
                foot, under = footprint(item), footprint(base)
                assert foot.half_x_m < under.half_x_m and foot.half_z_m < under.half_z_m
                found += 1
            if any(s.holds == "sink" for s in item.model.surfaces):
                assert any(t.support == index and t.category.name == "sink" for t in home)
    assert found > 15


def test_a_television_and_its_stand_are_two_objects(homes: list[list[Placed]]) -> None:
    on_stand = on_wall = 0
    for home in homes:
        for item in home:
            if item.category.name == "television":
                on_wall += item.support == ON_WALL
                on_stand += item.support >= 0 and home[item.support].category.name == "television stand"
            if item.category.name == "cabinet" and any(s.holds == "washbasin" for s in item.model.surfaces):
                assert item.high[1] < 0.8
    assert on_stand > 15 and on_wall > 2


def test_lived_in_homes_have_things_on_the_floor_and_stay_walkable() -> None:
    lying: dict[float, int] = {}
    for clutter in (0.5, 0.8, 1.0):
        lying[clutter] = 0
        for seed in range(6):
            spec = spec_of(seed, 3, clutter)
            plan = make_plan(spec, rng_for(seed, "rooms", "plan"))
            placed, navigation = furnished(spec, plan)
            down = [t for t in placed if t.category.small and (t.support == ON_FLOOR or on_a_rug(placed, t))]
            lying[clutter] += len(down)
            for item in down:  # nobody walks through it
                x, z = footprint(item)[:2]
                assert item.high[1] - item.low[1] < 0.06 or not navigation.is_free(x, z)
            assert all(navigation.reaches(rect) for rect in plan.rects)
    assert lying[0.5] == 0 and lying[0.8] > 15 and lying[1.0] > 20


def on_a_rug(placed: list[Placed], item: Placed) -> bool:
    return item.support >= 0 and placed[item.support].category.name == "rug"


def test_people_stand_and_sit(homes: list[list[Placed]]) -> None:
    seats: dict[str, int] = defaultdict(int)
    heights, faces = [], []
    for home in homes:
        for item in home:
            if item.category.name != "person":
                continue
            if item.support < 0:
                heights.append(float(item.high[1] - item.low[1]))
                seats["floor"] += 1
            else:
                base = home[item.support]
                seats[base.category.name] += 1
                assert math.remainder(item.yaw_rad - base.yaw_rad, 2 * math.pi) == pytest.approx(0, abs=1e-6)
            faces.append(sum(len(part.faces) for part, _ in item.model.parts))
    empty = [home for home in homes if all(item.category.name != "person" for item in home)]
    assert 0.3 < len(empty) / len(homes) < 0.9, "some homes have people"
    assert seats["floor"] > 5 and sum(seats.values()) - seats["floor"] > 5
    assert len({*seats}) >= 3 and min(heights) < 1.5 < 1.7 < max(heights) and max(faces) < 2500
    assert CATEGORIES["person"].has_front


def test_details_belong_to_the_building() -> None:
    spec = spec_of(3, 3, 1.0)
    plan = make_plan(spec, rng_for(3, "rooms", "plan"))
    placed, _ = furnished(spec, plan)
    parts = detail_parts(spec, plan, placed, np.random.default_rng(0))
    rods = [part for part, _ in parts if np.ptp(part.positions, 0).max() > 0.9 and part.positions[:, 1].min() > 1.6]
    windows = {
        (t.room, min(range(4), key=lambda w: abs(math.remainder(t.yaw_rad - w * math.pi / 2, 2 * math.pi))))
        for t in placed if t.category.name == "curtain"
    }  # fmt: skip
    assert len(rods) >= len(windows) >= 1, "every pair of curtains has a rod"
    assert len(parts) > 40 and sum(len(part.faces) for part, _ in parts) < 1500
    scene = RoomsScene(spec)
    assert (scene.geometry.face_object == 0).sum() > sum(len(part.faces) for part, _ in parts)
    assert {o.category for o in scene.description.objects} <= {*CATEGORIES, CEILING_LAMP}
    named = SceneSpec(seed=3, rooms=3, clutter=1.0)
    assert detail_parts(named, plan, placed, np.random.default_rng(0)) == []


def test_ceiling_lamps_are_objects_of_natural_homes() -> None:
    scene = RoomsScene(spec_of(4, 2, 0.0))
    lamps = [o for o in scene.description.objects if o.category == CEILING_LAMP]
    assert len(lamps) == len(scene.plan.rects) and all(o.support_id == -1 for o in lamps)
    assert all(2.0 < o.box.centre_m[1] < 2.7 and o.box.half_extents_m[1] < 0.3 for o in lamps)
    x, y, z = lamps[0].box.centre_m
    ids = scene.render([look_at((x + 1.2, 1.6, z + 0.4), (x, y, z))], Camera(64, 48), ("ids",)).ids
    assert ids is not None and (ids == lamps[0].id).any()
    without = scene.edited((Change(lamps[0].id),))
    assert [o for o in scene.description.objects if o.id != lamps[0].id] == list(without.description.objects)
    assert not (without.geometry.face_object == lamps[0].id).any()
    with pytest.raises(VantageError, match=f"object {lamps[0].id} is a ceiling lamp, which cannot be moved"):
        scene.edited((Change(lamps[0].id, (x, y - 1, z)),))
    named = RoomsScene(SceneSpec(seed=4, rooms=2))
    assert all(o.category != CEILING_LAMP for o in named.description.objects)


def flat_sides(part: Part) -> Iterator[tuple[tuple[int, int], float, np.ndarray, np.ndarray]]:
    """Direction, position and rectangle of the flat sides of a box."""
    if len(part.positions) != 24:
        return
    for axis in range(3):
        others = [k for k in range(3) if k != axis]
        for sign in (-1, 1):
            points = part.positions[part.normals[:, axis] * sign > 0.999]
            if len(points) == 4 and np.ptp(points[:, axis]) < 1e-5:
                yield (axis, sign), float(points[0, axis]), points[:, others].min(0), points[:, others].max(0)


def sharing_a_plane(model: Model) -> list[tuple[str, str]]:
    """Pairs of slots whose boxes have sides in the same place, which flicker as the view changes."""
    sides = [(slot, *side) for part, slot in model.parts for side in flat_sides(part)]
    out = []
    for k, (slot, way, at, low, high) in enumerate(sides):
        for other, its_way, its_at, its_low, its_high in sides[:k]:
            common = np.minimum(high, its_high) - np.maximum(low, its_low)
            on_the_floor = way == (1, -1) and at < 0.005
            same = slot != other and way == its_way and abs(at - its_at) < 3e-4 and not on_the_floor
            if same and (common > 0).all() and common.prod() > 4e-4:
                out.append((slot, other))
    return out


def test_no_two_materials_share_a_plane() -> None:
    for name, category in CATEGORIES.items():
        for shape in (*category.shapes, *category.grouped):
            for seed in range(3):
                assert not sharing_a_plane(shape(np.random.default_rng(seed))), (name, shape.__name__)


def test_nothing_floats() -> None:
    """Every part of a piece of furniture is connected to the floor through touching parts."""
    for name in ("sofa", "armchair", "chair", "table", "bed", "cabinet", "desk", "stool", "bench", "ottoman"):
        for shape in CATEGORIES[name].shapes:
            for seed in range(4):
                parts = [part.positions for part, _ in shape(np.random.default_rng(seed)).parts]
                low, high = np.array([p.min(0) for p in parts]), np.array([p.max(0) for p in parts])
                held = low[:, 1] < 0.03
                for _ in parts:
                    gaps = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).max(2)
                    held = held | ((gaps < 0.012) & held[None]).any(1)
                assert held.all(), (name, shape.__name__, seed, low[~held], high[~held])
