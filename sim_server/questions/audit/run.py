"""Realise many questions of every skill and level, and check each answer twice.

First with the program: question, scene, poses, depth and ids are serialised and read again, like an exported episode,
and the program is run on them. Then with the oracle of the skill (oracles*.py), which derives the answer from pixels,
depths and samples of boxes without the program.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from typing import Callable, Mapping, Optional, Sequence
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible, VantageError, one_line
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Pose, SceneDescription, SceneSpec
from protocol.tasks.specs import World, task_spec, training_scene
from protocol.tasks.task import Question, TaskSpec
from sim_server.backends.base import Backend, Frames, Scene
from sim_server.questions.audit.blind import BlindScore, blind_score
from sim_server.questions.audit.oracles import agrees, oracle_of
from sim_server.questions.evidence import EVIDENCE_SENSORS, Realised
from sim_server.questions.language.evaluator import verify
from sim_server.questions.realise import realise

Cell = tuple[str, int]  # skill, level
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


class Example(msgspec.Struct):
    """One question with its images, for the page: per view uint8 [H, W, 3] and int32 [H, W]."""

    spec: TaskSpec
    question: Question
    oracle: str
    agrees: bool
    holds: bool
    rgb: list[NDArray[np.uint8]]
    ids: list[NDArray[np.int32]]


class AuditRow(msgspec.Struct):
    """One skill at one level.

    `ms` is the processor time per spec without opening the scene. `blind` is the score of the image-blind baseline of
    the skill (blind.py) on the questions of this level, `chance` the value in the catalogue. `holds` and `agrees` count
    the realised questions that a second run of the program and the oracle confirm, `failed` the specs that ended with
    an error.
    """

    skill: str
    level: int
    specs: int
    realised: int
    attempts: float  # camera placements per realised question
    ms: float
    answers: int
    entropy_bits: float
    chance: float
    blind: float
    holds: int
    agrees: int
    failed: int
    reasons: dict[str, int]  # of infeasible and failed specs, the most frequent first


class _Tally:
    def __init__(self) -> None:
        self.specs = self.realised = self.attempts = self.holds = self.agrees = self.failed = 0
        self.spent_s = 0.0
        self.asked: list[tuple[int, Question]] = []  # each with a number that identifies its scene
        self.reasons: Counter[str] = Counter()

    def fail(self, error: Exception) -> None:
        self.failed += 1
        self.reasons[f"failed: {one_line(error)}"] += 1

    def row(self, cell: Cell, blind: Sequence[float]) -> AuditRow:
        """The row of a cell; blind: per question, the score of the image-blind baseline."""
        total = max(self.realised, 1)
        answers = Counter(_answer(question) for _, question in self.asked)
        return AuditRow(
            skill=cell[0],
            level=cell[1],
            specs=self.specs,
            realised=self.realised,
            attempts=self.attempts / total,
            ms=1e3 * self.spent_s / max(self.specs, 1),
            answers=len(answers),
            entropy_bits=sum(-n / total * math.log2(n / total) for n in answers.values()),
            chance=CATALOGUE[cell[0]].chance_at(cell[1]),
            blind=sum(blind) / total,
            holds=self.holds,
            agrees=self.agrees,
            failed=self.failed,
            reasons=dict(self.reasons.most_common()),
        )


def audit(
    backend: Backend,
    world: World,
    cells: Sequence[Cell],
    n: int,
    seed: int = 0,
    images: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[list[AuditRow], list[BlindScore], list[Example]]:
    """A row per cell, the image-blind scores per skill, and examples: the first `images` of each cell, and every
    question that failed a check.

    Every skill is asked one question in each of `n` scenes, with its levels in rotation. Raises
    VantageError("unsupported") for a skill without an oracle.
    """
    for skill, _ in cells:
        oracle_of(skill)
    tallies = {cell: _Tally() for cell in cells}
    levels: dict[str, list[int]] = defaultdict(list)
    for skill, level in cells:
        levels[skill].append(level)
    examples: list[Example] = []
    for index in range(n):
        base = training_scene(world, seed, index)
        here = [(skill, turns[index % len(turns)]) for skill, turns in levels.items()]
        # A different random stream for every skill, and a scene for every wish.
        orders = [_order(world, seed, base, index * len(here) + place, cell) for place, cell in enumerate(here)]
        for spec in dict.fromkeys(order.scene for order in orders):
            own = [(cell, order) for cell, order in zip(here, orders) if order.scene == spec]
            try:
                scene = backend.open(spec)
            except Infeasible as error:
                for cell, _ in own:
                    tallies[cell].specs += 1
                    tallies[cell].reasons[error.message] += 1
                continue
            except MemoryError:
                raise
            except Exception as error:  # a fault of one scene costs that scene alone
                for cell, _ in own:
                    tallies[cell].specs += 1
                    tallies[cell].fail(error)
                continue
            for cell, order in own:
                tally = tallies[cell]
                example = _one_or_failure(scene, order, tally)
                if example is not None and (tally.realised <= images or not (example.agrees and example.holds)):
                    examples.append(example)
            scene.close()
        if (index + 1) % 25 == 0 or index + 1 == n:
            progress(f"scenes: {index + 1} of {n}")
    scores, blind = _blind(tallies)
    return [tallies[cell].row(cell, blind[cell]) for cell in cells], scores, examples


def _blind(tallies: Mapping[Cell, _Tally]) -> tuple[list[BlindScore], dict[Cell, list[float]]]:
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


def _answer(question: Question) -> str:
    """The answer, or its position among the options if they differ from question to question."""
    varies = question.option_objects or CATALOGUE[question.skill].options_vary
    return str(question.options.index(question.answer)) if varies else question.answer


def _order(world: World, seed: int, scene: SceneSpec, number: int, cell: Cell) -> TaskSpec:
    skill, level = cell
    name = f"audit-{skill}-{level}-{number}"
    return task_spec(world, seed, scene, spec_id=name, seq=number, skill=skill, level=level)


def _one_or_failure(scene: Scene, order: TaskSpec, tally: _Tally) -> Optional[Example]:
    """Like `_one`; an error of one spec costs that spec alone."""
    try:
        return _one(scene, order, tally)
    except MemoryError:
        raise
    except Exception as error:
        tally.fail(error)
        return None


def _one(scene: Scene, order: TaskSpec, tally: _Tally) -> Optional[Example]:
    """Realise one spec and check it; None if it is infeasible."""
    tally.specs += 1
    started_s = time.process_time()
    try:
        found = realise(scene, order, ("rgb", *EVIDENCE_SENSORS))
    except Infeasible as error:
        tally.reasons[error.message.split("rejected most: ")[-1]] += 1
        return None
    finally:
        tally.spent_s += time.process_time() - started_s
    question = found.question
    assert found.frames.rgb is not None and found.frames.ids is not None
    example = Example(
        spec=order,
        question=question,
        oracle=oracle_of(question.skill)(question, scene.description, found.frames),
        agrees=agrees(question, scene.description, found.frames),
        holds=_holds_again(scene, found),
        rgb=list(found.frames.rgb),
        ids=list(found.frames.ids),
    )
    tally.realised += 1
    tally.attempts += found.attempts
    tally.asked.append((crc32(scene.description.scene_id.encode()), question))
    tally.agrees += example.agrees
    tally.holds += example.holds
    return example


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
