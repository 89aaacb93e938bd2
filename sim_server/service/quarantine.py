"""Workers that the broker does not use any more, and why.

A worker whose answer does not fit its request, or differs from what others answer, is quarantined at once. One that
fails in a way that an honest worker can (it hangs, or reports internal errors) is warned first. A quarantine is about a
worker id and holds until the broker ends: a repaired worker joins again under another id.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Optional

from protocol.errors import VantageError

HANGS = 3  # requests that took too long, until a worker is quarantined
FAULTS = 8  # internal errors in a row, until a worker is quarantined
MAX_REMEMBERED = 1024
MAX_REASON = 500  # characters


class Quarantine:
    def __init__(self) -> None:
        self._reasons: OrderedDict[str, str] = OrderedDict()  # worker id -> sentence
        self._hangs: OrderedDict[str, int] = OrderedDict()
        self._faults: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._reasons)

    def add(self, worker_id: str, reason: str) -> None:
        self._reasons[worker_id] = reason[:MAX_REASON]
        _bound(self._reasons)

    def reason(self, worker_id: str) -> Optional[str]:
        """Why the worker is quarantined, or None."""
        return self._reasons.get(worker_id)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """(worker id, sentence), oldest first."""
        return list(self._reasons.items())

    def hung(self, worker_id: str) -> bool:
        """Count a request that took too long; True if there were too many."""
        return _count(self._hangs, worker_id) >= HANGS

    def failed(self, worker_id: str) -> bool:
        """Count an internal error; True if there were too many in a row."""
        return _count(self._faults, worker_id) >= FAULTS

    def worked(self, worker_id: str) -> None:
        """Record a good answer."""
        self._faults.pop(worker_id, None)


def expulsion(reason: str) -> VantageError:
    """The error that a quarantined worker receives."""
    return VantageError(
        "bad_reply", f"this worker is quarantined because {reason.rstrip('.')}; repair it and join under another id."
    )


def _count(counts: OrderedDict[str, int], worker_id: str) -> int:
    counts[worker_id] = counts.get(worker_id, 0) + 1
    _bound(counts)
    return counts[worker_id]


def _bound(items: OrderedDict[str, int] | OrderedDict[str, str]) -> None:
    while len(items) > MAX_REMEMBERED:
        items.popitem(last=False)
