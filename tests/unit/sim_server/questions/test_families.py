"""Every family against an independent oracle, its margins, its words and its balance, on the analytic fake backend."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from types import ModuleType
from typing import Callable

import numpy as np
import pytest
from fake_scene import FakeScene
from paraphrases import check_paraphrases, paraphrases_of

from protocol.errors import Infeasible, VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Camera, OrientedBox, SceneObject, SceneSpec
from protocol.tasks.specs import view_budget
from protocol.tasks.task import QuestionSpec, TaskSpec
from sim_server.questions.audit.oracles import agrees, mask_centre, mentioned, surface
from sim_server.questions.audit.oracles_maps import ORACLES
from sim_server.questions.families import FAMILIES as EVERY_FAMILY
from sim_server.questions.families import rules
from sim_server.questions.families.single import image as picture
from sim_server.questions.families.single import perceive, space
from sim_server.questions.language.evaluator import verify
from sim_server.questions.realise import Realised, realise

CAMERA = Camera(48, 48)
SENSORS = ("rgb", "depth", "ids", "amodal")
# Those about walks, maps and changes have test_families_maps.py.
FAMILIES = {name: family for name, family in EVERY_FAMILY.items() if name not in ORACLES}
SINGLE = [family for family in FAMILIES if FAMILIES[family].views == 1]
SEVERAL = [family for family in FAMILIES if FAMILIES[family].views > 1]  # dearer: each spec renders many pictures
CELLS = [(family, level) for family in SINGLE for level in range(5)]
CELLS += [(family, level) for family in SEVERAL for level in (0, 4)]


@cache
def scene_of(seed: int, needs: tuple[str, ...] = ()) -> FakeScene:
    rooms, clutter = (2 if "rooms" in needs else 1), (1.0 if "clutter" in needs else 0.0)
    return FakeScene(SceneSpec(seed=seed, min_objects=4, max_objects=6, rooms=rooms, clutter=clutter))


def scene_for(family: str, seq: int) -> FakeScene:
    return scene_of(seq % 30, CATALOGUE[family].needs)


def spec_of(family: str, level: int, seq: int, paraphrase: int = -1) -> TaskSpec:
    question = QuestionSpec(family, level, paraphrase)
    return TaskSpec("t", 7, seq, scene_for(family, seq).spec, question, CAMERA, max_views=view_budget(family))


def realised(family: str, level: int, count: int) -> list[tuple[FakeScene, Realised]]:
    """The feasible ones of `count` specs."""
    found: list[tuple[FakeScene, Realised]] = []
    for seq in range(count):
        spec = spec_of(family, level, seq)
        scene = scene_for(family, seq)
        try:
            found.append((scene, realise(scene, spec, SENSORS)))
        except Infeasible:
            continue
    return found


@pytest.mark.parametrize(("family", "level"), CELLS)
def test_answers_are_those_of_another_route_and_names_fit_one_object(family: str, level: int) -> None:
    cases = realised(family, level, 8 if family in SINGLE else 2)
    assert len(cases) >= (3 if family in SINGLE else 0)
    for scene, case in cases:
        question = case.question
        assert agrees(question, scene.description, case.frames), (question.text, question.answer)
        assert verify(question, scene.description, case.frames)
        assert (question.skill, question.level, question.frame) == (family, level, CATALOGUE[family].frame)
        assert question.answer_type == CATALOGUE[family].answer_type
        assert len(set(question.options)) == len(question.options)
        _check_names(scene, case)


def _check_names(scene: FakeScene, case: Realised) -> None:
    """Every phrase that names an object fits one of those that the pictures show."""
    assert case.frames.ids is not None
    seen = [item for item in scene.description.objects if np.any(case.frames.ids == item.id)]
    for mention, item in zip(case.question.mentions, mentioned(case.question, scene.description)):
        phrase = case.question.text[mention.start : mention.end]
        if phrase.startswith("thing at the "):  # named by its place in the first picture
            first = [other for other in seen if np.any(case.frames.ids[0] == other.id)]
            fits = [other for other in first if phrase == f"thing at the {_cell(mask_centre(case.frames, other))}"]
        else:
            fits = [
                other
                for other in seen
                if phrase in (f"{other.color} {other.category}", f"{other.color} thing", other.category)
            ]
        assert fits == [item], phrase


def _cell(place: tuple[float, float]) -> str:
    column, row = (min(int(3 * value), 2) for value in place)
    return f"{('top', 'middle', 'bottom')[row]} {('left', 'middle', 'right')[column]}"


@pytest.mark.parametrize("family", SINGLE)
def test_each_paraphrase_asks_the_same(family: str) -> None:
    """Every paraphrase changes the words and not the question, in the shared style."""
    for seq in range(10):
        try:
            asked = paraphrases_of(scene_for(family, seq), spec_of(family, 0, seq, 3))
        except Infeasible:
            continue
        check_paraphrases(asked)
        return
    pytest.fail("no spec was feasible")


@pytest.mark.parametrize("family", ["view_direction", "depth_order", "relative_distance", "relative_direction"])
def test_options_are_distinct_hold_the_answer_and_not_the_anchor(family: str) -> None:
    positions = Counter()
    for scene, case in realised(family, 3, 16):
        question = case.question
        assert len(set(question.options)) == len(question.options) >= 2
        positions[question.options.index(question.answer)] += 1
        assert not {item.id for item in mentioned(question, scene.description)} & set(question.option_objects)
    assert len(positions) >= 2  # the answer does not always stand at one place


@pytest.mark.parametrize(("family", "level"), [("view_direction", 1), ("depth_order", 1), ("relative_direction", 1)])
def test_two_way_answers_are_even(family: str, level: int) -> None:
    counts = Counter(case.question.answer for _, case in realised(family, level, 60))
    total = sum(counts.values())
    assert total > 45
    # Four standard deviations of a fair coin.
    assert abs(max(counts.values()) - total / 2) < 4 * math.sqrt(total) / 2


def test_the_same_spec_gives_the_same_pixels_and_answer() -> None:
    for family in (*SINGLE, "camera_position", "scene_count", "cameras_shared"):
        spec = spec_of(family, 1, 4)
        objects = scene_for(family, 4).description.objects
        first, second = (realise(FakeScene(spec.scene, objects), spec) for _ in range(2))
        assert first.question == second.question and first.poses == second.poses
        assert np.array_equal(first.frames.rgb, second.frames.rgb)
        assert first.frames.depth is None and first.frames.ids is None  # only what was asked for


# ----------------------------------------------------------------------------- margins


def _image_gap(scene: FakeScene, case: Realised) -> float:
    (ua, va), (ub, vb) = (mask_centre(case.frames, item) for item in mentioned(case.question, scene.description))
    return abs(ua - ub) if "left" in case.question.options else abs(va - vb)


def _depth_gap(scene: FakeScene, case: Realised) -> float:
    assert case.frames.ids is not None and case.frames.depth is not None
    a, b = (
        float(np.median(case.frames.depth[0][case.frames.ids[0] == item.id]))
        for item in mentioned(case.question, scene.description)
    )
    return abs(a - b) / max(a, b)


def _option_gap(scene: FakeScene, case: Realised) -> float:
    (anchor,) = mentioned(case.question, scene.description)
    objects = {item.id: item for item in scene.description.objects}
    points = surface(anchor, 8)
    distances = sorted(
        float(np.linalg.norm(points[:, None] - surface(objects[key], 8)[None], axis=2).min())
        for key in case.question.option_objects
    )
    return min(np.diff(distances)) + 0.15  # the samples' spacing


def _sector_margin(scene: FakeScene, case: Realised) -> float:
    named = mentioned(case.question, scene.description)
    if case.question.text.startswith("where is the"):
        named = [named[1], named[2], named[0]]
    stand, face, target = (complex(item.box.centre_m[0], -item.box.centre_m[2]) for item in named)
    angle = abs(math.degrees(np.angle((target - stand) / (face - stand))))
    borders = {2: (0, 180), 3: (0, 135), 4: (0, 90, 180)}[len(case.question.options)]
    return min(abs(angle - border) for border in borders)


def _cell_margin(scene: FakeScene, case: Realised) -> float:
    (item,) = mentioned(case.question, scene.description)
    return min(abs(value - border) for value in mask_centre(case.frames, item) for border in (1 / 3, 2 / 3))


MEASURES: dict[str, tuple[Callable[[FakeScene, Realised], float], ModuleType, str, tuple[float, ...]]] = {
    "view_direction": (_image_gap, picture, "SEPARATION", picture.SEPARATION),
    "depth_order": (_depth_gap, picture, "DEPTH_GAP", picture.DEPTH_GAP),
    "relative_distance": (_option_gap, space, "GAP_M", space.GAP_M),
    "relative_direction": (_sector_margin, space, "SECTOR_MARGIN_DEG", space.SECTOR_MARGIN_DEG),
    "object_location": (_cell_margin, perceive, "CELL_MARGIN", perceive.CELL_MARGIN),
}


@pytest.mark.parametrize("family", MEASURES)
def test_margins_hold_and_only_because_they_are_checked(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the margin every case keeps it; with the margin switched off some case does not."""
    measure, module, name, margins = MEASURES[family]
    level = 0
    kept = [measure(scene, case) for scene, case in realised(family, level, 14)]
    assert kept and min(kept) >= margins[level] - 1e-6
    monkeypatch.setattr(module, name, (0.0,) * 5)
    assert min(measure(scene, case) for scene, case in realised(family, level, 30)) < margins[level]


