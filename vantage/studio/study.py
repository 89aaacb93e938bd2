"""Answers of people: appended to a file, and their accuracy per skill with intervals.

Each line is a JSON object with skill, level, accuracy, the reply and the spec, which reproduces the question.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import msgspec

from protocol.errors import VantageError
from protocol.intervals import wilson
from protocol.run.directory import disk_guard, open_to_append, write_all
from protocol.run.files import make_folder
from protocol.run.lines import read_lines
from protocol.skills import CATALOGUE
from protocol.tasks.task import TaskSpec


class Line(msgspec.Struct, frozen=True):
    """One answer of a person. `degradation` is that of the images, like "fog:3"."""

    time_s: float
    person: str
    skill: str
    level: int
    accuracy: float
    readable: bool
    reply: str
    answer: str
    spec: TaskSpec
    degradation: str = ""


class Score(NamedTuple):
    """The mean accuracy of the answers to one skill and its 95 % interval.

    Accuracies between 0 and 1 count as that part of a right answer: Wilson's interval is then at least as wide as it
    needs to be.
    """

    skill: str
    answers: int
    accuracy: float
    low: float
    high: float
    chance: float  # of the image-blind baseline, over the levels that were asked


class Study:
    """Appends the answers of one person to a file."""

    def __init__(self, path: Path, person: str) -> None:
        """Raises VantageError if the file cannot be written."""
        self._path = path
        self._person = person
        with disk_guard(path):
            make_folder(path.absolute().parent)
            self._file = open_to_append(path)

    def add(self, scored: dict[str, Any], reply: str) -> None:
        """Append an answer as the studio scored it. Raises VantageError("disk_full")."""
        names = ("skill", "level", "accuracy", "readable", "answer", "spec", "degradation")
        record = {"time_s": time.time(), "person": self._person, "reply": reply, **{key: scored[key] for key in names}}
        with disk_guard(self._path):
            write_all(self._file, msgspec.json.encode(record) + b"\n")

    def close(self) -> None:
        os.close(self._file)


def scores(path: Path) -> Iterator[Score]:
    """The score of every skill in a file of answers, and at the end that of all together.

    The first answer to a question counts. Raises VantageError("bad_request") if the file has no answers.
    """
    first: dict[bytes, Line] = {}
    for line in read_lines(path, lambda record: msgspec.convert(record, Line))[0]:
        if line.skill in CATALOGUE and line.level in CATALOGUE[line.skill].feasible_levels:
            question = msgspec.structs.replace(line.spec, spec_id="")
            first.setdefault(msgspec.json.encode([line.person, question]), line)
    if not first:
        raise VantageError("bad_request", f"{path} has no answers; collect some with vantage studio --record {path}.")
    lines: dict[str, list[Line]] = defaultdict(list)
    for line in first.values():
        lines[line.skill].append(line)
    for skill in sorted(lines):
        yield _score(skill, lines[skill])
    yield _score("all", list(first.values()))


def _score(name: str, lines: list[Line]) -> Score:
    right = sum(line.accuracy for line in lines)
    chance = sum(CATALOGUE[line.skill].chance_at(line.level) for line in lines)
    return Score(name, len(lines), right / len(lines), *wilson(right, len(lines)), chance / len(lines))
