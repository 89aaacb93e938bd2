"""Supervised child processes: started in their own process group, restarted with back-off, ended gracefully.

A child is not restarted if its error needs a person (exit code USER_ERROR), or if it keeps dying while the run makes no
progress: `check` then raises a VantageError with the child's last message. While the disk is full, it waits for space.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

from protocol.errors import VantageError
from protocol.run.directory import disk_guard
from protocol.run.exits import DISK_FULL, TRY_AGAIN, USER_ERROR
from protocol.run.files import make_folder, open_regular

MAX_DEATHS = 5  # without progress of the run between them
BACKOFF_S = 0.5  # doubles with each such death
BACKOFF_MAX_S = 15.0
LEAST_FREE_BYTES = 4 * 2**20  # with less, a process that died is taken to have run out of space
QUOTA_RETRY_S = 5.0  # a quota does not show in the free space
SUPERVISED = "VANTAGE_SUPERVISED"  # in the environment of a child: the path of its run
_MESSAGE = re.compile(r"(sim-server|curriculum|proposer|learner|tracker): ")  # as protocol/run/exits.py writes it
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Child:
    """One supervised process; its stdout and stderr are appended to `console`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        console: Path,
        environment: Optional[Mapping[str, str]] = None,
        progress: Callable[[], int] = lambda: 0,
        optional: bool = False,
    ) -> None:
        """`progress` returns a number that grows as the run gets ahead; more of it starts a new count of deaths.

        The run goes on without an `optional` child that cannot be kept alive.
        """
        self.name = name
        self.optional = optional
        self.command = list(command)
        self.console = console
        self.environment = {**os.environ, **(environment or {})}
        self._progress = progress
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._terminated = False
        self._deaths = 0
        self._progress_before = 0
        self._restart_at = 0.0
        self.problem = ""  # why it is not restarted at the moment
        self._console_start = 0  # offset of the current process's output

    @property
    def pid(self) -> int:
        """0 if it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        """Raises VantageError("bad_request") if its output cannot be written."""
        with disk_guard(self.console):
            make_folder(self.console.parent)
            descriptor = open_regular(self.console, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with open(descriptor, "ab") as output:
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
        self._terminated = False

    def check(self) -> Optional[str]:
        """Restart the child if it died and its back-off is over; returns a line for the terminal if anything happened.

        Raises VantageError if restarting cannot help.
        """
        if self._process is None:
            if time.monotonic() < self._restart_at or (self.problem and _is_full(self.console.parent)):
                return None
            self.problem = ""
            self.start()
            return f"{self.name} is back (pid {self.pid})"
        code = self._process.poll()
        if code is None:
            return None
        self._kill_group()
        self._process = None
        message = self.last_message()
        if code == DISK_FULL or _is_full(self.console.parent):
            self.problem = f"{self.name} waits for space: the disk is full at {self.console.parent}; free some."
            self._restart_at = time.monotonic() + (QUOTA_RETRY_S if code == DISK_FULL else 0.0)
            return self.problem
        if code == USER_ERROR:
            raise VantageError("bad_request", f"{self.name}: {message or 'it exited without a message.'}")
        progress = self._progress()
        if progress > self._progress_before:
            self._deaths, self._progress_before = 0, progress
        self._deaths += 1
        because = f": {message}" if message and code != -signal.SIGKILL else ""
        if self._deaths >= MAX_DEATHS:
            raise VantageError(
                "internal",
                f"{self.name} died {self._deaths} times without progress ({_how(code)}){because}; "
                f"read {self.console} and start again to resume.",
            )
        wait_s = min(BACKOFF_S * 2 ** (self._deaths - 1), BACKOFF_MAX_S)
        self._restart_at = time.monotonic() + wait_s
        return f"{self.name} died ({_how(code)}){because}; restarting in {wait_s:.1f} s"

    def terminate(self) -> None:
        """Send SIGTERM to the child, once; it ends its own children."""
        if self._process is not None and self._process.poll() is None and not self._terminated:
            self._terminated = True
            self._process.terminate()

    def kill(self) -> None:
        """Kill the child and its process group immediately."""
        self._kill_group()

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
                text = file.read().decode(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        lines = [line for line in map(_printable, text.splitlines()) if line]
        messages = [line.partition(": ")[2] for line in takewhile(_MESSAGE.match, reversed(lines))]
        return " ".join(dict.fromkeys(reversed(messages))) or (lines[-1] if lines else "")

    def _kill_group(self) -> None:
        """Kill the processes that the child left behind, such as the workers of a killed simulator service."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def end_leftovers(run_path: Path, names: Sequence[str], grace_s: float) -> list[str]:
    """End the children that a killed supervisor of this run left; returns a line for the terminal for each.

    The caller holds the lock of the supervisor. A process that a person started by hand carries no mark and is left
    alone, as is one on another host.
    """
    notes = []
    for name in names:
        pid = _holder(run_path / "locks" / f"{name}.lock")
        if not pid or not _is_marked(pid, run_path):
            continue
        notes.append(f"ending the {name} of an earlier start (pid {pid})")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            end_s = time.monotonic() + grace_s
            while _is_marked(pid, run_path):
                if time.monotonic() > end_s:
                    os.killpg(os.getpgid(pid), signal.SIGKILL)
                    break
                time.sleep(0.1)
    return notes


def _holder(lock: Path) -> int:
    """The pid in a lock file that a process holds, else 0."""
    try:
        with open(lock, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read(32))
    except (OSError, ValueError):
        pass
    return 0


def _is_marked(pid: int, run_path: Path) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and f"{SUPERVISED}={run_path}".encode() in environment


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


def _printable(line: str) -> str:
    """The line without control characters, which could change the terminal."""
    return "".join(character for character in line if character.isprintable()).strip()


def _is_full(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < LEAST_FREE_BYTES
    return False


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
