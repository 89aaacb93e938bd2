"""Runs the loop: makes or resumes the run, keeps its three processes alive, shows progress, ends with the report.

    configs ─▶ settings.resolve ─▶ RunDir ─▶ sim-server · curriculum · learner   (launch/processes.py)
                                                   │ status/, metrics/
                                                   ▼
                              live view (report/live.py) ─▶ learner done ─▶ table and report.html (report/page.py)

Progress is read from the run directory alone; no process is asked anything.
"""

from __future__ import annotations

import importlib.util
import shlex
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Optional, Sequence

import typer

from launch.install import ROOT, InstallError, detect_device, ensure, venv_path
from launch.processes import Child, drain
from launch.report.live import LiveView, print_results
from launch.report.page import write_report
from launch.settings import check_same, resolve
from protocol.errors import VantageError
from protocol.run.config import Tree, to_toml
from protocol.run.directory import RunDir
from protocol.run.exits import run_command

REFRESH_S = 0.5
DRAIN_S = 20.0  # for one process to finish what it does after SIGTERM
LEARNER_EXIT_S = 60.0  # from its done marker to its end


def children_of(run: RunDir, launcher: Sequence[str] = ()) -> list[Child]:
    """The three processes, in the order in which they are started; `launcher` stands before the learner's command."""
    modules = {"sim": "sim_server.cli", "curriculum": "curriculum.cli", "learner": "learner.cli"}
    ways = {"sim": "serve", "curriculum": "serve", "learner": "train"}
    before = {"learner": launcher}
    return [
        Child(
            name,
            [*before.get(name, ()), sys.executable, "-m", module, ways[name], str(run.path)],
            run.logs / name / "console.log",
            {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} if name != "learner" else {"PYTHONUNBUFFERED": "1"},
        )
        for name, module in modules.items()
    ]


def open_or_create(runs: Path, given: Tree, resolved: Tree) -> tuple[RunDir, bool]:
    """The run of this name, and whether it was there before."""
    path = runs / resolved["run"]["name"]
    if not (path / "run.json").exists():
        return RunDir.create(path, resolved), False
    run = RunDir.open(path)
    check_same(given, run.config, run.name)
    return run, True


def supervise(run: RunDir, children: list[Child], view: LiveView, stop: threading.Event) -> bool:
    """Keep the children alive until the learner is done (True) or `stop` is set (False); none is left running.

    Raises VantageError where a child cannot be kept alive; the others are drained first.
    """
    learner = children[-1]
    try:
        for child in children:
            # What it did in an earlier start is not what it does now.
            (run.path / "status" / f"{child.name}.json").unlink(missing_ok=True)
            child.start()
            view.note(f"{child.name} started (pid {child.pid})")
        while not stop.wait(REFRESH_S):
            if run.read_done("learner") is not None:
                view.note("the learner is done")
                learner.wait(LEARNER_EXIT_S)
                return True
            for child in children:
                event = child.check()
                if event:
                    view.note(event)
            view.refresh({child.name: child.pid for child in children})
        view.note("stopping: every process finishes what it does")
        return False
    finally:
        drain(children[::-1], DRAIN_S)
        view.refresh({})


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

NameOption = Annotated[
    Optional[str], typer.Option(help="Name of the run; default: run.name, or the name of the last config.")
]
SetsOption = Annotated[
    Optional[list[str]], typer.Option("--set", help="table.key=value over the configs, may be repeated.")
]


@app.command()
def main(
    configs: Annotated[
        Optional[list[Path]],
        typer.Argument(
            metavar="CONFIG.toml", help="TOML files, later ones over earlier ones; default: configs/demo.toml."
        ),
    ] = None,
    name: NameOption = None,
    sets: SetsOption = None,
    runs: Annotated[Path, typer.Option(help="Folder that runs lie in.")] = ROOT / "runs",
    launcher: Annotated[
        str,
        typer.Option(help="Command that starts all learner.processes ranks, such as srun; default: the learner does."),
    ] = "",
    serial: Annotated[bool, typer.Option("--serial", help="One process without sockets, for debugging.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and end.")] = False,
) -> None:
    """Run the loop to its end, or resume it; Ctrl-C drains, a second one does not wait."""
    given, resolved = resolve(configs or [ROOT / "configs" / "demo.toml"], sets or [], name)
    if dry_run:
        print(to_toml(resolved), end="")
        return
    _need_engine(resolved)
    run, resumed = open_or_create(runs, given, resolved)
    stop = _stop_on_signals()
    with run.lock("supervisor"), LiveView(run) as view:
        if run.read_done("learner") is not None:
            view.note(f"run {run.name} is finished; here is what it came to")
        elif serial:
            from launch.serial import run_serial  # brings torch

            view.note(f"{'resuming' if resumed else 'starting'} {run.path} in one process")
            run_serial(run, view, stop)
        else:
            view.note(f"{'resuming' if resumed else 'starting'} {run.path}")
            supervise(run, children_of(run, shlex.split(launcher)), view, stop)
    print_results(run, write_report(run))
    if run.read_done("learner") is None:
        print(f"stopped before its end; the same command resumes run {run.name}")
        raise typer.Exit(130)


def _need_engine(resolved: Tree) -> None:
    """Install the vLLM set when the configuration asks for it and it is absent."""
    if resolved["learner"]["rollout"]["engine"] != "vllm" or importlib.util.find_spec("vllm") is not None:
        return
    if Path(sys.prefix) != venv_path():
        raise VantageError(
            "bad_config",
            "learner.rollout.engine is vllm, which is not installed in this Python; "
            "install requirements/learner-cpu-vllm.txt with --no-deps, or set the engine to transformers.",
        )
    try:
        ensure(venv_path(), detect_device(), vllm=True)
    except InstallError as error:
        raise VantageError("bad_config", str(error)) from None


def _stop_on_signals() -> threading.Event:
    """Set by the first Ctrl-C or SIGTERM; a second Ctrl-C no longer waits."""
    stop = threading.Event()

    def on_signal(number: int, _: Optional[FrameType]) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop


if __name__ == "__main__":
    run_command(partial(app, prog_name="launch/all.sh"), "vantage")
