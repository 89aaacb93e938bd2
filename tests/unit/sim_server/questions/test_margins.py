"""Every rule of the families: with it no question breaks the rule, with the rule switched off some question does."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import pytest

from protocol.entry_points import Registry
from protocol.skills import CATALOGUE
from protocol.skills.levels import Clarity
from sim_server.questions import families
from sim_server.questions.evidence import Evidence
from sim_server.questions.family import Candidate
from tests.support.questions import measured as m
from tests.support.questions.pools import accepted
from tests.support.questions.switches import CONSTANTS_WITHOUT_RULE, FIELDS_WITHOUT_RULE, switch_off

OFF = Clarity(0.0, 0.0)
MANY = 99


class Rule(NamedTuple):
    """`name` is as in `switch_off`, `off` the value that disables the rule.

    With the rule, every candidate of the skill at the level measures `least` or more; without it, one measures less.
    """

    name: str
    off: Any
    skill: str
    level: int
    measure: Callable[[Evidence, Candidate], float]
    least: float


def _minus(measure: Callable[[Evidence, Candidate], float]) -> Callable[[Evidence, Candidate], float]:
    return lambda evidence, candidate: -measure(evidence, candidate)


def _of(name: str, off: Any, level: int, measure: Callable[[Evidence, Candidate], float], least: float) -> Rule:
    """The rule of a skill's own number."""
    return Rule(name, off, name.partition(".")[0], level, measure, least)


RULES = (
    Rule("families.rules.RELATE", OFF, "view_direction", 0, m.first_image_fraction, 0.004),
    Rule("families.sectors.LEAST_APART_M", 0.0, "camera_position", 1, m.floor_apart, 0.8),
    Rule("families.single.image.SAME_MARGIN_M", 0.0, "depth_order", 4, m.same_depth_margin, 0.05),
    Rule("families.pair.motion.DOMINANCE", 1.0, "camera_motion", 3, m.dominance, 2.0),
    Rule("families.rules.SHARED_OBJECTS", 0, "camera_position", 1, m.shared, 2.0),
    Rule("families.pair.cameras.SAME_MARGIN_M", 0.0, "camera_elevation", 2, m.level, -0.08),
    Rule("families.pair.match.SAME_MARGIN", 0.0, "visibility_compare", 2, m.same_shown, -0.03),
    Rule("families.pair.across.REGION_FRACTION", 0.0, "region_from_camera", 2, m.room_fraction, 0.75),
    Rule("families.pair.across.REGION_SHARED", 0, "region_from_camera", 1, m.shared, 1.0),
    Rule("families.pair.change.STILL", 9.0, "before_after", 4, m.others_still, -0.4),
    Rule("families.pair.change.UNTOUCHED", 1.0, "occlusion_removal", 1, m.untouched, -0.02),
    Rule("families.pair.change.PARTLY", OFF, "occlusion_removal", 4, m.hidden_shown, 0.08),
    Rule("views.coverage.LEAST_JOINT", 0.0, "object_distance", 0, m.joint, 0.10),
    Rule("families.several.scene.LEAST_DISTANCE_M", 0.0, "object_distance", 0, m.apart_m, 0.3),
    Rule("families.several.scene.DISTANCE_BORDERS_M", (1.5, 2.5), "object_distance", 0, m.named_rightly, 1.0),
    Rule("families.several.streams.RELATE", OFF, "cameras_shared", 0, m.in_all, 0.004),
    Rule("families.several.scene.NOTICED", OFF, "scene_count", 1, m.least_shown, 0.25),
    Rule("families.several.scene.counts_over_images", lambda *_: True, "cameras_count", 0, m.most_alone, 1.0),
    Rule("families.single.small.NEIGHBOUR_GAP_M", 0.0, "small_location", 1, m.neighbour_gap, 0.15),
    Rule("families.single.small.FARTHEST_NEIGHBOUR_M", 9.0, "small_location", 1, m.neighbour_near, -1.5),
    Rule("families.walk.viewpoint.FRONT_SEEN_DEG", 180.0, "perspective", 1, m.front_seen, -80.0),
    Rule("families.walk.fits.FLOOR_SEEN", 0.0, "fits", 4, m.floor_shown, 0.5),
    Rule("families.walk.maps.EDGE", 0.0, "cognitive_map", 2, m.map_edge, 0.02),
    Rule("families.walk.maps.SHARED_ABOVE", 0, "cross_view", 1, m.shared_above, 2.0),
    _of("object_count.most", MANY, 0, _minus(m.counted), -2.0),
    _of("camera_object_distance.nearest_m", 0.0, 4, m.camera_away, 0.8),
    _of("camera_object_distance.farthest_m", 9.0, 0, _minus(m.camera_away), -2.5),
    _of("depth_order.same_within_m", 0.4, 4, m.same_depth, 0.0),
    _of("camera_motion.turn_deg", 1e-9, 0, m.turn, 25.0),
    _of("camera_motion.move_m", 0.0, 2, m.floor_apart, 0.6),
    _of("camera_motion.other_turn_deg", 180.0, 2, _minus(m.turn), -0.01),
    _of("camera_position.margin_deg", 0.0, 2, m.position, 25.0),
    _of("camera_elevation.apart_m", 0.0, 1, m.rise, 0.45),
    _of("camera_elevation.same_within_m", 0.4, 2, m.level, -0.15),
    _of("visibility_compare.apart", 0.0, 1, m.shown_gap, 0.30),
    _of("visibility_compare.same_within", 0.2, 2, m.same_shown, -0.05),
    _of("object_match.turned_deg", 0.0, 4, m.turned, 70.0),
    _of("object_match.cell_margin", 0.0, 1, m.cell_margin, 0.09),
    _of("object_from_camera.margin_deg", 0.0, 2, m.placed, 20.0),
    _of("region_from_camera.margin_deg", 0.0, 0, m.room_placed, 40.0),
    _of("object_distance.spread", False, 2, m.views_without_one, 1.0),
    _of("scene_relative_distance.spread", False, 2, m.views_without_one, 1.0),
    _of("scene_relative_direction.spread", False, 2, m.views_without_one, 1.0),
    _of("scene_count.spread", False, 2, m.most_alone, 1.0),
    _of("scene_count.most", MANY, 0, _minus(m.counted), -2.0),
    _of("scene_relative_distance.apart_m", 0.0, 0, m.option_gap, 1.0),
    _of("scene_relative_direction.margin_deg", 0.0, 0, m.direction, 40.0),
    _of("room_size.walls_least", 0.0, 0, m.walls_shown, 0.7),
    _of("room_size.walls_most", 1.0, 4, _minus(m.walls_shown), -0.8),
    _of("cameras_count.most", MANY, 0, _minus(m.counted), -2.0),
    _of("cameras_count.in_two", 0, 3, m.seen_twice, 1.0),
    _of("cameras_nearest.apart_m", 0.0, 2, m.camera_gap, 0.6),
    _of("small_nearest.apart_m", 0.0, 2, m.option_gap, 0.3),
    _of("small_location.apart", 0.0, 1, m.side_gap, 0.09),
    _of("small_location.wrong_times", 1.2, 3, m.wrong_by, 1.5),
    _of("cross_view.margin", 0.0, 0, m.half_above, 0.12),
    _of("cross_view.margin", 0.0, 3, m.cell_above, 0.06),
    _of("cross_view.margin_deg", 0.0, 1, m.heading_above, 30.0),
    _of("object_category.clarity", OFF, 0, m.image_fraction, 0.012),
    _of("object_color.clarity", OFF, 0, m.image_fraction, 0.012),
    _of("object_location.clarity", OFF, 0, m.image_fraction, 0.012),
    _of("object_count.clarity", OFF, 0, m.image_fraction, 0.012),
    _of("camera_object_distance.clarity", OFF, 0, m.image_fraction, 0.012),
    _of("object_size.clarity", OFF, 0, m.image_fraction, 0.012),
    _of("scene_count.clarity", OFF, 0, m.image_fraction, 0.012),
    _of("scene_size.clarity", OFF, 0, m.image_fraction, 0.012),
    _of("cameras_count.clarity", OFF, 0, m.image_fraction, 0.012),
    _of("small_presence.clarity", OFF, 0, m.image_fraction, 0.004),
    _of("small_nearest.clarity", OFF, 1, m.image_fraction, 0.003),
    _of("small_location.clarity", OFF, 1, m.image_fraction, 0.003),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.level}")
