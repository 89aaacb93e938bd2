"""Confidence reports and the durable outbox that holds them until the curriculum has counted them.

A report is synced to disk before it is sent, and leaves the outbox only when the curriculum acknowledges it as counted
or duplicate. Its id derives from its lease, so resending it after a restart has no effect.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Iterable, Optional, Protocol, Sequence

import msgspec

from protocol.errors import VantageError
from protocol.run.directory import disk_guard, read_jsonl, write_all, write_atomic
from protocol.tasks.task import degradation_label
from protocol.wire.messages import ConfidenceReport, Leased, ReportsCounted, SendReports

log = logging.getLogger(__name__)

_BATCH = 256  # reports per message
_COMPACT_BYTES = 1 << 20
_DEADLINE_S = 60.0  # for the curriculum to count a batch


class Channel(Protocol):
    """A service: a client (protocol.wire.client), or the logic of the service in the same process."""

    def request(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Any: ...

    def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Any]: ...


# ----------------------------------------------------------------------------- reports


def report_id(leased: Leased) -> str:
    """Return the id of the report on a lease; a lease always has the same id."""
    key = f"{leased.lease_id}\0{leased.spec.spec_id}".encode()
    return "r-" + hashlib.blake2b(key, digest_size=12).hexdigest()


def answer_entropy(answers: Iterable[str]) -> float:
    """Entropy of the distribution of distinct answers, in nats."""
    counts = Counter(answers)
    total = counts.total()
    return sum(-count / total * math.log(count / total) for count in counts.values())


def has_spread(rewards: Sequence[float]) -> bool:
    """Whether rewards differ; if not, the group has no gradient."""
    return max(rewards) - min(rewards) > 1e-6


def failure_report(leased: Leased, version: int, error: VantageError) -> ConfidenceReport:
    """Return the report on a spec that could not be rendered: infeasible, or broken by an error."""
    return ConfidenceReport(
        report_id=report_id(leased),
        spec_id=leased.spec.spec_id,
        lease_id=leased.lease_id,
        policy_version=version,
        outcome="infeasible" if error.code == "infeasible" else "broken",
        skill=leased.spec.question.skill,
        level=leased.spec.question.level,
        blind=leased.blind,
        reason=error.message,
        degradation=degradation_label(leased.spec.degradations),
    )


# ----------------------------------------------------------------------------- outbox


class Outbox:
    """Reports that are not counted yet, in a JSON-lines file that survives a kill at any instant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: dict[str, ConfidenceReport] = {}
        for record in read_jsonl(path)[0]:
            if "report" in record:
                report = msgspec.convert(record["report"], ConfidenceReport, strict=False)
                self._waiting[report.report_id] = report
            for counted in record.get("counted", ()):
                self._waiting.pop(counted, None)
        self._compact()

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self) -> list[ConfidenceReport]:
        """Return the reports not counted yet, oldest first."""
        return list(self._waiting.values())

    def add(self, reports: Sequence[ConfidenceReport]) -> None:
        """Store reports durably. Raises VantageError("disk_full") and stores none of them."""
        self._write([{"report": msgspec.to_builtins(report)} for report in reports], durable=True)
        self._waiting.update((report.report_id, report) for report in reports)

    def counted(self, report_ids: Iterable[str]) -> None:
        """Remove reports. If this write is lost, they are sent again and acknowledged as duplicates."""
        known = [name for name in report_ids if self._waiting.pop(name, None) is not None]
        if not self._waiting and self._path.stat().st_size > _COMPACT_BYTES:
            self._compact()
        elif known:
            self._write([{"counted": known}], durable=False)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, records: Sequence[dict[str, Any]], durable: bool) -> None:
        data = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records).encode()
        end = os.fstat(self._file).st_size
        with disk_guard(self._path):
            try:
                write_all(self._file, data)
                if durable:
                    os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, end)
                raise

    def _compact(self) -> None:
        """Rewrite the file with the waiting reports only; this also drops a line truncated by a kill."""
        lines = [json.dumps({"report": msgspec.to_builtins(report)}) + "\n" for report in self._waiting.values()]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path, "".join(lines).encode())
        if hasattr(self, "_file"):
            os.close(self._file)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)


# ----------------------------------------------------------------------------- sending


class ReportSender:
    """Sends the reports in the outbox without blocking the training step."""

    def __init__(self, outbox: Outbox, channel: Channel) -> None:
        self._outbox = outbox
        self._channel = channel
        self._in_flight: Optional[Future[Any]] = None

    def pump(self) -> None:
        """Process acknowledgements and send the next batch. Does not block.

        Raises VantageError: errors of the curriculum that a retry cannot fix.
        """
        if self._in_flight is not None and self._in_flight.done():
            future, self._in_flight = self._in_flight, None
            try:
                self._take(future)
            except VantageError as error:
                if not error.retryable:
                    raise
                log.warning("the curriculum did not count %d reports, resending: %s", len(self._outbox), error)
        if self._in_flight is None and len(self._outbox):
            batch = SendReports(tuple(self._outbox.waiting()[:_BATCH]))
            self._in_flight = self._channel.submit(batch, deadline_s=_DEADLINE_S)

    def drain(self) -> None:
        """Block until all reports are counted.

        Raises VantageError if the curriculum fails; the outbox keeps the remaining reports for the next start.
        """
        while len(self._outbox):
            self.pump()
            if self._in_flight is not None:
                future, self._in_flight = self._in_flight, None
                self._take(future)

    def _take(self, future: Future[Any]) -> None:
        answer = future.result().message
        assert isinstance(answer, ReportsCounted), answer
        self._outbox.counted((*answer.counted, *answer.duplicates))
