"""Supervision of small stand-ins for the three processes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import launch.processes
from launch.processes import Child
from launch.report.live import LiveView
from launch.supervise import supervise
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from tests.support.sim import alive
from tests.support.wire import wait_for

pytestmark = pytest.mark.timeout(60)

FOREVER = (
    "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nwhile True: time.sleep(0.02)\n"
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.setattr(launch.processes, "BACKOFF_S", 0.02)
    monkeypatch.setattr("launch.supervise.REFRESH_S", 0.02)
    return RunDir.create(tmp_path / "run", {})


@pytest.fixture
def started() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.stop(0.0)


def child(run: RunDir, name: str, code: str) -> Child:
    return Child(name, [sys.executable, "-c", code, str(run.path)], run.logs / name / "console.log")


def view_of(run: RunDir) -> tuple[LiveView, io.StringIO]:
    text = io.StringIO()
    return LiveView(run, Console(file=text, width=200)), text


def test_the_run_ends_when_the_learner_is_done_and_leaves_nothing_running(run: RunDir) -> None:
    done = (
        "import sys, time; from pathlib import Path; from protocol.run.directory import RunDir\n"
        "time.sleep(0.2); RunDir.open(Path(sys.argv[1])).mark_done('learner', {})"
    )
    children = [child(run, "sim", FOREVER), child(run, "curriculum", FOREVER), child(run, "learner", done)]
    view, text = view_of(run)
    assert supervise(run, children, view, threading.Event())
    assert not any(one.pid for one in children)
    assert "the learner is done" in text.getvalue()


def test_a_killed_process_comes_back(run: RunDir) -> None:
    children = [child(run, name, FOREVER) for name in ("sim", "curriculum", "learner")]
    stop = threading.Event()
    view, text = view_of(run)
    worker = threading.Thread(target=supervise, args=(run, children, view, stop))
    worker.start()
    try:
        for one in children:
            wait_for(lambda one=one: one.pid)
            first = one.pid
            os.kill(first, signal.SIGKILL)
            wait_for(lambda one=one, first=first: one.pid not in (0, first))
    finally:
        stop.set()
        worker.join()
    assert text.getvalue().count("killed by SIGKILL") == text.getvalue().count("is back") == 3
    assert not any(one.pid for one in children)


def test_a_crash_loop_ends_with_the_childs_last_message_and_stops_the_others(run: RunDir) -> None:
    broken = child(run, "learner", "import sys; sys.exit('ValueError: no such model')")
    other = child(run, "sim", FOREVER)
    view, text = view_of(run)
    with pytest.raises(VantageError, match=r"learner died 5 times in a row .exit code 1.: ValueError: no such model"):
        supervise(run, [other, broken], view, threading.Event())
    assert not other.pid
    assert text.getvalue().count("restarting in") == launch.processes.MAX_QUICK_DEATHS - 1


def test_a_users_mistake_is_not_retried(run: RunDir) -> None:
    printed = (
        "print('learner: old.'); print('starting'); print('learner: it lacks x.'); print('learner: it cannot start.')"
    )
    wrong = child(run, "learner", f"import sys; {printed}; sys.exit(2)")
    view, text = view_of(run)
    with pytest.raises(VantageError) as caught:
        supervise(run, [wrong], view, threading.Event())
    assert caught.value.message == "learner: it lacks x. it cannot start."
    assert "restarting" not in text.getvalue()


def test_a_long_life_starts_a_new_count(run: RunDir, monkeypatch: pytest.MonkeyPatch, started: list[Child]) -> None:
    monkeypatch.setattr(launch.processes, "STEADY_S", 0.0)
    dying = child(run, "sim", "import time; time.sleep(0.05)")
    started.append(dying)
    dying.start()
    backs = 0
    while backs <= launch.processes.MAX_QUICK_DEATHS:
        backs += "is back" in (dying.check() or "")
        time.sleep(0.01)


def test_children_of_a_killed_process_are_ended_before_it_restarts(run: RunDir, started: list[Child]) -> None:
    spawns = (
        "import subprocess, sys, time\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(grandchild.pid, flush=True); time.sleep(600)"
    )
    parent = child(run, "sim", spawns)
    started.append(parent)
    parent.start()
    wait_for(parent.last_message)
    grandchild = int(parent.last_message())
    os.kill(parent.pid, signal.SIGKILL)
    wait_for(parent.check)
    wait_for(lambda: not alive(grandchild))


def test_a_process_that_ignores_sigterm_is_killed(run: RunDir, started: list[Child]) -> None:
    deaf = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
    )
    stubborn = child(run, "learner", deaf)
    started.append(stubborn)
    stubborn.start()
    wait_for(stubborn.last_message)
    stubborn.stop(0.2)
    assert stubborn.pid == 0


def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    supervisor = (
        "import sys, time; from pathlib import Path; from launch.processes import Child\n"
        f"child = Child('sim', [sys.executable, '-c', {FOREVER!r}], Path(sys.argv[1]) / 'console.log')\n"
        "child.start(); print(child.pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", supervisor, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert alive(pid)
    process.kill()
    process.wait()
    wait_for(lambda: not alive(pid))
