"""Serve a run for a trainer outside of Vantage: its simulator and its curriculum, without the learner.

python -m launch.serve RUN      ends with its standard input, so that a killed trainer leaves no process behind
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Callable

from launch.processes import drain, end_leftovers
from launch.supervise import DRAIN_S, REFRESH_S, children_of
from protocol.run.directory import RunDir
from protocol.run.exits import run_command, stop_on_signals

LOCK = "supervisor"


def serve(run: RunDir, stop: threading.Event, note: Callable[[str], object]) -> None:
    """Keep the services of `run` alive until `stop` is set, then drain them. `note` receives lines for the terminal.

    Raises VantageError: "conflict" if the run is served already, and if a service cannot be kept alive.
    """
    with run.lock(LOCK):
        children = [child for child in children_of(run) if child.name != "learner"]
        for line in end_leftovers(run.path, [child.name for child in children], DRAIN_S):
            note(line)
        try:
            for child in children:
                child.start()
                note(f"{child.name} started (pid {child.pid})")
            while not stop.wait(REFRESH_S):
                for child in children:
                    if event := child.check():
                        note(event)
        finally:
            drain(children[::-1], DRAIN_S)


def _main() -> None:
    stop = stop_on_signals()
    threading.Thread(target=_leash, args=(stop,), daemon=True).start()
    serve(RunDir.open(Path(sys.argv[1])), stop, lambda line: print(line, flush=True))


def _leash(stop: threading.Event) -> None:
    """Set `stop` at the end of standard input."""
    while sys.stdin.buffer.read(1):
        pass
    stop.set()


if __name__ == "__main__":
    run_command(_main, "serve")
