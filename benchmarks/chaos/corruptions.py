"""Every file of a run, damaged one by one: the next start ends well or says in one sentence why not."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from benchmarks.chaos.live import LiveRun

STOPPED_AT, STEPS = 3, 5
HARMS = ("garbage", "empty", "flipped", "folder", "link", "deleted")
# One name per kind of file; the newest of the kind is damaged. `deleted` is also tried on whole folders.
FILES = (
    "run.json",
    "config.toml",
    "curriculum.sqlite3",
    "curriculum.snapshot",
    "curriculum.last-event",
    "outbox.jsonl",
    "metrics/learner.jsonl",
    "metrics/curriculum.jsonl",
    "status/learner.json",
    "episodes/episodes.jsonl",
    "evaluations/before.json",
    "evaluations/held_out/*",
    "checkpoints/*/manifest.json",
    "checkpoints/*/optimizer.safetensors",
    "adapters/*/manifest.json",
    "adapters/*/adapter_model.safetensors",
    "locks/learner.lock",
    "logs/learner/console.log",
    "endpoints/sim.json",
)
FOLDERS = ("checkpoints", "adapters", "logs", "logs/sim", "status", "metrics", "locks", "endpoints", "episodes")


def corruptions(runs: Path, only: Optional[Sequence[str]] = None) -> list[dict[str, Any]]:
    """Stop a run by kill -9 after a few steps, then damage one file in a copy of it and start the copy, for every file
    and harm; `only` names cases as "FILE:HARM". Returns a row per case.

    Raises AssertionError for a case that ends neither well nor with one sentence, that loses a counted report, or that
    writes outside the folder of its run.
    """
    stopped = LiveRun(runs, "stopped", sets=[f"learner.budget.steps={STEPS}"])
    stopped.start()
    stopped.wait_until(lambda: stopped.step() >= 1)
    os.kill(stopped.pid_of("supervisor"), signal.SIGINT)  # the end of a process leaves files that a kill does not
    stopped.wait()
    stopped.start()
    stopped.wait_until(lambda: stopped.step() >= STOPPED_AT)
    stopped.kill_all()
    counted = {report["report_id"] for report in stopped.reported()}
    cases = [(name, harm) for name in FILES for harm in HARMS] + [
        (name, harm) for name in FOLDERS for harm in ("deleted", "file")
    ]
    rows = []
    for name, harm in cases:
        if only is None or f"{name}:{harm}" in only:
            rows.append(_case(runs, stopped, counted, name, harm))
            print(f"{name:40} {harm:8} {rows[-1]['verdict'][:150]}", flush=True)
    return rows


def _case(runs: Path, stopped: LiveRun, counted: set[str], name: str, harm: str) -> dict[str, Any]:
    live = LiveRun(runs / "copies", stopped.name, sets=stopped.sets)
    live.runs.mkdir(exist_ok=True)
    outside = runs / "outside"
    outside.write_text("somebody's thesis")
    try:
        shutil.copytree(stopped.path, live.path, symlinks=True, ignore=shutil.ignore_patterns("*.sock"))
        found = sorted(live.path.glob(name), key=lambda path: (path.stat().st_mtime_ns, path.name))
        if not found:
            return {"file": name, "harm": harm, "verdict": "there is no such file"}
        _damage(found[-1], harm, outside)
        started_s = time.monotonic()
        live.start()
        live.wait(300.0)
        verdict = live.verdict()
        live.check_no_orphans()
        assert outside.read_text() == "somebody's thesis", f"{name} as a link: a file outside the run was changed"
        if verdict == "done":
            lost = counted - {report["report_id"] for report in live.reported()}
            assert not lost, f"{len(lost)} counted reports are lost"
        return {
            "file": name,
            "harm": harm,
            "verdict": verdict.replace(str(runs), "RUNS"),
            "seconds": round(time.monotonic() - started_s, 1),
        }
    except AssertionError as error:
        raise AssertionError(f"{name} {harm}: {error}") from None
    finally:
        live.kill_all()
        shutil.rmtree(live.path, ignore_errors=True)


def _damage(path: Path, harm: str, outside: Path) -> None:
    harms: dict[str, Callable[[], object]] = {
        "garbage": lambda: path.write_bytes(os.urandom(2000) + b'\n{"event": 3}\n[1]\n'),
        "empty": lambda: path.write_bytes(b""),
        "flipped": lambda: _flip(path),
        "folder": lambda: (path.unlink(), path.mkdir()),
        "link": lambda: (path.unlink(), path.symlink_to(outside)),
        "deleted": lambda: shutil.rmtree(path) if path.is_dir() else path.unlink(),
        "file": lambda: (shutil.rmtree(path), path.write_bytes(b"")),
    }
    with suppress(FileNotFoundError):
        harms[harm]()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
