"""The events and the estimates of a run as Parquet files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curriculum.ability.estimates import CellEstimate, Estimator
from curriculum.ability.rasch import Cell
from curriculum.evolve import describe
from curriculum.record.events import (
    Event,
    LeasedEvent,
    LeaseExpiredEvent,
    ProposedEvent,
    WorldAddedEvent,
    WorldRetiredEvent,
    spec_of,
)
from curriculum.record.state import State
from curriculum.record.store import Store
from curriculum.selectors.base import cell_shares, make_selector
from curriculum.settings import CurriculumSettings
from protocol.run.directory import disk_guard
from protocol.tasks.proposals import proposal_key

EVENTS = "events.parquet"
ESTIMATES = "estimates.parquet"
_AT_ONCE = 50_000  # rows of a row group

_SCHEMA = pa.schema(
    [
        *(("event", pa.int64()), ("time_s", pa.float64()), ("kind", pa.string()), ("learner", pa.string())),
        *(("policy_version", pa.int64()), ("spec_id", pa.string()), ("lease_id", pa.string())),
        *(("proposal", pa.string()), ("skill", pa.string()), ("level", pa.int64()), ("degradation", pa.string())),
        *(("blind", pa.bool_()), ("purpose", pa.string()), ("outcome", pa.string()), ("success_rate", pa.float64())),
        *(("truth_likelihood", pa.float64()), ("truth_probability", pa.float64())),
        *(("answer_entropy", pa.float64()), ("rewards", pa.list_(pa.float64())), ("had_gradient", pa.bool_())),
        *(("reason", pa.string()), ("world", pa.string())),
    ]
)


def export(store: Store, settings: CurriculumSettings, folder: Path) -> tuple[int, int]:
    """Write both files to an existing folder, each complete or not at all; returns their numbers of rows.

    Raises VantageError as Store does, and for a folder that cannot be written.
    """
    state = State()
    estimator = Estimator(state, settings)
    rows, portion = 0, []
    with disk_guard(folder / EVENTS):
        partial = folder / f".{EVENTS}.{os.getpid()}.tmp"
        try:
            with pq.ParquetWriter(partial, _SCHEMA) as writer:
                for event_id, time_s, event in store.timed_events():
                    common = {"event": event_id, "time_s": time_s, "kind": type(event).__struct_config__.tag}
                    portion += [{**common, **row} for row in _rows(event)]
                    if len(portion) >= _AT_ONCE:
                        writer.write_table(pa.Table.from_pylist(portion, _SCHEMA))
                        rows, portion = rows + len(portion), []
                    state.apply(event, settings.estimation)
                    estimator.follow(event)
                writer.write_table(pa.Table.from_pylist(portion, _SCHEMA))
            os.replace(partial, folder / EVENTS)
        finally:
            partial.unlink(missing_ok=True)
        table = _estimates(estimator, settings)
        pq.write_table(table, partial)
        os.replace(partial, folder / ESTIMATES)
    return rows + len(portion), table.num_rows


def _rows(event: Event) -> Iterator[Mapping[str, Any]]:
    """One row for each spec or world that the event concerns; columns that do not apply are missing."""
    if isinstance(event, LeasedEvent):
        for issue in event.issues:
            yield {
                "learner": event.learner,
                "policy_version": event.policy_version,
                "spec_id": issue.spec_id,
                "lease_id": issue.lease_id,
                "proposal": issue.proposal or None,
                "skill": issue.skill,
                "level": issue.level,
                "degradation": issue.degradation,
                "blind": issue.blind,
                "purpose": issue.purpose,
                "reason": event.reason,
                "world": issue.world,
            }
    elif isinstance(event, LeaseExpiredEvent):
        for outcome, lease_ids in (("returned", event.returned), ("given up", event.given_up)):
            for lease_id in lease_ids:
                yield {"spec_id": spec_of(lease_id), "lease_id": lease_id, "outcome": outcome}
    elif isinstance(event, ProposedEvent):
        for spec in event.proposals:
            yield {"spec_id": spec.spec_id, "proposal": proposal_key(spec)}
    elif isinstance(event, (WorldAddedEvent, WorldRetiredEvent)):
        yield {"world": event.name, "reason": describe(event)}
    else:
        for report in event.reports:
            yield {name: getattr(report, name) for name in _SCHEMA.names if hasattr(report, name)}


def _estimates(estimator: Estimator, settings: CurriculumSettings) -> pa.Table:
    """The estimates after the last event: the fields of CellEstimate, and the share of each cell."""
    estimates = estimator.estimates()
    cells = {name: [getattr(cell, name) for cell in estimates.cells] for name in Cell.__struct_fields__}
    figures = {name: getattr(estimates, name) for name in CellEstimate.__struct_fields__ if name != "cell"}
    share = cell_shares(make_selector(settings).shares(estimates))
    return pa.table({**cells, **figures, "share": share})
