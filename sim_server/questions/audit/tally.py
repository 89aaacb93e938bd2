"""What the audit counts: the outcome of each spec, and a row per skill and level."""

from __future__ import annotations

import math
from collections import Counter
from typing import Optional, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.skills import CATALOGUE
from protocol.tasks.task import Question, TaskSpec

Cell = tuple[str, int]  # skill, level


class Example(msgspec.Struct):
    """One question with its images, for the page: per view uint8 [H, W, 3] and int32 [H, W]."""

    spec: TaskSpec
    question: Question
    oracle: str
    agrees: bool
    holds: bool
    rgb: list[NDArray[np.uint8]]
    ids: list[NDArray[np.int32]]


class Outcome(msgspec.Struct):
    """What became of one spec: a checked question, or the reason why there is none."""

    cell: Cell
    spent_s: float = 0.0
    reason: str = ""  # of an infeasible spec, or of one that failed
    failed: bool = False  # it ended with an error
    attempts: int = 0
    scene: int = 0  # a number that identifies the scene
    question: Optional[Question] = None
    holds: bool = False
    agrees: bool = False
    example: Optional[Example] = None


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


class Tally:
    """The outcomes of one cell, added up."""

    def __init__(self) -> None:
        self.specs = self.realised = self.attempts = self.holds = self.agrees = self.failed = 0
        self.spent_s = 0.0
        self.asked: list[tuple[int, Question]] = []  # each with the number of its scene
        self.reasons: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        self.specs += 1
        self.spent_s += outcome.spent_s
        self.failed += outcome.failed
        if outcome.question is None:
            self.reasons[outcome.reason] += 1
            return
        self.realised += 1
        self.attempts += outcome.attempts
        self.holds += outcome.holds
        self.agrees += outcome.agrees
        self.asked.append((outcome.scene, outcome.question))

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


def _answer(question: Question) -> str:
    """The answer, or its position among the options if they differ from question to question."""
    varies = question.option_objects or CATALOGUE[question.skill].options_vary
    return str(question.options.index(question.answer)) if varies else question.answer
