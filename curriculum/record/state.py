"""The projection of the events: open leases, counts and estimates. Replaying the same events gives the same state."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

import msgspec

from curriculum.ability.calibration import Calibration
from curriculum.ability.rasch import Cell, Evidence, Posterior, Rasch, effective_trials, posterior
from curriculum.record.events import Event, Issue, LeasedEvent, LeaseExpiredEvent, ProposedEvent
from curriculum.settings import Estimation
from protocol.tasks.proposals import proposal_key
from protocol.tasks.task import TaskSpec
from protocol.wire.messages import ConfidenceReport

STATE_VERSION = 2  # raise it when the projection of the same events changes

_SLOW_WINDOWS = 4.0  # the slow average looks back so many windows
_LEAST_PROGRESS = 0.03  # rise of the slow average that counts as progress at success 1/2


class Average(msgspec.Struct):
    """Exponential moving average without the bias of its start."""

    total: float = 0.0
    weight: float = 0.0

    def add(self, value: float, window: float) -> None:
        self.total += (value - self.total) / window
        self.weight += (1.0 - self.weight) / window

    @property
    def value(self) -> float:
        return self.total / self.weight if self.weight else 0.0


class GroupFigures(NamedTuple):
    success: float  # mean, 0..1
    trials: float  # independent answers that the group is worth
    spread: float  # variance of the rewards


class CellState(msgspec.Struct):
    """What happened in one cell. Counts are of groups and never fade; a blind group counts only as blind."""

    evidence: Evidence = msgspec.field(default_factory=Evidence)
    blind: Evidence = msgspec.field(default_factory=Evidence)
    fast: Average = msgspec.field(default_factory=Average)
    slow: Average = msgspec.field(default_factory=Average)
    best: float = 0.0  # of the slow average, when progress was last seen
    best_at: int = 0  # `asked` at that time
    asked: int = 0
    blind_asked: int = 0
    infeasible: int = 0
    broken: int = 0
    no_gradient: int = 0
    issued_at: int = -1  # number of the spec last issued here

    def answer(self, report: ConfidenceReport, figures: GroupFigures, now: int, estimation: Estimation) -> None:
        success, trials, spread = figures
        evidence = self.blind if report.blind else self.evidence
        evidence.fade(now, estimation.fade_groups)
        evidence.add(success, trials, spread, estimation.window_groups)
        if report.blind:
            self.blind_asked += 1
            return
        self.asked += 1
        self.no_gradient += not report.had_gradient
        self.fast.add(success, estimation.window_groups)
        self.slow.add(success, estimation.window_groups * _SLOW_WINDOWS)
        level = self.slow.value
        room = 4.0 * level * (1.0 - level)  # near either end a smaller rise is progress
        if self.asked <= estimation.window_groups or level > self.best + _LEAST_PROGRESS * room:
            self.best, self.best_at = level, self.asked


class Asked(msgspec.Struct):
    """A question from outside, and how often it is still to be issued."""

    spec: TaskSpec
    left: int


class OpenLease(msgspec.Struct):
    issue: Issue
    expires_s: float


class State(msgspec.Struct):
    """Everything that the events say. `cells` is keyed by the cell's name."""

    batches: int = 0
    next_number: int = 0
    next_scene: int = 0
    issued: int = 0
    counted: int = 0
    groups: int = 0  # answered with the picture
    infeasible: int = 0
    broken: int = 0
    given_up: int = 0
    cells: dict[str, CellState] = {}
    rasch: Rasch = msgspec.field(default_factory=Rasch)
    calibration: dict[str, Calibration] = {}
    leases: dict[str, OpenLease] = {}
    returned: dict[str, Issue] = {}  # by spec id: their lease ran out, to be issued again
    reason: str = ""
    proposals: dict[str, Asked] = {}  # by protocol.tasks.proposals.proposal_key, in the order in which they came

    def cell(self, cell: Cell) -> CellState:
        return self.cells.get(str(cell)) or self.cells.setdefault(str(cell), CellState())

    def posterior(self, cell: Cell, estimation: Estimation) -> Posterior:
        evidence = self.cells[str(cell)].evidence if str(cell) in self.cells else Evidence(at=self.groups)
        predicted = self.rasch.predict(cell)
        return posterior(evidence, self.groups, predicted, estimation.prior_groups, estimation.fade_groups)

    def blind_success(self, cell: Cell) -> Optional[float]:
        """Mean success without the picture, whatever the degradation; None if it was never asked so."""
        blind = self.cells[str(cell.clear)].blind if str(cell.clear) in self.cells else Evidence()
        total = blind.successes + blind.failures
        return blind.successes / total if total else None

    @property
    def proposals_waiting(self) -> int:
        """How many specs are still to be issued for questions from outside."""
        return sum(asked.left for asked in self.proposals.values())

    def apply(self, event: Event, estimation: Estimation) -> None:
        """Take in one event; every event of the store passes here once, in order."""
        if isinstance(event, LeasedEvent):
            self._leased(event)
        elif isinstance(event, LeaseExpiredEvent):
            for lease_id in event.returned:
                issue = self.leases.pop(lease_id).issue
                self.returned[issue.spec_id] = issue
            for lease_id in event.given_up:
                del self.leases[lease_id]
            self.given_up += len(event.given_up)
        elif isinstance(event, ProposedEvent):
            self.proposals.update((proposal_key(one), Asked(one, event.passes)) for one in event.proposals)
        else:
            for report in event.reports:
                self._reported(report, estimation)

    def _leased(self, event: LeasedEvent) -> None:
        self.batches += 1
        self.reason = event.reason
        for issue in event.issues:
            self.leases[issue.lease_id] = OpenLease(issue, event.expires_s)
            self.cell(issue.cell).issued_at = issue.number
            if issue.reissue:
                self.returned.pop(issue.spec_id, None)
            else:
                self.issued += 1
                if issue.proposal:
                    self.proposals[issue.proposal].left -= 1
                self.next_number = max(self.next_number, issue.number + 1)
                self.next_scene = max(self.next_scene, issue.scene + 1)

    def _reported(self, report: ConfidenceReport, estimation: Estimation) -> None:
        self.counted += 1
        self.leases.pop(report.lease_id, None)
        self.returned.pop(report.spec_id, None)  # it came late, but it came
        # A blind question has no pictures that could be degraded.
        cell = Cell(report.skill, report.level, "" if report.blind else report.degradation)
        state = self.cell(cell)
        if report.outcome == "infeasible":
            self.infeasible += 1
            state.infeasible += 1
        elif report.outcome == "broken":
            self.broken += 1
            state.broken += 1
        else:
            figures = group_figures(report)
            if not report.blind:
                self.groups += 1
                self.rasch.update(cell, figures.success, figures.trials)
                likelihood = min(max(report.truth_likelihood, 0.0), 1.0)
                self.calibration.setdefault(cell.skill, Calibration()).add(likelihood, figures.success)
            state.answer(report, figures, self.groups, estimation)


def group_figures(report: ConfidenceReport) -> GroupFigures:
    rewards = [min(max(reward, 0.0), 1.0) for reward in report.rewards]
    success = min(max(report.success_rate, 0.0), 1.0)
    if len(rewards) < 2:
        return GroupFigures(success, 1.0, success * (1.0 - success))
    mean = math.fsum(rewards) / len(rewards)
    variance = math.fsum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1)
    return GroupFigures(success, effective_trials(len(rewards)), variance)


def encode_state(state: State) -> bytes:
    """Floats are written so that they read back the same: equal states have equal bytes."""
    return msgspec.json.encode(state)


def decode_state(body: bytes) -> State:
    return msgspec.json.decode(body, type=State)
