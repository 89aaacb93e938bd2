"""Every rule of the families with its switch: with the rule no question breaks it, with the rule off some does.

`RULES` has a row per rule, `OWN` names the test of a rule that needs more than a row, `NOT_RULES` the constants that
refuse nothing. A constant of a family's module that stands in none of the three fails the last test.
"""

from __future__ import annotations

import ast
import importlib
import math
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import measured as m
import msgspec
import numpy as np
import pytest
import test_families
import test_families_maps
from fake_scene import FakeScene
from pools import CAMERA, SENSORS, accepted, fake, worlds

from protocol.tasks.scene import Camera, OrientedBox, Pose, Room, SceneObject, SceneSpec, Vec3
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import FAMILIES, rules
from sim_server.questions.families.pair import change, match
from sim_server.questions.families.several import room_size as rooms
from sim_server.questions.families.single import image as picture
from sim_server.questions.families.single import space
from sim_server.questions.families.walk import fits as room_for
from sim_server.questions.families.walk import maps, route
from sim_server.questions.family import Candidate, Findings
from sim_server.questions.floor import gap
from sim_server.questions.geometry import point_box_distance, pose_from_yaw_pitch
from sim_server.questions.views.viewpoints import draw_pose

OFF = rules.Clarity(0.0, 0.0)
NONE = (0.0,) * 5
ANY = ((0, 99),) * 5


class Rule(NamedTuple):
    """`name` is "module.CONSTANT", `off` what switches it off. Every candidate of the family at the level measures
    `least` or more with the rule, and one measures less without it."""

    name: str
    off: Any
    family: str
    level: int
    measure: Callable[[Evidence, Candidate], float]
    least: float


