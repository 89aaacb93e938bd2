"""Supervision of small stand-ins for the three processes."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Callable, Optional

import pytest
from rich.console import Console

import launch.processes
from launch.processes import SUPERVISED, Child, end_leftovers
from launch.report.live import LiveView
from launch.supervise import progress_of, supervise
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.run.stall import Stalls
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


def child(run: RunDir, name: str, code: str, progress: Callable[[], int] = lambda: 0) -> Child:
    command = [sys.executable, "-c", code, str(run.path)]
    return Child(name, command, run.logs / name / "console.log", progress=progress)


def wait_a_moment(check: Callable[[], Optional[str]]) -> Optional[str]:
    time.sleep(0.01)
    return check()


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
    with pytest.raises(VantageError, match=r"learner died 5 times without progress .*: ValueError: no such model"):
        supervise(run, [other, broken], view, threading.Event())
    assert not other.pid
    assert text.getvalue().count("restarting in") == launch.processes.MAX_DEATHS - 1


@pytest.mark.parametrize("mistake", ["sys.exit(2)", "sys.exit('ValueError: broken')"])
def test_the_run_goes_on_without_an_optional_process(run: RunDir, mistake: str) -> None:
    code = f"import sys; print('proposer: its address is wrong.'); {mistake}"
    command = [sys.executable, "-c", code]
    broken = Child("proposer", command, run.logs / "proposer" / "console.log", optional=True)
    done = (
        "import sys, time; from pathlib import Path; from protocol.run.directory import RunDir\n"
        "time.sleep(2.5); RunDir.open(Path(sys.argv[1])).mark_done('learner', {})"
    )
    view, text = view_of(run)
    assert supervise(run, [child(run, "sim", FOREVER), broken, child(run, "learner", done)], view, threading.Event())
    assert text.getvalue().count("the run goes on without the proposer: proposer") == 1, text.getvalue()


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


def test_progress_of_the_run_starts_a_new_count_and_time_does_not(run: RunDir, started: list[Child]) -> None:
    run.write_status("learner", {"step": 3})
    dying = child(run, "sim", "raise SystemExit('no more')", lambda: progress_of(run))
    started.append(dying)
    dying.start()
    deaths = 0
    while deaths < launch.processes.MAX_DEATHS + 2:
        deaths += "died" in (dying.check() or "")
        run.write_status("curriculum", {"counted": deaths})
        time.sleep(0.01)
    with pytest.raises(VantageError, match=r"5 times without progress .exit code 1.: no more; read .*console.log"):
        while True:
            dying.check()
            time.sleep(0.01)


def test_a_child_waits_while_the_disk_is_full(
    run: RunDir, started: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 0
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    dying = child(run, "sim", "raise SystemExit(1)")
    started.append(dying)
    dying.start()
    notes = [note for _ in range(50) if (note := wait_a_moment(dying.check))]
    assert notes == [f"sim waits for space: the disk is full at {dying.console.parent}; free some."]
    free = 2**30
    wait_for(lambda: "is back" in (dying.check() or ""))
    assert not dying.problem


def test_a_deleted_run_folder_is_named(run: RunDir) -> None:
    children = [child(run, name, FOREVER) for name in ("sim", "learner")]
    view, _ = view_of(run)
    threading.Timer(0.3, lambda: shutil.move(run.path, run.path.with_name("moved"))).start()
    with pytest.raises(VantageError, match=r"the folder .*run was moved or deleted"):
        supervise(run, children, view, threading.Event())
    assert not any(one.pid for one in children)


def test_a_stall_of_a_process_is_noted_once_and_its_end_too(run: RunDir) -> None:
    stalls = Stalls("learner")
    view, text = view_of(run)
    for _ in range(4):
        stalls.failed("questions from the simulator", "no view", "See `sim-server status`.")
        run.write_status("learner", {"stalls": stalls.reports()})
        view.refresh({})
    run.write_status("learner", {"stalls": []})
    view.refresh({})
    assert text.getvalue().count("learner makes no progress: no questions from the simulator since") == 1
    assert text.getvalue().count("over: learner: no questions") == 1


def test_a_second_interrupt_kills_every_child(run: RunDir) -> None:
    deaf = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
    )
    program = (
        "import sys, threading; from pathlib import Path\n"
        "from launch.processes import Child\nfrom launch.report.live import LiveView\n"
        "from launch.supervise import _stop_on_signals, supervise\nfrom protocol.run.directory import RunDir\n"
        f"run = RunDir.open(Path(sys.argv[1])); code = {deaf!r}\n"
        "start = lambda name: Child(name, [sys.executable, '-c', code], run.logs / name / 'console.log')\n"
        "children = [start(name) for name in ('sim', 'learner')]\n"
        "with LiveView(run) as view:\n    supervise(run, children, view, _stop_on_signals())\n"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", program, str(run.path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert supervisor.stdout is not None
    pids = [int(re.findall(r"pid (\d+)", line)[0]) for line in (supervisor.stdout.readline() for _ in range(2))]
    wait_for(lambda: all((run.logs / name / "console.log").read_text() for name in ("sim", "learner")))
    supervisor.send_signal(signal.SIGINT)
    assert "stopping" in supervisor.stdout.readline()
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(10) != 0
    wait_for(lambda: not any(map(alive, pids)))


def test_a_process_of_a_killed_supervisor_is_ended_at_the_next_start(run: RunDir) -> None:
    holds = (
        "import signal, sys, time; from pathlib import Path; from protocol.run.directory import RunDir\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "with RunDir.open(Path(sys.argv[1])).lock('learner'):\n    print('up', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", holds, str(run.path)]
    by_hand = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert by_hand.stdout is not None and by_hand.stdout.readline()
    assert not end_leftovers(run.path, ["learner"], 0.2), "a process started by hand is not ours to end"
    by_hand.kill()
    by_hand.wait()
    environment = {**os.environ, SUPERVISED: str(run.path)}
    ours = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True)
    assert ours.stdout is not None and ours.stdout.readline()
    assert end_leftovers(run.path, ["sim", "learner"], 0.2) == [
        f"ending the learner of an earlier start (pid {ours.pid})"
    ]
    assert ours.wait(10) == -signal.SIGKILL
    with run.lock("learner"):
        pass


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
