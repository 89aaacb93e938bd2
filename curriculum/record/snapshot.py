"""The snapshot: the projected state as of an event, in a file beside the database.

A start replays only later events. A missing, damaged or outdated snapshot costs time, never data.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Optional

import msgspec

from protocol.errors import VantageError
from protocol.run.directory import write_atomic
from protocol.run.files import read_regular

FILE_NAME = "curriculum.snapshot"


def save_snapshot(folder: Path, event_id: int, fingerprint: str, body: bytes) -> None:
    """Replace the snapshot; `fingerprint` identifies what the state depends on beside the events.

    Raises VantageError("disk_full").
    """
    header = {"event": event_id, "fingerprint": fingerprint, "sha256": hashlib.sha256(body).hexdigest()}
    write_atomic(folder / FILE_NAME, json.dumps(header).encode() + b"\n" + body)


class Snapshot(msgspec.Struct, frozen=True):
    event: int  # id of the last event in it
    fingerprint: str
    body: bytes

    @property
    def version(self) -> int:
        """The version of the state's form, with which the fingerprint begins."""
        number = self.fingerprint.partition("-")[0]
        return int(number) if number.isdecimal() else 0


def read_snapshot(folder: Path) -> Optional[Snapshot]:
    """The snapshot if it is intact, else None."""
    try:
        first, _, body = read_regular(folder / FILE_NAME).partition(b"\n")
        header = json.loads(first)
        intact = header["sha256"] == hashlib.sha256(body).hexdigest()
        return Snapshot(int(header["event"]), str(header["fingerprint"]), body) if intact else None
    except (OSError, ValueError, KeyError, TypeError, VantageError):
        return None
