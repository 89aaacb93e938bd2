"""Starts and watches the processes of a run's trackers. Nothing that happens to one ends the run."""

from __future__ import annotations

import sys
from typing import Callable, Sequence

from launch.processes import SUPERVISED, Child
from protocol.errors import VantageError
from protocol.run.directory import RunDir

FINISH_S = 30.0  # to write the last points after the run has ended


class TrackerProcesses:
    """The trackers named in the settings; `note` shows a line in the terminal."""

    def __init__(self, run: RunDir, names: Sequence[str], note: Callable[[str], None]) -> None:
        self._note = note
        self._children = [
            Child(
                f"tracker {name}",
                [sys.executable, "-m", "launch.trackers.follow", str(run.path), name],
                run.logs / "trackers" / f"{name}.log",
                {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", SUPERVISED: str(run.path)},
            )
            for name in dict.fromkeys(names)
        ]

    def __enter__(self) -> TrackerProcesses:
        for child in list(self._children):
            self._guarded(child, child.start)
        return self

    def check(self) -> None:
        """Restart trackers that died; one that keeps dying, or cannot start, is given up."""
        for child in list(self._children):
            self._guarded(child, lambda child=child: self._note_if(child.check()))

    def __exit__(self, *_: object) -> None:
        """Let trackers write what is on disk, then end them."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.stop(FINISH_S)

    def _guarded(self, child: Child, act: Callable[[], None]) -> None:
        try:
            act()
        except (VantageError, OSError) as error:
            self._children.remove(child)
            self._note(f"{child.name} is given up, and the run continues: {error}")

    def _note_if(self, event: object) -> None:
        if event:
            self._note(str(event))
