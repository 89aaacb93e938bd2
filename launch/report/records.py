"""The records of a run, read from its files for the live view, the report and `vantage.open_run`.

docs/reference/run-directory.md describes the file formats. Lines that are not of their format are left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Iterable, Optional, TypeVar, Union

import msgspec

from protocol.intervals import wilson
from protocol.run.directory import RunDir, read_jsonl
from protocol.run.lines import read_lines
from protocol.skills import CATALOGUE
from protocol.tasks.task import Degradation, degradation_label

Interval = tuple[float, float]
Record = TypeVar("Record")


@dataclass(frozen=True)
class StepRecord:
    """One training step.

    `no_gradient` is the fraction of groups whose rewards had no spread. `candidates` were generated, of which
    `screened` were left out (`left_out`: why) and `asked` were answered for the first time. `kept` questions were
    trained on, `replayed` of them not for the first time; the success of those sums to `before_replay` at their last
    use and to `after_replay` now.
    """

    step: int
    time_s: float
    reward: float
    no_gradient: Optional[float]
    seconds: dict[str, float]  # part of the step -> wall seconds
    asked: int = 0
    answers: int = 0  # sampled, those for screening included
    cpu_s: float = 0.0  # of the learner's process; in a serial run, of the simulator as well
    candidates: int = 0
    screened: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    replayed: int = 0
    before_replay: float = 0.0
    after_replay: float = 0.0
    rewarded: int = 0  # answers with a reward; the following counts are of these
    readable: int = 0
    truncated: int = 0  # cut off
    answer_tokens: int = 0


@dataclass(frozen=True)
class Score:
    """Held-out results for one skill at one level in one world. `greedy`, `sampled`, `blind`: accuracies, 0 to 1."""

    skill: str
    level: int
    asked: int
    greedy: float
    sampled: Optional[float] = None
    blind: Optional[float] = None
    world: str = ""  # its name; "" if the run has one world


@dataclass(frozen=True)
class Evaluation:
    step: int
    time_s: float
    label: str  # "before", "during" or "after"
    scores: tuple[Score, ...]

    def skills(self) -> list[str]:
        return list(dict.fromkeys(score.skill for score in self.scores))

    def greedy(self, skill: str, level: Optional[int] = None, world: Optional[str] = None) -> tuple[float, int]:
        """(right, asked) over the skill's levels and worlds, or over one; `right` is fractional if rewards are."""
        chosen = [
            score
            for score in self.scores
            if score.skill == skill and level in (None, score.level) and world in (None, score.world)
        ]
        return sum(score.greedy * score.asked for score in chosen), sum(score.asked for score in chosen)

    def sampled(self, skill: str) -> Optional[float]:
        chosen = [score for score in self.scores if score.skill == skill and score.sampled is not None]
        asked = sum(score.asked for score in chosen)
        return sum((score.sampled or 0.0) * score.asked for score in chosen) / asked if asked else None

    def mean(self, skills: Iterable[str]) -> Optional[float]:
        """Unweighted mean of the greedy accuracy over the given skills that were asked."""
        accuracies = [right / asked for right, asked in map(self.greedy, skills) if asked]
        return sum(accuracies) / len(accuracies) if accuracies else None


@dataclass(frozen=True)
class Lease:
    """One batch of specs that the curriculum issued."""

    time_s: float
    cells: dict[str, int]  # "depth_order L1" -> specs
    purposes: dict[str, int]
    success: dict[str, float]  # the curriculum's estimate per cell
    reason: str


@dataclass(frozen=True)
class WorldChange:
    """A world that was added to the run or retired. `issued`: the number of specs issued before."""

    event: str  # "world_added" or "world_retired"
    name: str
    issued: int
    reason: str
    parent: str = ""  # of a derived world
    change: str = ""  # from the parent


@dataclass(frozen=True)
class ReportBatch:
    """One batch of confidence reports that the curriculum counted."""

    time_s: float
    count: int
    outcomes: dict[str, int]  # "answered", "infeasible", … -> reports
    policy_version: int
    success: Optional[float]  # mean success rate of the answered ones
    no_gradient: int


