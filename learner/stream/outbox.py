"""The durable outbox of confidence reports, and the sender that empties it.

A report is synced to disk before it is sent, and leaves the outbox only when the curriculum acknowledges it as counted
or duplicate. Its id derives from its lease, so resending it after a restart has no effect. A report that the curriculum
refuses for its content moves to outbox.jsonl.refused, so that it is not sent again by every later start.
"""

from __future__ import annotations

import logging
import os
import time
from concurrent import futures
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Callable, Iterable, Optional, Sequence

import msgspec

from learner.stream.reports import Channel
from protocol.errors import VantageError
from protocol.run.directory import disk_guard, write_all, write_atomic
from protocol.run.files import make_folder, open_regular
from protocol.run.lines import Refusal, read_lines, refuse
from protocol.run.stall import Stalls
from protocol.wire.messages import (
    ConfidenceReport,
    CurriculumStatus,
    GetCurriculumStatus,
    ReportsCounted,
    SendReports,
)

log = logging.getLogger(__name__)

_BATCH = 256  # reports per message
_COMPACT_BYTES = 1 << 20
_DEADLINE_S = 60.0  # for the curriculum to count a batch
_STATUS_S = 5.0  # for the curriculum to answer a question about its status
_RETRY_S = 0.5  # until reports are sent again
_POLL_S = 0.05
_MISSING = "counted reports"
_ADVICE = "See the log of the curriculum; the outbox keeps the reports until they are counted."


class _Line(msgspec.Struct, omit_defaults=True):
    """A line of the file. `removed` reports were not counted under this id; `total` were counted before this line."""

    report: Optional[ConfidenceReport] = None
    counted: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    total: int = 0


