"""Storms over a live run: what a machine, a user or another process does to it in the middle of its work."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

from benchmarks.chaos.live import LiveRun

STEPS = 12
AT_STEP = 3  # when the storm begins
FULL_DISK_MIB = 96
Storm = Callable[[Path], dict[str, Any]]


def _stopped(process: str, seconds: float) -> Storm:
    def storm(runs: Path) -> dict[str, Any]:
        """SIGSTOP of one process for `seconds`, then SIGCONT."""
        live = _begun(runs)
        pid = live.pid_of(process)
        os.kill(pid, signal.SIGSTOP)
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            live.watch()
            time.sleep(0.1)
        with suppress(ProcessLookupError):  # it was replaced meanwhile
            os.kill(pid, signal.SIGCONT)
        return live.finish()

    return storm


def full_disk(runs: Path) -> dict[str, Any]:
    """The run waits on a full disk and goes on when there is space. Needs root, for a small file system."""
    runs.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FULL_DISK_MIB}m", "tmpfs", str(runs)], check=True)
    try:
        live = _begun(runs)
        hog = runs / "hog"
        with open(hog, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(2**16))
            except OSError:
                pass
        live.wait_until(lambda: "the disk is full" in live.output, 120.0)
        freed_at = live.step()
        hog.unlink()
        started_s = time.monotonic()
        live.wait_until(lambda: live.step() > freed_at, 120.0)
        seconds = round(time.monotonic() - started_s, 1)
        return {**live.finish(), "seconds_to_the_next_step": seconds}
    finally:
        subprocess.run(["umount", "--lazy", str(runs)], check=True)


def few_descriptors(runs: Path) -> dict[str, Any]:
    """64 file descriptors per process are enough, or the run says that they are not."""
    live = LiveRun(runs, sets=_sets())
    live.start(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    return _ended(live)


def little_memory(runs: Path) -> dict[str, Any]:
    """With 1 GiB of address space the libraries cannot be loaded: a sentence, not endless restarts."""
    live = LiveRun(runs, sets=_sets())
    live.start(lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)))
    return _ended(live)


def locked_database(runs: Path) -> dict[str, Any]:
    """Another process holds the database for 60 s."""
    live = _begun(runs)
    other = sqlite3.connect(live.path / "curriculum.sqlite3", isolation_level=None, timeout=30.0)
    other.execute("BEGIN IMMEDIATE")
    end_s = time.monotonic() + 60.0
    while time.monotonic() < end_s:
        live.watch()
        time.sleep(0.1)
    other.close()
    return live.finish()


def moved_folder(runs: Path) -> dict[str, Any]:
    """The folder of the run is moved away: the run ends with a sentence that names it, and resumes when it is back."""
    live = _begun(runs)
    elsewhere = runs / "elsewhere"
    live.path.rename(elsewhere)
    assert live.wait() != 0
    sentence = live.verdict()
    assert str(live.path) in sentence, sentence
    live.check_no_orphans()
    shutil.rmtree(live.path, ignore_errors=True)  # what the processes wrote before they noticed
    elsewhere.rename(live.path)
    live.start()
    return {**live.finish(), "sentence": sentence.replace(str(runs), "RUNS")}


def started_twice(runs: Path) -> dict[str, Any]:
    """Two starts under one name at once: one works, the other names it."""
    first, second = (LiveRun(runs, sets=_sets(f"run.seed={seed}")) for seed in (1, 2))
    first.start()
    output = runs / "second.out"
    second.runs, second.name = runs, first.name
    with open(output, "wb") as file:
        command = list(first.process.args)  # type: ignore[union-attr]
        command[command.index("run.seed=1")] = "run.seed=2"
        other = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=file, stderr=subprocess.STDOUT)
    codes = (first.wait(), other.wait(600))
    texts = (first.output, output.read_text())
    assert sorted(codes)[0] == 0 and sorted(codes)[1] == 2, (codes, texts)
    refused = texts[0] if codes[0] else texts[1]
    assert "Traceback" not in refused and refused.strip().splitlines()[-1].startswith("vantage: "), refused
    first.check_no_orphans()
    return {**first.check_reports(), "sentence": refused.strip().splitlines()[-1].replace(str(runs), "RUNS")}


def interrupted_twice(runs: Path) -> dict[str, Any]:
    """Ctrl-C twice leaves no process, and the run resumes."""
    live = _begun(runs)
    for _ in range(2):
        os.kill(live.pid_of("supervisor"), signal.SIGINT)
        time.sleep(0.3)
    live.wait(60.0)
    live.check_no_orphans()
    live.start()
    return live.finish()


def killed_entirely(runs: Path) -> dict[str, Any]:
    """kill -9 of everything at once, and a start after it."""
    live = _begun(runs)
    live.kill_all()
    live.start()
    return live.finish()


STORMS: dict[str, Storm] = {
    **{
        f"SIGSTOP of {process} for {seconds} s": _stopped(process, seconds)
        for seconds in (30, 120)
        for process in ("sim", "worker", "curriculum", "learner")
    },
    "full disk": full_disk,
    "64 file descriptors": few_descriptors,
    "1 GiB of address space": little_memory,
    "database locked for 60 s": locked_database,
    "run folder moved": moved_folder,
    "started twice at once": started_twice,
    "Ctrl-C twice": interrupted_twice,
    "kill -9 of everything": killed_entirely,
}


def _sets(*more: str) -> list[str]:
    return [f"learner.budget.steps={STEPS}", *more]


def _begun(runs: Path) -> LiveRun:
    """A run in the middle of its work."""
    live = LiveRun(runs, sets=_sets())
    live.start()
    live.wait_until(lambda: live.step() >= AT_STEP)
    return live


def _ended(live: LiveRun) -> dict[str, Any]:
    """A run that ends well or with a sentence."""
    live.wait()
    verdict = live.verdict()
    live.check_no_orphans()
    return live.check_reports() if verdict == "done" else {"sentence": verdict.replace(str(live.runs), "RUNS")}
