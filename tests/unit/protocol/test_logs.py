"""Log files of a process."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.run import logs

log = logging.getLogger("a.b")


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in root.handlers[:]:
        if handler not in before:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_start_writes_its_own_file(tmp_path: Path) -> None:
    first = logs.setup(tmp_path, "learner")
    log.info("realised %d", 3, extra={"spec_id": "s-7", "path": tmp_path})
    second = logs.setup(tmp_path, "learner")
    log.info("again")
    assert (first.name, second.name) == ("attempt_1.jsonl", "attempt_2.jsonl")
    (line,) = lines(first)
    assert line["message"] == "realised 3" and line["spec_id"] == "s-7" and line["process"] == "learner"
    assert line["run"] == tmp_path.name and line["path"] == str(tmp_path)
    assert [line["message"] for line in lines(second)] == ["again"]


def test_the_terminal_gets_warnings_only_and_the_file_tracebacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = logs.setup(tmp_path, "curriculum")
    log.info("quiet")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("loud")
    shown = capsys.readouterr().err
    assert "quiet" not in shown and "loud" in shown
    assert "ValueError: broken" in str(lines(path)[1]["exception"])


def test_log_lines_are_dropped_if_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.setup(tmp_path, "learner")
    (handler,) = [handler for handler in log.root.handlers if isinstance(handler, logs.DroppingHandler)]

    def full(_: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(handler.stream, "write", full)
    log.info("lost")
    assert "Traceback" not in capsys.readouterr().err