def test_clarity_holds_and_only_because_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def least_pixels() -> float:
        shares: list[float] = []
        for scene, case in realised("object_category", 0, 24):
            (item,) = mentioned(case.question, scene.description)
            shares.append(float(np.mean(case.frames.ids == item.id)))
        return min(shares)

    floor = rules.PERCEIVE[0].area
    assert least_pixels() >= floor
    monkeypatch.setattr(perceive, "PERCEIVE", (rules.Clarity(0.0, 0.0),) * 5)
    assert least_pixels() < floor


def test_twins_are_not_asked_about() -> None:
    """Two red chairs in sight: no question names "the red chair"."""
    boxes = [OrientedBox((x, 0.4, -1.0), (0.3, 0.4, 0.3)) for x in (-1.0, 0.0, 1.0)]
    objects = [
        SceneObject(1, "chair", boxes[0], "red", 1),
        SceneObject(2, "chair", boxes[1], "red", 1),
        SceneObject(3, "table", boxes[2], "blue", 1),
    ]
    scene = FakeScene(SceneSpec(seed=1), objects)
    for seq in range(12):
        try:
            case = realise(scene, spec_of("object_location", 2, seq), SENSORS)
        except Infeasible:
            continue
        if "red chair" in case.question.text:
            assert case.frames.ids is not None and not {1, 2} <= set(np.unique(case.frames.ids).tolist())


