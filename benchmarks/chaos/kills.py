"""kill -9 of every process of one run, the supervisor included, again and again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.chaos.live import LiveRun

TARGETS = ("sim", "worker", "curriculum", "learner", "supervisor")
STEPS_PER_KILL = 12  # on a fast machine several steps end before the kill
LONGEST_WAIT_S = 2.0  # from a step to the kill


def survive(runs: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill one process after each step of a run, `count` times in all, and return the figures.

    Raises AssertionError if the run does not end well, a report is lost or doubled, or a process is left behind.
    """
    chance = random.Random(seed)
    live = LiveRun(runs, sets=[f"learner.budget.steps={STEPS_PER_KILL * count}"])
    started_s = time.monotonic()
    killed: Counter[str] = Counter()
    live.start()
    level, due_s = 0, 0.0
    try:
        while True:
            assert live.process is not None
            if live.process.poll() is not None:
                if live.process.returncode != -signal.SIGKILL:
                    break
                live.start()  # as the user would, at once
            time.sleep(0.05)
            live.watch()
            if killed.total() < count and not due_s and live.step() > level:
                level, due_s = live.step(), time.monotonic() + chance.uniform(0.0, LONGEST_WAIT_S)
            if due_s and time.monotonic() >= due_s:
                target = chance.choice(TARGETS)
                with suppress(ProcessLookupError):
                    if pid := live.pid_of(target):
                        os.kill(pid, signal.SIGKILL)
                        if target == "supervisor":
                            live.process.wait()
                        killed[target] += 1
                        due_s = 0.0
        figures = live.finish()
    finally:
        live.kill_all()
    assert killed.total() == count, killed
    minutes = round((time.monotonic() - started_s) / 60, 1)
    return {"kills": dict(killed), "steps": STEPS_PER_KILL * count, **figures, "minutes": minutes}