RULES = (
    Rule("rules.RELATE", OFF, "view_direction", 0, m.plain_share, 0.004),
    Rule("sectors.LEAST_APART_M", 0.0, "camera_position", 1, m.floor_apart, 0.8),
    Rule("perceive.COUNT_RANGE", ANY, "object_count", 4, m.counted, 3.0),
    Rule("measures.NEAREST_M", 0.0, "camera_object_distance", 4, m.camera_away, 0.8),
    Rule("measures.FARTHEST_M", (9.0,) * 5, "camera_object_distance", 0, lambda *of: -m.camera_away(*of), -2.5),
    Rule("picture.SAME_DEPTH_M", 0.4, "depth_order", 4, m.same_depth, 0.0),
    Rule("picture.SAME_MARGIN_M", 0.0, "depth_order", 4, m.same_depth_margin, 0.05),
    Rule("motion.LEAST_TURN_DEG", NONE, "camera_motion", 0, m.turn, 25.0),
    Rule("motion.LEAST_MOVE_M", NONE, "camera_motion", 2, m.floor_apart, 0.6),
    Rule("motion.OTHER_TURN_DEG", (180.0,) * 5, "camera_motion", 2, lambda *of: -m.turn(*of), -0.01),
    Rule("motion.DOMINANCE", 1.0, "camera_motion", 3, m.dominance, 2.0),
    Rule("pairs.SHARED_OBJECTS", 0, "camera_position", 1, m.shared, 2.0),
    Rule("pairs.POSITION_MARGIN_DEG", NONE, "camera_position", 2, m.position, 25.0),
    Rule("pairs.RISE_M", NONE, "camera_elevation", 1, m.rise, 0.45),
    Rule("pairs.LEVEL_WITHIN_M", 0.4, "camera_elevation", 2, m.level, -0.15),
    Rule("pairs.LEVEL_MARGIN_M", 0.0, "camera_elevation", 2, m.level, -0.08),
    Rule("match.SHOWN_GAP", NONE, "visibility_compare", 1, m.shown_gap, 0.30),
    Rule("match.SAME_SHOWN", 0.2, "visibility_compare", 2, m.same_shown, -0.05),
    Rule("match.SAME_SHOWN_MARGIN", 0.0, "visibility_compare", 2, m.same_shown, -0.03),
    Rule("match.TURNED_DEG", NONE, "object_match", 4, m.turned, 70.0),
    Rule("match.CELL_MARGIN", NONE, "object_match", 1, m.cell_margin, 0.09),
    Rule("across.OBJECT_MARGIN_DEG", NONE, "object_from_camera", 2, m.placed, 20.0),
    Rule("across.REGION_MARGIN_DEG", NONE, "region_from_camera", 0, m.room_placed, 40.0),
    Rule("across.REGION_SHARE", 0.0, "region_from_camera", 2, m.room_share, 0.75),
    Rule("across.REGION_SHARED", 0, "region_from_camera", 1, m.shared, 1.0),
    Rule("coverage.LEAST_JOINT", 0.0, "object_distance", 0, m.joint, 0.10),
    Rule("scene.APART_FROM_LEVEL", 9, "object_distance", 2, m.views_without_one, 1.0),
    Rule("scene.APART_FROM_LEVEL", 9, "scene_relative_direction", 2, m.views_without_one, 1.0),
    Rule("scene.APART_FROM_LEVEL", 9, "scene_count", 2, m.most_alone, 1.0),
    Rule("scene.LEAST_DISTANCE_M", 0.0, "object_distance", 0, m.apart_m, 0.3),
    Rule("scene.DISTANCE_BORDERS_M", (1.5, 2.5), "object_distance", 0, m.named_rightly, 1.0),
    Rule("scene.SCENE_COUNT_RANGE", ANY, "scene_count", 0, m.counted, 2.0),
    Rule("space.GAP_M", NONE, "scene_relative_distance", 0, m.option_gap, 1.0),
    Rule("rooms.OUTLINE", ((0.0, 1.0),) * 5, "room_size", 0, m.walls_shown, 0.7),
    Rule("cameras.RELATE", OFF, "cameras_shared", 0, m.in_all, 0.004),
    Rule("cameras.COUNT_RANGE", ANY, "cameras_count", 1, m.counted, 3.0),
    Rule("cameras._spread", lambda *_: True, "cameras_count", 0, m.most_alone, 1.0),
    Rule("cameras.IN_TWO", (0,) * 5, "cameras_count", 3, m.seen_twice, 2.0),
    Rule("cameras.NEAREST_GAP_M", NONE, "cameras_nearest", 2, m.camera_gap, 0.6),
    Rule("small.SMALL", (OFF,) * 5, "small_presence", 0, m.small_share, 0.004),
    Rule("small.SMALL_GAP_M", NONE, "small_nearest", 2, m.option_gap, 0.3),
    Rule("small.SIDE_APART", NONE, "small_location", 1, m.side_gap, 0.09),
    Rule("small.NEIGHBOUR_GAP_M", 0.0, "small_location", 1, m.neighbour_gap, 0.15),
    Rule("small.FARTHEST_NEIGHBOUR_M", 9.0, "small_location", 1, m.neighbour_near, -1.5),
    Rule("small.WRONG_BY_M", NONE, "small_location", 1, m.wrong_by, 0.5),
    Rule("viewpoint.FRONT_SEEN_DEG", 180.0, "perspective", 1, m.front_seen, -80.0),
    Rule("room_for.FLOOR_SEEN", 0.0, "fits", 4, m.floor_shown, 0.5),
    Rule("maps.EDGE", 0.0, "cognitive_map", 2, m.map_edge, 0.02),
    Rule("maps.HALF_MARGIN", 0.0, "cross_view", 0, m.half_above, 0.12),
    Rule("maps.HEADING_MARGIN_DEG", NONE, "cross_view", 1, m.heading_above, 30.0),
    Rule("maps.CELL_MARGIN", NONE, "cross_view", 3, m.cell_above, 0.06),
    Rule("maps.SHARED_ABOVE", 0, "cross_view", 1, m.shared_above, 2.0),
    Rule("change.STILL", 9.0, "before_after", 4, m.others_still, -0.4),
    Rule("change.UNTOUCHED", 1.0, "occlusion_removal", 1, m.untouched, -0.02),
    Rule("change.PARTLY", OFF, "occlusion_removal", 4, m.hidden_shown, 0.08),
)  # fmt: skip


def _switched_off(name: str, off: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module, constant = name.split(".")
    monkeypatch.setattr(_module(module), constant, off)


def _module(name: str) -> Any:
    package = "sim_server.questions" if name == "coverage" else "sim_server.questions.families"
    return importlib.import_module(f"{package}.{name}")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.family}")
