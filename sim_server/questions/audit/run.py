"""Realise many questions of every skill and level, and check each answer twice.

Against the program: question, scene, poses, depth and ids are written to bytes and read again, as an exported episode
is, and the program is run on them. Against another route: the skill's oracle (oracles*.py) derives the answer from
pixels, depths and samples of boxes, without the program.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from typing import Callable, Optional, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible, VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Pose, SceneDescription, SceneSpec
from protocol.tasks.specs import World as Knobs
from protocol.tasks.specs import task_spec, training_scene
from protocol.tasks.task import Question, TaskSpec
from sim_server.backends.base import Backend, Frames, Scene
from sim_server.questions.audit.blind import earned, nothing, told
from sim_server.questions.audit.oracles import ORACLES, agrees
from sim_server.questions.evidence import EVIDENCE_SENSORS
from sim_server.questions.language.evaluator import verify
from sim_server.questions.realise import Realised, realise

Cell = tuple[str, int]  # skill, level
# A furnished home, where every skill has something to ask about.
HOME: dict[str, object] = {"rooms": 2, "min_objects": 12, "max_objects": 20, "clutter": 0.7}


class Stored(msgspec.Struct, frozen=True):
    """What of an episode is kept, as an exported data set keeps it."""

    question: Question
    scene: SceneDescription
    poses: tuple[Pose, ...]
    depth: bytes
    ids: bytes
    amodal: Optional[list[dict[int, int]]]


class Example(msgspec.Struct):
    """One question with its pictures, for a person to look at: per view uint8 [H, W, 3] and int32 [H, W]."""

    spec: TaskSpec
    question: Question
    oracle: str
    agrees: bool
    holds: bool
    rgb: list[NDArray[np.uint8]]
    ids: list[NDArray[np.int32]]


class Row(msgspec.Struct):
    """One skill at one level.

    `ms` is processor time per spec, scenes already open. `blind` is what a guesser earns that knows how answers go with
    words in other scenes (blind.py), `options_only` one that reads the options alone, `chance` what the skill catalogue
    says. `holds` and `agrees` count the realised questions that the program, run anew, and the oracle confirm.
    """

    skill: str
    level: int
    specs: int
    realised: int
    attempts: float  # placements of the camera per realised question
    ms: float
    answers: int
    entropy_bits: float
    chance: float
    options_only: float
    blind: float
    holds: int
    agrees: int
    reasons: dict[str, int]  # why specs were infeasible, the most frequent first


class _Tally:
    def __init__(self) -> None:
        self.specs = self.realised = self.attempts = self.holds = self.agrees = 0
        self.spent_s = 0.0
        self.asked: list[tuple[int, Question]] = []  # each with the turn of its scene among this cell's
        self.reasons: Counter[str] = Counter()

    def row(self, cell: Cell) -> Row:
        total = max(self.realised, 1)
        answers = Counter(_answer(question) for _, question in self.asked)
        return Row(
            skill=cell[0],
            level=cell[1],
            specs=self.specs,
            realised=self.realised,
            attempts=self.attempts / total,
            ms=1e3 * self.spent_s / max(self.specs, 1),
            answers=len(answers),
            entropy_bits=sum(-n / total * math.log2(n / total) for n in answers.values()),
            chance=CATALOGUE[cell[0]].chance_at(cell[1]),
            options_only=earned(self.asked, nothing),
            blind=earned(self.asked, told),
            holds=self.holds,
            agrees=self.agrees,
            reasons=dict(self.reasons.most_common()),
        )


def audit(
    backend: Backend,
    knobs: Knobs,
    cells: Sequence[Cell],
    n: int,
    seed: int = 0,
    pictures: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[list[Row], list[Example]]:
    """A row per cell, and examples: the first `pictures` of each cell, and whatever did not hold.

    In each of `n` scenes every skill is asked one question; its levels take turns.
    """
    tallies = {cell: _Tally() for cell in cells}
    levels: dict[str, list[int]] = defaultdict(list)
    for skill, level in cells:
        levels[skill].append(level)
    examples: list[Example] = []
    for index in range(n):
        spec = training_scene(knobs, seed, index)
        here = [(skill, turns[index % len(turns)]) for skill, turns in levels.items()]
        try:
            scene = backend.open(spec)
        except Infeasible as error:
            for cell in here:
                tallies[cell].specs += 1
                tallies[cell].reasons[error.message] += 1
            continue
        for position, cell in enumerate(here):
            tally = tallies[cell]
            number = index * len(here) + position  # what is drawn for one skill says nothing of the next one
            example = _one(scene, _order(knobs, seed, spec, number, cell), tally)
            if example is not None and (tally.realised <= pictures or not (example.agrees and example.holds)):
                examples.append(example)
        scene.close()
        if (index + 1) % 25 == 0 or index + 1 == n:
            progress(f"scenes: {index + 1} of {n}")
    return [tallies[cell].row(cell) for cell in cells], examples


def _answer(question: Question) -> str:
    """The answer, or its place where the options are others in every question."""
    varies = question.option_objects or CATALOGUE[question.skill].options_vary
    return str(question.options.index(question.answer)) if varies else question.answer


def _order(world: Knobs, seed: int, scene: SceneSpec, number: int, cell: Cell) -> TaskSpec:
    skill, level = cell
    name = f"audit-{skill}-{level}-{number}"
    return task_spec(world, seed, scene, spec_id=name, seq=number, skill=skill, level=level)


def _one(scene: Scene, order: TaskSpec, tally: _Tally) -> Optional[Example]:
    """Realise one spec and check it; None where it is infeasible."""
    tally.specs += 1
    started_s = time.process_time()
    try:
        found = realise(scene, order, ("rgb", *EVIDENCE_SENSORS))
    except Infeasible as error:
        tally.reasons[error.message.split("refused most: ")[-1]] += 1
        return None
    finally:
        tally.spent_s += time.process_time() - started_s
    question = found.question
    tally.realised += 1
    tally.attempts += found.attempts
    tally.asked.append((tally.specs, question))
    assert found.frames.rgb is not None and found.frames.ids is not None
    example = Example(
        spec=order,
        question=question,
        oracle=ORACLES[question.skill](question, scene.description, found.frames),
        agrees=agrees(question, scene.description, found.frames),
        holds=_holds_anew(scene, found),
        rgb=list(found.frames.rgb),
        ids=list(found.frames.ids),
    )
    tally.agrees += example.agrees
    tally.holds += example.holds
    return example


def _holds_anew(scene: Scene, found: Realised) -> bool:
    """Whether what is stored of the episode gives its answer again."""
    frames = found.frames
    assert frames.depth is not None and frames.ids is not None
    kept = Stored(
        found.question, scene.description, frames.poses, frames.depth.tobytes(), frames.ids.tobytes(), frames.amodal
    )
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=Stored)
    shape = frames.ids.shape
    depth, ids = np.frombuffer(read.depth, np.float32), np.frombuffer(read.ids, np.int32)
    stored = Frames(
        read.poses, frames.camera, None, depth.reshape(shape), ids.reshape(shape), read.amodal, lens=frames.lens
    )
    try:
        return verify(read.question, read.scene, stored)
    except VantageError:
        return False
