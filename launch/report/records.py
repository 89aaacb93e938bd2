"""The records of a run, read from its files for the live view, the report and `vantage.open_run`.

docs/09-run-directory.md describes the file formats.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Optional

from protocol.intervals import wilson
from protocol.run.directory import RunDir, read_jsonl
from protocol.skills import CATALOGUE
from protocol.tasks.task import Degradation, degradation_label

Interval = tuple[float, float]


@dataclass(frozen=True)
class StepRecord:
    """One training step; `no_gradient` is the fraction of groups whose rewards had no spread."""

    step: int
    time_s: float
    reward: float
    no_gradient: Optional[float]
    seconds: dict[str, float]  # part of the step -> wall seconds


@dataclass(frozen=True)
class Score:
    """Held-out results for one skill at one level; `greedy`, `sampled` and `blind` are accuracies, 0 to 1."""

    skill: str
    level: int
    asked: int
    greedy: float
    sampled: Optional[float] = None
    blind: Optional[float] = None


@dataclass(frozen=True)
class Evaluation:
    step: int
    time_s: float
    label: str  # "before", "during" or "after"
    scores: tuple[Score, ...]

    def skills(self) -> list[str]:
        return list(dict.fromkeys(score.skill for score in self.scores))

    def greedy(self, skill: str) -> tuple[float, int]:
        """(right, asked) over the skill's levels; `right` is fractional if rewards are."""
        chosen = [score for score in self.scores if score.skill == skill]
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
    _offsets: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def update(self) -> Records:
        for line in self._new_lines("learner"):
            if line.get("event") == "step":
                self.steps.append(_step(line))
            elif line.get("event") == "evaluated":
                self.evaluations.append(_evaluation(line))
        for line in self._new_lines("curriculum"):
            if line.get("event") == "leased":
                self.leases.append(_lease(line))
            elif line.get("event") == "reported":
                self.reports.append(_report_batch(line))
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


def is_relational(skill: str) -> bool:
    """Whether the skill relates objects to one another instead of naming one."""
    return skill in CATALOGUE and CATALOGUE[skill].reasoning != "perceive"


def split_cell(cell: str) -> tuple[str, int]:
    """ "depth_order L2" or "depth_order L2 fog:3" -> ("depth_order", 2)."""
    skill, _, rest = cell.partition(" L")
    return skill, int(rest.partition(" ")[0])


def read_episodes(run: RunDir) -> list[EpisodeRecord]:
    """Every recorded episode, oldest first; paths of images that were deleted since are left out."""
    lines, _ = read_jsonl(run.episodes / "episodes.jsonl")
    return [_episode(run, line) for line in lines]


def gallery(run: RunDir, most: int) -> list[EpisodeRecord]:
    """The newest episodes that have images, newest first."""
    return [episode for episode in reversed(read_episodes(run)) if episode.images][:most]


# ----------------------------------------------------------------------------- one line of a file


def _step(line: dict[str, Any]) -> StepRecord:
    groups, without = line.get("groups"), line.get("no_gradient")
    return StepRecord(
        step=line["step"],
        time_s=line["time_s"],
        reward=line.get("reward", math.nan),
        no_gradient=without / groups if groups and without is not None else None,
        seconds=line.get("seconds", {}),
    )


def _evaluation(line: dict[str, Any]) -> Evaluation:
    scores = tuple(
        Score(row["skill"], row["level"], row["asked"], row["greedy"], row.get("sampled"), row.get("blind"))
        for row in line["rows"]
    )
    return Evaluation(line["step"], line["time_s"], line.get("label", "during"), scores)


def _lease(line: dict[str, Any]) -> Lease:
    return Lease(
        time_s=line["time_s"],
        cells=line.get("cells", {}),
        purposes=line.get("purposes", {}),
        success=line.get("success", {}),
        reason=line.get("reason", ""),
    )


def _report_batch(line: dict[str, Any]) -> ReportBatch:
    return ReportBatch(
        time_s=line["time_s"],
        count=line.get("count", 0),
        outcomes=line.get("outcomes", {}),
        policy_version=line.get("policy_version", 0),
        success=line.get("success"),
        no_gradient=line.get("no_gradient", 0),
    )


def _episode(run: RunDir, line: dict[str, Any]) -> EpisodeRecord:
    images = tuple(run.episodes / name for name in line.get("images", ()))
    degradations = [Degradation(**one) for one in line.get("spec", {}).get("degradations", ())]
    return EpisodeRecord(
        step=line.get("step", 0),
        spec_id=line.get("spec_id", ""),
        skill=line.get("skill", ""),
        level=line.get("level", 0),
        purpose=line.get("purpose", ""),
        blind=line.get("blind", False),
        question=line.get("question", ""),
        options=tuple(line.get("options", ())),
        truth=str(line.get("truth", "")),
        program=line.get("program", ""),
        answers=tuple(line.get("answers", ())),
        success_rate=line.get("success_rate"),
        truth_likelihood=line.get("truth_likelihood"),
        had_gradient=line.get("had_gradient"),
        degradation=degradation_label(degradations),
        images=images if all(path.exists() for path in images) else (),
    )


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
