"""Held-out evaluation: questions, their store on disk, scores and intervals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Optional

import pytest

from learner.evaluate.held_out import Evaluator, HeldOut, first_per_skill, interval
from learner.rollouts.answerer import Answerer
from learner.settings import EvaluateSettings, StreamSettings
from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import HELD_OUT_SEED_BORDER
from protocol.tasks.specs import World
from protocol.tasks.task import TaskSpec
from tests.support.learner import Channel, Encoder, Engine, simulator

CELLS = [("view_direction", 0), ("view_direction", 1), ("depth_order", 0)]
SETTINGS = EvaluateSettings(per_skill=8, samples=4, blind_per_skill=2)
STREAM = StreamSettings(in_flight=4)


def held_out(folder: Path) -> HeldOut:
    return HeldOut(folder, World(), CELLS, SETTINGS)


def fail_every_fourth(spec: TaskSpec) -> Optional[VantageError]:
    return Infeasible("no view shows it") if spec.seq % 4 == 0 else None


def test_questions_are_held_out_and_split_over_levels(tmp_path: Path) -> None:
    tasks = held_out(tmp_path).tasks(Channel(simulator(fail_every_fourth)), STREAM, lambda _: None)
    assert all(task.spec.scene.seed >= HELD_OUT_SEED_BORDER and task.spec.scene.split == "val" for task in tasks)
    cells = [(task.spec.question.skill, task.spec.question.level) for task in tasks]
    assert {cell: cells.count(cell) for cell in CELLS} == {CELLS[0]: 4, CELLS[1]: 4, CELLS[2]: 8}


def test_questions_are_rendered_once(tmp_path: Path) -> None:
    first = held_out(tmp_path).tasks(Channel(simulator()), STREAM, lambda _: None)

    def fail(_: TaskSpec) -> Optional[VantageError]:
        raise AssertionError("rendered again")

    again = held_out(tmp_path).tasks(Channel(simulator(fail)), STREAM, lambda _: None)
    assert [task.spec for task in again] == [task.spec for task in first]
    assert all((a.images[0] == b.images[0]).all() for a, b in zip(first, again))


def test_a_cell_without_questions_is_rejected(tmp_path: Path) -> None:
    def fail(spec: TaskSpec) -> Optional[VantageError]:
        return Infeasible("never") if spec.question.skill == "depth_order" else None

    with pytest.raises(VantageError, match="depth_order"):
        held_out(tmp_path).tasks(Channel(simulator(fail)), STREAM, lambda _: None)


def test_scores_are_per_cell_greedy_sampled_and_blind(tmp_path: Path) -> None:
    tasks = held_out(tmp_path).tasks(Channel(simulator()), STREAM, lambda _: None)
    answerer = Answerer(Engine(lambda _: 1), Encoder(), "words", Channel(simulator()), STREAM)  # type: ignore[arg-type]
    evaluator = Evaluator(answerer, 3, 0)
    rows, questions = evaluator.evaluate(tasks, 4, 2, lambda _: None)
    assert [(row.skill, row.level) for row in rows] == CELLS
    assert sum(row.asked for row in rows) == len(tasks) == len(questions)
    for row in rows:
        assert row.sampled == pytest.approx(1 - row.greedy)  # "left" first, "right" in all samples
        assert row.greedy_interval[0] <= row.greedy <= row.greedy_interval[1]
    assert sum(row.asked_blind for row in rows) == 4


def test_the_subset_is_deterministic_and_even_over_levels(tmp_path: Path) -> None:
    tasks = held_out(tmp_path).tasks(Channel(simulator()), STREAM, lambda _: None)
    chosen = first_per_skill(range(len(tasks)), tasks, 4)
    assert chosen == first_per_skill(range(len(tasks)), tasks, 4)
    cells = [(tasks[index].spec.question.skill, tasks[index].spec.question.level) for index in chosen]
    assert {cell: cells.count(cell) for cell in CELLS} == {CELLS[0]: 2, CELLS[1]: 2, CELLS[2]: 4}


def test_wilson_interval_golden_values() -> None:
    low, high = interval([1.0] * 8 + [0.0] * 2)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert interval([0.0] * 10)[0] == 0.0


def test_fractional_scores_get_a_bootstrap_interval() -> None:
    scores = [0.5, 0.7, 0.9, 0.3] * 25
    low, high = interval(scores)
    assert low < 0.6 < high
    assert high - low == pytest.approx(2 * 1.96 * 0.2236 / math.sqrt(100), rel=0.25)
    assert interval(scores) == (low, high)
