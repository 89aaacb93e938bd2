"""Realise many questions of every skill and level, and check each answer twice.

First with the program: question, scene, poses, depth and ids are serialised and read again, like an exported episode,
and the program is run on them. Then with the oracle of the skill (oracles*.py), which derives the answer from pixels,
depths and samples of boxes without the program.
"""

from __future__ import annotations

import time
from collections import defaultdict
from concurrent.futures import Executor
from functools import partial
from typing import Callable, Mapping, Optional, Sequence
from zlib import crc32

import msgspec
import numpy as np

from protocol.errors import Infeasible, VantageError, one_line
from protocol.tasks.scene import Pose, SceneDescription, SceneSpec
from protocol.tasks.specs import World, task_spec, training_scene
from protocol.tasks.task import Question, TaskSpec
from sim_server.backends.base import Backend, Frames, Scene
from sim_server.questions.audit.blind import BlindScore, blind_score
from sim_server.questions.audit.oracles import agrees, oracle_of
from sim_server.questions.audit.tally import AuditRow, Cell, Example, Outcome, Tally
from sim_server.questions.evidence import EVIDENCE_SENSORS, Realised
from sim_server.questions.language.evaluator import verify
from sim_server.questions.realise import realise
from sim_server.questions.staging import Staging, staged

ROUND = 20  # scenes; skills with enough questions are left out of the next round
# A furnished home with candidates for every skill.
HOME: dict[str, object] = {"rooms": 2, "min_objects": 12, "max_objects": 20, "clutter": 0.7}


class Stored(msgspec.Struct, frozen=True):
    """The part of an episode that an exported dataset contains."""

    question: Question
    scene: SceneDescription
    poses: tuple[Pose, ...]
    depth: bytes
    ids: bytes
    amodal: Optional[list[dict[int, int]]]


class Audit:
    """Every skill is asked one question in each scene, with its levels in rotation."""

    def __init__(self, world: World, cells: Sequence[Cell], seed: int = 0, images: int = 0, enough: int = 0) -> None:
        """`images`: examples of each cell to keep, besides every question that failed a check. `enough`: questions of a
        skill after which it is not asked in further rounds; 0 asks it in every scene.

        Raises VantageError("unsupported") for a skill without an oracle.
        """
        for skill, _ in cells:
            oracle_of(skill)
        self._world, self._seed, self._images, self._enough = world, seed, images, enough
        self._tallies = {cell: Tally() for cell in cells}
        self._levels: dict[str, list[int]] = defaultdict(list)
        for skill, level in cells:
            self._levels[skill].append(level)
        self._examples: list[Example] = []

    def round(self, backend: Backend, indices: Sequence[int], workers: Optional[Executor] = None) -> bool:
        """Ask in the scenes with these indices; return False if every skill has enough questions.

        `workers`: processes to spread the scenes over; the backend must be one that can be pickled.
        """
        for outcomes in (workers.map if workers else map)(self.asking(backend), indices):
            self.add(outcomes)
        return not all(map(self._has_enough, self._levels))

    def asking(self, backend: Backend) -> Callable[[int], list[Outcome]]:
        """A function that asks in the scene with an index; it can be pickled."""
        asked = [skill for skill in self._levels if not self._has_enough(skill)]
        return partial(_in_scene, backend, self._world, self._seed, self._levels, asked, self._images > 0)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            tally = self._tallies[outcome.cell]
            tally.add(outcome)
            example = outcome.example
            if example and (tally.realised <= self._images or not (example.agrees and example.holds)):
                self._examples.append(example)

    def _has_enough(self, skill: str) -> bool:
        realised = sum(self._tallies[skill, level].realised for level in self._levels[skill])
        return 0 < self._enough <= realised

    def questions(self) -> list[Question]:
        """Every question, by cell."""
        return [question for tally in self._tallies.values() for _, question in tally.asked]

    def result(self) -> tuple[list[AuditRow], list[BlindScore], list[Example]]:
        """A row per cell, the image-blind scores per skill, and the examples."""
        scores, blind = _blind(self._tallies)
        return [tally.row(cell, blind[cell]) for cell, tally in self._tallies.items()], scores, self._examples


