"""Homes: floor plans, furniture groups, supports, clear doors, realistic sizes."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Infeasible
from protocol.seeds import rng_for
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.building.plan import FloorPlan, Rect, make_plan, outline, wall_plane
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES, HANGING
from sim_server.backends.rooms.furnish.footprint import Footprint, overlap
from sim_server.backends.rooms.furnish.place import furnished
from sim_server.backends.rooms.furnish.placed import ON_FLOOR, ON_WALL, Placed, footprint, triangles
from sim_server.backends.rooms.furniture import figures
from sim_server.backends.rooms.furniture.decor import wall_art
from sim_server.backends.rooms.walk.navigation import NavigationGrid
from sim_server.questions.geometry import inside_polygon, polygon_area_m2

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels

SEEDS = st.integers(0, 2**32 - 1)
# Plausible floor areas between walls by kind of room, square metres.
AREA_M2 = {
    "living room": (15, 46), "dining room": (9, 27), "kitchen": (6, 26), "bedroom": (8, 31), "bathroom": (3.4, 15),
    "office": (7, 24), "hallway": (2, 45),
}  # fmt: skip


def plan_of(seed: int, rooms: int, palette: str = "named", pieces: int = 3) -> FloorPlan:
    spec = SceneSpec(seed=seed, split="val" if seed >= 2**31 else "train", rooms=rooms, palette=palette,
                     min_objects=pieces, max_objects=max(pieces, 6))  # fmt: skip
    return make_plan(spec, rng_for(seed, "rooms", "plan"))


def home(
    seed: int, rooms: int, least: int, most: int, clutter: float = 0.5, **options: object
) -> tuple[FloorPlan, list[Placed], NavigationGrid]:
    spec = SceneSpec(seed=seed, split="val" if seed >= 2**31 else "train", rooms=rooms, min_objects=least,
                     max_objects=most, palette="natural", clutter=clutter, **options)  # type: ignore[arg-type]  # fmt: skip
    plan = make_plan(spec, rng_for(seed, "rooms", "plan"))
    return (plan, *furnished(spec, plan))


def _area(rect: Rect) -> float:
    return (rect.x_max - rect.x_min) * (rect.z_max - rect.z_min)


@settings(max_examples=160, deadline=None)
@given(SEEDS, st.integers(1, 12))
def test_plans_are_plausible(seed: int, count: int) -> None:
    plan = plan_of(seed, count, "natural")
    kinds = [room.category for room in plan.rooms]
    assert len(kinds) == count and (count < 5 or "hallway" in kinds)
    for k, room in enumerate(plan.rooms):
        spaces = [s for s, owner in enumerate(plan.room_of) if owner == k]
        low, high = AREA_M2[room.category]
        area = sum(_area(plan.rects[s]) for s in spaces)
        assert low < area < high and polygon_area_m2(room.polygon_xz_m) == pytest.approx(area, rel=1e-6)
        assert len(room.polygon_xz_m) == 4 if len(spaces) == 1 else len(room.polygon_xz_m) in (4, 6, 8)
        windows = [h for s in spaces for h in plan.holes[s] if h.kind == "window"]
        assert room.category == "hallway" or windows
    for rect, holes in zip(plan.rects, plan.holes):
        assert min(rect.x_max - rect.x_min, rect.z_max - rect.z_min) > 1.25
        for a in holes:  # openings are within their wall and apart from each other
            start, end = (rect.z_min, rect.z_max) if a.wall < 2 else (rect.x_min, rect.x_max)
            assert start < a.start_m < a.end_m < end or (a.kind == "joint" and start <= a.start_m < a.end_m <= end)
            assert not any(
                b is not a and b.wall == a.wall and b.start_m < a.end_m and a.start_m < b.end_m for b in holes
            )
    for k, a in enumerate(plan.rects):
        for j, b in enumerate(plan.rects[:k]):
            gap = max(b.x_min - a.x_max, a.x_min - b.x_max, b.z_min - a.z_max, a.z_min - b.z_max)
            assert gap == 0.0 if plan.room_of[k] == plan.room_of[j] else gap > 0.1, "walls are only between rooms"
    reached = {1}
    for _ in plan.rooms:
        for opening in plan.openings:
            if len(opening.room_ids) == 2 and reached & set(opening.room_ids):
                reached |= set(opening.room_ids)
    assert len(reached) == count, "every room is reachable"
    assert sum(h.kind == "entrance" for holes in plan.holes for h in holes) == 1


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 8), st.floats(2.0, 10.0), st.sampled_from([0.5, 1.0]))
def test_furniture_of_homes_is_placed_correctly(seed: int, rooms: int, density: float, clutter: float) -> None:
    least = int(rooms * density) + 1
    plan, placed, navigation = home(seed, rooms, least, least + 4, clutter)
    assert least <= sum(not item.category.small for item in placed) <= least + 4
    feet = [footprint(item) for item in placed]
    spans = [(t.y_m + t.low[1], t.y_m + t.high[1]) for t in placed]
    for k, item in enumerate(placed):
        corners = feet[k].corners()
        within = [
            r for r, owner in zip(plan.rects, plan.room_of) if owner == item.room
            and (corners >= [r.x_min, r.z_min]).all() and (corners <= [r.x_max, r.z_max]).all()
        ]  # fmt: skip
        assert within, "it is inside its room"
        assert inside_polygon(corners, plan.rooms[item.room].polygon_xz_m).all()
        rect = within[0]
        assert spans[k][1] < plan.rooms[item.room].ceiling_y_m
        if item.support == ON_FLOOR:
            assert abs(spans[k][0]) < 1e-6
        elif item.support == ON_WALL:
            assert min(abs(rect.x_min - corners[:, 0].min()), abs(rect.x_max - corners[:, 0].max()),
                       abs(rect.z_min - corners[:, 1].min()), abs(rect.z_max - corners[:, 1].max())) < 0.03  # fmt: skip
        else:
            base = placed[item.support]
            tops = [base.y_m + s.y_m for s in base.model.surfaces] or [spans[item.support][1]]
            assert overlap(feet[k], feet[item.support])
            if item.category.name == "person":  # seated: the feet reach down beside the seat
                assert spans[k][0] < min(tops) + 0.1 and spans[k][1] > min(tops) + 0.4
            else:
                assert min(abs(spans[k][0] - top) for top in tops) < 1e-3, "it touches its support"
        for j in range(k):
            related = item.support == j or placed[j].support == k
            apart = spans[k][0] >= spans[j][1] - 1e-4 or spans[j][0] >= spans[k][1] - 1e-4
            assert related or apart or not overlap(feet[k], feet[j], -1e-3), (
                item.category.name,
                placed[j].category.name,
            )
    for rect, holes in zip(plan.rects, plan.holes):
        for hole in holes:
            if hole.kind in ("window", "joint"):
                continue
            plane, out = wall_plane(rect, hole.wall), 0.3 if hole.wall % 2 == 0 else -0.3
            along, half = (hole.start_m + hole.end_m) / 2, (hole.end_m - hole.start_m) / 2
            zone = (
                Footprint(plane + out, along, 0.3, half, 0.0) if hole.wall < 2
                else Footprint(along, plane + out, half, 0.3, 0.0)
            )  # fmt: skip
            for item, foot, (low, high) in zip(placed, feet, spans):
                assert low > 2 or high < 0.05 or not overlap(foot, zone), f"{item.category.name} blocks a door"
    for a in plan.rects:
        starts = [p for p in navigation._cells if _in(navigation, p, a)]
        assert len(starts) * 0.05**2 >= 0.3, "there is floor to walk on"
    rng = np.random.default_rng(0)
    for _ in range(3):
        (ax, az), (bx, bz) = navigation.sample(rng), navigation.sample(rng)
        assert navigation.path((ax, 0, az), (bx, 0, bz))


def _in(navigation: NavigationGrid, cell: np.ndarray, rect) -> bool:
    x, z = navigation._x0 + cell[1] * 0.05, navigation._z0 + cell[0] * 0.05
    return rect.x_min <= x <= rect.x_max and rect.z_min <= z <= rect.z_max


EDGES = st.integers(1, 80).map(lambda v: v / 8)


@settings(max_examples=200, deadline=None)
@given(st.tuples(EDGES, EDGES), st.integers(0, 3), EDGES, st.floats(0, 1), st.floats(0.05, 1), SEEDS)
def test_outlines_of_rooms_with_a_wing(
    size: tuple[float, float], side: int, depth: float, start: float, fraction: float, seed: int
) -> None:
    """The polygon covers exactly both rectangles for every side and offset of the wing."""
    main = Rect(0.0, 0.0, *size)
    length = size[1] if side < 2 else size[0]
    low = round(start * (1 - fraction) * length, 3)
    high = min(low + fraction * length, length)
    wing = (
        Rect(-depth, low, 0.0, high), Rect(size[0], low, size[0] + depth, high),
        Rect(low, -depth, high, 0.0), Rect(low, size[1], high, size[1] + depth),
    )[side]  # fmt: skip
    polygon = outline([main, wing])
    assert polygon_area_m2(polygon) == pytest.approx(_area(main) + _area(wing), rel=1e-6)
    way = np.roll(np.array(polygon), -1, 0) - polygon
    assert (np.sign(way) != np.sign(np.roll(way, -1, 0))).all(), "every vertex is a corner"
    points = np.random.default_rng(seed).uniform(-10.5, 20.5, (200, 2))
    held = np.zeros(len(points), bool)
    for r in (main, wing):
        held |= (points > [r.x_min, r.z_min]).all(1) & (points < [r.x_max, r.z_max]).all(1)
    assert (inside_polygon(points, polygon) == held).all()


def test_main_rooms_are_often_l_shaped() -> None:
    plans = [plan_of(seed, rooms) for seed in range(20) for rooms in (2, 3, 5, 6, 8)]
    shaped = [p for p in plans if len(p.rooms[0].polygon_xz_m) == 6]
    assert 0.1 < len(shaped) / len(plans) < 0.6


def test_every_kind_of_room_occurs_at_every_count() -> None:
    for count in range(1, 9):
        plans = [plan_of(seed, count, "natural") for seed in range(60)]
        kinds = [room.category for plan in plans for room in plan.rooms]
        assert set(kinds) == set(AREA_M2), count
        most = max(kinds.count(kind) for kind in AREA_M2)
        assert most < 0.5 * len(kinds), "no kind prevails"
        assert len({tuple(sorted(room.category for room in plan.rooms)) for plan in plans}) >= 7
    assert {plan_of(seed, 1).rooms[0].category for seed in range(40)} == {"living room", "bedroom"}, "named palette"


def test_homes_have_space_for_the_furniture() -> None:
    """A small room is not drawn if more pieces are asked for than it holds."""
    for seed in range(80):
        assert plan_of(seed, 1, "natural", 12).rooms[0].category not in ("hallway", "bathroom")
        assert len(home(seed, 2, 18, 22)[1]) >= 18


def test_groups_are_close_together_and_face_each_other() -> None:
    chairs = sofas = nightstands = pairs = 0
    for seed in range(6):
        _, placed, _ = home(seed, 6, 60, 70)
        tables = [footprint(t) for t in placed if t.category.name in ("table", "desk")]
        beds = [footprint(t) for t in placed if t.category.name == "bed"]
        looks: dict[int, set[bytes]] = {}
        for item in placed:
            foot = footprint(item)
            if item.category.name == "chair" and item.look >= 0:
                table = min(tables, key=lambda t: math.hypot(t.x_m - foot.x_m, t.z_m - foot.z_m))
                ahead = Footprint(foot.x_m + math.sin(foot.yaw_rad) * 0.5, foot.z_m + math.cos(foot.yaw_rad) * 0.5,
                                  0.05, 0.05, 0.0)  # fmt: skip
                assert overlap(ahead, table), "a chair faces its table"
                looks.setdefault(item.look, set()).add(item.model.parts[0][0].positions.tobytes())
                chairs += 1
            elif item.category.name == "nightstand" and item.look >= 0:
                assert min(math.hypot(b.x_m - foot.x_m, b.z_m - foot.z_m) for b in beds) < 2.0
                nightstands += 1
            elif item.category.name == "coffee table" and item.support >= 0:
                assert placed[item.support].category.name == "rug"
                sofas += 1
        pairs += sum(len(shapes) == 1 for shapes in looks.values())
        assert all(len(shapes) == 1 for shapes in looks.values()), "the chairs of a set are identical"
    assert chairs > 10 and sofas > 1 and nightstands > 5 and pairs > 2


def test_every_shape_of_every_category_is_a_valid_mesh() -> None:
    assert len(CATEGORIES) >= 60
    for name, category in CATEGORIES.items():
        shapes = set()
        for shape in (*category.shapes, *category.grouped):
            for seed in range(3):
                model = shape(np.random.default_rng(seed))
                corners = np.concatenate([p.positions[p.faces] for p, _ in model.parts]).astype(float)
                shading = np.concatenate([p.normals[p.faces].mean(1) for p, _ in model.parts])
                across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
                area = np.linalg.norm(across, axis=1)
                assert (area < 1e-9).mean() < 0.01, f"{name} has degenerate triangles"
                assert area[(shading * across).sum(1) <= 0].sum() < 0.002 * area.sum(), f"{name} is inside out"
                # the normals of a closed surface sum to zero; panes and fronts may be single sheets
                assert np.linalg.norm(across.sum(0)) < 0.3 * area.sum(), f"{name} is open"
                assert np.isfinite(corners).all() and all(slot in model.kinds for _, slot in model.parts), name
                low, high = model.bounds()
                assert (high - low).min() > 0.003
                foot = 0.2 if shape is figures.sitting else 0.0  # a child's feet may not reach the floor
                assert -0.03 < low[1] < 0.03 + foot, f"the lowest point of {name} is at 0"
                for surface in model.surfaces:  # there is geometry directly below it
                    heights = corners[:, :, 1][np.abs(corners[:, :, 1] - surface.y_m) < 2e-3]
                    assert len(heights), (name, surface)
                shapes.add(corners.tobytes())
        assert len(shapes) >= 3, f"{name} has several shapes"
    single = {name for name, category in CATEGORIES.items() if len(category.shapes) == 1}
    assert single == {"apple", "person", "backpack", "bag", "suitcase"}, "each varies within its shape"


WORDS = {
    "alarm clock": "AlarmClock", "apple": "Apple", "armchair": "ArmChair", "bed": "Bed", "bookshelf": "ShelvingUnit",
    "bowl": "Bowl", "box": "Box", "chair": "Chair", "coffee machine": "CoffeeMachine", "coffee table": "CoffeeTable",
    "desk": "Desk", "dresser": "Dresser", "fridge": "Fridge", "lamp": "FloorLamp", "laptop": "Laptop",
    "microwave": "Microwave", "nightstand": "SideTable", "pan": "Pan", "picture": "Painting", "pillow": "Pillow",
    "plate": "Plate", "pot": "Pot", "soap": "SoapBottle", "sofa": "Sofa", "statue": "Statue", "stool": "Stool",
    "table": "DiningTable", "table lamp": "DeskLamp", "toaster": "Toaster", "trash can": "GarbageCan", "vase": "Vase",
}  # fmt: skip
SIZE_FACTOR = 1.5  # allowed factor outside the 5th..95th percentile of real assets


def test_sizes_match_real_furniture() -> None:
    """Compare height, and longer and shorter side, with real assets, whose orientation varies."""
    path = Path(__file__).parent / "data" / "furniture_sizes.csv"
    rows = csv.DictReader(line for line in path.read_text().splitlines() if not line.startswith("#"))
    real = {row["category"]: row for row in rows}
    for word, name in WORDS.items():
        spread = []
        for q in ("p05", "p95"):
            width, height, depth = (float(real[name][f"{side}_{q}_m"]) for side in ("width", "height", "depth"))
            spread.append((max(width, depth), min(width, depth), height))
        low, high = np.array(spread[0]) / SIZE_FACTOR, np.array(spread[1]) * SIZE_FACTOR
        for shape in (*CATEGORIES[word].shapes, *CATEGORIES[word].grouped):
            if shape is wall_art.photo:  # the assets have no photographs, which are smaller than paintings
                continue
            for seed in range(8):
                corner, other = shape(np.random.default_rng(seed)).bounds()
                width, height, depth = other - corner
                size = np.array([max(width, depth), min(width, depth), height])
                assert (size > low).all() and (size < high).all(), (word, size, low, high)


def test_only_listed_categories_appear() -> None:
    words = ("table", "chair", "picture", "cup")
    _, placed, _ = home(3, 2, 8, 12, categories=words)
    assert {t.category.name for t in placed} <= set(words)
    assert {"table", "chair"} <= {t.category.name for t in placed}


@pytest.mark.parametrize("ceiling_m", [2.2, 4.0])
def test_all_allowed_ceiling_heights(ceiling_m: float) -> None:
    plan, placed, _ = home(8, 5, 30, 40, ceiling_m=ceiling_m)
    assert all(triangles(t)[..., 1].max() < ceiling_m for t in placed)
    assert all(h.high_m < ceiling_m for holes in plan.holes for h in holes)
    assert any(t.category.place == HANGING for t in placed)


def test_an_infeasible_home_is_reported_with_advice() -> None:
    with pytest.raises(Infeasible, match="lower min_objects or ask for more rooms"):
        home(0, 1, 30, 30, categories=("bed", "sofa", "wardrobe"))
