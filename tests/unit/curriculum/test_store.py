"""The database: rejected files, durability and damage."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from curriculum.core import CurriculumCore
from curriculum.record.events import LeasedEvent, ReportedEvent
from curriculum.record.state import encode_state
from curriculum.record.store import FILE_NAME, Store
from curriculum.settings import CurriculumSettings
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.wire.messages import ConfidenceReport, LeaseSpecs


def report(report_id: str) -> ConfidenceReport:
    return ConfidenceReport(report_id, "s", "l", 1, "answered", "depth_order", 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / FILE_NAME


def test_events_are_read_in_order(path):
    events = [LeasedEvent(b"\x00\xff", "l", 1, 2.5, ()), ReportedEvent(b"2", (report("a"),), ("b",))]
    store = Store(path, 0)
    store.append(events, 1.0)
    store.close()
    assert [event for _, event in Store(path, 0).events()] == events


def test_report_ids_are_unique(path):
    store = Store(path, 0)
    store.append([ReportedEvent(b"1", (report("a"),))], 1.0)
    with pytest.raises(sqlite3.IntegrityError):
        store.append([ReportedEvent(b"2", (report("b"), report("a")))], 1.0)
    assert len(list(store.events())) == 1, "all or nothing"
    assert not store.is_counted("b")


def test_events_cannot_be_changed_or_deleted(path):
    store = Store(path, 0)
    store.append([ReportedEvent(b"1", (report("a"),))], 1.0)
    store.close()
    db = sqlite3.connect(path)
    for statement in ("UPDATE events SET body = ''", "DELETE FROM events"):
        with pytest.raises(sqlite3.IntegrityError, match="events are never"):
            db.execute(statement)


def test_every_commit_is_synced(path):
    store = Store(path, 0)
    (mode,) = store._db.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = store._db.execute("PRAGMA synchronous").fetchone()
    assert (mode, synchronous) == ("wal", 2)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_not_a_database_is_rejected_and_unchanged(path, read_only):
    path.write_bytes(b"not a database, but somebody's thesis" * 100)
    before = path.read_bytes()
    with pytest.raises(VantageError, match="not a curriculum database") as caught:
        Store(path, 0, read_only)
    assert caught.value.code == "corrupt"
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [False, True])
def test_a_foreign_database_is_rejected_and_unchanged(path, read_only):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE cooking (recipe TEXT)")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(VantageError, match="is not a curriculum database") as caught:
        Store(path, 0, read_only)
    assert caught.value.code == "corrupt"
    assert path.read_bytes() == before


def test_a_database_with_another_schema_is_rejected(path):
    Store(path, 0).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(VantageError, match="schema 99") as caught:
        Store(path, 0)
    assert caught.value.code == "version"


def test_a_database_with_another_seed_is_rejected(path):
    Store(path, 1).close()
    with pytest.raises(VantageError, match="seed 1, not 2") as caught:
        Store(path, 2)
    assert caught.value.code == "conflict"


def test_reading_a_missing_database_creates_none(path):
    with pytest.raises(VantageError, match="never started"):
        Store(path, 0, read_only=True)
    assert not path.exists()


def test_a_damaged_event_is_reported(path):
    store = Store(path, 0)
    store._db.execute("INSERT INTO events (time_s, kind, body) VALUES (0, 'leased', '{\"type\":\"leased\"}')")
    with pytest.raises(VantageError, match="event 1 .* cannot be read") as caught:
        list(store.events())
    assert caught.value.code == "corrupt"


def test_a_full_disk_is_reported_and_changes_nothing(path):
    store = Store(path, 0)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(VantageError, match="disk is full") as caught:
        store.append([ReportedEvent(b"1", tuple(report(f"{index:0500}") for index in range(100)))], 1.0)
    assert caught.value.code == "disk_full"
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.append([ReportedEvent(b"1", (report("a"),))], 1.0)
    assert len(list(store.events())) == 1


def fill(run: RunDir, leases: int = 1) -> bytes:
    """Lease specs; returns the state afterwards."""
    with CurriculumCore(run, CurriculumSettings()) as core:
        for number in range(leases):
            core.handle(LeaseSpecs("l", 8, 1), os.urandom(8) + bytes([number]))
        return encode_state(core._state)


def damage(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 0x15
    file.write_bytes(data)


@pytest.mark.parametrize("offset", [0, 60, 150, 400, -2])
def test_a_damaged_snapshot_is_ignored(tmp_path, offset):
    run = RunDir.create(tmp_path / "run", {})
    state = fill(run)
    damage(run.path / "curriculum.snapshot", offset)
    with CurriculumCore(run, CurriculumSettings()) as core:
        assert encode_state(core._state) == state


@pytest.mark.parametrize("harm", ["empty", "deleted", "without its log", "older"])
def test_a_database_that_lost_events_is_refused(tmp_path, harm):
    run = RunDir.create(tmp_path / "run", {})
    file = run.path / FILE_NAME
    fill(run)
    older = file.read_bytes()
    program = (
        "import os, signal, sys; from pathlib import Path; from protocol.run.directory import RunDir\n"
        "from curriculum.core import CurriculumCore; from curriculum.settings import CurriculumSettings\n"
        "from protocol.wire.messages import LeaseSpecs\n"
        "core = CurriculumCore(RunDir.open(Path(sys.argv[1])), CurriculumSettings())\n"
        "for number in range(5): core.handle(LeaseSpecs('l', 8, 1), bytes([number]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(run.path)], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    log = file.with_name(FILE_NAME + "-wal")
    assert log.stat().st_size > 0
    if harm == "empty":
        file.write_bytes(b"")
        log.unlink()
    elif harm == "deleted":
        file.unlink()
        log.unlink()
    elif harm == "without its log":
        log.unlink()
    else:
        file.write_bytes(older)
        log.unlink()
    left = file.read_bytes() if file.exists() else b""
    with pytest.raises(VantageError, match=r"ends at event [01], but event 6 was committed") as caught:
        CurriculumCore(run, CurriculumSettings())
    assert caught.value.code == "corrupt"
    assert (file.read_bytes() if file.exists() else b"") == left, "nothing is written into it"


@pytest.mark.parametrize("name", [FILE_NAME, "curriculum.last-event"])
def test_links_are_not_followed(tmp_path, name):
    run, other = RunDir.create(tmp_path / "run", {}), RunDir.create(tmp_path / "other", {})
    fill(other)
    before = (other.path / name).read_bytes()
    (run.path / name).symlink_to(other.path / name)
    with pytest.raises(VantageError, match="is a symbolic link"):
        CurriculumCore(run, CurriculumSettings())
    assert (other.path / name).read_bytes() == before


def test_an_intact_database_opens_after_a_power_failure_lost_the_mark(tmp_path):
    run = RunDir.create(tmp_path / "run", {})
    fill(run, 3)
    (run.path / "curriculum.last-event").write_bytes(b"")
    with CurriculumCore(run, CurriculumSettings()) as core:
        assert core.status.issued == 24


def test_a_locked_database_delays_a_request_and_loses_nothing(tmp_path, monkeypatch):
    run = RunDir.create(tmp_path / "run", {})
    with CurriculumCore(run, CurriculumSettings()) as core:
        core._store._db.execute("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(run.path / FILE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(VantageError, match="another process locks") as caught:
                core.handle(LeaseSpecs("l", 8, 1), b"1")
            assert caught.value.retryable
        assert [stall.missing for stall in core.stalls.current] == ["commits to the database"]
        other.execute("ROLLBACK")
        core.handle(LeaseSpecs("l", 8, 1), b"1")
        assert core.status.issued == 8 and not core.stalls.current


def test_a_start_waits_for_a_locked_database(tmp_path, caplog):
    run = RunDir.create(tmp_path / "run", {})
    fill(run)
    other = sqlite3.connect(run.path / FILE_NAME, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(6.0, other.close)  # longer than SQLite's own wait
    release.start()
    with CurriculumCore(run, CurriculumSettings()) as core:
        assert core.status.issued == 8
    assert "another process locks" in caplog.text