@dataclass(frozen=True)
class EpisodeRecord:
    """A training question and the policy's answers; `images` are paths, empty if the views were not saved."""

    step: int
    spec_id: str
    skill: str
    level: int
    purpose: str
    blind: bool
    question: str
    options: tuple[str, ...]
    truth: str
    program: str
    answers: tuple[str, ...]
    success_rate: Optional[float]
    truth_likelihood: Optional[float]
    had_gradient: Optional[bool]
    degradation: str  # such as "fog:3"; "" for undegraded images
    images: tuple[Path, ...]


@dataclass(frozen=True)
class SkillChange:
    """A skill's accuracy before and after training, with 95 % intervals."""

    skill: str
    asked: int
    before: float
    before_interval: Interval
    after: float
    after_interval: Interval
    change: float
    change_interval: Interval
    sampled_before: Optional[float]
    sampled_after: Optional[float]


@dataclass
class Records:
    """A run's records, oldest first. `update` reads the lines appended since the last call."""

    run: RunDir
    steps: list[StepRecord] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    reports: list[ReportBatch] = field(default_factory=list)
    worlds: list[WorldChange] = field(default_factory=list)
    _offsets: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def update(self) -> Records:
        for line in self._new_lines("learner"):
            for record in _readable(_learner_line, line):
                if isinstance(record, StepRecord):
                    self.steps.append(record)
                elif isinstance(record, Evaluation):
                    self.evaluations.append(record)
        for line in self._new_lines("curriculum"):
            for record in _readable(_curriculum_line, line):
                if isinstance(record, Lease):
                    self.leases.append(record)
                elif isinstance(record, ReportBatch):
                    self.reports.append(record)
                elif isinstance(record, WorldChange):
                    self.worlds.append(record)
        return self

    def _new_lines(self, process: str) -> list[dict[str, Any]]:
        lines, self._offsets[process] = read_jsonl(self.run.metrics / f"{process}.jsonl", self._offsets[process])
        return lines

    @property
    def before(self) -> Optional[Evaluation]:
        return next((evaluation for evaluation in self.evaluations if evaluation.label == "before"), None)

    @property
    def after(self) -> Optional[Evaluation]:
        return next((evaluation for evaluation in reversed(self.evaluations) if evaluation.label == "after"), None)

    def changes(self) -> list[SkillChange]:
        """One row per skill that was asked both before and after, relational skills first."""
        before, after = self.before, self.after
        if before is None or after is None:
            return []
        skills = sorted(before.skills(), key=lambda name: (not is_relational(name), name))
        asked = [skill for skill in skills if before.greedy(skill)[1] and after.greedy(skill)[1]]
        return [_change(skill, before, after) for skill in asked]


def move_damaged_lines(run: RunDir) -> None:
    """Move lines of the metrics that hold no record to a side file, with a warning; for the start of a run."""
    read_lines(run.metrics / "learner.jsonl", _learner_line)
    read_lines(run.metrics / "curriculum.jsonl", _curriculum_line)


def is_relational(skill: str) -> bool:
    """Whether the skill relates objects to one another instead of naming one."""
    return skill in CATALOGUE and CATALOGUE[skill].reasoning != "perceive"


def split_cell(cell: str) -> tuple[str, int]:
    """ "depth_order L2" or "depth_order L2 @night fog:3" -> ("depth_order", 2)."""
    skill, _, rest = cell.partition(" L")
    return skill, int(rest.partition(" ")[0])


def world_of_cell(cell: str) -> str:
    """ "depth_order L2 @night fog:3" -> "night"; "" if the cell names no world."""
    return next((part[1:] for part in cell.split() if part.startswith("@")), "")


def read_episodes(run: RunDir) -> list[EpisodeRecord]:
    """Every recorded episode, oldest first; paths of images that were deleted since are left out."""
    lines, _ = read_jsonl(run.episodes / "episodes.jsonl")
    return [episode for line in lines for episode in _readable(partial(_episode, run), line)]


