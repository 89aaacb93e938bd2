"""Families about several views and small things: answers, joints, sizes, paraphrases, options and the catalogue.

Candidates are judged in worlds of views that are rendered once (pools.py); their margins have test_margins.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from fake_scene import FakeScene
from pools import CAMERA, accepted, pool, worlds

from protocol.errors import Infeasible
from protocol.tasks.scene import SceneSpec
from sim_server.questions.audit import oracles_views
from sim_server.questions.audit.oracles import agrees
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import FAMILIES
from sim_server.questions.families.several import scene
from sim_server.questions.families.several import streams as cameras
from sim_server.questions.family import Candidate, Findings, ask, draw_evenly, render_text
from sim_server.questions.language.evaluator import run
from sim_server.questions.views import coverage

FAMILIES_HERE = list(oracles_views.ORACLES)


@pytest.mark.parametrize("family", FAMILIES_HERE)
def test_answers_are_those_of_another_route(family: str) -> None:
    rng = np.random.default_rng(0)
    checked = 0
    for level in (0, 2, 4):
        here = 0
        for world, frames in pool(family):
            found = Findings()
            FAMILIES[family].propose(world, level, found)
            if not found.accepted:
                continue
            question = ask(FAMILIES[family], world, draw_evenly(found.accepted, rng), level, rng)
            assert agrees(question, world.description, frames), (question.text, question.options, question.answer)
            here += 1
            if here == 8:
                break
        checked += here
    assert checked >= 8


def test_pictures_that_do_not_join_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = [world for world, _ in worlds(2) if not coverage.joined(world.description, world.views)]
    assert apart

    def asked() -> int:
        found = Findings()
        for world in apart:
            for family in ("object_distance", "scene_count", "scene_relative_distance", "cameras_count"):
                FAMILIES[family].propose(world, 0, found)
        return len(found.accepted)

    assert asked() == 0
    for module in (scene, cameras):
        monkeypatch.setattr(module, "joined", lambda *_: True)
    assert asked() > 0


def _whole(world: Evidence, candidate: Candidate) -> float:
    """1 where some view shows the object away from the frame's border."""
    (key,) = candidate.objects

    def inside(view: Any) -> bool:
        rows, columns = np.nonzero(view.ids == key)
        edge = CAMERA.width_px - 1
        return len(rows) > 0 and min(rows.min(), columns.min()) > 0 and max(rows.max(), columns.max()) < edge

    return float(any(inside(view) for view in world.views))


def test_a_thing_wholly_in_no_picture_has_no_size() -> None:
    cases = accepted("scene_size", 4)
    assert cases and all(_whole(world, candidate) for world, candidate in cases)
    everything = sum(len(world.seen()) for world, _ in worlds(2))
    assert len(cases) < everything


@pytest.mark.parametrize("family", FAMILIES_HERE)
def test_paraphrases_are_five_or_more_and_in_the_shared_style(family: str) -> None:
    """Every template names what the others name; texts are lower case with punctuation set apart."""
    forms: dict[str, tuple[Evidence, Candidate]] = {}
    for level in (0, 2, 4):
        forms.update({case[1].form: case for case in accepted(family, level, 60)})
    assert forms
    for world, candidate in forms.values():
        draft = FAMILIES[family].draft(world, candidate, np.random.default_rng(0))
        texts = {render_text(template, draft.slots)[0] for template in draft.templates}
        assert len(texts) == len(draft.templates) >= 5
        for template, text in zip(draft.templates, texts):
            assert all(f"{{{slot}}}" in template for slot in draft.slots if slot != "v"), template  # "v" is a verb
            assert text == text.lower() and text.endswith(" ?") and "{" not in text and "  " not in text, text


def test_options_of_small_locations_do_not_give_the_answer_away() -> None:
    """A guesser who picks the option that shares most parts with the others is right about as often as chance."""
    right = total = 0
    for world, candidate in accepted("small_location", 1):
        for seed in range(3):
            draft = FAMILIES["small_location"].draft(world, candidate, np.random.default_rng(seed))
            answer = run(draft.program, world)
            assert answer in draft.options
            parts = [option.split(" , ") for option in draft.options]
            shares = [sum(a == b for other in parts for a, b in zip(option, other)) for option in parts]
            best = [option for option, share in zip(draft.options, shares) if share == max(shares)]
            right += (answer in best) / len(best)
            total += 1
    assert total > 30 and right / total < 1 / 3 + 4 * math.sqrt(2 / 9 / total)


def test_families_say_what_a_scene_lacks() -> None:
    plain = FakeScene(SceneSpec(seed=3)).description
    rng = np.random.default_rng(0)
    for family, says in (
        ("small_presence", "raise the scene's clutter"),
        ("small_location", "raise the scene's clutter"),
        ("region_from_camera", "two rooms or more"),
    ):
        with pytest.raises(Infeasible, match=says):
            FAMILIES[family].plan(plain, 0, rng)
