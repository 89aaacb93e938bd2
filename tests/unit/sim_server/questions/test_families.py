"""Every family against an independent oracle, its phrases and the balance of its answers, on the fake backend."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from protocol.errors import Infeasible, VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import OrientedBox, SceneObject, SceneSpec
from protocol.tasks.task import QuestionSpec, TaskSpec
from sim_server.questions.audit.oracles import agrees, mask_centre, mentioned
from sim_server.questions.audit.oracles_maps import ORACLES
from sim_server.questions.evidence import Realised
from sim_server.questions.families import FAMILIES as EVERY_FAMILY
from sim_server.questions.language.evaluator import verify
from sim_server.questions.realise import realise
from tests.support.questions.cases import SENSORS, each, scene_for, spec_of
from tests.support.questions.fake_scene import FakeScene
from tests.support.questions.paraphrases import check_paraphrases, paraphrases_of

# test_families_maps.py tests the skills about walks, maps and changes.
FAMILIES = {name: family for name, family in EVERY_FAMILY.items() if name not in ORACLES}
SINGLE = [skill for skill in FAMILIES if FAMILIES[skill].views == 1]
SEVERAL = [skill for skill in FAMILIES if FAMILIES[skill].views > 1]  # slower: each spec renders many images
CELLS = [(skill, level) for skill in SINGLE for level in range(5)]
CELLS += [(skill, level) for skill in SEVERAL for level in (0, 4)]


@pytest.mark.parametrize(("skill", "level"), CELLS)
def test_answers_agree_with_the_oracle_and_names_fit_one_object(skill: str, level: int) -> None:
    cases = list(each(skill, level, 8 if skill in SINGLE else 2))
    assert len(cases) >= (3 if skill in SINGLE else 0)
    for scene, case in cases:
        question = case.question
        assert agrees(question, scene.description, case.frames), (question.text, question.answer)
        assert verify(question, scene.description, case.frames)
        assert (question.skill, question.level, question.frame) == (skill, level, CATALOGUE[skill].frame)
        assert question.answer_type == CATALOGUE[skill].answer_type
        assert len(set(question.options)) == len(question.options)
        _check_names(scene, case)


def _check_names(scene: FakeScene, case: Realised) -> None:
    """Every phrase that names an object fits exactly one of the visible objects."""
    assert case.frames.ids is not None
    seen = [item for item in scene.description.objects if np.any(case.frames.ids == item.id)]
    for mention, item in zip(case.question.mentions, mentioned(case.question, scene.description)):
        phrase = case.question.text[mention.start : mention.end]
        if phrase.startswith(("object at", "object in")):  # named by its cell in the first image
            first = [other for other in seen if np.any(case.frames.ids[0] == other.id)]
            cell = phrase.split(" the ")[1]
            fits = [other for other in first if cell == _cell(mask_centre(case.frames, other))]
        else:
            fits = [
                other
                for other in seen
                if phrase in (f"{other.color} {other.category}", f"{other.color} object", other.category)
            ]
        assert fits == [item], phrase


def _cell(place: tuple[float, float]) -> str:
    column, row = (min(int(3 * value), 2) for value in place)
    return (
        "center" if row == column == 1 else f"{('top', 'middle', 'bottom')[row]} {('left', 'middle', 'right')[column]}"
    )


def test_every_skill_has_a_family() -> None:
    assert list(EVERY_FAMILY) == list(CATALOGUE)


@pytest.mark.parametrize("skill", SINGLE)
def test_each_paraphrase_asks_the_same(skill: str) -> None:
    for seq in range(10):
        try:
            asked = paraphrases_of(scene_for(skill, seq), spec_of(skill, 0, seq, 3))
        except Infeasible:
            continue
        check_paraphrases(asked)
        return
    pytest.fail("no spec was feasible")


@pytest.mark.parametrize("skill", ["view_direction", "depth_order", "relative_distance", "relative_direction"])
def test_options_are_distinct_and_do_not_name_the_anchor(skill: str) -> None:
    positions = Counter()
    for scene, case in each(skill, 3, 16):
        question = case.question
        assert len(set(question.options)) == len(question.options) >= 2
        positions[question.options.index(question.answer)] += 1
        assert not {item.id for item in mentioned(question, scene.description)} & set(question.option_objects)
    assert len(positions) >= 2  # the answer is not always at the same position


@pytest.mark.parametrize(("skill", "level"), [("view_direction", 1), ("depth_order", 1), ("relative_direction", 1)])
def test_two_way_answers_are_even(skill: str, level: int) -> None:
    counts = Counter(case.question.answer for _, case in each(skill, level, 60))
    total = sum(counts.values())
    assert total > 45
    # Within four standard deviations of a fair coin.
    assert abs(max(counts.values()) - total / 2) < 4 * math.sqrt(total) / 2


def test_the_same_spec_gives_the_same_pixels_and_answer() -> None:
    for skill in (*SINGLE, "camera_position", "scene_count", "cameras_shared"):
        spec = spec_of(skill, 1, 4)
        objects = scene_for(skill, 4).description.objects
        first, second = (realise(FakeScene(spec.scene, objects), spec) for _ in range(2))
        assert first.question == second.question and first.frames.poses == second.frames.poses
        assert np.array_equal(first.frames.rgb, second.frames.rgb)
        assert first.frames.depth is None and first.frames.ids is None  # only the requested sensors


def test_objects_that_share_a_name_are_not_asked_about() -> None:
    """If two red chairs are visible, no question names "the red chair"."""
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


def test_infeasible_names_the_rule_that_rejected_most() -> None:
    far = OrientedBox((0.0, 0.1, 0.0), (0.06, 0.06, 0.06))
    scene = FakeScene(SceneSpec(seed=1), [SceneObject(1, "ball", far, "red", 1)])
    with pytest.raises(Infeasible, match=r"an object is not shown clearly enough \(90% visible, 1.2% of the image\)"):
        realise(scene, spec_of("object_category", 0, 1))
    assert scene.renders <= 24
    with pytest.raises(Infeasible, match="1 suitable objects, 2 are needed"):
        realise(scene, spec_of("view_direction", 0, 1))
    with pytest.raises(Infeasible, match="fewer than 3 objects to choose from"):
        realise(scene, spec_of("relative_direction", 0, 1))


def test_an_invalid_spec_is_refused_with_advice() -> None:
    scene = scene_for("depth_order", 1)
    with pytest.raises(VantageError, match="no question family asks 'riddle'; choose one of object_category"):
        realise(scene, TaskSpec("t", 0, 0, scene.spec, QuestionSpec("riddle")))
    with pytest.raises(VantageError, match="has the levels"):
        realise(scene, TaskSpec("t", 0, 0, scene.spec, QuestionSpec("depth_order", 9)))
    with pytest.raises(VantageError, match="set max_views"):
        realise(scene, TaskSpec("t", 0, 0, scene.spec, QuestionSpec("camera_motion")))
