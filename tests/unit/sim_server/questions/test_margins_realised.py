"""Margins of realised questions: with its rule every question has the margin, without it some question lacks it."""

from __future__ import annotations

import math
from typing import Callable

import numpy as np
import pytest

from protocol.errors import Infeasible
from protocol.skills import CATALOGUE
from protocol.skills.levels import Clarity
from sim_server.questions.audit.oracles import mask_centre, mentioned, surface
from sim_server.questions.evidence import Evidence, Realised
from sim_server.questions.families import FAMILIES
from sim_server.questions.families.walk import trajectory
from sim_server.questions.family import Candidate, Findings
from sim_server.questions.floor import gap, square_is_free
from sim_server.questions.geometry import pose_from_yaw_pitch, yaw_rad
from sim_server.questions.realise import realise
from tests.support.questions.cases import CAMERA, each, realised, scene_for, spec_of
from tests.support.questions.fake_scene import FakeScene
from tests.support.questions.switches import switch_off


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
    return min(np.diff(distances)) + 0.15  # the spacing of the samples


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


MEASURES: dict[str, Callable[[FakeScene, Realised], float]] = {
    "view_direction.apart": _image_gap,
    "depth_order.depth_gap": _depth_gap,
    "relative_distance.apart_m": _option_gap,
    "relative_direction.margin_deg": _sector_margin,
    "object_location.cell_margin": _cell_margin,
}


@pytest.mark.parametrize("rule", MEASURES)
def test_a_measured_margin_holds_and_only_because_it_is_checked(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skill, field = rule.split(".")
    least = getattr(CATALOGUE[skill].levels[0], field)
    values = [MEASURES[rule](scene, case) for scene, case in realised(skill, 0, 14)]
    assert values and min(values) >= least - 1e-6
    switch_off(rule, 0.0, monkeypatch)
    assert min(MEASURES[rule](scene, case) for scene, case in each(skill, 0, 30)) < least


# The margin of a question of these skills is the number itself.
MARGINS: dict[str, float] = {
    "appearance_order.apart_views": 0,
    "action_consequence.margin_deg": 0.0,
    "route_plan.margin_deg": 0.0,
    "cognitive_map.apart_m": 0.0,
    "perspective.margin_deg": 0.0,
    "view_choice.margin": -1.0,
    "cross_view.margin": 0.0,
    "occlusion_removal.uncovered": 0.10,
}


@pytest.mark.parametrize("rule", MARGINS)
def test_the_margin_of_a_question_holds_and_only_because_it_is_checked(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill, field = rule.split(".")
    least = getattr(CATALOGUE[skill].levels[0], field)
    margins = [case.question.margin for _, case in realised(skill, 0, 4)]
    assert margins and min(margins) >= least - 1e-6
    switch_off(rule, MARGINS[rule], monkeypatch)
    for seq in range(60):
        try:
            margin = realise(scene_for(skill, seq), spec_of(skill, 0, seq)).question.margin
        except Infeasible:
            continue
        if margin < least:
            return
    pytest.fail("every question has the margin without its rule")


def test_an_object_is_as_visible_as_the_level_asks_and_only_because_it_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def least_fraction() -> float:
        fractions: list[float] = []
        for scene, case in each("object_category", 0, 24):
            (item,) = mentioned(case.question, scene.description)
            fractions.append(float(np.mean(case.frames.ids == item.id)))
        return min(fractions)

    assert least_fraction() >= 0.012
    switch_off("object_category.clarity", Clarity(0.0, 0.0), monkeypatch)
    assert least_fraction() < 0.012


def test_a_box_fits_by_the_margin_and_only_because_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def clear(scene: FakeScene, case: Realised, margin_m: float) -> bool:
        objects = {item.id: item for item in scene.description.objects}
        a, b = (objects[key] for key in dict.fromkeys(item.object_id for item in case.question.mentions))
        between = gap(a.box, b.box)
        assert between is not None
        side_m = float(case.question.program.rsplit(",", 1)[1].strip(" )"))
        larger, smaller = (square_is_free(scene.description, between, side_m + sign * margin_m) for sign in (1, -1))
        return larger if case.question.answer == "yes" else not smaller

    cases = [clear(scene, case, 0.5) for scene, case in realised("fits", 0, 5)]
    assert cases and all(cases)
    switch_off("fits.margin_m", 0.0, monkeypatch)
    assert not all(clear(scene, case, 0.5) for scene, case in each("fits", 0, 24))


def test_a_moved_object_moves_far_and_only_because_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved_m(scene: FakeScene, case: Realised) -> float:
        (changed,) = case.changes[1]
        (item,) = [item for item in scene.description.objects if item.id == changed.object_id]
        assert changed.moved_to_m is not None
        return math.dist(item.box.centre_m, changed.moved_to_m)

    assert min(moved_m(*case) for case in realised("before_after", 1, 6)) >= 1.0
    switch_off("before_after.moved_m", 0.0, monkeypatch)
    assert any(moved_m(*case) < 1.0 for case in each("before_after", 1, 24))


def test_an_object_seen_faintly_before_it_appears_is_not_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def faint() -> bool:
        fraction = CATALOGUE["appearance_order"].levels[1].image_fraction
        for _, case in each("appearance_order", 1, 16):
            assert case.frames.ids is not None
            for mention in case.question.mentions:
                fractions = (case.frames.ids == mention.object_id).mean(axis=(1, 2))
                first = int(np.flatnonzero(fractions >= fraction)[0])
                if np.any(fractions[:first] > most * fraction):
                    return True
        return False

    most = trajectory.FAINT
    assert not faint()
    switch_off("families.walk.trajectory.FAINT", 1.0, monkeypatch)
    assert faint()


def test_an_object_that_is_never_clear_is_not_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def least_fraction() -> float:
        """The least of the ordered objects' largest fractions of an image."""
        fractions = []
        for _, case in each("appearance_order", 0, 16):
            assert case.frames.ids is not None
            for mention in case.question.mentions:
                fractions.append(float((case.frames.ids == mention.object_id).mean(axis=(1, 2)).max()))
        return min(fractions)

    assert least_fraction() >= 0.012
    switch_off("appearance_order.image_fraction", 0.0001, monkeypatch)
    assert least_fraction() < 0.012


def test_a_walk_whose_views_hardly_overlap_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, case = realised("path_length", 0, 3)[0]
    poses = case.frames.poses
    x, y, z = poses[-1].position_m
    back = pose_from_yaw_pitch((x, y, z), yaw_rad(poses[-2]) + math.pi, -0.2)
    frames = scene.render((*poses[:-1], back), CAMERA, ("depth", "ids"))
    evidence = Evidence.of(scene.description, frames)

    def accepted() -> list[Candidate]:
        findings = Findings()
        FAMILIES["path_length"].judge(evidence, 0, findings)
        return findings.accepted

    assert not accepted()
    switch_off("families.walk.trajectory.LEAST_OVERLAP", 0.0, monkeypatch)
    assert accepted()
