"""Refused lines are moved aside, and nothing of a run is read or written through links and devices."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any, Callable

import pytest

from protocol.errors import VantageError
from protocol.run.directory import RunDir, read_jsonl, write_atomic
from protocol.run.lines import read_lines
from protocol.run.logs import setup

GARBAGE = (
    b"garbage",
    b'{"step": "two"}',
    b"{}",
    b"[1]",
    b"NaN",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"step": 2, "rew',
    b'{"step": ' + b"9" * 10_000 + b"}",
)
RUN: dict[str, Any] = {"run": {"seed": 7}}


def step(record: dict[str, Any]) -> int:
    return int(record["step"] + 0)


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_line_that_cannot_be_used_is_moved_aside_once(
    tmp_path: Path, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"step": 1}\n' + garbage + b'\n{"step": 3}\n{"st')
    before = path.stat()
    records, end = read_lines(path, step)
    assert records == [1, 3]
    assert end == before.st_size - 4
    (row,) = map(json.loads, (tmp_path / "x.jsonl.refused").read_text().splitlines())
    assert row["line"] == garbage.decode(errors="backslashreplace")[:65536] and row["reason"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)
    assert read_lines(path, step) == ([1, 3], end)
    assert len(caplog.records) == 1


def test_an_appender_and_its_reader_are_not_disturbed(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "r", RUN)
    run.append_metrics("learner", {"step": 1})
    path = run.metrics / "learner.jsonl"
    with open(path, "ab") as file:
        file.write(b"garbage\n")
    records, end = read_lines(path, step)
    run.append_metrics("learner", {"step": 2})
    assert records == [1] and read_lines(path, step, end)[0] == [2]
    assert [line["step"] for line in read_jsonl(path)[0]] == [1, 2]


def test_a_line_may_hold_any_separator_but_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"step": 1, "text": "a\u2028b\u0085c\rd"}\n'.replace("\r", "\\r"))
    assert read_lines(path, step)[0] == [1] and len(read_jsonl(path)[0]) == 1


def test_lines_that_cannot_be_moved_are_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'garbage\n{"step": 1}\n')
    (tmp_path / "x.jsonl.refused").mkdir()
    assert read_lines(path, step)[0] == [1]
    assert path.read_bytes().startswith(b"garbage") and "skipped" in caplog.text


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    target = path.parent.parent / "victim"
    target.write_bytes(b"precious\n")
    path.symlink_to(target)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("plant", [folder, device, pipe, link])
def test_anything_but_a_file_in_its_place_is_reported_and_untouched(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    run = RunDir.create(tmp_path / "r", RUN)
    lock, metrics = run.path / "locks" / "learner.lock", run.metrics / "learner.jsonl"
    plant(lock)
    plant(metrics)
    plant(run.path / "status" / "learner.json")
    plant(run.path / "status" / "learner.done")
    for use in (
        lambda: run.append_metrics("learner", {}),
        lambda: read_jsonl(metrics),
        lambda: read_lines(metrics, step),
    ):
        with pytest.raises(VantageError, match="learner.jsonl is .*, not a regular file; move it away") as caught:
            use()
        assert caught.value.code == "bad_request"
    with pytest.raises(VantageError, match="learner.lock is"), run.lock("learner"):
        pass
    assert run.read_status("learner") is None and run.read_done("learner") is None
    for victim in run.path.glob("victim"):
        assert victim.read_bytes() == b"precious\n"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["run.json", "config.toml"])
@pytest.mark.parametrize("plant", [folder, device, pipe])
def test_a_run_whose_description_is_not_a_file_is_not_opened(
    tmp_path: Path, name: str, plant: Callable[[Path], None]
) -> None:
    run = RunDir.create(tmp_path / "r", RUN)
    (run.path / name).unlink()
    plant(run.path / name)
    with pytest.raises(VantageError, match=f"{name} is .*, not a regular file"):
        RunDir.open(run.path)


@pytest.mark.parametrize("damage", ["[]", "garbage", "[" * 100_000, "1"])
def test_a_damaged_status_is_no_status(tmp_path: Path, damage: str) -> None:
    run = RunDir.create(tmp_path / "r", RUN)
    (run.path / "status" / "learner.done").write_text(damage)
    assert run.read_done("learner") is None


def test_a_file_is_replaced_and_not_written_through_a_link(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_bytes(b"precious")
    path.symlink_to(victim)
    write_atomic(path, b"new")
    assert victim.read_bytes() == b"precious" and path.read_bytes() == b"new" and not path.is_symlink()


@pytest.mark.parametrize("name", ["checkpoints", "metrics", "locks"])
def test_a_run_without_its_own_folders_is_not_worked_on(tmp_path: Path, name: str) -> None:
    run = RunDir.create(tmp_path / "r", RUN)
    (run.path / name).rename(tmp_path / "elsewhere")
    with pytest.raises(VantageError, match=f"{name} is missing; restore it") as caught, run.lock("learner"):
        pass
    assert caught.value.code == "bad_request"
    (run.path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VantageError, match=f"{name} is a symbolic link, not a folder"), run.lock("learner"):
        pass


def test_a_file_in_place_of_a_log_folder_is_reported(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "r", RUN)
    (run.logs / "sim").write_text("")
    with pytest.raises(VantageError, match="sim is a file, not a folder; move it away"):
        setup(run.path, "sim")


def test_foreign_names_beside_logs_are_ignored(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "r", RUN)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        folder = run.logs / "sim"
        folder.mkdir()
        for name in ("attempt_7.jsonl", "attempt_².jsonl", "attempt_x.jsonl", "attempt_.jsonl"):
            (folder / name).touch()
        assert setup(run.path, "sim").name == "attempt_8.jsonl"
    finally:
        for handler in [handler for handler in root.handlers if handler not in handlers]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
