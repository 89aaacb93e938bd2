"""Run directories: creation, versions, locks, status and metrics."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from protocol.errors import VantageError
from protocol.run.directory import RunDir, disk_guard, read_jsonl, write_atomic
from protocol.run.lines import read_lines
from tests.support.damage import damaged

CONFIG = {"run": {"seed": 7}, "learner": {"lr": 0.5}}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "runs" / "first", CONFIG)


def snapshot(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_created_run_opens_with_its_config(run: RunDir) -> None:
    again = RunDir.open(run.path)
    assert (again.name, again.seed, again.config) == ("first", 7, CONFIG)
    for folder in (run.adapters, run.checkpoints, run.episodes, run.logs, run.metrics):
        assert folder.is_dir()
    assert (run.path / "endpoints").stat().st_mode & 0o077 == 0


def test_creating_over_a_run_is_a_conflict_and_changes_nothing(run: RunDir) -> None:
    before = snapshot(run.path)
    with pytest.raises(VantageError) as caught:
        RunDir.create(run.path, {"run": {"seed": 8}})
    assert caught.value.code == "conflict"
    assert snapshot(run.path) == before


def test_creation_can_be_repeated_if_run_json_is_missing(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "r", CONFIG)
    (run.path / "run.json").unlink()
    assert RunDir.create(tmp_path / "r", CONFIG).seed == 7


@pytest.mark.parametrize(("major", "word"), [(0, "older"), (2, "newer")])
def test_another_major_version_is_rejected_and_unchanged(run: RunDir, major: int, word: str) -> None:
    identity = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**identity, "major": major}))
    before = snapshot(run.path)
    with pytest.raises(VantageError, match=word) as caught:
        RunDir.open(run.path)
    assert caught.value.code == "version"
    assert snapshot(run.path) == before


def test_a_newer_minor_version_opens(run: RunDir) -> None:
    identity = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**identity, "minor": 99, "future": 1}))
    assert RunDir.open(run.path).name == "first"


def test_missing_and_damaged_runs_are_rejected(tmp_path: Path, run: RunDir) -> None:
    with pytest.raises(VantageError) as caught:
        RunDir.open(tmp_path)
    assert caught.value.code == "bad_request"
    for damage in (
        '{"format": "vantage-run"',
        "[]",
        "{}",
        '{"format": "other", "major": 1}',
        '{"format": "vantage-run", "major": 1e999}',
    ):
        (run.path / "run.json").write_text(damage)
        with pytest.raises(VantageError) as caught:
            RunDir.open(run.path)
        assert caught.value.code == "corrupt"


@pytest.mark.parametrize("name", ["run.json", "status/learner.json", "status/learner.done", "metrics/learner.jsonl"])
def test_no_damage_of_a_file_ends_a_reader(run: RunDir, name: str) -> None:
    run.write_status("learner", {"step": 1, "stalls": []})
    run.mark_done("learner", {"step": 1})
    run.append_metrics("learner", {"step": 1, "reward": 0.0})
    path = run.path / name
    for copy in damaged(path.read_bytes(), 100):
        path.write_bytes(copy)
        try:
            opened = RunDir.open(run.path)
        except VantageError as error:
            assert name == "run.json" and error.code in ("corrupt", "version")
        else:
            assert isinstance(opened.read_status("learner") or {}, dict)
            assert isinstance(opened.read_done("learner") or {}, dict)
            read_lines(run.metrics / "learner.jsonl", lambda record: record["step"] + 0)


def test_a_lock_has_one_holder(run: RunDir) -> None:
    with run.lock("learner"):
        with pytest.raises(VantageError, match=f"another learner .pid {os.getpid()}.") as caught:
            with run.lock("learner"):
                pass
        assert caught.value.code == "conflict"
        with run.lock("curriculum"):
            pass
    with run.lock("learner"):
        pass


@pytest.mark.timeout(60)
def test_a_killed_holder_releases_its_lock(run: RunDir) -> None:
    code = (
        "import sys; from pathlib import Path; from protocol.run.directory import RunDir\n"
        "with RunDir.open(Path(sys.argv[1])).lock('learner'):\n print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    with pytest.raises(VantageError, match=f"pid {child.pid}"), run.lock("learner"):
        pass
    child.kill()
    child.wait()
    with run.lock("learner"):
        pass


def test_status_and_done_are_replaced(run: RunDir) -> None:
    assert run.read_status("learner") is None and run.read_done("learner") is None
    run.write_status("learner", {"step": 1})
    run.write_status("learner", {"step": 2})
    status = run.read_status("learner")
    assert status is not None and status["step"] == 2 and status["pid"] == os.getpid()
    run.mark_done("learner", {"steps": 9})
    done = run.read_done("learner")
    assert done is not None and done["steps"] == 9
    assert not list(run.path.rglob("*.tmp"))


def test_metrics_of_several_threads_are_complete(run: RunDir) -> None:
    def work(thread: int) -> None:
        for index in range(50):
            run.append_metrics("learner", {"thread": thread, "index": index})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = {(line["thread"], line["index"]) for line in read_jsonl(run.metrics / "learner.jsonl")[0]}
    assert len(seen) == 200


def test_only_the_truncated_line_is_lost_after_a_kill(run: RunDir) -> None:
    path = run.metrics / "learner.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2, "rew')
    lines, offset = read_jsonl(path)
    assert [line["step"] for line in lines] == [1] and offset == 12
    RunDir.open(run.path).append_metrics("learner", {"step": 3})
    assert [line["step"] for line in read_jsonl(run.metrics / "learner.jsonl")[0]] == [1, 3]
    assert [line["step"] for line in read_jsonl(path, offset)[0]] == [3]


def test_a_full_disk_is_reported_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(VantageError, match="free some space") as caught:
        write_atomic(path, b"new")
    assert caught.value.code == "disk_full"
    assert path.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_disk_guard_converts_full_disk_and_permission_errors_only() -> None:
    with pytest.raises(VantageError), disk_guard("/dev/full"), open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")
    with pytest.raises(VantageError, match="x cannot be written"), disk_guard("x"):
        raise PermissionError(errno.EACCES, "no")
    with pytest.raises(VantageError, match="x cannot be written .*; move away what is in its place"), disk_guard("x"):
        raise FileExistsError(errno.EEXIST, "File exists")
    with pytest.raises(OSError), disk_guard("x"):
        raise OSError(errno.EIO, "broken")


def test_of_several_starts_at_once_one_creates_the_run(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from protocol.errors import VantageError\n"
        "from protocol.run.directory import RunDir\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "try:\n    RunDir.create(Path(sys.argv[1]), {'run': {'seed': int(sys.argv[2])}}); print('created')\n"
        "except VantageError as error:\n    print(error.code)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "run")]
    starts = [
        subprocess.Popen([*command, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for seed in range(4)
    ]
    for start in starts:
        assert start.stdout is not None and start.stdout.readline()
    answers = []
    for start in starts:
        assert start.stdin is not None
        start.stdin.write("\n")
        start.stdin.flush()
    for start in starts:
        answers.append(start.communicate(timeout=30)[0].strip())
    assert sorted(answers) == ["conflict", "conflict", "conflict", "created"]
    assert RunDir.open(tmp_path / "run").seed == answers.index("created")
