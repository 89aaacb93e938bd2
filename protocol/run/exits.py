"""Exit of commands: one sentence on stderr, and an exit code that tells a supervisor whether a restart can help."""

from __future__ import annotations

import _thread
import contextlib
import io
import signal
import sys
import threading
from typing import Callable

from protocol.errors import VantageError

USER_ERROR = 2  # a person must fix something; a supervisor does not restart
DISK_FULL = 74  # sysexits' EX_IOERR; a supervisor restarts once there is space
TRY_AGAIN = 75  # sysexits' EX_TEMPFAIL: busy, unavailable, timeout, draining

# Optional library -> the extra of this distribution that installs it.
_EXTRAS = {
    **dict.fromkeys(("accelerate", "datasets", "peft", "torch", "torchvision", "transformers", "trl"), "learner"),
    "av": "video",
    "pandas": "pandas",
    "pyarrow": "parquet",
}


def run_command(command: Callable[[], object], name: str) -> None:
    """Run a command (a Typer app); a VantageError or a missing optional library becomes one sentence and a code.

    Characters that the terminal's encoding lacks are printed as question marks.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        command()
    except VantageError as error:
        with contextlib.suppress(OSError):  # the disk that holds stderr may be full
            print(f"{name}: {error.message}", file=sys.stderr, flush=True)
        sys.exit(TRY_AGAIN if error.retryable else DISK_FULL if error.code == "disk_full" else USER_ERROR)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _EXTRAS:
            raise
        extra = f"pip install 'vantage-loop[{_EXTRAS[library]}]'"
        print(f"{name}: this command needs {library}; install it with {extra}.", file=sys.stderr, flush=True)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(130)


def stop_on_signals() -> threading.Event:
    """An event that the first SIGTERM or Ctrl-C sets, for a process that then finishes its current work.

    Further signals change nothing: a job script may forward a SIGTERM that the entire process group received.
    """
    stop = threading.Event()
    received = False

    def on_signal(*_: object) -> None:
        nonlocal received
        if not received:
            received = True
            set_from_handler(stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


def set_from_handler(event: threading.Event) -> None:
    """Set an event in a signal handler.

    The handler may have interrupted a method of the event, which holds its lock, so another thread must set it.
    """
    _thread.start_new_thread(event.set, ())
