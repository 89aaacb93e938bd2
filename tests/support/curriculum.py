"""Confidence reports for tests of the curriculum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from protocol.tasks.task import degradation_label
from protocol.wire.messages import ConfidenceReport, Leased


def report_on(leased: Leased, rewards: Sequence[float] = (1.0, 0.0, 1.0, 0.0), **changes: Any) -> ConfidenceReport:
    """Return a report on a leased spec with these rewards; `changes` replace fields."""
    fields: dict[str, Any] = {
        "report_id": f"report of {leased.lease_id}",
        "spec_id": leased.spec.spec_id,
        "lease_id": leased.lease_id,
        "policy_version": 1,
        "outcome": "answered",
        "skill": leased.spec.question.skill,
        "level": leased.spec.question.level,
        "blind": leased.blind,
        "rewards": tuple(rewards),
        "success_rate": sum(rewards) / len(rewards),
        "truth_likelihood": 0.5,
        "had_gradient": len(set(rewards)) > 1,
        "degradation": degradation_label(leased.spec.degradations),
        "world": leased.spec.world,
    }
    return ConfidenceReport(**{**fields, **changes})


def failure_on(leased: Leased, outcome: str) -> ConfidenceReport:
    """Return a report on a spec without answers: "infeasible", "broken" or "returned"."""
    fields = {"outcome": outcome, "rewards": (), "success_rate": 0.0, "had_gradient": False, "reason": "a test"}
    return msgspec.structs.replace(report_on(leased), **fields)


def screened_on(leased: Leased, probability: float) -> ConfidenceReport:
    """Return a report on a candidate that was not chosen; the policy gives its true answer with this probability."""
    fields = {"outcome": "screened", "rewards": (), "success_rate": probability, "truth_probability": probability}
    return msgspec.structs.replace(report_on(leased), had_gradient=False, **fields)
