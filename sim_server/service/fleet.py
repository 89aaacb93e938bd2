"""The child workers of a serving process: starts them, detects when they end, replaces them with back-off.

Each child is on a leash: its standard input is a pipe that only the parent holds open. When the parent ends for any
reason, the pipe closes and the child ends too.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from dataclasses import dataclass
from typing import Callable, Optional, Sequence

from protocol.errors import VantageError
from protocol.run.exits import USER_ERROR

log = logging.getLogger(__name__)

STEADY_S = 10.0  # a worker that lived for longer is replaced immediately
SUSPECTED_S = 15.0
MOST_CONDEMNED = 3  # children of one slot that may give wrong answers before it is not filled again
# A worker uses one core: libraries must not start threads.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass
class _Slot:
    number: int
    generation: int = 0
    worker_id: str = ""
    process: Optional[subprocess.Popen[bytes]] = None
    started_s: float = 0.0
    next_start_s: float = 0.0
    backoff_s: float = 0.0
    retired: bool = False
    condemned: int = 0
    suspected_s: Optional[float] = None


class Fleet:
    """`size` child processes, each running `command(worker_id)`."""

    def __init__(
        self,
        size: int,
        prefix: str,
        command: Callable[[str], Sequence[str]],
        backoff_s: float = 0.5,
        backoff_max_s: float = 30.0,
    ) -> None:
        self._slots = [_Slot(number) for number in range(size)]
        self._prefix = prefix
        self._command = command
        self._backoff_s = backoff_s
        self._backoff_max_s = backoff_max_s

    def tick(self, now_s: float) -> list[str]:
        """Start workers that are due; return the ids of workers found dead.

        Raises VantageError("backend_missing") if a worker reported that it can never start.
        """
        dead = []
        for slot in self._slots:
            if (
                slot.process is not None
                and slot.suspected_s is not None
                and (_is_stopped(slot.process.pid) or now_s > slot.suspected_s + SUSPECTED_S)
            ):
                slot.process.kill()
            if slot.process is not None and slot.process.poll() is not None:
                dead.append(slot.worker_id)
                self._bury(slot, now_s)
            if slot.process is None and not slot.retired and now_s >= slot.next_start_s:
                try:
                    self._start(slot, now_s)
                except OSError as error:  # no memory or descriptors now
                    log.warning("cannot start worker %s, retrying: %s", slot.worker_id, error)
                    self._back_off(slot, now_s)
        return dead

    @property
    def worker_ids(self) -> list[str]:
        """Ids of the children."""
        return [slot.worker_id for slot in self._slots if slot.process is not None]

    def kill(self, worker_id: str) -> None:
        """Kill a child, which the next tick replaces. Workers that are not children are ignored."""
        for slot in self._slots:
            if slot.worker_id == worker_id and slot.process is not None:
                slot.process.kill()

    def condemn(self, worker_id: str) -> None:
        """Kill a child that gave a wrong answer; after MOST_CONDEMNED of them its slot stays empty."""
        for slot in self._slots:
            if slot.worker_id == worker_id and slot.process is not None:
                slot.condemned += 1
                slot.retired |= slot.condemned >= MOST_CONDEMNED
                slot.process.kill()

    def suspect(self, worker_id: str, now_s: float) -> None:
        """Report that a child no longer answers.

        The next tick kills it if it is stopped; otherwise it may only lack processor time and has SUSPECTED_S seconds
        to answer. Workers that are not children are ignored.
        """
        for slot in self._slots:
            if slot.worker_id == worker_id:
                slot.suspected_s = now_s

    def trust(self, worker_id: str) -> None:
        """Report that a suspected child answered again."""
        for slot in self._slots:
            if slot.worker_id == worker_id:
                slot.suspected_s = None

    def retire(self, worker_id: str) -> None:
        """Stop replacing this child when it ends."""
        for slot in self._slots:
            slot.retired |= slot.worker_id == worker_id

    def stop(self, grace_s: float = 5.0) -> None:
        """Close the leashes and wait; kill children that still run after `grace_s` seconds."""
        running = [slot.process for slot in self._slots if slot.process is not None]
        for process in running:
            assert process.stdin is not None
            process.stdin.close()
        deadline_s = time.monotonic() + grace_s
        for process in running:
            try:
                process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, slot: _Slot, now_s: float) -> None:
        slot.generation += 1
        slot.worker_id = f"{self._prefix}-{slot.number}.{slot.generation}"
        slot.started_s = now_s
        slot.suspected_s = None
        environment = {**os.environ, **ONE_THREAD}
        slot.process = subprocess.Popen(self._command(slot.worker_id), stdin=subprocess.PIPE, env=environment)

    def _bury(self, slot: _Slot, now_s: float) -> None:
        process = slot.process
        assert process is not None and process.stdin is not None
        process.stdin.close()
        slot.process = None
        if process.returncode == USER_ERROR:
            raise VantageError("backend_missing", f"worker {slot.worker_id} cannot start; see its message above.")
        if now_s - slot.started_s >= STEADY_S:
            slot.backoff_s = 0.0
        self._back_off(slot, now_s)

    def _back_off(self, slot: _Slot, now_s: float) -> None:
        slot.next_start_s = now_s + slot.backoff_s
        slot.backoff_s = min(self._backoff_max_s, max(self._backoff_s, 2 * slot.backoff_s))


def _is_stopped(pid: int) -> bool:
    """Whether the process is stopped by a signal (Linux; False if unknown)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False
