"""What a run's files say, read once for the live view, the table and the report. The formats stand in docs/09."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Iterable, Optional

from protocol.intervals import wilson
from protocol.run.directory import RunDir, read_jsonl
from protocol.skills import CATALOGUE

Interval = tuple[float, float]


@dataclass(frozen=True)
class StepRecord:
    """One training step; `no_gradient` is the share of groups whose rewards had no spread."""

    step: int
    time_s: float
    reward: float
    no_gradient: Optional[float]
    seconds: dict[str, float]  # part of the step -> wall seconds


@dataclass(frozen=True)
class Score:
    """Held-out answers to one skill at one level; `greedy` and `sampled` are shares that were right."""

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
        """(right, asked) over the skill's levels; `right` may be fractional where rewards are."""
        chosen = [score for score in self.scores if score.skill == skill]
        return sum(score.greedy * score.asked for score in chosen), sum(score.asked for score in chosen)

    def sampled(self, skill: str) -> Optional[float]:
        chosen = [score for score in self.scores if score.skill == skill and score.sampled is not None]
        asked = sum(score.asked for score in chosen)
        return sum((score.sampled or 0.0) * score.asked for score in chosen) / asked if asked else None

    def mean(self, skills: Iterable[str]) -> Optional[float]:
        """Unweighted mean over those of the skills that were asked."""
        shares = [right / asked for right, asked in map(self.greedy, skills) if asked]
        return sum(shares) / len(shares) if shares else None


@dataclass(frozen=True)
class Lease:
    """One batch of specs that the curriculum issued."""

    time_s: float
    cells: dict[str, int]  # "depth_order L1" -> specs
    purposes: dict[str, int]
    success: dict[str, float]  # the curriculum's estimate per cell
    reason: str


@dataclass(frozen=True)
class Change:
    """A skill before and after, with 95 % intervals."""

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
    """A run's records, oldest first. `update` reads what was appended since the last time."""

    run: RunDir
    steps: list[StepRecord] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    _offsets: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def update(self) -> Records:
        for line in self._new_lines("learner"):
            if line.get("event") == "step":
                self.steps.append(_step(line))
            elif line.get("event") == "evaluated":
                self.evaluations.append(_evaluation(line))
        for line in self._new_lines("curriculum"):
            if line.get("event") == "leased":
                self.leases.append(
                    Lease(
                        line["time_s"],
                        line.get("cells", {}),
                        line.get("purposes", {}),
                        line.get("success", {}),
                        line.get("reason", ""),
                    )
                )
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

    def changes(self) -> list[Change]:
        """One row per skill that was asked before and after, relations first."""
        before, after = self.before, self.after
        if before is None or after is None:
            return []
        rows = []
        for skill in sorted(before.skills(), key=lambda name: (not is_relational(name), name)):
            right_before, asked_before = before.greedy(skill)
            right_after, asked_after = after.greedy(skill)
            if not asked_before or not asked_after:
                continue
            p, q = right_before / asked_before, right_after / asked_after
            low_p, high_p = wilson(right_before, asked_before)
            low_q, high_q = wilson(right_after, asked_after)
            change_interval = (  # Newcombe's interval for a difference of proportions
                q - p - math.hypot(q - low_q, high_p - p),
                q - p + math.hypot(high_q - q, p - low_p),
            )
            rows.append(
                Change(
                    skill,
                    asked_after,
                    p,
                    (low_p, high_p),
                    q,
                    (low_q, high_q),
                    q - p,
                    change_interval,
                    before.sampled(skill),
                    after.sampled(skill),
                )
            )
        return rows


def is_relational(skill: str) -> bool:
    """Whether the skill relates things to one another, as against naming what is seen."""
    return skill in CATALOGUE and CATALOGUE[skill].reasoning != "perceive"


def split_cell(cell: str) -> tuple[str, int]:
    """ "depth_order L2", or "depth_order L2 fog:3" -> ("depth_order", 2)."""
    skill, _, rest = cell.partition(" L")
    return skill, int(rest.partition(" ")[0])


def episodes_of(run: RunDir, most: int) -> list[dict[str, Any]]:
    """The last episodes with their views on disk, newest first."""
    lines, _ = read_jsonl(run.episodes / "episodes.jsonl")
    shown = []
    for line in reversed(lines):
        images = [run.episodes / name for name in line.get("images", [])]
        if images and all(path.exists() for path in images):
            shown.append({**line, "images": images})
        if len(shown) == most:
            break
    return shown


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
