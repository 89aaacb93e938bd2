"""The events on disk: SQLite, write-ahead log, synchronous=FULL, one writer.

`events` is the append-only source of truth. `reports` and `requests` index it in the same transaction; the database
enforces that each report id and request id occurs once.

A small file beside the database holds the id of the last committed event. SQLite would open a database whose
write-ahead log was deleted, or an empty one, without a word: a start compares.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Iterable, Iterator, Optional, Union

import msgspec

from curriculum.record.events import Event, LeasedEvent, ProposedEvent, ReportedEvent, decode_event, encode_event
from protocol.errors import VantageError
from protocol.run.directory import disk_guard
from protocol.run.files import open_regular

FILE_NAME = "curriculum.sqlite3"
LAST_EVENT_FILE = "curriculum.last-event"

_APPLICATION_ID = 0x56_4E_43_55  # "VNCU", in the header of the file
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, time_s REAL NOT NULL, kind TEXT NOT NULL,
                     body TEXT NOT NULL);
CREATE TABLE reports (report_id TEXT PRIMARY KEY, event_id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE requests (request_id BLOB PRIMARY KEY, event_id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_last BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
"""


class Store:
    """The database of one run. The caller ensures that there is a single writer (the run's "curriculum" lock)."""

    def __init__(self, path: Path, run_seed: int, read_only: bool = False) -> None:
        """Open the database; unless `read_only`, create it if it does not exist.

        Raises VantageError: "corrupt" for a damaged file, one that lost events or one that is not a curriculum
        database, "version" for one of another schema, "conflict" for one of another run, "bad_request" for reading one
        that does not exist, "unavailable" while another process locks it.
        """
        self.path = path
        self._last_event = -1
        if read_only and not path.exists():
            raise VantageError("bad_request", f"{path} does not exist yet: the curriculum of this run never started.")
        with contextlib.suppress(FileNotFoundError):
            os.close(open_regular(path, os.O_RDONLY))  # SQLite would follow a link
        mode = "mode=rwc"
        if read_only:  # without a write-ahead log there is no writer, and immutable=1 also works in a read-only folder
            mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"
        with self._sentences():
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?{mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,  # CurriculumCore serialises access
            )
        try:
            with self._sentences():
                self._open(run_seed, read_only)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._db.close()
        if self._last_event >= 0:
            os.close(self._last_event)
            self._last_event = -1

    # ------------------------------------------------------------------------- writing

    def append(self, events: Iterable[Event], time_s: float) -> int:
        """Commit events, all or none; returns the last id once they are on disk.

        Raises VantageError("disk_full"), "unavailable" while another process locks the database, and
        sqlite3.IntegrityError for a report or request that is already stored.
        """
        last = 0
        with self._sentences(), self._transaction():
            for event in events:
                kind = type(event).__struct_config__.tag
                row = (time_s, kind, encode_event(event).decode())
                cursor = self._db.execute("INSERT INTO events (time_s, kind, body) VALUES (?, ?, ?)", row)
                assert cursor.lastrowid is not None
                last = cursor.lastrowid
                self._index(last, event)
        os.pwrite(self._last_event, b"%020d\n" % last, 0)  # of fixed length: it needs no space on the disk
        return last

    def rebuild_indexes(self) -> None:
        """Rebuild `reports` and `requests` from the events."""
        with self._sentences(), self._transaction():
            self._db.execute("DELETE FROM reports")
            self._db.execute("DELETE FROM requests")
            for event_id, event in self.events():
                self._index(event_id, event)

    # ------------------------------------------------------------------------- reading

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        """(id, event) in order. Raises VantageError("corrupt") for an event that cannot be decoded."""
        for event_id, _, event in self.timed_events(after):
            yield event_id, event

    def timed_events(self, after: int = 0) -> Iterator[tuple[int, float, Event]]:
        """(id, epoch seconds, event) in order. Raises as `events` does."""
        with self._sentences():
            rows = self._db.execute("SELECT id, time_s, body FROM events WHERE id > ? ORDER BY id", (after,))
            for event_id, time_s, body in rows:
                try:
                    yield event_id, time_s, decode_event(body.encode())
                except msgspec.DecodeError as error:
                    raise VantageError(
                        "corrupt", f"event {event_id} in {self.path} cannot be read ({error}); restore a copy."
                    ) from None

    def count(self, kind: str) -> int:
        """The number of events of this kind."""
        with self._sentences():
            (number,) = self._db.execute("SELECT count(*) FROM events WHERE kind = ?", (kind,)).fetchone()
        return number

    def event_of_request(self, request_id: bytes) -> Optional[Event]:
        """The event that this request caused, or None."""
        with self._sentences():
            row = self._db.execute(
                "SELECT body FROM events WHERE id = (SELECT event_id FROM requests WHERE request_id = ?)", (request_id,)
            ).fetchone()
        return decode_event(row[0].encode()) if row else None

    def is_counted(self, report_id: str) -> bool:
        with self._sentences():
            return self._db.execute("SELECT 1 FROM reports WHERE report_id = ?", (report_id,)).fetchone() is not None

    # ------------------------------------------------------------------------- inside

    def _open(self, run_seed: int, read_only: bool) -> None:
        (application_id,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id != _APPLICATION_ID if tables else read_only:
            raise VantageError(
                "corrupt", f"{self.path} is not a curriculum database; move it away or choose another run directory."
            )
        if tables and version != _SCHEMA_VERSION:
            raise VantageError(
                "version",
                f"{self.path} has schema {version}, this version reads {_SCHEMA_VERSION}; "
                "use the version that created it, or start another run.",
            )
        if not read_only:
            self._check_last_event(bool(tables))
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
        if not tables:
            self._create(run_seed)
        stored = self._db.execute("SELECT value FROM meta WHERE key = 'run_seed'").fetchone()
        if stored is None or stored[0] != str(run_seed):
            raise VantageError(
                "conflict",
                f"{self.path} belongs to a run with seed {stored[0] if stored else 'unknown'}, not {run_seed}; "
                "restore the seed or start another run.",
            )

    def _check_last_event(self, has_events: bool) -> None:
        """Compare the last event of the database with the last one that was committed."""
        mark = self.path.with_name(LAST_EVENT_FILE)
        with disk_guard(mark):
            self._last_event = open_regular(mark, os.O_RDWR | os.O_CREAT)
            text = os.pread(self._last_event, 20, 0)
            committed = int(text) if text.isdigit() else 0  # empty after a power failure
            last = self._db.execute("SELECT max(id) FROM events").fetchone()[0] or 0 if has_events else 0
            if committed > last:
                raise VantageError(
                    "corrupt",
                    f"{self.path} ends at event {last}, but event {committed} was committed: the file or its "
                    f"write-ahead log ({self.path.name}-wal) was deleted or replaced; restore both, or start another "
                    "run.",
                )
            os.pwrite(self._last_event, b"%020d\n" % last, 0)

    def _create(self, run_seed: int) -> None:
        with self._transaction():
            for statement in _statements(_SCHEMA):
                self._db.execute(statement)
            self._db.execute("INSERT INTO meta VALUES ('run_seed', ?)", (str(run_seed),))
            self._db.execute("INSERT INTO meta VALUES ('created_s', ?)", (str(time.time()),))
            self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def _index(self, event_id: int, event: Event) -> None:
        for table, key in _keys_of(event):
            self._db.execute(f"INSERT INTO {table} VALUES (?, ?)", (key, event_id))

    def indexed(self, event_id: int, event: Event) -> int:
        """The number of rows that the indexes have for this event, or -1 if one is missing or wrong."""
        keys = list(_keys_of(event))
        with self._sentences():
            for table, key in keys:
                column = "report_id" if table == "reports" else "request_id"
                found = self._db.execute(f"SELECT event_id FROM {table} WHERE {column} = ?", (key,)).fetchone()
                if found != (event_id,):
                    return -1
        return len(keys)

    def index_size(self) -> int:
        """The number of rows of both indexes."""
        with self._sentences():
            (rows,) = self._db.execute(
                "SELECT (SELECT count(*) FROM reports) + (SELECT count(*) FROM requests)"
            ).fetchone()
        return rows

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        """Convert database errors that a user can act on to VantageError."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.OperationalError as error:
            text = str(error)
            if "full" in text:
                raise VantageError(
                    "disk_full", f"the disk is full at {self.path}; free some space, nothing was lost."
                ) from error
            if "locked" in text or "busy" in text:
                raise VantageError(
                    "unavailable", f"another process locks {self.path}; find it with fuser and stop it."
                ) from error
            raise VantageError("corrupt", f"{self.path} cannot be used: {text}.") from error
        except sqlite3.DatabaseError as error:
            raise VantageError(
                "corrupt",
                f"{self.path} is damaged or not a curriculum database ({error}); restore a copy or move it away.",
            ) from error


def _keys_of(event: Event) -> Iterator[tuple[str, Union[str, bytes]]]:
    """(table, key) of the rows that index the event."""
    if isinstance(event, ReportedEvent):
        for report in event.reports:
            yield "reports", report.report_id
    if isinstance(event, (ReportedEvent, LeasedEvent, ProposedEvent)):
        yield "requests", event.request_id


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: executescript of sqlite3 would commit the surrounding transaction."""
    statement = ""
    for line in script.strip().splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
