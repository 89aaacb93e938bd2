"""The specs of a split by number, without end."""

from __future__ import annotations

from typing import Any, Sequence

from protocol.errors import VantageError
from protocol.tasks.task import TaskSpec
from sim_server.dataset.plan import Plan, Specs

SPLITS = {"train": "train", "held-out": "val"}
_WINDOW = 4096  # specs that are dealt to scenes together
_REMEMBERED = 4  # windows
_LAST_SEED = 2**31 - 1


def check_split(split: str) -> str:
    """The split as plans name it. Raises VantageError("bad_request") for an unknown one."""
    if split not in SPLITS:
        raise VantageError("bad_request", f"a split is {' or '.join(SPLITS)}, not {split!r}.")
    return SPLITS[split]


class NumberedSpecs:
    """Equal arguments give equal specs in every process. Neighbouring numbers share scenes."""

    def __init__(self, split: str, cells: Sequence[tuple[str, int]], world: dict[str, Any], seed: int) -> None:
        """Raises VantageError("bad_request") for an unknown split."""
        self._split = check_split(split)
        self._cells = tuple(cells)
        self._world = world
        self._seed = seed
        self._windows: dict[int, Specs] = {}

    def __getitem__(self, number: int) -> TaskSpec:
        window = number // _WINDOW
        if window not in self._windows:
            if len(self._windows) == _REMEMBERED:
                del self._windows[next(iter(self._windows))]
            seed = (self._seed + window) % _LAST_SEED
            self._windows[window] = Specs(Plan(_WINDOW, seed, self._split, self._cells, self._world))
        return self._windows[window][number % _WINDOW]
