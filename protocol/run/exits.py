"""How a command ends: one sentence on stderr and an exit code that says whether starting it again can help."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Callable

from protocol.errors import VantageError

USER_ERROR = 2  # a mistake that a person must put right; a supervisor does not restart
TRY_AGAIN = 75  # sysexits' EX_TEMPFAIL: busy, unavailable, timeout, draining


def run_command(command: Callable[[], object], name: str) -> None:
    """Run a command (a Typer app) to its end; a VantageError becomes its sentence and an exit code."""
    try:
        command()
    except VantageError as error:
        print(f"{name}: {error.message}", file=sys.stderr, flush=True)
        sys.exit(TRY_AGAIN if error.retryable else USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(130)


def stop_on_signals() -> threading.Event:
    """Set by SIGTERM or Ctrl-C, for a process that then finishes what it does."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
