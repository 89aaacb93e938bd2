"""A simulated learner: it answers, learns, forgets and transfers like GRPO, thousands of times faster.

Success on a question is sigmoid(logit of its cell + difficulty of the question); `probability` returns it, as one
forward pass of a real policy would. A group of answers moves the cell's logit by `learning_rate` x the variance of the
group's rewards, like the size of a GRPO update, and the other levels of the skill by a fraction of that. Training any
skill pulls the cells of all others slightly towards their forgotten state. Each of eleven skills gets one of these
roles, at random for each seed:

    mastered     correct from the start, but can be forgotten
    learnable    level 0 about half correct, each further level harder
    rare         learnable, but the simulator realises only one spec in five
    noise        correct half of the time whatever is learned: an uninformative reward
    hopeless     never correct at level 1 and above; level 0 is learnable and helps the others
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from curriculum.ability.rasch import Cell
from curriculum.record.events import Issue
from protocol.seeds import rng_for
from protocol.wire.messages import ConfidenceReport

# A fixed list, so that figures stay comparable as the catalogue grows.
SKILLS = (
    "object_category", "object_color", "object_location", "object_count", "camera_object_distance", "view_direction",
    "depth_order", "relative_distance", "object_size", "relative_direction", "camera_motion",
)  # fmt: skip
LEVELS = (0, 1, 2)
ROLES = ("mastered",) * 5 + ("learnable",) * 3 + ("rare", "noise", "hopeless")
START = {"mastered": 4.0, "learnable": 0.2, "rare": 0.2, "noise": 0.0, "hopeless": -1.5}
LEVEL_STEP = {"mastered": 0.4, "learnable": 1.1, "rare": 1.1, "noise": 0.0, "hopeless": 5.0}
GROUP = 8
QUESTION_SPREAD = 0.8
TRANSFER = 0.35  # fraction of an update that reaches a neighbouring level of the skill
FORGETTING = 2.0e-4  # of a cell's distance from FORGOTTEN, per group trained elsewhere
FORGOTTEN = -1.0  # logits relative to the start; cells that are never asked drift towards it
_BLOCK = 1024  # questions drawn at a time


class SimulatedLearner:
    """One learner with hidden abilities; `roles` maps each skill to its role."""

    def __init__(self, seed: int, learning_rate: float = 0.10) -> None:
        rng = rng_for(seed, "roles")
        self.roles: dict[str, str] = dict(zip(SKILLS, [ROLES[index] for index in rng.permutation(len(ROLES))]))
        self.logits = {
            Cell(name, level): START[role] - LEVEL_STEP[role] * level
            for name, role in self.roles.items()
            for level in LEVELS
        }
        self._start = dict(self.logits)
        self._seed = seed
        self._learning_rate = learning_rate
        self._answers = rng_for(seed, "answers")
        self._questions: dict[int, np.ndarray] = {}

    def cells(self, *roles: str, levels: tuple[int, ...] = LEVELS) -> list[Cell]:
        return [cell for cell in self.logits if self.roles[cell.skill] in roles and cell.level in levels]

    def success(self, cells: list[Cell]) -> float:
        """True mean success over cells for a question of average difficulty."""
        return sum(_sigmoid(self.logits[cell]) for cell in cells) / len(cells)

    def answer(self, issue: Issue) -> ConfidenceReport:
        """The report on one question; a repeated question has the same difficulty each time."""
        answers = self._answers.random(GROUP) < self.probability(issue)
        if not self.feasible(issue):
            return self._report(issue, "infeasible", (), 0.0)
        rewards = tuple(map(float, answers.tolist()))
        return self._report(issue, "answered", rewards, sum(rewards) / GROUP)

    def screened(self, issue: Issue) -> ConfidenceReport:
        """The report on a candidate that was left out."""
        return self._report(issue, "screened", (), self.probability(issue))

    def probability(self, issue: Issue) -> float:
        """The probability of a right answer."""
        if issue.blind:
            return 0.05
        return _sigmoid(self.logits[Cell(issue.skill, issue.level)] + QUESTION_SPREAD * self._question(issue.seq)[1])

    def feasible(self, issue: Issue) -> bool:
        """Whether the simulator can realise the question."""
        return self.roles[issue.skill] != "rare" or self._question(issue.seq)[0] >= 0.8

    def _report(self, issue: Issue, outcome: str, rewards: tuple[float, ...], success: float) -> ConfidenceReport:
        return ConfidenceReport(
            report_id=issue.lease_id,
            spec_id=issue.spec_id,
            lease_id=issue.lease_id,
            policy_version=0,
            outcome=outcome,
            skill=issue.skill,
            level=issue.level,
            blind=issue.blind,
            rewards=rewards,
            success_rate=success,
            truth_likelihood=self.probability(issue),
            had_gradient=len(set(rewards)) > 1,
        )

    def _question(self, seq: int) -> tuple[float, float]:
        """A uniform and a normal number, fixed for each question."""
        block, index = divmod(seq, _BLOCK)
        if block not in self._questions:
            rng = rng_for(self._seed, "questions", block)
            self._questions[block] = np.stack([rng.random(_BLOCK), rng.standard_normal(_BLOCK)], axis=1)
        luck, hardness = self._questions[block][index]
        return float(luck), float(hardness)

    def train(self, reports: list[ConfidenceReport]) -> None:
        """One optimiser step on a batch of answered groups."""
        trained = [report for report in reports if report.outcome == "answered" and not report.blind]
        for report in trained:
            cell = Cell(report.skill, report.level)
            if self.roles[cell.skill] == "noise":
                continue
            step = self._learning_rate * report.success_rate * (1.0 - report.success_rate)
            for level in LEVELS:
                part = TRANSFER ** abs(level - cell.level)
                self.logits[Cell(cell.skill, level)] += step * part
        moved = Counter(report.skill for report in trained if report.had_gradient)
        for cell, logit in self.logits.items():
            if self.roles[cell.skill] == "noise":
                continue
            elsewhere = moved.total() - moved[cell.skill]
            floor = self._start[cell] + FORGOTTEN
            self.logits[cell] = floor + (logit - floor) * (1.0 - FORGETTING) ** elsewhere


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))
