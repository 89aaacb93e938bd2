"""Stalls: how a process tells that it makes no progress, why, and what to do.

    stalls = Stalls("learner")
    stalls.failed("questions from the simulator", error.message, "see `sim-server status`")   # one attempt failed
    stalls.progressed("questions from the simulator")                                         # one succeeded

Attempts count, not time: a slow process that succeeds is not stalled, and one that fails at once is. `reports` goes
into the status file of the process, from which the terminal shows it, and into its /health.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import asdict, dataclass, replace
from typing import Any, Mapping

log = logging.getLogger(__name__)

ATTEMPTS = 3  # failed in a row without progress between them


@dataclass(frozen=True)
class Stall:
    """Attempts at one thing that failed in a row. `since_s` is the time of the first one in epoch seconds."""

    missing: str
    since_s: float
    attempts: int
    error: str
    advice: str

    @property
    def sentence(self) -> str:
        since = time.strftime("%H:%M:%S", time.localtime(self.since_s))
        error = f", the last one with: {self.error.rstrip('.')}" if self.error else ""
        return f"no {self.missing} since {since}: {self.attempts} attempts failed{error}. {self.advice}"


class Stalls:
    """The stalls of one process. Thread-safe."""

    def __init__(self, process: str, attempts: int = ATTEMPTS) -> None:
        """`attempts` failures in a row make a stall."""
        self._process = process
        self._attempts = attempts
        self._failing: dict[str, Stall] = {}
        self._guard = threading.Lock()

    def failed(self, missing: str, error: str, advice: str) -> None:
        """Count a failed attempt to get `missing` ("questions from the simulator"); `advice` is a sentence."""
        with self._guard:
            before = self._failing.get(missing) or Stall(missing, time.time(), 0, error, advice)
            now = replace(before, attempts=before.attempts + 1, error=error, advice=advice)
            self._failing[missing] = now
        if now.attempts == self._attempts:
            log.warning("%s makes no progress: %s", self._process, now.sentence)

    def progressed(self, missing: str) -> None:
        """Reset the count after a success."""
        with self._guard:
            before = self._failing.pop(missing, None)
        if before is not None and before.attempts >= self._attempts:
            log.warning("%s makes progress again: %s", self._process, missing)

    @property
    def current(self) -> list[Stall]:
        with self._guard:
            return [stall for stall in self._failing.values() if stall.attempts >= self._attempts]

    def reports(self) -> list[dict[str, Any]]:
        """The current stalls as plain values for a status file or /health."""
        return [asdict(stall) for stall in self.current]


def stalls_in(status: Mapping[str, Any]) -> list[Stall]:
    """The stalls in a status file; a damaged entry is left out."""
    stalls = []
    for one in status.get("stalls") or ():
        with contextlib.suppress(TypeError):
            stalls.append(Stall(**one))
    return stalls
