"""Supervised child processes: started in their own process group, restarted with back-off, ended gracefully.

A child is not restarted if its error needs a person (exit code USER_ERROR) or if it keeps dying: `check` then raises a
VantageError with the child's last message.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Mapping, Optional, Sequence

from protocol.errors import VantageError
from protocol.run.exits import TRY_AGAIN, USER_ERROR

MAX_QUICK_DEATHS = 5  # in a row
STEADY_S = 30.0  # a child that lived longer starts a new count
BACKOFF_S = 0.5  # doubles with each quick death
BACKOFF_MAX_S = 15.0
_MESSAGE = re.compile(r"(sim-server|curriculum|learner): ")  # the prefix that protocol/run/exits.py writes
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Child:
    """One supervised process; its stdout and stderr are appended to `console`."""

    def __init__(
        self, name: str, command: Sequence[str], console: Path, environment: Optional[Mapping[str, str]] = None
    ) -> None:
        self.name = name
        self.command = list(command)
        self.console = console
        self.environment = {**os.environ, **(environment or {})}
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._started = 0.0
        self._quick_deaths = 0
        self._restart_at = 0.0
        self._console_start = 0  # offset of the current process's output

    @property
    def pid(self) -> int:
        """0 if it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        self.console.parent.mkdir(parents=True, exist_ok=True)
        with open(self.console, "ab") as output:
            self._console_start = output.tell()
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                preexec_fn=partial(_die_with, os.getpid()),
            )
        self._started = time.monotonic()

    def check(self) -> Optional[str]:
        """Restart the child if it died and its back-off is over; returns a line for the terminal if anything happened.

        Raises VantageError if restarting cannot help.
        """
        if self._process is None:
            if time.monotonic() < self._restart_at:
                return None
            self.start()
            return f"{self.name} is back (pid {self.pid})"
        code = self._process.poll()
        if code is None:
            return None
        self._kill_group()
        self._process = None
        if code == USER_ERROR:
            raise VantageError("bad_request", f"{self.name}: {self.last_message() or 'it exited without a message.'}")
        self._quick_deaths = 1 if time.monotonic() - self._started > STEADY_S else self._quick_deaths + 1
        if self._quick_deaths >= MAX_QUICK_DEATHS:
            message = self.last_message()
            raise VantageError(
                "internal",
                f"{self.name} died {self._quick_deaths} times in a row ({_how(code)})"
                f"{': ' + message if message else ''}; read {self.console} and start again to resume.",
            )
        wait_s = min(BACKOFF_S * 2 ** (self._quick_deaths - 1), BACKOFF_MAX_S)
        self._restart_at = time.monotonic() + wait_s
        return f"{self.name} died ({_how(code)}); restarting in {wait_s:.1f} s"

    def terminate(self) -> None:
        """Send SIGTERM to the child, which ends its own children."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self, grace_s: float) -> None:
        """Send SIGTERM to the child, and SIGKILL to its process group once it has exited or `grace_s` is over."""
        self.terminate()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        self._kill_group()

    def wait(self, timeout_s: float) -> bool:
        """True if it exits by itself within `timeout_s`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process is not None:
                self._process.wait(timeout_s)
            return True
        return False

    def last_message(self) -> str:
        """The trailing lines of its output that begin with a command's name, else the last line."""
        try:
            with open(self.console, "rb") as file:
                file.seek(max(self._console_start, os.path.getsize(self.console) - 4096))
                lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        except FileNotFoundError:
            return ""
        messages = [line.partition(": ")[2] for line in takewhile(_MESSAGE.match, reversed(lines))]
        return " ".join(dict.fromkeys(reversed(messages))) or (lines[-1] if lines else "")

    def _kill_group(self) -> None:
        """Kill the processes that the child left behind, such as the workers of a killed simulator service."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def drain(children: Sequence[Child], grace_s: float) -> None:
    """Stop the first child, which depends on the others, then the others together; each has `grace_s` to exit."""
    if children:
        children[0].stop(grace_s)
    for child in children[1:]:
        child.terminate()
    for child in children[1:]:
        child.stop(grace_s)


def _die_with(supervisor: int) -> None:
    """In the child: receive SIGTERM when the supervisor dies, so that a killed supervisor leaves no process behind.

    The kernel sends the signal when the thread that forked ends, here the supervisor's main thread.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # it died before prctl was called
        os._exit(TRY_AGAIN)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
