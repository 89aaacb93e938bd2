"""Held-out evaluation: questions, their store on disk, scores and intervals."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Optional

import msgspec
import pytest

from learner.evaluate import held_out as module
from learner.evaluate.held_out import Evaluator, HeldOut, first_per_skill, interval
from learner.rollouts.answerer import Answerer
from learner.settings import EvaluateSettings, StreamSettings
from learner.stream.episodes import Task, task_from
from protocol.errors import Infeasible, VantageError
from protocol.run.stall import Stalls
from protocol.tasks.scene import HELD_OUT_SEED_BORDER
from protocol.tasks.specs import World
from protocol.tasks.task import Episode, QuestionSpec, TaskSpec
from protocol.wire.messages import Observe, RenderTask
from tests.support.damage import damaged
from tests.support.learner import Channel, Encoder, Engine, simulator

CELLS = [("view_direction", 0), ("view_direction", 1), ("depth_order", 0)]
SETTINGS = EvaluateSettings(per_skill=8, samples=4, blind_per_skill=2)
STREAM = StreamSettings(in_flight=4)


def held_out(folder: Path) -> HeldOut:
    return HeldOut(folder, {"": World()}, CELLS, SETTINGS)


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


TWO = {name: World(name=name, lights=(light,)) for name, light in (("plain", "day"), ("dark", "night"))}


def test_worlds_are_asked_and_scored_apart(tmp_path: Path) -> None:
    tasks = HeldOut(tmp_path, TWO, CELLS, SETTINGS).tasks(Channel(simulator()), STREAM, lambda _: None)
    answerer = Answerer(Engine(lambda _: 1), Encoder(), "words", Channel(simulator()), STREAM)  # type: ignore[arg-type]
    rows, _ = Evaluator(answerer, 3, 0).evaluate(tasks, 0, 2, lambda _: None)
    cells = [(*cell, name) for name in TWO for cell in CELLS]
    assert [(row.skill, row.level, row.world) for row in rows] == cells
    assert [row.asked for row in rows] == [4, 4, 8] * 2
    assert sum(row.asked_blind for row in rows) == 2 * 4
    chosen = first_per_skill(range(len(tasks)), tasks, 4)
    assert sum(tasks[index].spec.world == "dark" for index in chosen) == len(chosen) / 2 == 8


def test_a_world_that_no_simulator_makes_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WORLD_WAIT_S", 0.05)
    missing = VantageError("unsupported", "no worker of the backend habitat has joined", retryable=True)

    def fail(spec: TaskSpec) -> Optional[VantageError]:
        return missing if spec.world == "dark" else None

    for handler in (simulator(fail), simulator()):  # the second one finds the stored questions
        tasks = HeldOut(tmp_path, TWO, CELLS, SETTINGS).tasks(Channel(handler), STREAM, lambda _: None)
        assert {task.spec.world for task in tasks} == {"plain"} and len(tasks) == 16


def test_questions_stored_by_an_earlier_version_are_not_rendered_again(tmp_path: Path) -> None:
    first = held_out(tmp_path).tasks(Channel(simulator()), STREAM, lambda _: None)
    path = tmp_path / "questions.json"
    stored = path.read_text()
    for later in ('\\"world\\":\\"\\"', '"world":""', '\\"backend\\":\\"\\"', '"backend":""'):
        assert later in stored
        stored = stored.replace("," + later, "")
    path.write_text(stored)
    fail = simulator(lambda _: VantageError("internal", "rendered again"))
    again = held_out(tmp_path).tasks(Channel(fail), STREAM, lambda _: None)
    assert [task.spec for task in again] == [task.spec for task in first]


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


# ----------------------------------------------------------------------------- a simulator that lies or fails


def test_a_held_out_question_that_stays_broken_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    lied: Counter[str] = Counter()

    def change(episode: Episode) -> Episode:
        lied[episode.spec_id] += 1
        if int(episode.spec_id[3:]) % 4 == 0 or lied[episode.spec_id] == 1:  # every first answer is another spec's
            return msgspec.structs.replace(episode, spec_id="s99999")
        return episode

    tasks = held_out(tmp_path).tasks(Channel(simulator(change=change)), STREAM, lambda _: None, Stalls("learner"))
    assert tasks and not [task for task in tasks if int(task.spec.spec_id[3:]) % 4 == 0]
    cells = [(task.spec.question.skill, task.spec.question.level) for task in tasks]
    assert {cell: cells.count(cell) for cell in CELLS} == {CELLS[0]: 4, CELLS[1]: 4, CELLS[2]: 8}


def test_a_simulator_that_does_not_answer_is_waited_for_by_a_learner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    calls = itertools.count()

    def fail(_: TaskSpec) -> Optional[VantageError]:
        return VantageError("timeout", "no answer") if next(calls) < 20 else None

    with pytest.raises(VantageError, match="no answer"):
        held_out(tmp_path).tasks(Channel(simulator(fail)), STREAM, lambda _: None)
    assert held_out(tmp_path).tasks(Channel(simulator(fail)), STREAM, lambda _: None, Stalls("learner"))


@pytest.mark.parametrize("name", ["questions.json", "images.npy"])
@pytest.mark.parametrize("damage", [b"", b"\xff", b"[" * 100_000], ids=["empty", "bytes", "nested"])
def test_damaged_held_out_questions_are_rendered_again(tmp_path: Path, name: str, damage: bytes) -> None:
    first = held_out(tmp_path).tasks(Channel(simulator()), STREAM, lambda _: None)
    (tmp_path / name).write_bytes(damage)
    again = held_out(tmp_path).tasks(Channel(simulator()), STREAM, lambda _: None)
    assert [task.spec for task in again] == [task.spec for task in first]
    assert held_out(tmp_path).rendered


@pytest.mark.parametrize("name", ["questions.json", "images.npy"])
def test_no_damage_of_held_out_questions_ends_a_start(tmp_path: Path, name: str) -> None:
    first = held_out(tmp_path).tasks(Channel(simulator()), STREAM, lambda _: None)
    whole = (tmp_path / name).read_bytes()
    for copy in damaged(whole if name == "questions.json" else whole[:200], 30):
        (tmp_path / name).write_bytes(copy + whole[200:] if name == "images.npy" else copy)
        tasks = held_out(tmp_path).tasks(Channel(simulator()), STREAM, lambda _: None)
        assert [task.spec for task in tasks] == [task.spec for task in first]


def looking_around() -> list[Task]:
    tasks = []
    for seq in range(4):
        spec = TaskSpec(f"s{seq}", 0, seq, question=QuestionSpec("view_direction"), look_around=1)
        tasks.append(task_from(Channel(simulator()).request(RenderTask(spec)), spec, "raw"))
    return tasks


def test_a_view_that_fails_during_an_evaluation_costs_its_question_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    failed: Counter[int] = Counter()

    def fail(message: Observe) -> Optional[VantageError]:
        failed[message.seq] += 1
        once = failed[message.seq] == 1
        return VantageError("bad_reply", "a lie") if message.seq == 2 or (message.seq == 1 and once) else None

    engine = Engine(lambda _: 1)
    engine.words = ("turn left", "left")  # the greedy answer looks around first
    answerer = Answerer(engine, Encoder(), "words", Channel(simulator(fail_observe=fail)), STREAM)  # type: ignore[arg-type]
    rows, questions = Evaluator(answerer, 3, 0, Stalls("learner")).evaluate(looking_around(), 2, 0, lambda _: None)
    assert [name for name, *_ in questions] == ["s0", "s1", "s3"] and rows[0].asked == 3
