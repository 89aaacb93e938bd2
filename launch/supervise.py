"""Run the loop: create or resume the run, keep its processes alive, show progress, write the report.

    configs ─▶ settings.resolve ─▶ RunDir ─▶ sim-server · curriculum · (proposer) · learner   (launch/processes.py)
                                                   │ status/, metrics/
                                                   ▼
                              live view (report/live.py) ─▶ learner done ─▶ table and report.html (report/page.py)

Progress is read from the run directory alone; no process is queried.
"""

from __future__ import annotations

import importlib.util
import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Callable, Optional, Sequence

from launch.install import InstallError, detect_device, ensure, venv_path
from launch.processes import SUPERVISED, Child, drain, end_leftovers
from launch.report.live import LiveView, print_results
from launch.report.page import write_report
from launch.report.records import move_damaged_lines
from launch.settings import check_same
from launch.trackers.processes import TrackerProcesses
from proposer.settings import ProposerSettings
from protocol.errors import VantageError
from protocol.run.config import Tree, section
from protocol.run.directory import RunDir, disk_guard
from protocol.run.exits import set_from_handler

REFRESH_S = 0.5
DRAIN_S = 20.0  # for a process to finish its current work after SIGTERM
LEARNER_EXIT_S = 60.0  # from its done marker to its exit
STOPPED = 130  # exit code of a run that was stopped before its end


def run_loop(runs: Path, given: Tree, resolved: Tree, launcher: str = "", serial: bool = False) -> int:
    """Run or resume the loop in `runs`, print the results and write the report; returns the exit code.

    `given` and `resolved` are those of launch.settings.resolve. The first Ctrl-C drains, a second one does not wait.
    Raises VantageError as the services do.
    """
    _need_engine(resolved)
    run, resumed = open_or_create(runs, given, resolved)
    stop = _stop_on_signals()
    with run.lock("supervisor"), LiveView(run) as view:
        move_damaged_lines(run)
        trackers = TrackerProcesses(run, run.config.get("run", {}).get("trackers") or (), view.note)
        verb = "resuming" if resumed else "starting"
        if run.read_done("learner") is not None:
            view.note(f"run {run.name} is finished; its results follow")
        elif serial:
            from launch.serial import run_serial  # brings torch

            without = ", without its proposer" if has_proposer(run) else ""
            view.note(f"{verb} {run.path} in one process{without}")
            with trackers:
                run_serial(run, view, stop)
        else:
            view.note(f"{verb} {run.path}")
            with trackers:
                supervise(run, children_of(run, shlex.split(launcher)), view, stop, trackers.check)
    print_results(run, write_report(run))
    if run.read_done("learner") is None:
        print(f"stopped before the end; the same command resumes run {run.name}")
        return STOPPED
    return 0


def children_of(run: RunDir, launcher: Sequence[str] = ()) -> list[Child]:
    """The processes in their starting order, the learner last; `launcher` is put before its command."""
    modules = {"sim": "sim_server.cli", "curriculum": "curriculum.cli"}
    if has_proposer(run):
        modules["proposer"] = "proposer.cli"
    modules["learner"] = "learner.cli"
    ways = {"learner": "train"}
    before = {"learner": launcher}
    environment = {"PYTHONUNBUFFERED": "1", SUPERVISED: str(run.path)}
    return [
        Child(
            name,
            [*before.get(name, ()), sys.executable, "-m", module, ways.get(name, "serve"), str(run.path)],
            run.logs / name / "console.log",
            environment if name == "learner" else {**environment, "OMP_NUM_THREADS": "1"},
            lambda: progress_of(run),
            optional=name == "proposer",
        )
        for name, module in modules.items()
    ]


def has_proposer(run: RunDir) -> bool:
    return section(run.config, "proposer", ProposerSettings).source != "none"


