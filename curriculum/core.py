"""The logic of the curriculum, independent of its socket.

    LeaseSpecs ──▶ estimates ─▶ selector ─▶ shares ─▶ issues ─▶ commit ─▶ SpecBatch
    SendReports ─▶ reports not counted before ─────────────────▶ commit ─▶ ReportsCounted
                                              events ─▶ State (replayed at the start)

A message takes effect when its event is committed and is answered after that. A repeated request id gets its first
answer again, also after a restart.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import threading
import time
from collections import Counter
from typing import Callable, Sequence, Union

import msgspec

from curriculum.ability.estimates import CellEstimate, cell_estimates
from curriculum.issues import fresh_issues, leased, proposed_issues, repeated_issues
from curriculum.record.events import Event, Issue, LeasedEvent, LeaseExpiredEvent, ProposedEvent, ReportedEvent
from curriculum.record.state import STATE_VERSION, State, decode_state, encode_state
from curriculum.record.store import FILE_NAME, Store
from curriculum.selectors.base import draw, make_selector
from curriculum.settings import CurriculumSettings, Estimation
from curriculum.status import explain, status_of
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.seeds import rng_for
from protocol.skills import CATALOGUE
from protocol.skills.skill import MOST_VIEWS
from protocol.tasks.proposals import proposal_key
from protocol.tasks.specs import World
from protocol.tasks.task import PROPOSED, Degradation, TaskSpec
from protocol.wire.messages import (
    MOST_LEASED,
    AddProposals,
    ConfidenceReport,
    CurriculumStatus,
    GetCurriculumStatus,
    LeaseSpecs,
    ProposalsKept,
    ReportsCounted,
    SendReports,
    SpecBatch,
)

log = logging.getLogger(__name__)

CurriculumMessage = Union[LeaseSpecs, SendReports, AddProposals, GetCurriculumStatus]

_SNAPSHOT_EVENTS = 256  # a start replays at most about this many
_STATUS_INTERVAL_S = 1.0


class CurriculumCore:
    """The curriculum of one run. Thread-safe; call `close`, or use it as a context manager."""

    def __init__(self, run: RunDir, settings: CurriculumSettings, clock: Callable[[], float] = time.time) -> None:
        """Acquire the lock of the run and read its events; `clock` returns epoch seconds.

        Raises VantageError: "conflict" if another curriculum works on this run, and as Store does.
        """
        self._run = run
        self._settings = settings
        self._clock = clock
        self._selector = make_selector(settings)
        self._guard = threading.Lock()
        self._status_at = -math.inf
        self._resources = contextlib.ExitStack()
        try:
            self._resources.enter_context(run.lock("curriculum"))
            self._store = self._resources.enter_context(contextlib.closing(Store(run.path / FILE_NAME, run.seed)))
            self._state, self._last_event = load_state(self._store, settings.estimation)
        except BaseException:
            self._resources.close()
            raise
        self._snapshot_event = self._last_event
        self._publish_status()

    def __enter__(self) -> CurriculumCore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save a snapshot and release the run; idempotent."""
        with self._guard, self._resources:
            if self._snapshot_event < self._last_event:
                self._aside(self._save_snapshot)
            self._aside(self._publish_status)

    def handle(self, message: CurriculumMessage, request_id: bytes) -> msgspec.Struct:
        """Answer a message. A resent request has the same `request_id`.

        Raises VantageError: "bad_request" for invalid values, "disk_full" (then nothing has changed).
        """
        with self._guard:
            if isinstance(message, LeaseSpecs):
                answer = self._lease(message, request_id)
            elif isinstance(message, SendReports):
                answer = self._count(message, request_id)
            elif isinstance(message, AddProposals):
                answer = self._add(message, request_id)
            else:
                return status_of(self._state, self._settings)
            self._aside(self._after_change)
            return answer

    @property
    def status(self) -> CurriculumStatus:
        with self._guard:
            return status_of(self._state, self._settings)

    # ------------------------------------------------------------------------- leases

    def _lease(self, message: LeaseSpecs, request_id: bytes) -> SpecBatch:
        before = self._store.event_of_request(request_id)
        if isinstance(before, LeasedEvent):
            return self._batch(before)
        if not 1 <= message.count <= MOST_LEASED or not message.lease_s > 0:
            raise VantageError("bad_request", f"ask for 1 to {MOST_LEASED} specs with a lease_s above 0.")
        now = self._clock()
        self._expire(now)
        estimates = cell_estimates(self._state, self._settings)
        planned = {one.cell.undegraded for one in estimates}
        again = [
            msgspec.structs.replace(issue, reissue=issue.reissue + 1)
            for issue in self._state.returned.values()
            if issue.proposal or issue.cell.undegraded in planned
        ][: message.count]
        issues = again + self._new_issues(estimates, message.count - len(again))
        event = LeasedEvent(
            request_id=request_id,
            learner=message.learner,
            policy_version=message.policy_version,
            expires_s=now + min(message.lease_s, self._settings.max_lease_s),
            issues=tuple(issues),
            reason=explain(issues, estimates),
        )
        self._commit(event)
        log.info(event.reason, extra={"learner": message.learner, "batch": self._state.batches})
        self._aside(lambda: self._run.append_metrics("curriculum", self._lease_metrics(event)))
        return self._batch(event)

    def _new_issues(self, estimates: Sequence[CellEstimate], count: int) -> list[Issue]:
        proposed = self._proposed_issues(count)
        world, number, count = self._settings.world, self._state.next_number + len(proposed), count - len(proposed)
        if count == 0:
            return proposed
        if self._selector.repeats is not None:
            cells = [one.cell for one in estimates]
            return proposed + repeated_issues(world, self._run.seed, cells, self._selector.repeats, count, number)
        rng = rng_for(self._run.seed, "policy", self._state.batches)
        drawn = draw(self._selector.shares(estimates), count, rng)
        return proposed + fresh_issues(world, drawn, number, self._state.next_scene)

    def _proposed_issues(self, count: int) -> list[Issue]:
        if not self._state.proposals_waiting:
            return []
        # Rounded up or down at random, so that the share holds on average for small batches too.
        luck = rng_for(self._run.seed, "proposals", self._state.batches).random()
        share = int(count * self._settings.proposals.share + luck)
        return proposed_issues(self._state.proposals, share, self._state.next_number)

    def _expire(self, now: float) -> None:
        late = [lease_id for lease_id, lease in self._state.leases.items() if lease.expires_s <= now]
        if not late:
            return
        returned, given_up = [], []
        for lease_id in late:
            reissues = self._state.leases[lease_id].issue.reissue
            (given_up if reissues >= self._settings.max_reissues else returned).append(lease_id)
        log.warning("%d leases expired without a report; %d of their specs are given up", len(late), len(given_up))
        self._commit(LeaseExpiredEvent(tuple(returned), tuple(given_up)))

    def _batch(self, event: LeasedEvent) -> SpecBatch:
        specs = leased(self._settings.world, self._run.seed, event.issues, self._state.proposals)
        return SpecBatch(specs, event.reason)

    # ------------------------------------------------------------------------- proposals

    def _add(self, message: AddProposals, request_id: bytes) -> ProposalsKept:
        before = self._store.event_of_request(request_id)
        if isinstance(before, ProposedEvent):
            return ProposalsKept(tuple(one.spec_id for one in before.proposals), before.duplicates)
        new: dict[str, TaskSpec] = {}
        duplicates = []
        for proposal in message.proposals:
            _check_proposal(proposal, self._settings.world)
            key = proposal_key(proposal)
            if key in new or key in self._state.proposals:
                duplicates.append(proposal.spec_id)
            else:
                new[key] = proposal
        if new:
            passes = self._settings.proposals.passes
            self._commit(ProposedEvent(request_id, tuple(new.values()), passes, tuple(duplicates)))
        return ProposalsKept(tuple(one.spec_id for one in new.values()), tuple(duplicates))

    # ------------------------------------------------------------------------- reports

    def _count(self, message: SendReports, request_id: bytes) -> ReportsCounted:
        before = self._store.event_of_request(request_id)
        if isinstance(before, ReportedEvent):
            return ReportsCounted(tuple(report.report_id for report in before.reports), before.duplicates)
        new: dict[str, ConfidenceReport] = {}
        duplicates = []
        for report in message.reports:
            _check(report)
            if report.report_id in new or self._store.is_counted(report.report_id):
                duplicates.append(report.report_id)
            else:
                new[report.report_id] = report
        if new:
            self._commit(ReportedEvent(request_id, tuple(new.values()), tuple(duplicates)))
            self._aside(lambda: self._run.append_metrics("curriculum", _report_metrics(list(new.values()))))
        return ReportsCounted(tuple(new), tuple(duplicates))

    # ------------------------------------------------------------------------- state and files

    def _commit(self, event: Event) -> None:
        self._last_event = self._store.append([event], self._clock())
        self._state.apply(event, self._settings.estimation)

    def _after_change(self) -> None:
        if self._last_event - self._snapshot_event >= _SNAPSHOT_EVENTS:
            self._save_snapshot()
        if self._clock() - self._status_at >= _STATUS_INTERVAL_S:
            self._publish_status()

    def _save_snapshot(self) -> None:
        self._store.save_snapshot(self._last_event, fingerprint(self._settings.estimation), encode_state(self._state))
        self._snapshot_event = self._last_event

    def _publish_status(self) -> None:
        self._status_at = self._clock()
        self._run.write_status("curriculum", msgspec.to_builtins(status_of(self._state, self._settings)))

    def _aside(self, write: Callable[[], None]) -> None:
        """Write an auxiliary file; a failure must not undo what is committed."""
        try:
            write()
        except VantageError as error:
            log.warning("%s", error.message)

    def _lease_metrics(self, event: LeasedEvent) -> dict[str, object]:
        return {
            "event": "leased",
            "batch": self._state.batches,
            "selector": self._settings.selector,
            "policy_version": event.policy_version,
            "count": len(event.issues),
            "cells": Counter(str(issue.cell) for issue in event.issues),
            "purposes": Counter(issue.purpose for issue in event.issues),
            "success": {
                str(one.cell): round(one.mean, 4) for one in cell_estimates(self._state, self._settings) if one.asked
            },
            "reason": event.reason,
        }


