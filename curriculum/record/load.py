"""The state of a run: from its snapshot and the events after it, or from all events."""

from __future__ import annotations

import hashlib
import logging

from curriculum.record.snapshot import read_snapshot
from curriculum.record.state import STATE_VERSION, State, decode_state
from curriculum.record.store import Store
from curriculum.settings import Estimation

log = logging.getLogger(__name__)


def fingerprint(estimation: Estimation) -> str:
    """Identifies everything except the events that a projected state depends on."""
    return f"{STATE_VERSION}-{hashlib.blake2b(estimation.model_dump_json().encode(), digest_size=8).hexdigest()}"


def load_state(store: Store, estimation: Estimation, from_snapshot: bool = True) -> tuple[State, int]:
    """The state after the last event, and that event's id."""
    state, last = State(), 0
    snapshot = read_snapshot(store.path.parent) if from_snapshot else None
    if snapshot and snapshot.fingerprint == fingerprint(estimation):
        state, last = decode_state(snapshot.body), snapshot.event
    elif snapshot and snapshot.version != STATE_VERSION:
        log.warning(
            "the snapshot in %s was written by %s version (state %d, this one reads %d); it is ignored and all events "
            "are read",
            store.path.parent,
            "a newer" if snapshot.version > STATE_VERSION else "an older",
            snapshot.version,
            STATE_VERSION,
        )
    for event_id, event in store.events(after=last):
        state.apply(event, estimation)
        last = event_id
    return state, last
