"""Families about walks, maps, other standing points and changed scenes, on the analytic fake backend: against an
independent oracle, each margin with and without its rule, and a look around within its budget."""

from __future__ import annotations

import math
from functools import cache
from types import ModuleType
from typing import Iterator

import msgspec
import numpy as np
import pytest
from fake_scene import FakeScene
from paraphrases import check_paraphrases, paraphrases_of

from protocol.errors import Infeasible, VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.tasks.specs import LOOK_AROUND, view_budget
from protocol.tasks.task import QuestionSpec, TaskSpec
from sim_server.questions.audit.oracles import agrees
from sim_server.questions.audit.oracles_maps import ORACLES
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import FAMILIES
from sim_server.questions.families.pair import change
from sim_server.questions.families.walk import fits as room_for
from sim_server.questions.families.walk import maps, route, viewpoint
from sim_server.questions.families.walk import trajectory as walk
from sim_server.questions.family import Candidate, Findings, Staged
from sim_server.questions.floor import gap, square_is_free
from sim_server.questions.geometry import pose_from_yaw_pitch, yaw_rad
from sim_server.questions.language.evaluator import run, verify
from sim_server.questions.realise import Realised, realise
from sim_server.questions.views.walks import CLEAR_FRACTION, draw_walk, shortest_look
from sim_server.sensing.observe import ACTIONS, move

CAMERA = Camera(48, 48)
SENSORS = ("rgb", "depth", "ids")


@cache
def scene_of(seed: int) -> FakeScene:
    return FakeScene(SceneSpec(seed=seed, min_objects=5, max_objects=6))


def spec_of(family: str, level: int, seq: int, paraphrase: int = -1, look_around: int = 0) -> TaskSpec:
    question = QuestionSpec(family, level, paraphrase)
    spec = scene_of(seq % 12).spec
    return TaskSpec("t", 7, seq, spec, question, CAMERA, max_views=view_budget(family), look_around=look_around)


def each(family: str, level: int, count: int, look_around: int = 0) -> Iterator[tuple[FakeScene, Realised]]:
    """The feasible ones of `count` specs."""
    for seq in range(count):
        scene = scene_of(seq % 12)
        try:
            yield scene, realise(scene, spec_of(family, level, seq, look_around=look_around), SENSORS)
        except Infeasible:
            continue


@cache
def realised(family: str, level: int, count: int, look_around: int = 0) -> list[tuple[FakeScene, Realised]]:
    """By the rules as they are: not for a test that has changed one."""
    return list(each(family, level, count, look_around))


@pytest.mark.parametrize("family", ORACLES)
@pytest.mark.parametrize("level", [0, 4])
def test_answers_are_those_of_another_route_and_names_fit_one_object(family: str, level: int) -> None:
    cases = realised(family, level, 4)
    assert cases
    for scene, case in cases:
        question = case.question
        assert agrees(question, scene.description, case.frames), (question.text, question.answer)
        assert case.changes or verify(question, scene.description, case.frames)
        assert run(question.program, Evidence.of(scene.description, case.frames)) == question.answer
        assert (question.frame, question.answer_type) == (CATALOGUE[family].frame, CATALOGUE[family].answer_type)
        assert len(set(question.options)) == len(question.options)
        assert len(case.poses) == len(case.frames.poses) <= view_budget(family)
        names = [f"{item.color} {item.category}" for item in scene.description.objects]
        for mention in question.mentions:
            assert names.count(question.text[mention.start : mention.end]) == 1


@pytest.mark.parametrize("family", ORACLES)
def test_each_paraphrase_asks_the_same(family: str) -> None:
    for seq in range(8):
        try:
            asked = paraphrases_of(scene_of(seq), spec_of(family, 0, seq, 3))
        except Infeasible:
            continue
        check_paraphrases(asked)
        return
    pytest.fail("no spec was feasible")


# ----------------------------------------------------------------------------- margins

# Where each margin stands, and what switches it off. A question's margin is the family's own measure.
MARGINS: dict[str, tuple[ModuleType, str, object]] = {
    "appearance_order": (walk, "GAP_VIEWS", (0,) * 5),
    "action_consequence": (route, "MARGIN_DEG", (0.0,) * 5),
    "route_plan": (route, "TURN_MARGIN_DEG", (0.0,) * 5),
    "cognitive_map": (maps, "APART_M", (0.0,) * 5),
    "perspective": (viewpoint, "MARGIN_DEG", (0.0,) * 5),
    "view_choice": (viewpoint, "FRAME_MARGIN", (-1.0,) * 5),
    "cross_view": (maps, "HALF_MARGIN", 0.0),
    "occlusion_removal": (change, "UNCOVERED", (0.10,) * 5),
}