class Outbox:
    """Reports that are not counted yet, in a JSON-lines file that survives a kill at any instant.

    `total` is the number of reports that the curriculum acknowledged as counted, over all starts.
    """

    def __init__(self, path: Path) -> None:
        """Read the file; lines that cannot be used move aside. Raises VantageError if `path` is not a file."""
        self._path = path
        self._waiting: dict[str, ConfidenceReport] = {}
        self.total = 0
        for line in read_lines(path, _line)[0]:
            self.total = max(self.total, line.total)
            if line.report is not None:
                self._waiting[line.report.report_id] = line.report
            self.total += sum(self._waiting.pop(name, None) is not None for name in line.counted)
            for name in line.removed:
                self._waiting.pop(name, None)
        self._compact()

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self) -> list[ConfidenceReport]:
        """Return the reports not counted yet, oldest first."""
        return list(self._waiting.values())

    def add(self, reports: Sequence[ConfidenceReport]) -> None:
        """Store reports durably. Raises VantageError("disk_full") and stores none of them."""
        self._write([_Line(report) for report in reports], durable=True)
        self._waiting.update((report.report_id, report) for report in reports)

    def counted(self, report_ids: Iterable[str], duplicates: Iterable[str] = ()) -> None:
        """Remove reports. If this write is lost, they are sent again and acknowledged as duplicates."""
        known, removed = (
            tuple(name for name in names if self._waiting.pop(name, None) is not None)
            for names in (report_ids, duplicates)
        )
        self.total += len(known)
        if not self._waiting and os.fstat(self._file).st_size > _COMPACT_BYTES:
            self._compact()
        elif known or removed:
            self._write([_Line(counted=known, removed=removed)], durable=False)

    def refuse(self, report: ConfidenceReport, reason: str) -> None:
        """Move a report that the curriculum does not accept to the side file, with a warning."""
        refuse(self._path, [Refusal(msgspec.json.encode(_Line(report)), reason)])
        self._waiting.pop(report.report_id, None)
        self._write([_Line(removed=(report.report_id,))], durable=False)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, lines: Sequence[_Line], durable: bool) -> None:
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
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
        lines = [*([_Line(total=self.total)] if self.total else []), *map(_Line, self._waiting.values())]
        make_folder(self._path.parent)
        write_atomic(self._path, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        if hasattr(self, "_file"):
            os.close(self._file)
        self._file = open_regular(self._path, os.O_WRONLY | os.O_APPEND)


def _line(record: dict[str, Any]) -> _Line:
    line = msgspec.convert(record, _Line)
    if line == _Line():
        raise ValueError("neither a report nor an acknowledgement")
    msgspec.msgpack.encode(line)  # JSON can hold text that a message cannot
    return line


class ReportSender:
    """Sends the reports in the outbox without blocking the training step."""

    def __init__(self, outbox: Outbox, channel: Channel, stalls: Stalls) -> None:
        self._outbox = outbox
        self._channel = channel
        self._stalls = stalls
        self._in_flight: Optional[Future[Any]] = None
        self._sent: list[ConfidenceReport] = []  # the reports in flight
        self._most = _BATCH  # halved while the curriculum refuses a batch, to find the report that it refuses
        self._send_after = 0.0  # monotonic time

    def pump(self) -> None:
        """Process acknowledgements and send the next batch. Does not block.

        Raises VantageError: errors of the curriculum that neither a retry nor leaving out a report can fix.
        """
        if self._in_flight is not None and self._in_flight.done():
            future, self._in_flight = self._in_flight, None
            self._take(future)
        if self._in_flight is None and len(self._outbox) and time.monotonic() >= self._send_after:
            self._sent = self._outbox.waiting()[: self._most]
            try:
                self._in_flight = self._channel.submit(SendReports(tuple(self._sent)), deadline_s=_DEADLINE_S)
            except VantageError as error:  # the message may not be sent
                self._failed(error)

    def drain(self, wait: Callable[[], None] = lambda: None) -> None:
        """Block until all reports are counted; meanwhile `wait` is called repeatedly, and may raise.

        Raises VantageError as `pump` does; the outbox keeps the remaining reports for the next start.
        """
        while len(self._outbox):
            self.pump()
            wait()
            if self._in_flight is not None:
                futures.wait([self._in_flight], timeout=_RETRY_S)
            elif len(self._outbox):
                time.sleep(_POLL_S)

    def check_history(self, known: int, wait: Callable[[], None] = lambda: None) -> None:
        """Check that the curriculum still has every report that it acknowledged.

        `known` is their number according to the checkpoint; the outbox knows another one. Waits for the curriculum as
        `drain` does. Raises VantageError("corrupt") if it has counted fewer.
        """
        known = max(known, self._outbox.total)
        while known:
            try:
                status = self._channel.request(GetCurriculumStatus(), deadline_s=_STATUS_S).message
            except VantageError as error:
                self._failed(error)
                wait()
                time.sleep(_RETRY_S)
                continue
            assert isinstance(status, CurriculumStatus), status
            if status.counted < known:
                raise VantageError(
                    "corrupt",
                    f"the curriculum has {status.counted} reports of this run, but it counted {known}: its database "
                    "lost some; restore curriculum.sqlite3 with its -wal file, or start another run.",
                )
            self._stalls.progressed(_MISSING)
            return

    def _take(self, future: Future[Any]) -> None:
        try:
            answer = future.result().message
        except VantageError as error:
            self._failed(error)
            return
        assert isinstance(answer, ReportsCounted), answer
        self._outbox.counted(answer.counted, answer.duplicates)
        self._most = min(2 * self._most, _BATCH)
        self._stalls.progressed(_MISSING)

    def _failed(self, error: VantageError) -> None:
        if not error.retryable and (error.code != "bad_request" or not self._sent):
            raise error
        if not error.retryable and len(self._sent) > 1:
            self._most = len(self._sent) // 2
            return
        self._stalls.failed(_MISSING, error.message, _ADVICE)
        if error.retryable:
            self._send_after = time.monotonic() + _RETRY_S
            log.info("the curriculum did not count %d reports, resending: %s", len(self._outbox), error)
        else:
            self._outbox.refuse(self._sent[0], error.message)
