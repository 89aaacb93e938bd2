"""The projection of the events: open leases, counts and estimates. Replaying the events gives the same state."""

from __future__ import annotations

import functools
import math
from typing import Iterator, Optional

import msgspec

from curriculum.ability.calibration import Calibration
from curriculum.ability.properties import properties_of
from curriculum.ability.rasch import MOST_TRIALS, BetaCounts, Cell, Posterior, Rasch, effective_trials, posterior
from curriculum.record.events import (
    Event,
    Issue,
    LeasedEvent,
    LeaseExpiredEvent,
    ProposedEvent,
    ReportedEvent,
    WorldAddedEvent,
    WorldRetiredEvent,
    spec_of,
)
from curriculum.record.kinds import KindRecord, reason_to_retire, rejected_too_often
from curriculum.settings import Estimation
from protocol.tasks.kinds import is_kind
from protocol.tasks.proposals import proposal_key
from protocol.tasks.specs import World
from protocol.tasks.task import PROPOSED, TaskSpec
from protocol.wire.messages import ConfidenceReport
from protocol.wire.proposals import Refusal

STATE_VERSION = 9  # raise it when the projection of the same events changes

_SLOW_WINDOWS = 4.0  # length of the slow average in windows
_MOST_ABANDONED = 10_000  # specs that were given up and whose late reports are still counted
_MOST_REFUSALS = 16
_FAILURES_TO_WAIT = 8  # specs of a world that failed in a row, until the world is asked rarely
_LEAST_PROGRESS = 0.03  # rise of the slow average that counts as progress at success 1/2


class Average(msgspec.Struct, array_like=True, gc=False):
    """Exponential moving average, corrected for its start."""

    total: float = 0.0
    weight: float = 0.0

    def add(self, value: float, window: float) -> None:
        self.total += (value - self.total) / window
        self.weight += (1.0 - self.weight) / window

    @property
    def value(self) -> float:
        return self.total / self.weight if self.weight else 0.0


class CellState(msgspec.Struct, array_like=True, gc=False):
    """The record of one cell. Counts are groups and never fade; a blind group counts only as blind.

    `asked` counts answered questions, `screened` those whose confidence was measured but that were not chosen. Both are
    evidence: together they are all candidates, so that estimates are unbiased by the choice.
    """

    seeing: BetaCounts = msgspec.field(default_factory=BetaCounts)
    blind: BetaCounts = msgspec.field(default_factory=BetaCounts)
    fast: Average = msgspec.field(default_factory=Average)
    slow: Average = msgspec.field(default_factory=Average)
    best: float = 0.0  # of the slow average, when progress was last seen
    best_at: int = 0  # `seen` at that time
    asked: int = 0
    screened: int = 0
    blind_asked: int = 0
    infeasible: int = 0
    broken: int = 0
    no_gradient: int = 0
    issued_at: int = -1  # number of the spec last issued here

    @property
    def seen(self) -> int:
        """The number of questions that gave evidence."""
        return self.asked + self.screened

    def answer(
        self, report: ConfidenceReport, statistics: tuple[float, float, float], now: int, estimation: Estimation
    ) -> None:
        """Add an answered or screened question with its `group_statistics`; `now` counts those of all cells."""
        success, trials, variance = statistics
        counts = self.blind if report.blind else self.seeing
        counts.fade(now, estimation.fade_groups)
        counts.add(success, trials, variance, estimation.window_groups)
        if report.blind:
            self.blind_asked += 1
            return
        if report.outcome == "screened":
            self.screened += 1
        else:
            self.asked += 1
            self.no_gradient += not report.had_gradient
        self.fast.add(success, estimation.window_groups)
        self.slow.add(success, estimation.window_groups * _SLOW_WINDOWS)
        level = self.slow.value
        room = 4.0 * level * (1.0 - level)  # near 0 and 1 a smaller rise counts as progress
        if self.seen <= estimation.window_groups or level > self.best + _LEAST_PROGRESS * room:
            self.best, self.best_at = level, self.seen


class Asked(msgspec.Struct):
    """A proposal and the number of times that it is still to be issued."""

    spec: TaskSpec
    left: int

    @property
    def kind(self) -> str:
        """The name of its kind; "" for the proposal of a person."""
        return self.spec.proposal.kind if self.spec.proposal else ""


