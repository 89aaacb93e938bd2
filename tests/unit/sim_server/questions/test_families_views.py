"""Families about several views and small objects: answers, overlap, sizes and options.

Candidates are judged on views that are rendered once (pools.py). test_margins.py tests their margins.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from protocol.errors import Infeasible
from protocol.tasks.scene import SceneSpec
from sim_server.questions.audit import oracles_views
from sim_server.questions.audit.oracles import agrees
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import FAMILIES
from sim_server.questions.families.several import scene
from sim_server.questions.family import Candidate, Findings, ask, draw_evenly
from sim_server.questions.language.evaluator import run
from sim_server.questions.views import coverage
from tests.support.questions.fake_scene import FakeScene
from tests.support.questions.pools import CAMERA, accepted, pool, view_sets

FAMILIES_HERE = list(oracles_views.ORACLES)


@pytest.mark.parametrize("skill", FAMILIES_HERE)
def test_answers_agree_with_the_oracle(skill: str) -> None:
    rng = np.random.default_rng(0)
    checked = 0
    for level in (0, 2, 4):
        here = 0
        for evidence, frames in pool(skill):
            found = Findings()
            FAMILIES[skill].judge(evidence, level, found)
            if not found.accepted:
                continue
            question = ask(FAMILIES[skill], evidence, draw_evenly(found.accepted, rng), level, rng)
            assert agrees(question, evidence.description, frames), (question.text, question.options, question.answer)
            here += 1
            if here == 8:
                break
        checked += here
    assert checked >= 8


def test_images_that_hardly_overlap_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = [evidence for evidence, _ in view_sets(2) if not coverage.joined(evidence.description, evidence.views)]
    assert apart

    def asked() -> int:
        found = Findings()
        for evidence in apart:
            for skill in ("object_distance", "scene_count", "scene_relative_distance", "cameras_count"):
                FAMILIES[skill].judge(evidence, 0, found)
        return len(found.accepted)

    assert asked() == 0
    monkeypatch.setattr(scene, "joined", lambda *_: True)
    assert asked() > 0


def _entire(evidence: Evidence, candidate: Candidate) -> float:
    """1 if some view shows the object away from the border of the image, else 0."""
    (key,) = candidate.objects

    def inside(view: Any) -> bool:
        rows, columns = np.nonzero(view.ids == key)
        edge = CAMERA.width_px - 1
        return len(rows) > 0 and min(rows.min(), columns.min()) > 0 and max(rows.max(), columns.max()) < edge

    return float(any(inside(view) for view in evidence.views))


def test_an_object_cut_off_in_every_image_has_no_size() -> None:
    cases = accepted("scene_size", 4)
    assert cases and all(_entire(evidence, candidate) for evidence, candidate in cases)
    everything = sum(len(evidence.seen()) for evidence, _ in view_sets(2))
    assert len(cases) < everything


def test_options_of_small_locations_do_not_give_the_answer_away() -> None:
    """Choosing the option that shares most parts with the others scores about chance."""
    right = total = 0
    for evidence, candidate in accepted("small_location", 1):
        for seed in range(3):
            draft = FAMILIES["small_location"].draft(evidence, candidate, 1, np.random.default_rng(seed))
            answer = run(draft.program, evidence)
            assert answer in draft.options
            parts = [option.split(", ") for option in draft.options]
            shares = [sum(a == b for other in parts for a, b in zip(option, other)) for option in parts]
            best = [option for option, share in zip(draft.options, shares) if share == max(shares)]
            right += (answer in best) / len(best)
            total += 1
    assert total > 30 and right / total < 1 / 3 + 4 * math.sqrt(2 / 9 / total)


def test_a_family_names_what_the_scene_lacks() -> None:
    plain = FakeScene(SceneSpec(seed=3)).description
    rng = np.random.default_rng(0)
    for skill, says in (
        ("small_presence", "increase the scene's clutter"),
        ("small_location", "increase the scene's clutter"),
        ("region_from_camera", "two rooms or more"),
    ):
        with pytest.raises(Infeasible, match=says):
            FAMILIES[skill].target(plain, 0, rng)
