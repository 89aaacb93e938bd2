"""Questions in the format of VSI-Bench (arXiv 2412.14171) and the scoring of their answers.

Three scores are reported:

    published  the score of the benchmark's own code (github.com/vision-x-nyu/thinking-in-space), to the digit: see
               score_published.
    strict     the reward of the learner (protocol/answers/scoring.py) with a strict reading: the answer must be exactly
               the letter or the number, so that a hedged answer scores 0.
    lenient    the same reward with a lenient reading (protocol/answers/lenient.py): "The answer is B." and "150 cm" are
               read, hedges and several answers still score 0.

The score of direction is the mean of its easy, medium and hard means, in `published` always a third of their sum, as in
the benchmark's code; `overall` is the unweighted mean of the tasks
(eight in VSI-Bench), `micro` the mean of all questions. A question without an answer scores 0.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Mapping, Sequence

import msgspec
import numpy as np

from protocol.answers.letters import LETTERS
from protocol.answers.prompt import read_answer
from protocol.answers.scoring import parse_number, score
from protocol.errors import VantageError
from protocol.run.files import read_regular
from protocol.run.sealed import verify_folder
from protocol.tasks.task import Question

VSI_TASKS = (
    *("object_counting", "object_abs_distance", "object_size_estimation", "room_size_estimation"),
    *("object_rel_distance", "object_rel_direction", "route_planning", "obj_appearance_order"),
)
_DIRECTION = "object_rel_direction"
# Units in which a lenient reading takes numbers, as the questions ask for them.
_UNITS = {
    "object_abs_distance": "m",
    "object_size_estimation": "cm",
    "room_size_estimation": "square meters",
    "camera_object_distance": "m",
    "object_distance": "m",
    "path_length": "m",
    "room_size": "square meters",
    "object_size": "cm",
    "scene_size": "cm",
}
_LEVELS = re.compile(rf"({_DIRECTION})_(easy|medium|hard)")
_SMALLEST, _LARGEST = 1e-12, 1e16  # of the true number
_LARGEST_ERRORS = 1 - np.linspace(0.5, 0.95, 10)  # relative
_LETTERED = re.compile(r"([A-Z])\. (.*)", re.DOTALL)


@dataclass(frozen=True)
class Item:
    """One question of a benchmark; `ground_truth` is as in the file: a letter if there are options."""

    id: str
    question_type: str
    ground_truth: str
    question: Question  # the same question for the rewards of the learner

    @property
    def task(self) -> str:
        match = _LEVELS.fullmatch(self.question_type)
        return match[1] if match else self.question_type

    @property
    def lettered(self) -> bool:
        return bool(self.question.options)


@dataclass(frozen=True)
class Line:
    """Mean scores over the `questions` of one task, or of all tasks."""

    name: str
    questions: int
    published: float
    strict: float
    lenient: float


@dataclass(frozen=True)
class BenchmarkResult:
    tasks: tuple[Line, ...]
    overall: Line
    micro: Line
    missing: int  # questions without an answer

    @property
    def is_vsi_bench(self) -> bool:
        """Whether the tasks are the eight of VSI-Bench, so that `overall` is its score."""
        return {line.name for line in self.tasks} == set(VSI_TASKS)


# ----------------------------------------------------------------------------- reading


def read_items(path: Path) -> list[Item]:
    """The questions of a .jsonl or .parquet file with VSI-Bench's fields, or of a dataset of `sim-server generate`.

    Raises VantageError: "bad_request" that names the row, "corrupt" for a dataset that does not match its manifests.
    """
    items: dict[str, Item] = {}
    for number, row in enumerate(_rows(path), start=1):
        try:
            item = item_of(row)
        except (KeyError, TypeError, ValueError) as error:
            raise VantageError(
                "bad_request",
                f"row {number} of {path} is not a question: it needs id, question_type, question and ground_truth, and "
                f"options like ['A. left', …] if the answer is a letter ({error}).",
            ) from None
        if item.id in items:
            raise VantageError("bad_request", f"row {number} of {path} repeats the id {item.id}.")
        items[item.id] = item
    if not items:
        raise VantageError("bad_request", f"{path} holds no questions.")
    return list(items.values())


def read_answers(path: Path, items: Sequence[Item]) -> dict[str, str]:
    """Answers by id, from JSON lines with "id" and "prediction".

    Raises VantageError("bad_request") for an id that is answered twice or that no question has.
    """
    known = {item.id for item in items}
    answers: dict[str, str] = {}
    for number, row in enumerate(json_lines(path, _content(path)), start=1):
        if not {"id", "prediction"} <= row.keys() or not isinstance(row["prediction"], str):
            raise VantageError("bad_request", f'line {number} of {path} needs "id" and a text "prediction".')
        key = str(row["id"])
        if key in answers:
            raise VantageError("bad_request", f"line {number} of {path} answers question {key} twice.")
        if key not in known:
            raise VantageError("bad_request", f"line {number} of {path} answers question {key}, which is not asked.")
        answers[key] = row["prediction"]
    return answers


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.is_dir():
        shards = sorted(path.glob("shards/shard-*"))
        if not (path / "dataset.json").exists() or not shards:
            raise VantageError(
                "bad_request", f"{path} is not a finished dataset; name one, or a .jsonl or .parquet file."
            )
        for shard in shards:
            verify_folder(shard)
            rows = shard / "rows.jsonl"
            yield from json_lines(rows, read_regular(rows))
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
        except (OSError, ValueError) as error:
            raise VantageError("bad_request", f"{path} cannot be read: {error}.") from None
        wanted = ("id", "question_type", "question", "ground_truth", "options", "answer_type")
        yield from table.select([name for name in wanted if name in table.column_names]).to_pylist()
    else:
        yield from json_lines(path, _content(path))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VantageError("bad_request", f"{path} cannot be read: {error.strerror}.") from None


def json_lines(path: Path, content: bytes) -> Iterator[dict[str, Any]]:
    """The objects in JSON lines. Only a line feed ends a line: strings may contain other line separators."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except UnicodeDecodeError:
            raise VantageError("bad_request", f"line {number} of {path} is not text; name JSON lines.") from None
        except (ValueError, RecursionError) as error:
            raise VantageError("bad_request", f"line {number} of {path} is not JSON: {error}.") from None
        if not isinstance(row, dict):
            raise VantageError("bad_request", f"line {number} of {path} is not a JSON object.")
        yield row