def audit(
    backend: Backend,
    world: World,
    cells: Sequence[Cell],
    n: int,
    seed: int = 0,
    images: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[list[AuditRow], list[BlindScore], list[Example]]:
    """The result of an Audit in `n` scenes. Raises VantageError("unsupported") for a skill without an oracle."""
    checked = Audit(world, cells, seed, images)
    for start in range(0, n, ROUND):
        stop = min(start + ROUND, n)
        checked.round(backend, range(start, stop))
        progress(f"scenes: {stop} of {n}")
    return checked.result()


def _blind(tallies: Mapping[Cell, Tally]) -> tuple[list[BlindScore], dict[Cell, list[float]]]:
    """The image-blind scores of all skills with a question, and by cell those of every question."""
    by_cell: dict[Cell, list[float]] = {cell: [] for cell in tallies}
    scores: list[BlindScore] = []
    for skill in dict.fromkeys(skill for skill, _ in tallies):
        asked = [(cell, item) for cell, tally in tallies.items() if cell[0] == skill for item in tally.asked]
        if asked:
            total, each = blind_score([item for _, item in asked])
            scores.append(total)
            for (cell, _), value in zip(asked, each):
                by_cell[cell].append(value)
    return scores, by_cell


def _in_scene(
    backend: Backend, world: World, seed: int, levels: Mapping[str, Sequence[int]], skills: Sequence[str], images: bool,
    index: int,
) -> list[Outcome]:  # fmt: skip
    """The outcomes of one question of each of these skills in scene `index`, which contains what they wish for; levels:
    those of every skill."""
    cells = [(skill, turns[index % len(turns)]) for skill, turns in levels.items()]
    base = training_scene(world, seed, index)
    # A different random stream for every skill, and a scene for every wish.
    orders = {
        cell: _order(world, seed, base, index * len(cells) + place, cell)
        for place, cell in enumerate(cells)
        if cell[0] in skills
    }
    outcomes: list[Outcome] = []
    for spec in dict.fromkeys(order.scene for order in orders.values()):
        own = {cell: order for cell, order in orders.items() if order.scene == spec}
        try:
            scene = backend.open(spec)
        except Infeasible as error:
            outcomes += [Outcome(cell, reason=error.message) for cell in own]
            continue
        except MemoryError:
            raise
        except Exception as error:  # a fault of one scene costs that scene alone
            outcomes += [_failure(cell, error) for cell in own]
            continue
        for cell, order in own.items():
            try:
                outcomes.append(_one(scene, order, cell, images))
            except MemoryError:
                raise
            except Exception as error:
                outcomes.append(_failure(cell, error))
        scene.close()
    return outcomes


def _failure(cell: Cell, error: Exception) -> Outcome:
    return Outcome(cell, reason=f"failed: {one_line(error)}", failed=True)


def _order(world: World, seed: int, scene: SceneSpec, number: int, cell: Cell) -> TaskSpec:
    skill, level = cell
    name = f"audit-{skill}-{level}-{number}"
    return task_spec(world, seed, scene, spec_id=name, seq=number, skill=skill, level=level)


def _one(scene: Scene, order: TaskSpec, cell: Cell, images: bool) -> Outcome:
    """Realise one spec and check it. Questions need no colours: they are rendered for examples only."""
    started_s = time.process_time()
    try:
        found = realise(scene, order, EVIDENCE_SENSORS)
    except Infeasible as error:
        reason = error.message.split("rejected most: ")[-1]
        return Outcome(cell, time.process_time() - started_s, reason)
    spent_s = time.process_time() - started_s
    question, frames = found.question, found.frames
    outcome = Outcome(
        cell,
        spent_s,
        attempts=found.attempts,
        scene=crc32(scene.description.scene_id.encode()),
        question=question,
        holds=_holds_again(scene, found),
        agrees=agrees(question, scene.description, frames),
    )
    if images or not (outcome.holds and outcome.agrees):
        shown = staged(scene, Staging(frames.poses, changes=found.changes))
        rgb = shown.render(frames.poses, frames.camera, ("rgb",)).rgb
        assert rgb is not None and frames.ids is not None
        outcome.example = Example(
            spec=order,
            question=question,
            oracle=oracle_of(question.skill)(question, scene.description, frames),
            agrees=outcome.agrees,
            holds=outcome.holds,
            rgb=list(rgb),
            ids=list(frames.ids),
        )
    return outcome


def _holds_again(scene: Scene, found: Realised) -> bool:
    """Whether the program gives the same answer on the serialised episode."""
    frames = found.frames
    assert frames.depth is not None and frames.ids is not None
    written = Stored(
        found.question, scene.description, frames.poses, frames.depth.tobytes(), frames.ids.tobytes(), frames.amodal
    )
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(written), type=Stored)
    shape = frames.ids.shape
    depth, ids = np.frombuffer(read.depth, np.float32), np.frombuffer(read.ids, np.int32)
    stored = Frames(
        read.poses, frames.camera, None, depth.reshape(shape), ids.reshape(shape), read.amodal, lens=frames.lens
    )
    try:
        return verify(read.question, read.scene, stored)
    except VantageError:
        return False
