"""The logic of the curriculum, independent of its socket.

    LeaseSpecs ──▶ estimates ─▶ worlds evolve ─▶ selector ─▶ shares ─▶ issues ─▶ commit ─▶ SpecBatch
    SendReports ─▶ reports not counted before ─────────────────▶ commit ─▶ ReportsCounted
                                              events ─▶ State (replayed at the start)

A message takes effect when its event is committed and is answered after that. A repeated request id gets its first
answer again, also after a restart.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import Counter
from typing import Callable, Sequence, Union

import msgspec

from curriculum.ability.estimates import Estimates, Estimator
from curriculum.ability.rasch import Cell
from curriculum.checks import check_kinds, check_report, check_training_proposal
from curriculum.evolve import describe, next_event
from curriculum.issues import fresh_issues, leased, proposed_issues, repeated_issues
from curriculum.kinds import kind_shares, proposal_request
from curriculum.record.events import (
    Event,
    Issue,
    LeasedEvent,
    LeaseExpiredEvent,
    ProposedEvent,
    ReportedEvent,
    WorldAddedEvent,
    WorldRetiredEvent,
)
from curriculum.record.load import fingerprint, load_state
from curriculum.record.snapshot import save_snapshot
from curriculum.record.state import StateEncoder
from curriculum.record.store import FILE_NAME, Store
from curriculum.selectors.base import draw, make_selector
from curriculum.settings import CurriculumSettings
from curriculum.status import explain, status_of
from curriculum.worlds import all_worlds
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.run.stall import Stalls
from protocol.seeds import rng_for
from protocol.tasks.kinds import skill_shown
from protocol.tasks.proposals import proposal_key
from protocol.tasks.specs import World
from protocol.tasks.task import TaskSpec
from protocol.wire.messages import (
    EVIDENCE,
    MOST_LEASED,
    ConfidenceReport,
    CurriculumStatus,
    GetCurriculumStatus,
    LeaseSpecs,
    ReportsCounted,
    SendReports,
    SpecBatch,
)
from protocol.wire.proposals import AddProposals, GetProposalRequest, ProposalsKept

log = logging.getLogger(__name__)

CurriculumMessage = Union[LeaseSpecs, SendReports, AddProposals, GetCurriculumStatus, GetProposalRequest]

_SNAPSHOT_EVENTS = 256  # a start replays at most about this many
_STATUS_INTERVAL_S = 1.0
_LOCK_WAIT_S = 120.0  # for another process that locks the database at the start
_COMMITS = "commits to the database"
_ANSWERS = "answered questions"


class CurriculumCore:
    """The curriculum of one run. Thread-safe; call `close`, or use it as a context manager."""

    def __init__(
        self,
        run: RunDir,
        settings: CurriculumSettings,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Acquire the lock of the run and read its events.

        `clock` returns epoch seconds; durations are measured by `monotonic`, since a machine's clock may be set.
        Raises VantageError: "conflict" if another curriculum works on this run, and as Store does.
        """
        self._run = run
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self.stalls = Stalls("curriculum")
        self._selector = make_selector(settings)
        self._guard = threading.Lock()
        self._status_at = -math.inf
        self._files_due = threading.Event()
        self._closing = False
        self._resources = contextlib.ExitStack()
        try:
            self._resources.enter_context(run.lock("curriculum"))
            self._store = self._resources.enter_context(contextlib.closing(_open_store(run)))
            self._state, self._last_event = load_state(self._store, settings.estimation)
        except BaseException:
            self._resources.close()
            raise
        self._estimator = Estimator(self._state, settings)
        self._encoder = StateEncoder(self._state)
        self._snapshot_event = self._last_event
        left = {spec_id: lease.expires_s - clock() for spec_id, lease in self._state.leases.items()}
        # Spec id -> time at which its lease expires. The clock may have been set since the lease was given.
        self._deadlines = {id: monotonic() + min(max(s, 0.0), settings.max_lease_s) for id, s in left.items()}
        for world in settings.worlds:
            if world.name not in self._state.worlds:
                reason = "listed in the configuration"
                self._change_worlds(WorldAddedEvent(world.name, world.model_dump_json(), reason=reason))
        self._publish_status()
        self._writer = threading.Thread(target=self._write_files, name="curriculum-files", daemon=True)
        self._writer.start()

    def __enter__(self) -> CurriculumCore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save a snapshot and release the run; idempotent."""
        self._closing = True
        self._files_due.set()
        self._writer.join()
        with self._resources:
            if self._snapshot_event < self._last_event:
                self._aside(self._save_snapshot)
            self._aside(self._publish_status)

    def handle(self, message: CurriculumMessage, request_id: bytes) -> msgspec.Struct:
        """Answer a message. A resent request has the same `request_id`.

        Raises VantageError: "bad_request" for invalid values, "disk_full" (then nothing has changed).
        """
        with self._guard:
            if isinstance(message, GetCurriculumStatus):
                return self._status()
            if isinstance(message, GetProposalRequest):
                return proposal_request(self._state, self._settings, self._run.seed, self._status().cells)
            try:
                answer = self._handle(message, request_id)
            except VantageError as error:
                if error.code in ("unavailable", "disk_full"):
                    self.stalls.failed(_COMMITS, error.message, "The request is repeated until it succeeds.")
                    self._status_at = -math.inf
                    self._files_due.set()
                raise
            self.stalls.progressed(_COMMITS)
            self._files_due.set()
            return answer

    def _handle(self, message: CurriculumMessage, request_id: bytes) -> msgspec.Struct:
        if isinstance(message, LeaseSpecs):
            return self._lease(message, request_id)
        if isinstance(message, SendReports):
            return self._count(message, request_id)
        assert isinstance(message, AddProposals)
        return self._add(message, request_id)

    @property
    def status(self) -> CurriculumStatus:
        with self._guard:
            return self._status()

    @property
    def counters(self) -> dict[str, float]:
        """The counters of /metrics."""
        with self._guard:
            return {
                "specs_issued_total": self._state.issued,
                "specs_leased": len(self._state.leases),
                "reports_counted_total": self._state.counted,
                "infeasible_total": self._state.infeasible,
                "broken_total": self._state.broken,
                "proposals_total": self._state.proposed,
                "kinds": len(self._state.kinds),
            }

    def _status(self) -> CurriculumStatus:
        return status_of(self._state, self._settings, self._estimator.estimates(), self._selector)

    # ------------------------------------------------------------------------- leases

    def _lease(self, message: LeaseSpecs, request_id: bytes) -> SpecBatch:
        before = self._store.event_of_request(request_id)
        if isinstance(before, LeasedEvent):
            return self._batch(before)
        if not 1 <= message.count <= MOST_LEASED or not message.lease_s > 0:
            raise VantageError("bad_request", f"ask for 1 to {MOST_LEASED} specs with a lease_s above 0.")
        self._expire()
        estimates = self._evolved(self._estimator.estimates())
        again = [
            msgspec.structs.replace(issue, reissue=issue.reissue + 1)
            for issue in self._state.returned.values()
            if (issue.proposal or self._estimator.asks(issue.cell)) and not self._state.waiting(issue.world)
        ][: message.count]
        issues = again + self._new_issues(estimates, message.count - len(again))
        lease_s = min(message.lease_s, self._settings.max_lease_s)
        event = LeasedEvent(
            request_id=request_id,
            learner=message.learner,
            policy_version=message.policy_version,
            expires_s=self._clock() + lease_s,
            issues=tuple(issues),
            reason=explain(issues, estimates),
        )
        self._commit(event)
        self._deadlines.update((issue.spec_id, self._monotonic() + lease_s) for issue in issues)
        log.info(event.reason, extra={"learner": message.learner, "batch": self._state.batches})
        self._aside(lambda: self._run.append_metrics("curriculum", self._lease_metrics(event, estimates)))
        return self._batch(event)

    def _evolved(self, estimates: Estimates) -> Estimates:
        """The estimates after adding or retiring a world, if one is due."""
        event = next_event(self._state, self._settings, estimates, self._run.seed)
        if event is None:
            return estimates
        self._change_worlds(event)
        return self._estimator.estimates()

    def _change_worlds(self, event: Union[WorldAddedEvent, WorldRetiredEvent]) -> None:
        self._commit(event)
        log.info("%s", describe(event))
        record = {"event": type(event).__struct_config__.tag, "issued": self._state.issued}
        shown = {name: value for name, value in msgspec.to_builtins(event).items() if name not in ("type", "settings")}
        self._aside(lambda: self._run.append_metrics("curriculum", {**record, **shown}))

    def _new_issues(self, estimates: Estimates, count: int) -> list[Issue]:
        proposed = self._proposed_issues(count)
        number, count = self._state.next_number + len(proposed), count - len(proposed)
        if count == 0:
            return proposed
        if self._selector.repeats is not None:
            length = self._selector.repeats
            return proposed + repeated_issues(self._worlds, self._run.seed, estimates.cells, length, count, number)
        rng = rng_for(self._run.seed, "policy", self._state.batches)
        drawn = draw(estimates.cells, self._selector.shares(estimates), count, rng)
        return proposed + fresh_issues(self._worlds, drawn, number, self._state.next_scene)

    def _proposed_issues(self, count: int) -> list[Issue]:
        if not self._state.proposals_waiting:
            return []
        # Rounded up or down at random, so that the share holds on average for small batches too.
        luck = rng_for(self._run.seed, "proposals", self._state.batches).random()
        share = int(count * self._settings.proposals.share + luck)
        shares = kind_shares(self._state, self._settings.estimation)
        return proposed_issues(self._state.proposals, shares, share, self._state.next_number, luck)

    def _expire(self) -> None:
        now, leases = self._monotonic(), self._state.leases
        self._deadlines = {spec_id: end for spec_id, end in self._deadlines.items() if spec_id in leases}
        late = [leases[spec_id].issue for spec_id, end in self._deadlines.items() if end <= now]
        if not late:
            return
        again = [issue.lease_id for issue in late if issue.reissue < self._settings.max_reissues]
        given_up = [issue.lease_id for issue in late if issue.reissue >= self._settings.max_reissues]
        log.warning("%d leases expired without a report; %d of their specs are given up", len(late), len(given_up))
        self._commit(LeaseExpiredEvent(tuple(again), tuple(given_up)))

    @property
    def _worlds(self) -> dict[str, World]:
        return all_worlds(self._state, self._settings)

    def _batch(self, event: LeasedEvent) -> SpecBatch:
        specs = leased(self._worlds, self._run.seed, event.issues, self._state.proposals)
        return SpecBatch(specs, event.reason)

    # ------------------------------------------------------------------------- proposals

    def _add(self, message: AddProposals, request_id: bytes) -> ProposalsKept:
        before = self._store.event_of_request(request_id)
        if isinstance(before, ProposedEvent):
            return ProposalsKept(tuple(one.spec_id for one in before.proposals), before.duplicates)
        if 0 <= message.request != self._state.requests:
            return ProposalsKept(())  # answered before, by a proposer that was killed after it had sent its answer
        check_kinds(message, self._state)
        new: dict[str, TaskSpec] = {}
        duplicates = []
        held_out = {asset for world in self._worlds.values() for asset in world.held_out_assets}
        for proposal in message.proposals:
            check_training_proposal(proposal, held_out)
            key = proposal_key(proposal)
            if key in new or key in self._state.proposals:
                duplicates.append(proposal.spec_id)
            else:
                new[key] = proposal
        most = self._settings.proposals.most
        if len(self._state.proposals) + len(new) > most:
            raise VantageError(
                "bad_request",
                f"the run has {len(self._state.proposals)} of at most {most} proposals; raise "
                "curriculum.proposals.most or add fewer.",
            )
        if new or message.request >= 0:
            passes = self._settings.proposals.passes
            fresh = tuple(kind for kind in message.kinds if kind.name not in self._state.kinds)
            kept, refusals = tuple(new.values()), message.refusals
            self._commit(ProposedEvent(request_id, kept, passes, tuple(duplicates), message.request, fresh, refusals))
        return ProposalsKept(tuple(one.spec_id for one in new.values()), tuple(duplicates))

    # ------------------------------------------------------------------------- reports

    def _count(self, message: SendReports, request_id: bytes) -> ReportsCounted:
        before = self._store.event_of_request(request_id)
        if isinstance(before, ReportedEvent):
            return ReportsCounted(tuple(report.report_id for report in before.reports), before.duplicates)
        new: dict[str, ConfidenceReport] = {}
        specs: set[str] = set()
        duplicates = []
        for report in message.reports:
            check_report(report, self._state)
            is_open = self._state.issue_of(report.spec_id) is not None and report.spec_id not in specs
            if report.report_id in new or not is_open or self._store.is_counted(report.report_id):
                duplicates.append(report.report_id)  # or the spec was answered under another lease
            else:
                new[report.report_id] = report
                specs.add(report.spec_id)
        if new:
            self._commit(ReportedEvent(request_id, tuple(new.values()), tuple(duplicates)))
            self._watch_answers(list(new.values()))
            self._aside(lambda: self._run.append_metrics("curriculum", _report_metrics(list(new.values()))))
        return ReportsCounted(tuple(new), tuple(duplicates))

    def _watch_answers(self, reports: Sequence[ConfidenceReport]) -> None:
        """A run whose specs all fail makes no progress."""
        if any(report.outcome in EVIDENCE for report in reports):
            self.stalls.progressed(_ANSWERS)
        else:
            last = reports[-1]
            error = f"{last.skill} L{last.level} is {last.outcome} ({last.reason})"
            self.stalls.failed(_ANSWERS, error, "See `curriculum status` and choose other skills, levels or scenes.")

    # ------------------------------------------------------------------------- state and files

    def _commit(self, event: Event) -> None:
        self._last_event = self._store.append([event], self._clock())
        self._state.apply(event, self._settings.estimation)
        self._estimator.follow(event)
        self._encoder.follow(event)

    def _write_files(self) -> None:
        """Write the snapshot and the status when they are due, in a thread: no request waits for them."""
        while True:
            self._files_due.wait()
            self._files_due.clear()
            if self._closing:
                return
            if self._last_event - self._snapshot_event >= _SNAPSHOT_EVENTS:
                self._aside(self._save_snapshot)
            if self._monotonic() - self._status_at >= _STATUS_INTERVAL_S:
                self._aside(self._publish_status)

    def _save_snapshot(self) -> None:
        with self._guard:
            last, body = self._last_event, self._encoder.encode()
        save_snapshot(self._run.path, last, fingerprint(self._settings.estimation), body)
        self._snapshot_event = last

    def _publish_status(self) -> None:
        self._status_at = self._monotonic()
        status = msgspec.to_builtins(self.status)
        self._run.write_status("curriculum", {**status, "stalls": self.stalls.reports()})

    def _aside(self, write: Callable[[], None]) -> None:
        """Write an auxiliary file; a failure must not undo what is committed."""
        try:
            write()
        except VantageError as error:
            log.warning("%s", error.message)

    def _lease_metrics(self, event: LeasedEvent, estimates: Estimates) -> dict[str, object]:
        cells = Counter(issue.cell for issue in event.issues)
        seen = [row for cell in cells if (row := estimates.rows.get(cell)) is not None and estimates.seen[row]]
        return {
            "event": "leased",
            "batch": self._state.batches,
            "selector": self._settings.selector,
            "policy_version": event.policy_version,
            "count": len(event.issues),
            "cells": dict(Counter(_shown(issue.cell) for issue in event.issues)),
            "purposes": Counter(issue.purpose for issue in event.issues),
            "success": {str(estimates.cells[row]): round(estimates.mean[row].item(), 4) for row in seen},
            "reason": event.reason,
        }


def _shown(cell: Cell) -> str:
    """The name of a cell in the metrics, where all kinds of composed questions are one."""
    return str(msgspec.structs.replace(cell, skill=skill_shown(cell.skill)))


def _open_store(run: RunDir) -> Store:
    """Open the database, after waiting for a process that locks it, such as a backup."""
    end_s = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            return Store(run.path / FILE_NAME, run.seed)
        except VantageError as error:
            if error.code != "unavailable" or time.monotonic() > end_s:
                raise
            log.warning("%s; waiting", error.message)


def _report_metrics(reports: list[ConfidenceReport]) -> dict[str, object]:
    outcomes = Counter(report.outcome for report in reports)
    seeing = [report for report in reports if report.outcome == "answered" and not report.blind]
    return {
        "event": "reported",
        "count": len(reports),
        "outcomes": outcomes,
        "policy_version": max(report.policy_version for report in reports),
        "success": round(math.fsum(report.success_rate for report in seeing) / len(seeing), 4) if seeing else None,
        "no_gradient": sum(not report.had_gradient for report in seeing),
    }
