"""`python -m launch.trackers.follow RUN TRACKER`: feed a tracker from the files of a run until the learner is done.

It reads and never writes what the run reads, so that a tracker that fails, hangs or is missing does not touch the run.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path

from launch.trackers import TRACKERS
from launch.trackers.points import Reader, Tracker
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.run.exits import run_command, stop_on_signals

POLL_S = 2.0


def make(run: RunDir, name: str) -> Tracker:
    """Raises VantageError("bad_config") if the tracker's package is missing, and the errors of its factory."""
    if name in TRACKERS.built_in and importlib.util.find_spec(name) is None:  # they are named like their packages
        raise VantageError("bad_config", f"it is not installed; run pip install 'vantage-loop[{name}]'.")
    return TRACKERS.load(name)(run)


def follow(run: RunDir, tracker: Tracker, stop: threading.Event) -> None:
    """Feed the tracker until the learner is done or `stop` is set; all that is on disk then is written."""
    reader = Reader(run, tracker.written())
    try:
        while True:
            last = stop.is_set() or run.read_done("learner") is not None
            points = reader.read()
            for point in points:
                tracker.write(point)
            if points:
                tracker.flush(reader.written)
            if last:
                return
            stop.wait(POLL_S)
    finally:
        tracker.close()


def main() -> None:
    path, name = sys.argv[1:]

    def command() -> None:
        stop = stop_on_signals()
        run = RunDir.open(Path(path))
        follow(run, make(run, name), stop)

    run_command(command, "tracker")


if __name__ == "__main__":
    main()
