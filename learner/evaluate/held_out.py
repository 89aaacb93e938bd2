"""Held-out evaluation: the same questions before, during and after training, in scenes that are never trained on.

Specs come from protocol.tasks.specs (val split), are rendered once per run and stored in evaluations/held_out/. Each
question is answered greedily and by sampling; a subset is also asked blind. Scores are per skill, level and world, with
95 % Wilson intervals, or bootstrap intervals if scores other than 0 and 1 occur (numeric answers).
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

import msgspec
import numpy as np

from learner.rollouts.answerer import Answerer
from learner.rollouts.base import Sampling
from learner.settings import EvaluateSettings, StreamSettings
from learner.stream.episodes import FATAL, QUESTIONS, SEE_SIMULATOR, Task, check_answerable, is_stalled, task_from
from learner.stream.reports import Channel
from protocol.errors import VantageError
from protocol.intervals import wilson
from protocol.run.directory import disk_guard, fsync_folder, write_atomic
from protocol.run.files import make_folder, open_regular, read_regular
from protocol.run.stall import Stalls
from protocol.seeds import rng_for
from protocol.tasks.check import check_asked, check_pose
from protocol.tasks.scene import Pose
from protocol.tasks.specs import World, held_out_specs
from protocol.tasks.task import Question, TaskSpec
from protocol.wire.messages import RenderTask

log = logging.getLogger(__name__)

_ATTEMPTS = 3  # to render a view that is broken
_RETRY_S = 1.0
_WORLD_WAIT_S = 120.0  # for a simulator that makes a world, if others are there
_SPARE = 2.0  # specs per question wanted: some are infeasible
_BOOTSTRAP = 1000

ShowStatus = Callable[[str], None]
Cell = tuple[str, int, str]  # skill, level, name of the world


# ----------------------------------------------------------------------------- questions


class HeldOut:
    """The held-out questions of a run, rendered once and stored."""

    def __init__(
        self, folder: Path, worlds: Mapping[str, World], cells: Sequence[tuple[str, int]], settings: EvaluateSettings
    ) -> None:
        """`cells` are (skill, level); the questions of a skill in a world are split evenly between its levels."""
        self._folder = folder
        levels = Counter(skill for skill, _ in dict.fromkeys(cells))
        wanted = {cell: math.ceil(settings.per_skill / levels[cell[0]]) for cell in cells}
        spare = {cell: math.ceil(count * _SPARE) for cell, count in wanted.items()}
        self._wanted: dict[Cell, int] = {(*cell, name): wanted[cell] for name in worlds for cell in wanted}
        self._specs = [spec for world in worlds.values() for spec in held_out_specs(world, settings.seed, spare)]

    def tasks(
        self, simulator: Channel, stream: StreamSettings, show: ShowStatus, stalls: Optional[Stalls] = None
    ) -> list[Task]:
        """Return the wanted number of questions of each cell, from disk if they were rendered before.

        With `stalls`, a simulator that does not answer is waited for, until `show` raises. A world that no simulator
        makes is left out if others are there. Raises VantageError: errors of the simulator that a retry cannot fix, and
        "infeasible" if a cell of another world has no question.
        """
        tasks = self._read()
        if tasks is None:
            tasks = _render(self._specs, self._wanted, simulator, stream, show, stalls)
            self._write(tasks)
        chosen: list[Task] = []
        made = {task.spec.world for task in tasks}
        for cell, count in self._wanted.items():
            own = [task for task in tasks if _cell(task.spec) == cell]
            if not own and made and cell[2] not in made:
                continue
            if not own:
                raise VantageError(
                    "infeasible",
                    f"no held-out scene{f' of world {cell[2]}' if cell[2] else ''} has a {cell[0]} question at level "
                    f"{cell[1]}: remove that level.",
                )
            chosen += own[:count]
        return chosen

    @property
    def rendered(self) -> bool:
        """Whether the questions are on disk, so that no simulator is needed."""
        return self._stored() is not None

    def _stored(self) -> Optional[_Stored]:
        """The index of the stored questions; None if there is none, or that of others, or a damaged one."""
        index = self._folder / "questions.json"
        try:
            stored = msgspec.json.decode(read_regular(index), type=_Stored)
            return stored if msgspec.json.decode(stored.specs, type=list[TaskSpec]) == self._specs else None
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, ValueError, RecursionError, OSError, VantageError) as error:
            log.warning("%s cannot be read, so the questions are rendered again: %s", index, error)
            return None

    def _read(self) -> Optional[list[Task]]:
        stored = self._stored()
        if stored is None:
            return None
        path = self._folder / "images.npy"
        try:
            os.close(open_regular(path, os.O_RDONLY))
            images = np.load(path, allow_pickle=False, mmap_mode="r")
            known = {spec.spec_id: spec for spec in self._specs}
            tasks, at = [], 0
            for row in stored.rows:
                views = tuple(np.array(image) for image in images[at : at + row.views])
                if not views or {view.shape for view in views} != {_shape(row.spec)}:
                    raise ValueError("images are missing or have another shape")
                if known.get(row.spec.spec_id) != row.spec or row.pose is None:
                    raise ValueError("a question has another spec, or no pose")
                check_asked(row.spec, row.question)
                check_answerable(row.question)
                check_pose(row.pose, "the last view")
                tasks.append(Task(row.spec, row.question, views, row.renderer_digest, pose=row.pose))
                at += row.views
        except Exception as error:  # NumPy evaluates the header of the file, and raises nearly anything
            log.warning("%s cannot be read, so the questions are rendered again: %s", path, error)
            return None
        return tasks

    def _write(self, tasks: Sequence[Task]) -> None:
        """Write the images, then the index: images without an index are ignored."""
        images = [image for task in tasks for image in task.images]
        if len({image.shape for image in images}) != 1:
            return  # views of different sizes cannot be stacked; they are rendered again next time
        with disk_guard(self._folder):
            make_folder(self._folder)
            staging = self._folder / "images.tmp.npy"
            with open(open_regular(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
                np.save(file, np.stack(images), allow_pickle=False)
                os.fsync(file.fileno())
            os.replace(staging, self._folder / "images.npy")
            fsync_folder(self._folder)
        rows = [_Row(task.spec, task.question, len(task.images), task.renderer_digest, task.pose) for task in tasks]
        write_atomic(
            self._folder / "questions.json",
            msgspec.json.encode(_Stored(msgspec.json.encode(self._specs).decode(), rows)),
        )


def _shape(spec: TaskSpec) -> tuple[int, int, int]:
    return spec.camera.height_px, spec.camera.width_px, 3


def _cell(spec: TaskSpec) -> Cell:
    return spec.question.skill, spec.question.level, spec.world


class _Row(msgspec.Struct, array_like=True):
    spec: TaskSpec
    question: Question
    views: int
    renderer_digest: str
    pose: Optional[Pose] = None


class _Stored(msgspec.Struct):
    specs: str
    rows: list[_Row]


def _render(
    specs: Sequence[TaskSpec],
    wanted: Mapping[Cell, int],
    simulator: Channel,
    stream: StreamSettings,
    show: ShowStatus,
    stalls: Optional[Stalls],
) -> list[Task]:
    """Render the feasible specs, in order, at least the first `wanted` of each cell.

    The result does not depend on timing: a spec is skipped only when enough earlier specs of its cell are done, when it
    is broken in several attempts, or with its world, if no simulator makes that for _WORLD_WAIT_S.
    """
    waiting = list(reversed(specs))
    worlds = {spec.world for spec in specs}
    missing_since_s: dict[str, float] = {}
    in_flight: dict[Future[Any], TaskSpec] = {}
    done: dict[str, Task] = {}
    have: Counter[Cell] = Counter()
    broken: Counter[str] = Counter()
    while waiting or in_flight:
        while waiting and len(in_flight) < stream.in_flight:
            spec = waiting.pop()
            if spec.world in worlds and have[_cell(spec)] < wanted[_cell(spec)]:
                message = RenderTask(spec, image_codec=stream.image_codec)
                in_flight[simulator.submit(message, deadline_s=stream.render_deadline_s)] = spec
        for future in wait(in_flight, timeout=_RETRY_S, return_when=FIRST_COMPLETED).done:
            spec = in_flight.pop(future)
            try:
                done[spec.spec_id] = task_from(future.result(), spec, stream.image_codec)
                have[_cell(spec)] += 1
                missing_since_s.pop(spec.world, None)
                if stalls is not None:
                    stalls.progressed(QUESTIONS)
            except VantageError as error:
                if error.code == "infeasible":
                    continue
                if error.code == "unsupported" and error.retryable and worlds - {spec.world}:
                    since_s = missing_since_s.setdefault(spec.world, time.monotonic())
                    if time.monotonic() - since_s > _WORLD_WAIT_S:
                        log.warning("world %s is left out of the evaluation: %s", spec.world, error.message)
                        worlds.discard(spec.world)
                    waiting.insert(0, spec)
                    continue
                _give_up_or_wait(error, stalls)
                broken[spec.spec_id] += not error.retryable
                if broken[spec.spec_id] < _ATTEMPTS:
                    waiting.append(spec)
                else:
                    log.warning("held-out spec %s is left out: %s", spec.spec_id, error.message)
        ready = sum(min(have[cell], count) for cell, count in wanted.items())
        show(f"rendering held-out questions, {ready} of {sum(wanted.values())}")
    return [done[spec.spec_id] for spec in specs if spec.spec_id in done and spec.world in worlds]


def _give_up_or_wait(error: VantageError, stalls: Optional[Stalls]) -> None:
    """After a failed attempt: raise the error if a further one cannot help, or wait if attempts keep failing."""
    if stalls is None:
        if error.retryable or error.code in FATAL:
            raise error
        return
    stalls.failed(QUESTIONS, error.message, SEE_SIMULATOR)
    if is_stalled(stalls, QUESTIONS):
        if error.code in FATAL:
            raise error
        time.sleep(_RETRY_S)


# ----------------------------------------------------------------------------- answers


@dataclass(frozen=True)
class CellScores:
    """Mean scores of one cell over `asked` questions; `blind` is over `asked_blind` of them."""

    skill: str
    level: int
    asked: int
    greedy: float
    greedy_interval: tuple[float, float]
    sampled: Optional[float] = None
    sampled_interval: Optional[tuple[float, float]] = None
    blind: Optional[float] = None
    asked_blind: int = 0
    world: str = ""  # its name; "" if the run has one world


class Evaluator:
    def __init__(self, answerer: Answerer, max_tokens: int, seed: int, stalls: Optional[Stalls] = None) -> None:
        """With `stalls`, a simulator that does not render a view is waited for."""
        self._answerer = answerer
        self._max_tokens = max_tokens
        self._seed = seed
        self._stalls = stalls

    def evaluate(
        self, tasks: Sequence[Task], samples: int, blind_per_skill: int, show: ShowStatus
    ) -> tuple[list[CellScores], list[tuple[str, float, Optional[float]]]]:
        """Return the scores of each cell, and (spec id, greedy score, sampled score) of each question.

        With `samples` 0, answers are greedy only. Questions whose views cannot be rendered while the policy looks
        around are left out with a warning.
        """
        show(f"answering {len(tasks)} held-out questions")
        answered = self._scores(tasks, samples, False, show)
        tasks = [task for task, scores in zip(tasks, answered) if scores]
        scored = [scores for scores in answered if scores]
        greedy = [scores[0] for scores in scored]
        sampled = [_mean(scores[1:]) if samples else None for scores in scored]
        blind_indices = first_per_skill(range(len(tasks)), tasks, blind_per_skill)
        blind_scores = self._scores([tasks[index] for index in blind_indices], 0, True, show)
        blind = {index: scores[0] for index, scores in zip(blind_indices, blind_scores)}
        cells: dict[Cell, list[int]] = {}
        for index, task in enumerate(tasks):
            cells.setdefault(_cell(task.spec), []).append(index)
        rows = []
        for (skill, level, world), members in cells.items():
            own_blind = [blind[index] for index in members if index in blind]
            own_sampled = [score for index in members if (score := sampled[index]) is not None]
            rows.append(
                CellScores(
                    skill,
                    level,
                    len(members),
                    _mean([greedy[index] for index in members]),
                    interval([greedy[index] for index in members]),
                    _mean(own_sampled) if own_sampled else None,
                    interval(own_sampled) if own_sampled else None,
                    _mean(own_blind) if own_blind else None,
                    len(own_blind),
                    world,
                )
            )
        questions = [(task.spec.spec_id, greedy[index], sampled[index]) for index, task in enumerate(tasks)]
        return rows, questions

    def _scores(self, tasks: Sequence[Task], samples: int, blind: bool, show: ShowStatus) -> list[list[float]]:
        """Per question, the score of the greedy answer, then those of `samples` sampled ones; empty if it failed."""
        if not tasks:
            return []
        sampling = Sampling(1.0 if samples else 0.0, self._max_tokens, self._seed, greedy_first=samples > 0)
        scores: list[list[float]] = [[] for _ in tasks]
        missing = list(range(len(tasks)))
        attempts = 0
        while missing and attempts < _ATTEMPTS:
            asked = [tasks[index] for index in missing]
            groups = self._answerer.answer(asked, 1 + samples, sampling, [blind] * len(asked), truth=False)
            failed: list[VantageError] = []
            for index, group in zip(missing, groups):
                if isinstance(group, VantageError):
                    failed.append(group)
                else:
                    scores[index] = [reward.accuracy for reward in group.rewards]
            missing = [index for index in missing if not scores[index]]
            if failed:
                _give_up_or_wait(failed[0], self._stalls)
                attempts += not failed[0].retryable
                show(f"answering {len(tasks)} held-out questions, {len(missing)} wait for a view")
                if attempts == _ATTEMPTS:
                    log.warning("%d held-out questions are left out: %s", len(missing), failed[0].message)
                    if len(missing) == len(tasks):
                        raise failed[0]
            elif self._stalls is not None:
                self._stalls.progressed(QUESTIONS)
        return scores


def first_per_skill(indices: Sequence[int], tasks: Sequence[Task], count: int) -> list[int]:
    """Choose up to `count` questions of each skill in each world, evenly over its levels. Deterministic."""
    by_skill: dict[tuple[str, str], dict[int, list[int]]] = {}
    for index in indices:
        skill, level, world = _cell(tasks[index].spec)
        by_skill.setdefault((skill, world), {}).setdefault(level, []).append(index)
    chosen: list[int] = []
    for levels in by_skill.values():
        rounds = max(map(len, levels.values()))
        interleaved = [own[index] for index in range(rounds) for own in levels.values() if index < len(own)]
        chosen += interleaved[:count]
    return sorted(chosen)


def interval(scores: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of the mean: Wilson if all scores are 0 or 1, else a seeded percentile bootstrap."""
    count = len(scores)
    if all(score in (0.0, 1.0) for score in scores):
        return wilson(sum(scores), count)
    rng = rng_for(0, "bootstrap", count)
    means = np.asarray(scores)[rng.integers(count, size=(_BOOTSTRAP, count))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def write_results(
    path: Path, summary: Mapping[str, Any], questions: Sequence[tuple[str, float, Optional[float]]]
) -> None:
    """Write the summary and the scores per question atomically."""
    make_folder(path.parent)
    write_atomic(path, json.dumps({**summary, "questions": questions}, separators=(",", ":")).encode())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
