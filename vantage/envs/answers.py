"""Answers on their way to the curriculum: any process of a trainer appends them, the pool collects and reports them.

    RUN/answers/POOL/<process>.jsonl ──▶ groups by lease ──▶ one confidence report per lease ──▶ outbox ──▶ curriculum

A report's id derives from its lease, so reporting a lease again after a kill has no effect.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, ClassVar, Sequence

import msgspec

from learner.stream.reports import answer_entropy, has_spread, report_id
from protocol.answers.scoring import Reward
from protocol.run.directory import disk_guard, open_to_append, write_all
from protocol.run.files import make_folder
from protocol.run.lines import read_lines
from protocol.tasks.task import degradation_label
from protocol.wire.messages import ConfidenceReport

if TYPE_CHECKING:
    from vantage.envs.questions import Ticket

FOLDER = "answers"
_LONGEST_TEXT = 200  # characters of an answer that are stored


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One scored answer, with everything that a report on its lease says about the question."""

    lease_id: str
    spec_id: str
    key: str
    accuracy: float
    text: str
    skill: str
    level: int
    frame: str = "camera"
    blind: bool = False
    degradation: str = ""
    renderer_digest: str = ""
    step: int = 0
    world: str = ""

    @classmethod
    def to(cls, ticket: Ticket, reply: str, reward: Reward, key: str, step: int) -> Answer:
        """The scored reply to a question. Without a key it gets one that no other answer has."""
        return cls(
            ticket.lease_id,
            ticket.spec.spec_id,
            key or os.urandom(9).hex(),
            reward.accuracy,
            " ".join(reply.split())[:_LONGEST_TEXT],
            ticket.spec.question.skill,
            ticket.spec.question.level,
            ticket.question.frame,
            ticket.blind,
            degradation_label(ticket.spec.degradations),
            ticket.renderer_digest,
            step,
            ticket.spec.world,
        )


class AnswerFile:
    """The file to which this process appends its answers for one pool."""

    _open: ClassVar[dict[tuple[int, Path], AnswerFile]] = {}
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, folder: Path) -> None:
        with disk_guard(folder):
            make_folder(folder.parent)
            make_folder(folder)
            self._file = open_to_append(folder / f"{os.getpid()}-{os.urandom(4).hex()}.jsonl")

    @classmethod
    def of(cls, run: Path, pool: str) -> AnswerFile:
        key = (os.getpid(), run / FOLDER / pool)  # a forked process has a file of its own
        with cls._guard:
            if key not in cls._open:
                cls._open[key] = cls(key[1])
            return cls._open[key]

    def add(self, answer: Answer) -> None:
        """Append an answer. Raises VantageError("disk_full")."""
        with self._guard, disk_guard(Path(FOLDER)):
            write_all(self._file, msgspec.json.encode(answer) + b"\n")


class Answers:
    """The answers of one pool's folder, grouped by lease."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self.groups: dict[str, dict[str, Answer]] = defaultdict(dict)  # lease id -> key -> answer

    def read(self) -> set[str]:
        """Read what was appended since the last call; returns the leases that have new answers."""
        changed = set()
        for path in sorted(self._folder.glob("*.jsonl")) if self._folder.is_dir() else ():
            answers, self._offsets[path] = read_lines(path, _answer, self._offsets.get(path, 0))
            for answer in answers:
                self.groups[answer.lease_id].setdefault(answer.key, answer)
                changed.add(answer.lease_id)
        return changed

    def take(self, lease_id: str) -> list[Answer]:
        """Remove and return the answers to one lease."""
        return list(self.groups.pop(lease_id, {}).values())


def report_of(answers: Sequence[Answer]) -> ConfidenceReport:
    """The report on the answers to one lease. The likelihood of the true answer is not known: it stays 0."""
    first = answers[0]
    rewards = tuple(answer.accuracy for answer in answers)
    return ConfidenceReport(
        report_id=report_id(first.lease_id, first.spec_id),
        spec_id=first.spec_id,
        lease_id=first.lease_id,
        policy_version=max(answer.step for answer in answers),
        outcome="answered",
        skill=first.skill,
        level=first.level,
        frame=first.frame,
        blind=first.blind,
        rewards=rewards,
        success_rate=fmean(rewards),
        answer_entropy=answer_entropy(answer.text for answer in answers),
        had_gradient=has_spread(rewards),
        renderer_digest=first.renderer_digest,
        degradation=first.degradation,
        world=first.world,
    )


def left_behind(run: Path) -> dict[Path, list[ConfidenceReport]]:
    """The folders of earlier pools with the reports on their answers, of which the curriculum may have counted some."""
    found = {}
    for folder in sorted((run / FOLDER).iterdir()) if (run / FOLDER).is_dir() else ():
        answers = Answers(folder)
        answers.read()
        found[folder] = [report_of(list(group.values())) for group in answers.groups.values()]
    return found


def _answer(record: dict[str, object]) -> Answer:
    return msgspec.convert(record, Answer)