@pytest.mark.parametrize("family", MARGINS)
def test_margins_hold_and_only_because_they_are_checked(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, off = MARGINS[family]
    value = getattr(module, name)
    least = float(value[0] if isinstance(value, tuple) else value)
    kept = [case.question.margin for _, case in realised(family, 0, 4)]
    assert kept and min(kept) >= least - 1e-6
    monkeypatch.setattr(module, name, off)
    for seq in range(60):
        try:
            margin = realise(scene_of(seq % 12), spec_of(family, 0, seq)).question.margin
        except Infeasible:
            continue
        if margin < least:
            return
    pytest.fail("every question keeps the margin without its rule")


def test_a_fit_is_clear_by_its_margin_and_only_because_that_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def clear(scene: FakeScene, case: Realised, margin_m: float) -> bool:
        objects = {item.id: item for item in scene.description.objects}
        a, b = (objects[key] for key in dict.fromkeys(item.object_id for item in case.question.mentions))
        between = gap(a.box, b.box)
        assert between is not None
        side_m = float(case.question.program.rsplit(",", 1)[1].strip(" )"))
        larger, smaller = (square_is_free(scene.description, between, side_m + sign * margin_m) for sign in (1, -1))
        return larger if case.question.answer == "yes" else not smaller

    margin_m = room_for.MARGIN_M[0]
    kept = [clear(scene, case, margin_m) for scene, case in realised("fits", 0, 5)]
    assert kept and all(kept)
    monkeypatch.setattr(room_for, "MARGIN_M", (0.0,) * 5)
    assert not all(clear(scene, case, margin_m) for scene, case in each("fits", 0, 24))


def test_what_moved_moved_far_and_only_because_that_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved_m(case: Realised) -> float:
        (changed,) = case.changes[1]
        scene = scene_of(int(case.world.description.scene_id.split("-")[1]))
        (item,) = [item for item in scene.description.objects if item.id == changed.object_id]
        assert changed.moved_to_m is not None
        return math.dist(item.box.centre_m, changed.moved_to_m)

    assert min(moved_m(case) for _, case in realised("before_after", 1, 6)) >= 1.0
    monkeypatch.setattr(change, "LEAST_MOVED_M", (0.0,) * 5)
    assert any(moved_m(case) < 1.0 for _, case in each("before_after", 1, 24))


def test_an_object_seen_faintly_before_is_not_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def faint() -> bool:
        share = walk.APPEARS[1]
        for _, case in each("appearance_order", 1, 16):
            assert case.frames.ids is not None
            for mention in case.question.mentions:
                shares = (case.frames.ids == mention.object_id).mean(axis=(1, 2))
                first = int(np.flatnonzero(shares >= share)[0])
                if np.any(shares[:first] > walk_faint * share):
                    return True
        return False

    walk_faint = walk.FAINT
    assert not faint()
    monkeypatch.setattr(walk, "FAINT", 1.0)
    assert faint()


def test_an_object_that_never_shows_enough_is_not_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def least_share() -> float:
        """The least share of the picture, at its largest, of an object that is put in order."""
        shares = []
        for _, case in each("appearance_order", 0, 16):
            assert case.frames.ids is not None
            for mention in case.question.mentions:
                shares.append(float((case.frames.ids == mention.object_id).mean(axis=(1, 2)).max()))
        return min(shares)

    assert least_share() >= 0.012
    monkeypatch.setattr(walk, "APPEARS", (0.0001,) * 5)
    assert least_share() < 0.012


def test_views_of_a_walk_that_share_little_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, case = realised("path_length", 0, 3)[0]
    x, y, z = case.poses[-1].position_m
    back = pose_from_yaw_pitch((x, y, z), yaw_rad(case.poses[-2]) + math.pi, -0.2)
    frames = scene.render((*case.poses[:-1], back), CAMERA, ("depth", "ids"))
    world = Evidence.of(scene.description, frames)

    def proposals() -> list[Candidate]:
        found = Findings()
        FAMILIES["path_length"].propose(world, 0, found)
        return found.accepted

    assert not proposals()
    monkeypatch.setattr(walk, "LEAST_SHARED", 0.0)
    assert proposals()


def test_a_walk_is_walkable_has_its_length_and_a_view_at_every_corner() -> None:
    rng = np.random.default_rng(3)
    scene = scene_of(3)
    for _ in range(60):
        poses = draw_walk(scene, 6, (0.8, 3.0), rng)
        if poses is None:
            continue
        steps = [math.dist(a.position_m, b.position_m) for a, b in zip(poses, poses[1:])]
        assert len(poses) == 6 and 0.8 - 1e-9 <= sum(steps) <= 3.0 + 1e-9 and min(steps) > 0
        return
    pytest.fail("no walk was drawn")


# ----------------------------------------------------------------------------- what a backend may lack


class Plain:
    """A scene without the means to change it."""

    def __init__(self, scene: FakeScene) -> None:
        self.spec, self.description = scene.spec, scene.description
        self.render, self.is_navigable = scene.render, scene.is_navigable
        self.sample_navigable, self.path, self.geodesic_m = scene.sample_navigable, scene.path, scene.geodesic_m

    def close(self) -> None:
        pass


@pytest.mark.parametrize("family", ["before_after", "occlusion_removal"])
def test_a_scene_that_cannot_change_says_so(family: str) -> None:
    reasons: set[str] = set()
    for seq in range(6):
        try:
            realise(Plain(scene_of(seq)), spec_of(family, 0, seq))
        except Infeasible as error:
            reasons.add(error.message)
    assert "this simulator cannot take objects away or move them; ask without questions of change" in reasons


def test_a_scene_without_fronts_or_rooms_says_so() -> None:
    scene = scene_of(1)
    bare = Plain(scene)
    bare.description = msgspec.structs.replace(
        scene.description,
        rooms=(),
        objects=tuple(msgspec.structs.replace(item, front=None) for item in scene.description.objects),
    )
    with pytest.raises(Infeasible, match="no object here has a front"):
        realise(bare, spec_of("perspective", 0, 1))
    for family in ("cognitive_map", "cross_view", "fits"):
        with pytest.raises(Infeasible, match="does not say where the rooms are"):
            realise(bare, spec_of(family, 0, 1))


def test_a_changed_view_shows_the_change_and_only_that() -> None:
    for _, case in realised("before_after", 0, 4):
        assert case.frames.ids is not None and len(case.changes) == 2
        (changed,) = case.changes[0] or case.changes[1]
        first, second = case.frames.ids
        elsewhere = (first != changed.object_id) & (second != changed.object_id)
        assert np.array_equal(first[elsewhere], second[elsewhere])
        assert np.any(first == changed.object_id) != np.any(second == changed.object_id)


# ----------------------------------------------------------------------------- a look around


@pytest.mark.parametrize("family", ["cognitive_map", "perspective", "route_plan", "fits"])
def test_what_the_first_view_lacks_a_look_around_finds_within_the_budget(family: str) -> None:
    budget = 6
    cases = realised(family, 0, 3, look_around=budget)
    assert cases
    for scene, case in cases:
        assert len(case.poses) == 1 and case.frames.ids is not None and len(case.frames.ids) == 1
        assert 1 <= len(case.world.hidden) <= budget
        pose = case.poses[0]
        for view in case.world.hidden:  # each further view is one action of Observe away from the one before
            reached = [after for action in ACTIONS for after, blocked in [move(scene, pose, action)] if not blocked]
            assert any(_same(after, view.pose) for after in reached)
            pose = view.pose
        assert agrees(case.question, scene.description, case.frames)
        shown, everything = (
            {key for view in views for key, truth in view.seen.items() if truth.pixels >= CLEAR_FRACTION * view.ids.size}
            for views in (case.world.views, (*case.world.views, *case.world.hidden))
        )
        wanted = {mention.object_id for mention in case.question.mentions}
        assert wanted <= everything and not wanted <= shown  # nothing less will do


def _same(a: Pose, b: Pose) -> bool:
    return np.allclose((*a.position_m, *a.rotation_wxyz), (*b.position_m, *b.rotation_wxyz))


def test_the_search_finds_no_way_that_the_budget_does_not_hold() -> None:
    _, case = realised("cognitive_map", 0, 3, look_around=6)[0]
    wanted = frozenset(mention.object_id for mention in case.question.mentions)
    scene = scene_of(int(case.world.description.scene_id.split("-")[1]))
    length = len(case.world.hidden)
    assert shortest_look(scene, case.poses[0], CAMERA, wanted, length - 1) is None
    way = shortest_look(scene, case.poses[0], CAMERA, wanted, length)
    assert way is not None and len(way) == length


def test_specs_and_families_agree_on_who_looks_around() -> None:
    looking = {name for name, family in FAMILIES.items() if isinstance(family, Staged) and family.looks_around}
    assert looking == LOOK_AROUND


def test_a_family_that_shows_all_is_not_asked_with_a_budget() -> None:
    with pytest.raises(VantageError, match="set look_around to 0"):
        realise(scene_of(1), spec_of("depth_order", 0, 1, look_around=4))