def item_of(row: Mapping[str, Any]) -> Item:
    """The question of a row. Raises KeyError, TypeError or ValueError if it is none."""
    given = str(row["ground_truth"])
    truth = given.strip()
    options = _options(row.get("options"))
    if options:
        answer, kind = options[list(LETTERS[: len(options)]).index(truth.upper())], "choice"
    else:
        answer, kind = truth, str(row.get("answer_type") or "number")
        if kind == "number":
            answer = _decimal(truth)
        if kind not in ("number", "choice", "sequence", "map"):
            raise ValueError(f"answer_type {kind!r}")
    skill = str(row["question_type"])
    question = Question(skill, 0, str(row["question"]), answer, kind, program="", options=options)
    return Item(str(row["id"]), skill, given, question)


def _options(listed: Any) -> tuple[str, ...]:
    """The texts of the options without their letters."""
    if not isinstance(listed, (list, tuple)) or not any(listed):  # null, which data frames read as NaN, or [""]
        return ()
    matches = [_LETTERED.fullmatch(str(option).strip()) for option in listed]
    letters = [match[1] if match else "" for match in matches]
    if "".join(letters) != LETTERS[: len(listed)]:
        raise ValueError(f"options are not lettered from A on: {listed}")
    return tuple(match[2].strip() for match in matches if match)


# ----------------------------------------------------------------------------- scoring