def test_rules_hold_and_only_because_they_are_checked(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [rule.measure(world, candidate) for world, candidate in accepted(rule.family, rule.level)]
    assert kept and min(kept) >= rule.least - 1e-6
    _switched_off(rule.name, rule.off, monkeypatch)
    without = (rule.measure(world, candidate) for world, candidate in accepted(rule.family, rule.level))
    assert any(value < rule.least - 1e-6 for value in without)


# ----------------------------------------------------------------------------- rules that need more than a row


def test_options_in_a_large_room_are_farther_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def least_gap(large: bool) -> float:
        found = Findings()
        for seed in range(8):
            space.RelativeDistance().judge(fake(seed).description.objects, 4, found, large)
        return min(item.margin for item in found.accepted)

    assert least_gap(True) >= 0.30 > least_gap(False) >= 0.15
    description = fake(1).description  # 36 square metres
    corners = ((-4.0, -3.0), (4.0, -3.0), (4.0, 3.0), (-4.0, 3.0))
    larger = msgspec.structs.replace(description, rooms=(Room(1, "living room", corners, 0.0, 2.6),))
    assert space.large_room(larger) and not space.large_room(description)
    monkeypatch.setattr(space, "LARGE_ROOM_M2", 99.0)
    assert not space.large_room(larger)
    monkeypatch.setattr(space, "LARGE_ROOM_GAP_M", 0.0)
    assert least_gap(True) < 0.30


def test_a_leg_with_a_detour_is_not_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    class Detoured(FakeScene):
        def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
            return 2.0 * math.dist(start_m, goal_m) + 0.4

    def ways() -> Iterator[bool]:
        for seed in range(6):
            objects = fake(seed).description.objects
            boxes = [max(objects, key=lambda item: item.box.centre_m[axis]).box for axis in (0, 2)]
            yield route.walkable(Detoured(SceneSpec(seed=seed), objects), boxes)

    assert not any(ways())
    monkeypatch.setattr(route, "DETOUR", 9.0)
    assert any(ways())


def test_a_small_thing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    item = fake(1).description.objects[0]
    lying = msgspec.structs.replace(item, support_id=9, box=OrientedBox((0.0, 1.0, 0.0), (0.4, 0.1, 0.1)))
    assert not rules.is_small(lying)
    monkeypatch.setattr(rules, "SMALL_LONGEST_M", 1.0)
    assert rules.is_small(lying)


def _boxes(*boxes: tuple[Vec3, Vec3]) -> FakeScene:
    """A scene of red boxes, each with its centre and half its size."""
    names = ("chair", "table", "sofa")
    items = [
        SceneObject(index + 1, names[index], OrientedBox(*box), "red", 1, front=(0.0, 0.0, 1.0))
        for index, box in enumerate(boxes)
    ]
    return FakeScene(SceneSpec(seed=0), items)


def _asked(family: str, level: int, scene: FakeScene, poses: tuple[Pose, ...]) -> list[Candidate]:
    found = Findings()
    FAMILIES[family].propose(Evidence.of(scene.description, scene.render(poses, CAMERA, SENSORS)), level, found)
    return found.accepted


def test_objects_are_at_one_depth_and_not_their_fronts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = _boxes(((-0.6, 0.3, -1.2), (0.3, 0.3, 0.2)), ((0.6, 0.3, -1.8), (0.3, 0.3, 0.8)))
    level_eye = (pose_from_yaw_pitch((0.0, 0.3, 1.5), 0.0, 0.0),)
    assert not _asked("depth_order", 4, scene, level_eye)
    monkeypatch.setattr(picture, "SAME_CENTRES_M", 9.0)
    assert {item.key for item in _asked("depth_order", 4, scene, level_eye)} == {"the same"}


def test_things_too_small_from_above_join_no_map(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = _boxes(((-0.2, 0.05, -0.3), (0.08, 0.05, 0.08)), ((0.2, 0.05, -0.4), (0.08, 0.05, 0.08)))
    (room,) = scene.description.rooms
    poses = (maps.pose_above(room, CAMERA, 0.0), pose_from_yaw_pitch((0.0, 0.4, 0.4), 0.0, -0.5))
    assert not _asked("cross_view", 1, scene, poses)
    monkeypatch.setattr(maps, "FROM_ABOVE", OFF)
    assert _asked("cross_view", 1, scene, poses)


def test_what_shows_too_little_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def least_shown() -> float:
        """Of a box behind another that hides ever more of it, the least share that is asked about."""
        shown = [1.0]
        for aside_m in np.linspace(0.0, 0.3, 16).tolist():
            scene = _boxes(((0.0, 0.3, -1.5), (0.3, 0.3, 0.3)), ((aside_m, 0.6, -0.8), (0.4, 0.6, 0.1)))
            poses = (pose_from_yaw_pitch((0.0, 0.5, 1.5), 0.0, 0.0), pose_from_yaw_pitch((-2.6, 0.5, -1.5), -1.57, 0.0))
            world = Evidence.of(scene.description, scene.render(poses, Camera(96, 96), SENSORS))
            found = Findings()
            FAMILIES["visibility_compare"].propose(world, 0, found)
            shown += [world.views[0].seen[1].visible_fraction for item in found.accepted if item.objects == (1,)]
        return min(shown)

    assert 0.08 <= least_shown() < 0.5
    monkeypatch.setattr(match, "FOUND", OFF)
    assert least_shown() < 0.08


def test_a_room_is_not_asked_about_where_pictures_show_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def most_beyond() -> float:
        """The largest share of pixels beyond the room that is asked about, the fake scene's rooms having no wall."""
        found = [0.0]
        for world, _ in worlds(2, two_rooms=True):
            proposals = Findings()
            FAMILIES["room_size"].propose(world, 4, proposals)
            found += [m.other_room(world, item) for item in proposals.accepted if item.form == "room"]
        return max(found)

    assert most_beyond() <= 0.06
    monkeypatch.setattr(rooms, "ELSEWHERE", 1.0)
    assert most_beyond() > 0.06


def test_legs_of_a_way_are_no_mere_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    low = (0.2, 0.2, 0.2)
    way = _boxes(((0.0, 0.2, 0.0), low), ((0.0, 0.2, -0.7), low), ((-2.0, 0.2, -0.7), low)).description.objects
    assert route.route_turns(way, 0) is None
    monkeypatch.setattr(route, "LEG_M", 0.0)
    assert route.route_turns(way, 0) == ("left", pytest.approx(45.0))


def test_a_gap_as_wide_as_a_room_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = _boxes(((-2.6, 0.3, 0.0), (0.3, 0.3, 0.3)), ((2.6, 0.3, 0.0), (0.3, 0.3, 0.3)))
    assert room_for.verdict(scene.description, 1, 2, 0.6, 4) is None
    monkeypatch.setattr(room_for, "WIDEST_GAP_M", 9.0)
    assert room_for.verdict(scene.description, 1, 2, 0.6, 4) == "yes"


def test_a_moved_thing_stands_free_and_not_before_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    def least() -> tuple[float, float]:
        """The least distance of moved boxes from the camera, and from other objects, on the floor plan."""
        from_camera, from_others = [], []
        for seed in range(3):
            scene, rng = fake(seed), np.random.default_rng(seed)
            items = scene.description.objects
            for item in items:
                pose = draw_pose(scene, CAMERA, [item], rng)
                spec = test_families_maps.spec_of("before_after", 1, seed)
                for _ in range(6):
                    assert pose is not None
                    moved = change.BeforeAfter._moved(scene, item.id, 0.0, pose, spec, rng)
                    if moved is None or moved.moved_to_m is None:
                        continue
                    box = msgspec.structs.replace(item.box, centre_m=moved.moved_to_m)
                    from_camera.append(float(point_box_distance(np.array([pose.position_m]), box)[0]))
                    gaps = [gap(box, other.box) for other in items if other is not item]
                    from_others += [between.width_m if between else 0.0 for between in gaps]
        return min(from_camera), min(from_others)

    from_camera, from_others = least()
    assert from_camera >= 0.9 and from_others >= 0.15 - 1e-9
    monkeypatch.setattr(change, "BEFORE_CAMERA_M", 0.0)
    monkeypatch.setattr(change, "STAND_APART_M", 0.0)
    from_camera, from_others = least()
    assert from_camera < 0.9 and from_others < 0.15


# ----------------------------------------------------------------------------- no rule without its switch

_TABLES = [(module, name) for module, name, _ in test_families_maps.MARGINS.values()]
_TABLES += [(module, name) for _, module, name, _ in test_families.MEASURES.values()]
IN_TABLES = {f"{module.__name__.rsplit('.', 1)[1]}.{name}" for module, name in _TABLES}
OWN: dict[str, Callable[..., None]] = {
    "rules.PERCEIVE": test_families.test_clarity_holds_and_only_because_it_is_checked,
    "rules.SMALL_LONGEST_M": test_a_small_thing_is_small,
    "rules.SHARED_OBJECTS": test_rules_hold_and_only_because_they_are_checked,  # as pairs.SHARED_OBJECTS
    "space.LARGE_ROOM_M2": test_options_in_a_large_room_are_farther_apart,
    "space.LARGE_ROOM_GAP_M": test_options_in_a_large_room_are_farther_apart,
    "route.DETOUR": test_a_leg_with_a_detour_is_not_a_way,
    "picture.SAME_CENTRES_M": test_objects_are_at_one_depth_and_not_their_fronts_alone,
    "maps.FROM_ABOVE": test_things_too_small_from_above_join_no_map,
    "room_for.WIDEST_GAP_M": test_a_gap_as_wide_as_a_room_is_none,
    "match.FOUND": test_what_shows_too_little_is_not_compared,
    "rooms.ELSEWHERE": test_a_room_is_not_asked_about_where_pictures_show_another,
    "route.LEG_M": test_legs_of_a_way_are_no_mere_steps,
    "change.STAND_APART_M": test_a_moved_thing_stands_free_and_not_before_the_camera,
    "change.BEFORE_CAMERA_M": test_a_moved_thing_stands_free_and_not_before_the_camera,
    "change.LEAST_MOVED_M": test_families_maps.test_what_moved_moved_far_and_only_because_that_is_checked,
    "room_for.MARGIN_M": test_families_maps.test_a_fit_is_clear_by_its_margin_and_only_because_that_is_checked,
    "walk.FAINT": test_families_maps.test_an_object_seen_faintly_before_is_not_put_in_order,
    "walk.APPEARS": test_families_maps.test_an_object_that_never_shows_enough_is_not_put_in_order,
    "walk.LEAST_SHARED": test_families_maps.test_views_of_a_walk_that_share_little_are_not_asked_about,
}
# How much is asked about or shown, and from where on; where cameras are placed; how finely is measured.
NOT_RULES = {
    f"{module}.{name}"
    for module, names in {
        "across": "OBJECT_FORM REGION_FORM",
        "cameras": "CAMERAS SHARED_OPTIONS",
        "change": "CHANGE_OPTIONS HIDES_OPTIONS SAME_CAMERA OTHER_CAMERA_M BEHIND_RAD",
        "coverage": "LOOK_RAD LEAST_OVERLAP LEAST_GAIN VOXELS",
        "maps": "PLACED",
        "match": "MATCH_OPTIONS SAME_SHOWN_FROM_LEVEL",
        "motion": "MOST_TURN_DEG MOST_MOVE_M",
        "pairs": "LEVEL_FROM_LEVEL HEIGHT_M",
        "picture": "SAME_FROM_LEVEL VERTICAL_FROM_LEVEL",
        "room_for": "SIZES_M",
        "rooms": "ROOM_PICTURES SEVERAL_FROM_LEVEL",
        "route": "ROUTE_TURNS MOVES TURNS_DEG WALKS_M",
        "rules": "MAX_NAMED",
        "scene": "PICTURES",
        "small": "LOCATION_OPTIONS NEAR_M",
        "space": "OPTION_COUNT",
        "viewpoint": "TURNS_DEG",
        "walk": "ORDERED VIEWS WALKS ORDER_WALK_M SHORTEST_M LONGEST_M CORNERS",
    }.items()
    for name in names.split()
}


def _constants() -> Iterator[str]:
    """Every public constant of the families' modules and of coverage.py that is not a sentence or a table of words."""
    folder = Path(rules.__file__).parent
    for path in [*sorted(folder.glob("[a-z]*.py")), folder.parent / "coverage.py"]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for target in node.targets if isinstance(node, ast.Assign) else ():
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                for name in (one.id for one in names if isinstance(one, ast.Name)):
                    value = getattr(_module(path.stem), name)
                    if name.isupper() and not name.startswith("_") and not _words(value):
                        yield f"{path.stem}.{name}"


def _words(value: object) -> bool:
    return isinstance(value, (str, dict)) or (isinstance(value, tuple) and all(map(_words, value)))


def test_every_rule_has_its_switch() -> None:
    """A new constant goes into RULES or OWN, with a case that it alone keeps right, or into NOT_RULES."""
    switched = {rule.name for rule in RULES} | IN_TABLES | set(OWN)
    names = set(_constants())
    assert names <= switched | NOT_RULES, sorted(names - switched - NOT_RULES)
    assert not switched & NOT_RULES
    assert {name for name in NOT_RULES if not hasattr(_module(name.split(".")[0]), name.split(".")[1])} == set()
