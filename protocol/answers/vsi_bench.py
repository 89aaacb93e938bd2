"""Questions in the format of VSI-Bench (arXiv 2412.14171) and the scoring of their answers.

Two scores are reported:

    published  the definition of the benchmark. A choice: the first word of the answer without a trailing period,
               compared with the letter, ignoring case. A number: the first word, by mean relative accuracy.
    strict     the reward of the learner (protocol/answers/scoring.py): the answer must be exactly the letter or the
               number, so that a hedged answer scores 0.

The score of direction is the mean of its easy, medium and hard means; `overall` is the unweighted mean of the tasks
(eight in VSI-Bench), `micro` the mean of all questions. A question without an answer scores 0.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Mapping, Sequence

from protocol.answers.letters import LETTERS
from protocol.answers.prompt import read_answer
from protocol.answers.scoring import mean_relative_accuracy, score
from protocol.errors import VantageError
from protocol.run.sealed import verify_folder
from protocol.tasks.task import Question

VSI_TASKS = (
    *("object_counting", "object_abs_distance", "object_size_estimation", "room_size_estimation"),
    *("object_rel_distance", "object_rel_direction", "route_planning", "obj_appearance_order"),
)
_LEVELS = re.compile(r"(object_rel_direction)_(easy|medium|hard)")
_LETTERED = re.compile(r"([A-Z])\. (.*)", re.DOTALL)


@dataclass(frozen=True)
class Item:
    """One question of a benchmark; `ground_truth` is a letter if there are options."""

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
            item = _item(row)
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
    for number, row in enumerate(_json_lines(path), start=1):
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
            yield from _json_lines(shard / "rows.jsonl")
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
        except (OSError, ValueError) as error:
            raise VantageError("bad_request", f"{path} cannot be read: {error}.") from None
        wanted = ("id", "question_type", "question", "ground_truth", "options", "answer_type")
        yield from table.select([name for name in wanted if name in table.column_names]).to_pylist()
    else:
        yield from _json_lines(path)


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text()
    except OSError as error:
        raise VantageError("bad_request", f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise VantageError("bad_request", f"{path} is not text; name JSON lines.") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise VantageError("bad_request", f"line {number} of {path} is not JSON: {error}.") from None
        if not isinstance(row, dict):
            raise VantageError("bad_request", f"line {number} of {path} is not a JSON object.")
        yield row


def _item(row: Mapping[str, Any]) -> Item:
    truth = str(row["ground_truth"]).strip()
    options = _options(row.get("options"))
    if options:
        answer, kind = options[list(LETTERS[: len(options)]).index(truth.upper())], "choice"
    else:
        answer, kind = truth, str(row.get("answer_type") or "number")
        if kind == "number" and _number(truth) is None:
            raise ValueError(f"{truth!r} is not a number")
        if kind not in ("number", "choice", "sequence", "map"):
            raise ValueError(f"answer_type {kind!r}")
    skill = str(row["question_type"])
    question = Question(skill, 0, str(row["question"]), answer, kind, program="", options=options)
    return Item(str(row["id"]), skill, truth, question)


def _options(listed: Any) -> tuple[str, ...]:
    """The texts of the options without their letters."""
    if not isinstance(listed, (list, tuple)):  # null, which data frames read as NaN
        return ()
    matches = [_LETTERED.fullmatch(str(option).strip()) for option in listed]
    letters = [match[1] if match else "" for match in matches]
    if "".join(letters) != LETTERS[: len(listed)]:
        raise ValueError(f"options are not lettered from A on: {listed}")
    return tuple(match[2].strip() for match in matches if match)


# ----------------------------------------------------------------------------- scoring


def score_published(item: Item, answer: str) -> float:
    """The score of one answer by the definition of the benchmark, 0..1.

    Mean relative accuracy has ten thresholds and a strict "<" (see protocol/answers/scoring.py): at exactly a threshold
    the code of the benchmark, which uses "<=" on rounded numbers, may give 0.1 more.
    """
    word = (answer.split() or [""])[0].rstrip(".")
    if item.lettered:
        return float(word.casefold() == item.ground_truth.casefold())
    if item.question.answer_type == "number":
        value = _number(word)
        truth = _number(item.ground_truth)
        assert truth is not None
        return 0.0 if value is None else mean_relative_accuracy(value, truth)
    return score_strict(item, answer)


def score_strict(item: Item, answer: str) -> float:
    """The reward of the learner without its format term, 0..1."""
    return score(item.question, read_answer(item.question, answer, "letters")).accuracy


def evaluate(items: Sequence[Item], answers: Mapping[str, str]) -> BenchmarkResult:
    """Scores of all items; items without an answer score 0."""
    by_type: dict[str, list[tuple[float, float]]] = {}
    for item in items:
        answer = answers.get(item.id, "")
        by_type.setdefault(item.question_type, []).append((score_published(item, answer), score_strict(item, answer)))
    lines = {name: _line(name, scores) for name, scores in by_type.items()}
    tasks: dict[str, list[Line]] = {}
    for item in items:
        line = lines[item.question_type]
        if line not in tasks.setdefault(item.task, []):
            tasks[item.task].append(line)
    rows = tuple(_mean_line(name, own) for name, own in tasks.items())
    return BenchmarkResult(
        tasks=rows,
        overall=_mean_line("overall", rows),
        micro=_line("micro", [pair for scores in by_type.values() for pair in scores]),
        missing=sum(item.id not in answers for item in items),
    )


def _number(text: str) -> Fraction | None:
    """A finite decimal number as an exact fraction, None for anything else."""
    try:
        return Fraction(text) if math.isfinite(float(text)) and len(text) <= 64 and "/" not in text else None
    except ValueError:
        return None


def _line(name: str, scores: Sequence[tuple[float, float]]) -> Line:
    return Line(name, len(scores), *(math.fsum(column) / len(scores) for column in zip(*scores)))


def _mean_line(name: str, lines: Sequence[Line]) -> Line:
    """The unweighted mean of several lines."""
    return Line(
        name,
        sum(line.questions for line in lines),
        math.fsum(line.published for line in lines) / len(lines),
        math.fsum(line.strict for line in lines) / len(lines),
    )