def unit_of(item: Item) -> str:
    """The unit in which the question asks for a number, or ""."""
    return _UNITS.get(item.question_type, "")


def score_published(item: Item, answer: str) -> float:
    """The score of one answer by the code of the benchmark, 0..1.

    It compares what precedes the first space, without trailing periods and then without white space around it. A choice
    is right if that is the letter, in any case. A number is read as by Python's float() and scored by the mean over ten
    thresholds of relative error <= threshold, in floating point: at exactly a threshold the rounding decides. Other
    answer types, which the benchmark does not have, score as by `score_strict`.
    """
    word = answer.split(" ")[0].rstrip(".").strip()
    if item.lettered:
        return float(word.lower() == item.ground_truth.lower())
    if item.question.answer_type != "number":
        return score_strict(item, answer)
    try:
        value, truth = float(word), float(item.ground_truth)
    except ValueError:
        return 0.0
    if truth == 0:  # the code of the benchmark ends with a division by zero
        return float(value == 0)
    return float((abs(value - truth) / truth <= _LARGEST_ERRORS).mean())


def score_strict(item: Item, answer: str) -> float:
    """The reward of the learner without its format term, 0..1, for a strict reading."""
    return score(item.question, read_answer(item.question, answer, "letters", "strict")).accuracy


def score_lenient(item: Item, answer: str) -> float:
    """The reward of the learner without its format term, 0..1, for a lenient reading."""
    strict = read_answer(item.question, answer, "letters", "strict")
    if strict and item.question.answer_type == "number":
        return score(item.question, strict).accuracy
    asked = msgspec.structs.replace(item.question, unit=unit_of(item))
    return score(asked, read_answer(asked, answer, "letters", "lenient")).accuracy


def _task_line(name: str, lines: Sequence[Line]) -> Line:
    """The mean of the lines of one task."""
    mean = _mean_line(name, lines)
    if name != _DIRECTION:
        return mean
    return replace(mean, published=math.fsum(line.published for line in lines) / 3)


def evaluate(items: Sequence[Item], answers: Mapping[str, str]) -> BenchmarkResult:
    """Scores of all items; items without an answer score 0."""
    by_type: dict[str, list[tuple[float, ...]]] = {}
    for item in items:
        answer = answers.get(item.id, "")
        scores = (score_published(item, answer), score_strict(item, answer), score_lenient(item, answer))
        by_type.setdefault(item.question_type, []).append(scores)
    lines = {name: _line(name, scores) for name, scores in by_type.items()}
    tasks: dict[str, list[Line]] = {}
    for item in items:
        line = lines[item.question_type]
        if line not in tasks.setdefault(item.task, []):
            tasks[item.task].append(line)
    rows = tuple(_task_line(name, own) for name, own in tasks.items())
    return BenchmarkResult(
        tasks=rows,
        overall=_mean_line("overall", rows),
        micro=_line("micro", [pair for scores in by_type.values() for pair in scores]),
        missing=sum(item.id not in answers for item in items),
    )


def _decimal(text: str) -> str:
    """A number as a plain decimal of bounded length. Raises ValueError if it is none, or too large or too small."""
    if parse_number(text) is not None:
        return text
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a number") from None
    if not _SMALLEST <= abs(value) <= _LARGEST:
        raise ValueError(f"{text[:40]!r} is not a number from {_SMALLEST} to {_LARGEST}")
    return f"{value:.16f}".rstrip("0").rstrip(".")


def _line(name: str, scores: Sequence[tuple[float, ...]]) -> Line:
    return Line(name, len(scores), *(math.fsum(column) / len(scores) for column in zip(*scores)))


def _mean_line(name: str, lines: Sequence[Line]) -> Line:
    """The unweighted mean of several lines."""
    return Line(
        name,
        sum(line.questions for line in lines),
        math.fsum(line.published for line in lines) / len(lines),
        math.fsum(line.strict for line in lines) / len(lines),
        math.fsum(line.lenient for line in lines) / len(lines),
    )
