"""Lines of a run's JSON-lines files that cannot be used are moved aside, so that they cannot end a later start.

    steps, offset = read_lines(run.metrics / "learner.jsonl", to_step, offset)

A line that is not a JSON object, or that its conversion rejects, is appended to X.refused beside the file X with the
reason, then overwritten with spaces. X keeps its length: offsets stay valid, and another process may append meanwhile.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence, TypeVar

from protocol.errors import VantageError
from protocol.run.directory import complete_lines, disk_guard, open_to_append, parse_object, write_all
from protocol.run.files import open_regular

log = logging.getLogger(__name__)

Record = TypeVar("Record")

REFUSED = ".refused"  # suffix of the side file
_LONGEST = 65536  # characters of a line that the side file stores


class Refusal(NamedTuple):
    line: bytes
    reason: str


def read_lines(path: Path, convert: Callable[[dict[str, Any]], Record], offset: int = 0) -> tuple[list[Record], int]:
    """Convert the complete lines from byte `offset` on; returns the records and the offset for the next call.

    `convert` rejects an object by any exception. Rejected lines are moved to the side file with one warning; if that
    is impossible, for instance in a run that may only be read, they are skipped. Raises VantageError("bad_request") if
    `path` is not a regular file; a missing file has no lines.
    """
    records: list[Record] = []
    refusals: list[Refusal] = []
    places: list[tuple[int, int]] = []  # (byte offset, length) of each refused line
    lines, end = complete_lines(path, offset)
    start = offset
    for line in lines:
        if line.strip():
            try:
                records.append(convert(parse_object(line)))
            except Exception as error:  # a line with any content may be rejected in any way
                refusals.append(Refusal(line, f"{type(error).__name__}: {error}"))
                places.append((start, len(line)))
        start += len(line) + 1
    if refusals:
        try:
            refuse(path, refusals)
            _blank(path, places)
        except (VantageError, OSError) as error:
            log.warning("%d lines of %s are skipped and cannot be moved aside: %s", len(refusals), path, error)
    return records, end


def refuse(path: Path, refusals: Sequence[Refusal]) -> None:
    """Append lines of `path` to its side file, with one warning. Raises VantageError as writing to a run does."""
    side = path.with_name(path.name + REFUSED)
    rows = [
        {"time_s": time.time(), "reason": reason, "line": line.decode(errors="backslashreplace")[:_LONGEST]}
        for line, reason in refusals
    ]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with disk_guard(side):
        descriptor = open_to_append(side)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    first = refusals[0].reason.splitlines()[0][:200]
    many = f"{len(refusals)} lines of {path} are" if len(refusals) > 1 else f"one line of {path} is"
    log.warning("%s refused and moved to %s: %s", many, side.name, first)


def _blank(path: Path, places: Sequence[tuple[int, int]]) -> None:
    descriptor = open_regular(path, os.O_WRONLY)
    try:
        for start, length in places:
            os.pwrite(descriptor, b" " * length, start)
    finally:
        os.close(descriptor)