# ----------------------------------------------------------------------------- refusals


def test_infeasible_names_the_rule_that_refused_most() -> None:
    far = OrientedBox((0.0, 0.1, 0.0), (0.06, 0.06, 0.06))
    scene = FakeScene(SceneSpec(seed=1), [SceneObject(1, "ball", far, "red", 1)])
    with pytest.raises(Infeasible, match="an object shows less than 90% unoccluded and 1.2% of the picture"):
        realise(scene, spec_of("object_category", 0, 1))
    assert scene.renders <= 24
    with pytest.raises(Infeasible, match="1 such objects, 2 are needed"):
        realise(scene, spec_of("view_direction", 0, 1))
    with pytest.raises(Infeasible, match="fewer than 3 objects to choose from"):
        realise(scene, spec_of("relative_direction", 0, 1))


def test_a_wrong_spec_is_told_what_to_do() -> None:
    scene = scene_of(1)
    with pytest.raises(VantageError, match="no question family 'riddle'; choose one of object_category"):
        realise(scene, TaskSpec("t", 0, 0, scene.spec, QuestionSpec("riddle")))
    with pytest.raises(VantageError, match="has levels"):
        realise(scene, TaskSpec("t", 0, 0, scene.spec, QuestionSpec("depth_order", 9)))
    with pytest.raises(VantageError, match="set max_views"):
        realise(scene, TaskSpec("t", 0, 0, scene.spec, QuestionSpec("camera_motion")))
