"""The processes behind a pool: joined if a run is served already, else started and ended with the pool."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from functools import partial
from typing import Optional

from launch.serve import LOCK
from protocol.errors import VantageError
from protocol.run.directory import RunDir, disk_guard
from protocol.run.files import make_folder
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import GetSimStatus, SimStatus

_ASK_S = 2.0
_END_S = 45.0  # for the services to drain


class Services:
    """The simulator and the curriculum of a run."""

    def __init__(self, run: RunDir) -> None:
        """Start them unless a process serves the run."""
        self._run = run
        self._log = run.logs / "serve" / "console.log"
        self._process: Optional[subprocess.Popen[bytes]] = None
        if not _is_served(run):
            make_folder(self._log.parent)
            with disk_guard(self._log), open(self._log, "ab") as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "launch.serve", str(run.path)],
                    stdin=subprocess.PIPE,  # the leash: it ends when this process does
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    def wait(self, wait_s: float) -> None:
        """Wait for a simulator worker. Raises VantageError("unavailable") if there is none within `wait_s`."""
        end = time.monotonic() + wait_s
        last = ""
        with Client(partial(lookup, self._run.path, "sim"), "trainer") as client:
            while True:
                self.check()
                try:
                    status = client.request(GetSimStatus(), deadline_s=_ASK_S).message
                    assert isinstance(status, SimStatus)
                    if status.workers:
                        return
                    last = status.stalls[0] if status.stalls else ""
                except VantageError as error:
                    if not error.retryable:
                        raise
                    last = error.message
                if time.monotonic() > end:
                    raise VantageError(
                        "unavailable",
                        f"no simulator worker joined run {self._run.name} within {wait_s:g} s"
                        f"{f' ({last.rstrip(chr(46))})' if last else ''}; start one with `sim-server worker --join "
                        f"{self._run.path}`, or set sim.workers to 1 or more.",
                    )
                time.sleep(0.1)

    def check(self) -> None:
        """Raises VantageError if the processes that were started here have ended."""
        if self._process is not None and self._process.poll() is not None:
            lines = self._log.read_text(errors="replace").splitlines()
            reason = lines[-1].removeprefix("serve: ") if lines else f"see {self._run.logs}."
            raise VantageError("internal", f"the services of run {self._run.name} ended: {reason}")

    def close(self) -> None:
        """End what was started here."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_served(run: RunDir) -> bool:
    try:
        with run.lock(LOCK), run.lock("sim"):
            return False
    except VantageError as error:
        if error.code != "conflict":
            raise
        return True