def gallery(run: RunDir, most: int, skill: str, without: bool = False) -> list[EpisodeRecord]:
    """The newest episodes with images of this skill, or of all others, newest first."""
    found = (one for one in reversed(read_episodes(run)) if one.images and (one.skill == skill) != without)
    return list(islice(found, most))


# ----------------------------------------------------------------------------- one line of a file


def _readable(read: Callable[[dict[str, Any]], Record], line: dict[str, Any]) -> list[Record]:
    """The record in a line, or none if the line lacks a value or holds one of another type."""
    try:
        return [read(line)]
    except (KeyError, TypeError, AttributeError, ValueError, ZeroDivisionError):  # ValueError: msgspec.ValidationError
        return []


def _learner_line(line: dict[str, Any]) -> Union[StepRecord, Evaluation, None]:
    """The record in a line of metrics/learner.jsonl; None for an event that is not shown."""
    event = line.get("event")
    return _step(line) if event == "step" else _evaluation(line) if event == "evaluated" else None


def _curriculum_line(line: dict[str, Any]) -> Union[Lease, ReportBatch, WorldChange, None]:
    """The same for metrics/curriculum.jsonl."""
    event = line.get("event")
    if event in ("world_added", "world_retired"):
        return msgspec.convert(line, WorldChange)
    return _lease(line) if event == "leased" else _report_batch(line) if event == "reported" else None


def _step(line: dict[str, Any]) -> StepRecord:
    groups, without = line.get("groups"), line.get("no_gradient")
    no_gradient = without / groups if groups and without is not None else None
    values = {"seconds": {}, **line, "no_gradient": no_gradient}
    if values.get("reward") is None:  # no answer of the step was trained on
        values["reward"] = math.nan
    return msgspec.convert(values, StepRecord)


def _evaluation(line: dict[str, Any]) -> Evaluation:
    return msgspec.convert({"label": "during", **line, "scores": line["rows"]}, Evaluation)


def _lease(line: dict[str, Any]) -> Lease:
    return msgspec.convert({"cells": {}, "purposes": {}, "success": {}, "reason": "", **line}, Lease)


def _report_batch(line: dict[str, Any]) -> ReportBatch:
    defaults = {"count": 0, "outcomes": {}, "policy_version": 0, "success": None, "no_gradient": 0}
    return msgspec.convert({**defaults, **line}, ReportBatch)


def _episode(run: RunDir, line: dict[str, Any]) -> EpisodeRecord:
    images = [run.episodes / name for name in line.get("images", ())]
    degradations = [Degradation(**one) for one in line.get("spec", {}).get("degradations", ())]
    values = {
        **dict.fromkeys(("step", "level"), 0),
        **dict.fromkeys(("spec_id", "skill", "purpose", "question", "program"), ""),
        **dict.fromkeys(("options", "answers"), ()),
        **dict.fromkeys(("success_rate", "truth_likelihood", "had_gradient")),
        "blind": False,
        **line,
        "truth": str(line.get("truth", "")),
        "degradation": degradation_label(degradations),
        "images": images if all(path.is_file() for path in images) else (),
    }
    return msgspec.convert(values, EpisodeRecord, dec_hook=lambda _, path: path)


def _change(skill: str, before: Evaluation, after: Evaluation) -> SkillChange:
    """Wilson's intervals for both proportions and Newcombe's for their difference."""
    right_before, asked_before = before.greedy(skill)
    right_after, asked_after = after.greedy(skill)
    p, q = right_before / asked_before, right_after / asked_after
    low_p, high_p = wilson(right_before, asked_before)
    low_q, high_q = wilson(right_after, asked_after)
    return SkillChange(
        skill=skill,
        asked=asked_after,
        before=p,
        before_interval=(low_p, high_p),
        after=q,
        after_interval=(low_q, high_q),
        change=q - p,
        change_interval=(q - p - math.hypot(q - low_q, high_p - p), q - p + math.hypot(high_q - q, p - low_p)),
        sampled_before=before.sampled(skill),
        sampled_after=after.sampled(skill),
    )
