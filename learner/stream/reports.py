"""Confidence reports, and the statistics of a group that they hold."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from concurrent.futures import Future
from typing import Any, Iterable, Protocol, Sequence

import msgspec

from protocol.errors import VantageError
from protocol.tasks.task import degradation_label
from protocol.wire.messages import ConfidenceReport, Leased

_LONGEST_REASON = 1000  # characters


class Channel(Protocol):
    """A service: a client (protocol.wire.client), or the logic of the service in the same process."""

    def request(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Any: ...

    def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Any]: ...


def report_id(lease_id: str, spec_id: str) -> str:
    """Return the id of the report on a lease; a lease always has the same id."""
    key = f"{lease_id}\0{spec_id}".encode()
    return "r-" + hashlib.blake2b(key, digest_size=12).hexdigest()


def answer_entropy(answers: Iterable[str]) -> float:
    """Entropy of the distribution of distinct answers, in nats."""
    counts = Counter(answers)
    total = counts.total()
    return sum(-count / total * math.log(count / total) for count in counts.values())


def has_spread(rewards: Sequence[float]) -> bool:
    """Whether rewards differ; if not, the group has no gradient."""
    return max(rewards) - min(rewards) > 1e-6


def report_on(leased: Leased, version: int, outcome: str, **fields: Any) -> ConfidenceReport:
    """Return the report on a lease with this outcome; `fields` are those that depend on it."""
    return ConfidenceReport(
        report_id=report_id(leased.lease_id, leased.spec.spec_id),
        spec_id=leased.spec.spec_id,
        lease_id=leased.lease_id,
        policy_version=version,
        outcome=outcome,
        skill=leased.spec.question.skill,
        level=leased.spec.question.level,
        blind=leased.blind,
        degradation=degradation_label(leased.spec.degradations),
        world=leased.spec.world,
        **fields,
    )


def failure_report(leased: Leased, version: int, error: VantageError) -> ConfidenceReport:
    """Return the report on a spec that could not be rendered: infeasible, returned until a simulator can make its
    world, or broken by another error."""
    returned = error.code == "unsupported" and error.retryable
    outcome = "infeasible" if error.code == "infeasible" else "returned" if returned else "broken"
    return report_on(leased, version, outcome, reason=error.message[:_LONGEST_REASON])