def test_a_rule_holds_and_only_because_it_is_checked(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [rule.measure(evidence, candidate) for evidence, candidate in accepted(rule.skill, rule.level)]
    assert values and min(values) >= rule.least - 1e-6
    switch_off(rule.name, rule.off, monkeypatch)
    without = (rule.measure(evidence, candidate) for evidence, candidate in accepted(rule.skill, rule.level))
    assert any(value < rule.least - 1e-6 for value in without)


# ----------------------------------------------------------------------------- no rule without a test


def _constants() -> Iterator[str]:
    """Every public constant of the families and of views.coverage that is not a text or a table of texts."""
    root = families.__name__.rpartition(".")[0]
    names = [module.name for module in pkgutil.walk_packages(families.__path__, f"{families.__name__}.")]
    for name in [*names, f"{root}.views.coverage"]:
        module = importlib.import_module(name)
        assert module.__file__ is not None
        for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
            for target in node.targets if isinstance(node, ast.Assign) else ():
                for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                    constant = one.id if isinstance(one, ast.Name) else ""
                    if re.fullmatch("(?!FAMILIES)[A-Z][A-Z_0-9]*", constant) and not _text(getattr(module, constant)):
                        yield f"{name[len(root) + 1 :]}.{constant}"


def _text(value: object) -> bool:
    return isinstance(value, (str, dict, Registry)) or (isinstance(value, tuple) and all(map(_text, value)))


def _tested() -> set[str]:
    """Every text in the tests of this folder: a test names the rule that it switches off."""
    found: set[str] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def test_every_rule_is_switched_off_by_a_test() -> None:
    """A new number gets a test that switches it off, or an entry among those without a rule."""
    fields = {f"{skill.name}.{field}" for skill in CATALOGUE.values() for field in skill.levels[0].__struct_fields__}
    rules = {name for name in fields if name.partition(".")[2] not in FIELDS_WITHOUT_RULE}
    rules |= set(_constants()) - CONSTANTS_WITHOUT_RULE
    assert not rules - _tested(), sorted(rules - _tested())
    assert set(_constants()) >= CONSTANTS_WITHOUT_RULE
    assert {name.partition(".")[2] for name in fields} >= FIELDS_WITHOUT_RULE
