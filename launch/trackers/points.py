"""What trackers show of a run, from its metrics/*.jsonl and episodes.

    metrics/learner.jsonl      step        -> scalars of the step
                               evaluated   -> scalars and a table, skill x level
    metrics/curriculum.jsonl   reported    -> scalars, at the next step of the learner
    episodes/episodes.jsonl    with images -> a sample: question, answers, first image

The files are append-only. A point that a tracker has already written is skipped, also after a restart: see `Written`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Protocol

import msgspec

from protocol.run.directory import RunDir, read_jsonl

_NOT_SHOWN = frozenset({"time_s", "event", "step", "version"})
_LONGEST_ANSWER = 200  # characters


@dataclass(frozen=True)
class Sample:
    """A question with the image that the policy saw first."""

    title: str  # skill and level
    text: str  # Markdown: question, true answer, answers
    image: Path  # PNG


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Point:
    """Everything that one record adds at a step."""

    step: int
    scalars: dict[str, float] = field(default_factory=dict)
    table: Optional[Table] = None
    sample: Optional[Sample] = None


class Tracker(Protocol):
    def written(self) -> Written:
        """What earlier starts have written."""
        ...

    def write(self, point: Point) -> None: ...

    def flush(self, written: Written) -> None:
        """Make the points so far durable; `written` covers them."""
        ...

    def close(self) -> None: ...


class Written(msgspec.Struct):
    """How far the records of a run were written: the last step, the number of evaluations, the last sampled step.

    A learner that resumes may repeat steps; the first record of a step counts.
    """

    step: int = 0
    evaluations: int = 0
    sampled: int = -1


class Reader:
    """Reads the points that were added since the last call, in the order of their steps."""

    def __init__(self, run: RunDir, written: Written) -> None:
        self.written = written
        self._run = run
        self._offsets: dict[Path, int] = defaultdict(int)
        self._evaluations = 0
        self._reported: dict[str, float] = {}
        self._shown: dict[str, int] = {}  # title of a sample -> its last step

    def read(self) -> list[Point]:
        """The new points; `written` covers them when this returns."""
        points: list[Point] = []
        for line in self._new(self._run.metrics / "curriculum.jsonl"):
            if line.get("event") == "reported":
                self._reported = _scalars("curriculum", line)
        for line in self._new(self._run.metrics / "learner.jsonl"):
            points += self._learner(line)
        for line in self._new(self._run.episodes / "episodes.jsonl"):
            points += self._episode(line)
        if points:
            self.written.sampled = max(
                [self.written.sampled, *(point.step for point in points if point.sample is not None)]
            )
        return sorted(points, key=lambda point: point.step)

    def _new(self, path: Path) -> list[dict[str, Any]]:
        lines, self._offsets[path] = read_jsonl(path, self._offsets[path])
        return lines

    def _learner(self, line: Mapping[str, Any]) -> Iterator[Point]:
        step = line.get("step")
        if not isinstance(step, int):
            return
        if line.get("event") == "step" and step > self.written.step:
            self.written.step = step
            yield Point(step, {**_scalars("train", line), **self._reported})
        elif line.get("event") == "evaluated":
            self._evaluations += 1
            if self._evaluations > self.written.evaluations:
                self.written.evaluations = self._evaluations
                yield from _evaluation(step, line)

    def _episode(self, line: Mapping[str, Any]) -> Iterator[Point]:
        step, images = line.get("step"), line.get("images")
        if not isinstance(step, int) or step <= self.written.sampled or not isinstance(images, list) or not images:
            return
        image = self._run.episodes / str(images[0])
        if not image.resolve().is_relative_to(self._run.episodes.resolve()) or not image.is_file():
            return  # the oldest images are deleted
        title = f"{line.get('skill')} L{line.get('level')}"
        if self._shown.get(title) == step:
            return  # one sample of a title and step
        self._shown[title] = step
        answers = [str(answer)[:_LONGEST_ANSWER] for answer in line.get("answers") or ()]
        shown = "".join(f"\n- {answer}" for answer in dict.fromkeys(answers))
        text = f"{line.get('question', '')}\n\n**true answer:** {line.get('truth', '')}\n\n**answers:**\n{shown}"
        yield Point(step, sample=Sample(title, text, image))


def _scalars(prefix: str, line: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a record by name; nested ones as "seconds/rollout"."""
    found: dict[str, float] = {}
    for name, value in line.items():
        if name in _NOT_SHOWN:
            continue
        nested = value.items() if isinstance(value, dict) else [("", value)]
        for key, number in nested:
            if isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number):
                found[f"{name}/{key}" if key else f"{prefix}/{name}"] = float(number)
    return found


def _evaluation(step: int, line: Mapping[str, Any]) -> Iterator[Point]:
    rows = [row for row in line.get("rows") or () if isinstance(row, dict)]
    by_skill: dict[str, list[float]] = defaultdict(list)
    by_world: dict[str, list[float]] = defaultdict(list)
    cells: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if isinstance(row.get("greedy"), (int, float)):
            by_skill[str(row.get("skill"))].append(float(row["greedy"]))
            cells[str(row.get("skill"))][int(row.get("level") or 0)].append(float(row["greedy"]))
            if row.get("world"):
                by_world[str(row["world"])].append(float(row["greedy"]))
    if not by_skill:
        return
    means = {skill: sum(values) / len(values) for skill, values in by_skill.items()}
    name = "held_out_during" if line.get("label") == "during" else "held_out"  # during: fewer questions
    scalars = {f"{name}/{skill}": mean for skill, mean in means.items()}
    scalars[f"{name}/mean"] = sum(means.values()) / len(means)
    scalars |= {f"{name}/world/{world}": sum(values) / len(values) for world, values in by_world.items()}
    levels = sorted({level for own in cells.values() for level in own})
    table = Table(
        name,
        ("skill", *(f"level {level}" for level in levels)),
        tuple((skill, *(_rounded_mean(own.get(level)) for level in levels)) for skill, own in cells.items()),
    )
    yield Point(step, scalars, table)


def _rounded_mean(values: Optional[list[float]]) -> Optional[float]:
    return round(sum(values) / len(values), 4) if values else None


def markdown(table: Table) -> str:
    lines = [table.columns, ("---",) * len(table.columns), *table.rows]
    return "\n".join(f"| {' | '.join('' if cell is None else str(cell) for cell in line)} |" for line in lines)