class OpenLease(msgspec.Struct, array_like=True, gc=False):
    issue: Issue
    expires_s: float
    learner: str


class WorldRecord(msgspec.Struct):
    """A world of a run that lists worlds. `at` and `retired_at` are numbers of specs issued before."""

    settings: str  # the World as JSON
    parent: str
    change: str
    reason: str
    at: int
    retired: str = ""  # the reason; "" while it is asked
    retired_at: int = -1

    @property
    def world(self) -> World:
        return _world_from(self.settings)


@functools.lru_cache(maxsize=256)
def _world_from(settings: str) -> World:
    return World.model_validate_json(settings)


class Failures(msgspec.Struct):
    """Specs of a world that no simulator answered, in a row."""

    count: int
    reason: str  # of the last one


class State(msgspec.Struct):
    """Everything derived from the events. `cells` is keyed by the name of the cell."""

    batches: int = 0
    next_number: int = 0
    next_scene: int = 0
    issued: int = 0
    counted: int = 0
    groups: int = 0  # answered with images, or screened
    screened: int = 0
    infeasible: int = 0
    broken: int = 0
    cells: dict[str, CellState] = {}
    rasch: Rasch = msgspec.field(default_factory=Rasch)
    calibration: dict[str, Calibration] = {}
    leases: dict[str, OpenLease] = {}  # by spec id
    returned: dict[str, Issue] = {}  # by spec id: the lease expired, to be issued again
    abandoned: dict[str, Issue] = {}  # by spec id: issued too often, but its report may still arrive
    reason: str = ""
    # By protocol.tasks.proposals.proposal_key, in order of arrival. Those of a kind leave once they were asked.
    proposals: dict[str, Asked] = {}
    proposed: int = 0  # proposals that were added
    kinds: dict[str, KindRecord] = {}  # by name, in order of arrival
    requests: int = 0  # proposal requests that were answered
    refusals: list[Refusal] = []  # the last ones
    worlds: dict[str, WorldRecord] = {}  # by name, in order of arrival; empty if the run lists none
    failures: dict[str, Failures] = {}  # by name of the world; without those whose last spec was answered

    def cell(self, cell: Cell) -> CellState:
        return self.cells.get(str(cell)) or self.cells.setdefault(str(cell), CellState())

    def seen(self, cell: Cell) -> CellState:
        """The record of the cell, or an empty one that is not stored."""
        return self.cells.get(str(cell)) or CellState()

    def posterior(self, cell: Cell, estimation: Estimation) -> Posterior:
        counts = self.cells[str(cell)].seeing if str(cell) in self.cells else BetaCounts(at=self.groups)
        predicted = self.rasch.predict(cell)
        post = posterior(counts, self.groups, predicted, estimation.prior_groups, estimation.fade_groups)
        return Posterior(float(post.a), float(post.b), float(post.signal))

    def blind_success(self, cell: Cell) -> Optional[float]:
        """Mean success of blind questions, whatever the degradation; None if none was asked."""
        blind = self.cells[str(cell.undegraded)].blind if str(cell.undegraded) in self.cells else BetaCounts()
        total = blind.successes + blind.failures
        return blind.successes / total if total else None

    @property
    def proposals_waiting(self) -> int:
        """The number of specs still to be issued for proposals."""
        return sum(asked.left for asked in self.proposals.values())

    def waiting(self, world: str) -> str:
        """Why the specs of a world fail, if many in a row have; else ""."""
        failures = self.failures.get(world)
        return failures.reason if failures and failures.count >= _FAILURES_TO_WAIT else ""

    def apply(self, event: Event, estimation: Estimation) -> None:
        """Apply one event; each event of the store is applied once, in order."""
        if isinstance(event, LeasedEvent):
            self._leased(event)
        elif isinstance(event, LeaseExpiredEvent):
            for lease_ids, kept in ((event.returned, self.returned), (event.given_up, self.abandoned)):
                for lease_id in lease_ids:
                    spec_id = spec_of(lease_id)
                    kept[spec_id] = self.leases.pop(spec_id).issue
            while len(self.abandoned) > _MOST_ABANDONED:
                del self.abandoned[next(iter(self.abandoned))]
        elif isinstance(event, ProposedEvent):
            self._proposed(event, estimation)
        elif isinstance(event, WorldAddedEvent):
            record = WorldRecord(event.settings, event.parent, event.change, event.reason, self.issued)
            self.worlds[event.name] = record
            self.rasch.properties[event.name] = properties_of(record.world)
        elif isinstance(event, WorldRetiredEvent):
            record = self.worlds[event.name]
            record.retired, record.retired_at = event.reason, self.issued
        else:
            for report in event.reports:
                self._reported(report, estimation)

    def _leased(self, event: LeasedEvent) -> None:
        self.batches += 1
        self.reason = event.reason
        for issue in event.issues:
            self.leases[issue.spec_id] = OpenLease(issue, event.expires_s, event.learner)
            self.cell(issue.cell).issued_at = issue.number
            if issue.reissue:
                self.returned.pop(issue.spec_id, None)
            else:
                self.issued += 1
                if issue.proposal:
                    self.proposals[issue.proposal].left -= 1
                self.next_number = max(self.next_number, issue.number + 1)
                self.next_scene = max(self.next_scene, issue.scene + 1)

    def _proposed(self, event: ProposedEvent, estimation: Estimation) -> None:
        self.requests = max(self.requests, event.request + 1)
        self.proposed += len(event.proposals)
        self.proposals.update((proposal_key(one), Asked(one, event.passes)) for one in event.proposals)
        for kind in event.kinds:
            self.kinds.setdefault(kind.name, KindRecord(kind))
        for spec in event.proposals:
            if spec.proposal and (record := self.kinds.get(spec.proposal.kind)):
                record.accepted += 1
                record.example, record.program = spec.proposal.text, spec.proposal.program
        for refusal in event.refusals:
            if record := self.kinds.get(refusal.kind):
                record.rejected[refusal.code] = record.rejected.get(refusal.code, 0) + 1
        self.refusals = [*self.refusals, *event.refusals][-_MOST_REFUSALS:]
        for name in {*(kind.name for kind in event.kinds), *(refusal.kind for refusal in event.refusals)}:
            self._judge(name, estimation)

    def _judge(self, name: str, estimation: Estimation) -> None:
        """Retire the kind if there is a reason; its proposals that wait are dropped."""
        record = self.kinds.get(name)
        if record is None or record.retired:
            return
        cell = Cell(name, 0)
        seen = self.seen(cell)
        post = self.posterior(cell, estimation)
        blind = self.blind_success(cell)
        record.retired = rejected_too_often(record) or reason_to_retire(
            seen.seen,
            seen.asked,
            post.mean,
            post.signal,
            cell.chance,
            seen.seen - seen.best_at > estimation.patience_groups,
            None if blind is None else (seen.blind_asked, blind),
        )
        if record.retired:
            for key in [key for key, asked in self.proposals.items() if asked.kind == name]:
                self.proposals[key].left = 0
                self._forget(key)

    def _forget(self, key: str) -> None:
        """Drop a composed question that is not asked again, unless a lease of it is open."""
        asked = self.proposals.get(key)
        if asked is None or not asked.kind or asked.left:
            return
        open_issues = (*(lease.issue for lease in self.leases.values()), *self.returned.values())
        if all(issue.proposal != key for issue in open_issues):
            del self.proposals[key]

    def issue_of(self, spec_id: str) -> Optional[Issue]:
        """The issue of a spec that waits for its report, also after its lease expired; else None."""
        lease = self.leases.get(spec_id)
        return lease.issue if lease else self.returned.get(spec_id) or self.abandoned.get(spec_id)

    def _reported(self, report: ConfidenceReport, estimation: Estimation) -> None:
        issue = self.issue_of(report.spec_id)
        if issue and issue.proposal in self.proposals and report.outcome in ("infeasible", "broken"):
            self.proposals[issue.proposal].left = 0  # it would fail again
        self.counted += 1
        for waiting in (self.leases, self.returned, self.abandoned):
            waiting.pop(report.spec_id, None)
        self._note_failure(report)
        cell = reported_cell(report)
        state = self.cell(cell)
        if report.outcome == "returned":
            if issue:
                self.returned[report.spec_id] = issue
        elif report.outcome == "infeasible":
            self.infeasible += 1
            state.infeasible += 1
        elif report.outcome == "broken":
            self.broken += 1
            state.broken += 1
        else:
            statistics = group_statistics(report)
            if not report.blind:
                success, trials, _ = statistics
                self.groups += 1
                self.rasch.update(cell, success, trials)
                self.screened += report.outcome == "screened"
                if report.outcome == "answered" and report.truth_likelihood:  # a trainer of others reports none
                    # Both of the question that was answered, even if `success` is a mean over several.
                    likelihood, own = _unit(report.truth_likelihood), _unit(report.success_rate)
                    skill = PROPOSED if is_kind(cell.skill) else cell.skill
                    self.calibration.setdefault(skill, Calibration()).add(likelihood, own)
            state.answer(report, statistics, self.groups, estimation)
            if (record := self.kinds.get(cell.skill)) and not report.blind:
                record.answered(statistics[0])
        if issue and issue.proposal:
            self._forget(issue.proposal)
            self._judge(cell.skill, estimation)

    def _note_failure(self, report: ConfidenceReport) -> None:
        """An infeasible spec shows that a simulator works on the world, too."""
        if report.outcome not in ("broken", "returned"):
            self.failures.pop(report.world, None)
        elif report.world in self.failures:
            failures = self.failures[report.world]
            failures.count, failures.reason = failures.count + 1, report.reason
        else:
            self.failures[report.world] = Failures(1, report.reason)