# ----------------------------------------------------------------------------- also used by the command line


def fingerprint(estimation: Estimation) -> str:
    """Identifies everything except the events that a projected state depends on."""
    return f"{STATE_VERSION}-{hashlib.blake2b(estimation.model_dump_json().encode(), digest_size=8).hexdigest()}"


def load_state(store: Store, estimation: Estimation, from_snapshot: bool = True) -> tuple[State, int]:
    """The state after the last event, and that event's id."""
    state, last = State(), 0
    snapshot = store.snapshot(fingerprint(estimation)) if from_snapshot else None
    if snapshot:
        try:
            last, state = snapshot[0], decode_state(snapshot[1])
        except msgspec.DecodeError:
            log.warning("the snapshot in %s cannot be read; replaying every event", store.path)
    for event_id, event in store.events(after=last):
        state.apply(event, estimation)
        last = event_id
    return state, last


def _check(report: ConfidenceReport) -> None:
    """Raises VantageError("bad_request") for a report that cannot be stored."""
    figures = (report.success_rate, report.truth_likelihood, report.answer_entropy, *report.rewards)
    skill = CATALOGUE.get(report.skill)
    if not report.report_id:
        problem = "has no report_id"
    elif report.outcome not in ("answered", "infeasible", "broken"):
        problem = f"has outcome {report.outcome!r}, which is not answered, infeasible or broken"
    elif report.level not in ((0,) if report.skill == PROPOSED else skill.feasible_levels if skill else ()):
        problem = f"names {report.skill!r} at level {report.level}, which the skill catalogue lacks"
    elif not _is_label(report.degradation):
        problem = f"was answered under {report.degradation[:40]!r}, which is not a degradation like fog:3"
    elif not all(math.isfinite(figure) for figure in figures):
        problem = "holds a number that is not finite"
    else:
        return
    raise VantageError("bad_request", f"report {report.report_id!r} {problem}; correct it and send it again.")


def _check_proposal(spec: TaskSpec, world: World) -> None:
    """Raises VantageError("bad_request") for a proposal about a held-out scene or with more views than any skill."""
    scene, proposal = spec.scene, spec.proposal
    if proposal is None:
        problem = "has no text and program"
    elif scene.split != "train" or scene.asset in world.held_out_assets:
        problem = "is about a held-out scene: use scenes of the training split"
    elif max(len(proposal.poses), spec.max_views) > MOST_VIEWS:
        problem = f"has more than {MOST_VIEWS} views"
    else:
        return
    raise VantageError("bad_request", f"proposal {spec.spec_id!r} {problem}; leave it out or change it.")


def _is_label(text: str) -> bool:
    try:
        return all(Degradation.parse(part) for part in text.split("+")) if text else True
    except ValueError:
        return False


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
