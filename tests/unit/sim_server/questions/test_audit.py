"""The audit counts realised questions, and reports answers that a program or an oracle contradicts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.tasks.specs import World
from protocol.tasks.task import Question
from sim_server import cli
from sim_server.backends.base import Capabilities, Frames
from sim_server.questions.audit import run
from sim_server.questions.audit.oracles import ORACLES
from sim_server.questions.audit.page import page
from tests.support.questions.fake_scene import FakeScene

WORLD = World(min_objects=4, max_objects=6, width_px=48, height_px=48)
CELLS = [("object_color", 0), ("depth_order", 1)]


class FakeBackend:
    name, digest, capabilities = "fake", "fake-1", Capabilities()

    def open(self, spec: SceneSpec) -> FakeScene:
        return FakeScene(spec)

    def close(self) -> None:
        pass


def test_rows_count_every_spec_and_every_check() -> None:
    rows, scores, examples = run.audit(FakeBackend(), WORLD, CELLS, 6, images=1)
    assert [(row.skill, row.level) for row in rows] == CELLS
    for row in rows:
        assert row.specs == 6 and row.realised + sum(row.reasons.values()) == 6
        assert row.realised == row.agrees == row.holds > 0
        assert 0 <= row.blind <= 1 and 0 < row.chance < 1
    assert [(one.skill, one.questions) for one in scores] == [(row.skill, row.realised) for row in rows]
    assert len(examples) == 2
    html = page(rows, scores, examples, "<Audit>")
    assert "&lt;Audit&gt;" in html and html.count("data:image/png;base64,") == 2 and "http" not in html
    assert examples[0].question.answer in html


def _asked(answer: str, **fields: object) -> Question:
    given = {"answer_type": "choice", "options": ("left", "right"), **fields}
    return Question(skill="f", level=0, text="how far is the red box ?", answer=answer, program="", **given)


def test_the_levels_of_a_skill_rotate_over_the_scenes() -> None:
    cells = [("object_color", 0), ("object_color", 1), ("object_color", 2), ("depth_order", 1)]
    opened: list[int] = []

    class Counting(FakeBackend):
        def open(self, spec: SceneSpec) -> FakeScene:
            opened.append(spec.seed)
            return FakeScene(spec)

    rows, _, _ = run.audit(Counting(), WORLD, cells, 5)
    assert [row.specs for row in rows] == [2, 2, 1, 5]
    assert len(set(opened)) == len(opened) == 5


def test_a_skill_with_enough_questions_is_left_out_of_further_rounds() -> None:
    audit = run.Audit(WORLD, CELLS, enough=5)
    with ThreadPoolExecutor(2) as workers:
        assert audit.round(FakeBackend(), range(4), workers)
        assert not audit.round(FakeBackend(), range(4, 12), workers)
        assert not audit.round(FakeBackend(), range(12, 16), workers)
    rows, _, _ = audit.result()
    assert all(5 <= row.realised <= row.specs == 12 for row in rows)
    in_turn = run.Audit(WORLD, CELLS)
    in_turn.round(FakeBackend(), range(12))
    assert audit.questions() == in_turn.questions()


def test_the_counting_oracle_does_not_count_a_coffee_table_as_a_table() -> None:
    scene = FakeScene(SceneSpec(seed=1, min_objects=4, max_objects=4)).description
    kinds = ("coffee table", "table", "table", "set of books")
    things = tuple(msgspec.structs.replace(item, category=kind) for item, kind in zip(scene.objects, kinds))
    ids = np.array([[[item.id for item in things]]], np.int32)
    frames = Frames((Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0)),), Camera(4, 1), ids=ids)
    for kind, truth in (("coffee table", "1"), ("table", "2"), ("sofa", "0"), ("set of books", "1")):
        program = f'count(where(visible(view(0)), category="{kind}"))'
        question = msgspec.structs.replace(_asked(truth), program=program)
        for family in ("object_count", "scene_count", "cameras_count"):
            assert ORACLES[family](question, msgspec.structs.replace(scene, objects=things), frames) == truth


def test_answers_that_an_oracle_or_program_contradicts_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ORACLES, "object_color", lambda *_: "no color")
    monkeypatch.setattr(run, "verify", lambda question, *_: question.skill != "depth_order")
    rows, scores, examples = run.audit(FakeBackend(), WORLD, CELLS, 4)
    color, depth = rows
    assert color.realised > 0 == color.agrees and color.holds == color.realised
    assert depth.realised > 0 == depth.holds and depth.agrees == depth.realised
    assert len(examples) == color.realised + depth.realised
    assert "Failed checks" in page(rows, scores, examples, "audit")


@pytest.mark.parametrize("broken", ["scene", "spec", "oracle"])
def test_an_error_costs_one_spec_and_is_reported(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def second_fails(really):
        def call(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == 2:
                raise ZeroDivisionError("a fault")
            return really(*arguments, **named)

        return call

    backend = FakeBackend()
    if broken == "scene":
        monkeypatch.setattr(backend, "open", second_fails(backend.open))
    elif broken == "spec":
        monkeypatch.setattr(run, "realise", second_fails(run.realise))
    else:
        monkeypatch.setitem(ORACLES, "object_color", second_fails(ORACLES["object_color"]))
    rows, scores, examples = run.audit(backend, WORLD, CELLS, 6)
    assert sum(row.failed for row in rows) == (2 if broken == "scene" else 1)  # a scene is asked both skills
    for row in rows:
        assert row.specs == 6 and row.realised + sum(row.reasons.values()) == 6
        assert row.realised == row.agrees == row.holds > 0
    assert "failed: ZeroDivisionError: a fault" in page(rows, scores, examples, "audit")


def test_the_command_writes_a_table_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_server.backends.registry.make_backend", lambda *_: FakeBackend())
    setting = "curriculum.world.width_px=48"
    order = ["audit", "--n", "2", "--skill", "object_color:0", "--set", setting, "--out", str(tmp_path)]
    result = CliRunner().invoke(cli.app, order)
    assert result.exit_code == 0, result.output
    assert "object_color" in result.output
    (row,) = json.loads((tmp_path / "audit.json").read_text())["rows"]
    assert row["specs"] == 2
    assert (tmp_path / "audit.html").read_text().startswith("<!doctype html>")


def test_a_skill_without_an_oracle_is_refused() -> None:
    with pytest.raises(VantageError, match="the skill riddle has no oracle"):
        run.audit(FakeBackend(), WORLD, [("riddle", 0)], 1)