def reported_cell(report: ConfidenceReport) -> Cell:
    """The cell of the question. A blind question has no images to degrade."""
    return Cell(report.skill, report.level, "" if report.blind else report.degradation, report.world)


def cells_of(event: Event) -> Iterator[Cell]:
    """The cells whose records the event changes."""
    if isinstance(event, LeasedEvent):
        yield from (issue.cell for issue in event.issues)
    elif isinstance(event, ReportedEvent):
        yield from map(reported_cell, event.reports)


def group_statistics(report: ConfidenceReport) -> tuple[float, float, float]:
    """Mean success (0..1), the number of independent answers that the group is worth, and the variance of rewards.

    The expected success of a screened choice is exact: it is worth as much as any number of answers.

    If several questions about the views were candidates, success and variance are means over all of them: the question
    that was answered, if any, is the most uncertain one. Together they are worth no more than one exact question,
    because questions about the same views with the same class of answer succeed and fail together.
    """
    if report.candidates:
        success = math.fsum(map(_unit, report.candidates)) / len(report.candidates)
        return success, MOST_TRIALS, _unit(report.candidate_variance)
    rewards = [_unit(reward) for reward in report.rewards]
    success = _unit(report.success_rate)
    if len(rewards) < 2:
        trials = MOST_TRIALS if report.outcome == "screened" else 1.0
        return success, trials, success * (1.0 - success)
    mean = math.fsum(rewards) / len(rewards)
    variance = math.fsum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1)
    return success, effective_trials(len(rewards)), variance


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def encode_state(state: State) -> bytes:
    """Serialise the state; floats round-trip exactly, so that equal states have equal bytes."""
    return msgspec.msgpack.encode(state)


class StateEncoder:
    """Encodes one state repeatedly, like `encode_state`; only the cells that events have changed are encoded again."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._cells: dict[str, msgspec.Raw] = {}  # in the order of `state.cells`
        self._changed: dict[str, None] = dict.fromkeys(state.cells)

    def follow(self, event: Event) -> None:
        """Note an event that was applied to the state."""
        self._changed.update(dict.fromkeys(map(str, cells_of(event))))

    def encode(self) -> bytes:
        for name in self._changed:
            self._cells[name] = msgspec.Raw(msgspec.msgpack.encode(self._state.cells[name]))
        self._changed.clear()
        fields = {name: getattr(self._state, name) for name in self._state.__struct_fields__}
        return msgspec.msgpack.encode({**fields, "cells": self._cells})


def decode_state(body: bytes) -> State:
    return msgspec.msgpack.decode(body, type=State)