def progress_of(run: RunDir) -> int:
    """Training steps and counted reports of the run so far; 0 before the processes have written a status."""
    learner, curriculum = run.read_status("learner") or {}, run.read_status("curriculum") or {}
    return int(learner.get("step") or 0) + int(curriculum.get("counted") or 0)


def open_or_create(runs: Path, given: Tree, resolved: Tree) -> tuple[RunDir, bool]:
    """The run of this name, and whether it existed before. Raises VantageError("bad_config") if it was configured
    differently."""
    path = runs / resolved["run"]["name"]
    if not (path / "run.json").exists():
        try:
            return RunDir.create(path, resolved), False
        except VantageError as error:
            if error.code != "conflict":  # else another process created it first
                raise
    run = RunDir.open(path)
    check_same(given, run.config, run.name)
    return run, True


def supervise(
    run: RunDir,
    children: list[Child],
    view: LiveView,
    stop: threading.Event,
    watch: Callable[[], None] = lambda: None,
) -> bool:
    """Keep the children alive until the learner is done (True) or `stop` is set (False), then end them all.

    `watch` is called at every refresh.
    Raises VantageError if a child cannot be kept alive or the run's folder is gone, after draining the others. A
    KeyboardInterrupt (the second Ctrl-C) kills them.
    """
    learner = children[-1]
    for note in end_leftovers(run.path, [child.name for child in children], DRAIN_S):
        view.note(note)
    try:
        for child in children:
            # The status of an earlier start must not be shown as the current one.
            status = run.path / "status" / f"{child.name}.json"
            with disk_guard(status):
                status.unlink(missing_ok=True)
            child.start()
            view.note(f"{child.name} started (pid {child.pid})")
        while not stop.wait(REFRESH_S):
            if run.read_done("learner") is not None:
                view.note("the learner is done")
                learner.wait(LEARNER_EXIT_S)
                return True
            if not (run.path / "run.json").exists():
                raise VantageError(
                    "bad_request", f"the folder {run.path} was moved or deleted; put it back and start again to resume."
                )
            for child in list(children):
                try:
                    event = child.check()
                except VantageError as error:
                    if not child.optional:
                        raise
                    children.remove(child)
                    event = f"the run goes on without the {child.name}: {error.message}"
                if event:
                    view.note(event)
            watch()
            problems = [child.problem for child in children if child.problem]
            view.refresh({child.name: child.pid for child in children}, problems)
        view.note("stopping: every process finishes its current work; a second Ctrl-C does not wait")
        return False
    except KeyboardInterrupt:
        _kill(children)
        raise
    finally:
        try:
            drain(children[::-1], DRAIN_S)
        except KeyboardInterrupt:
            _kill(children)
            raise
        view.refresh({})


def _kill(children: Sequence[Child]) -> None:
    for child in children:
        child.kill()


def _need_engine(resolved: Tree) -> None:
    """Check that the rollout engine's libraries are installed; in a checkout's own environment, install vLLM on demand.

    Raises VantageError("bad_config").
    """
    if importlib.util.find_spec("torch") is None:
        raise VantageError(
            "bad_config", "the learner's libraries are not installed; run pip install 'vantage-loop[learner]'."
        )
    if resolved["learner"]["rollout"]["engine"] != "vllm" or importlib.util.find_spec("vllm") is not None:
        return
    if Path(sys.prefix) != venv_path():
        raise VantageError(
            "bad_config",
            "learner.rollout.engine is vllm, but vLLM is not installed in this Python; install it (pip install vllm "
            "on a CUDA machine), or set the engine to transformers.",
        )
    try:
        ensure(venv_path(), detect_device(), vllm=True)
    except InstallError as error:
        raise VantageError("bad_config", str(error)) from None


def _stop_on_signals() -> threading.Event:
    """An event set by the first Ctrl-C or SIGTERM; a second Ctrl-C raises KeyboardInterrupt."""
    stop = threading.Event()
    received = False

    def on_signal(number: int, _: Optional[FrameType]) -> None:
        nonlocal received
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received = True
        set_from_handler(stop)

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop
