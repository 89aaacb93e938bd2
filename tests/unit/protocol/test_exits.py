"""Exit codes and messages of commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from protocol.errors import VantageError
from protocol.run.exits import DISK_FULL, TRY_AGAIN, USER_ERROR, run_command, stop_on_signals


@pytest.mark.parametrize(
    ("code", "expected"), [("bad_config", USER_ERROR), ("disk_full", DISK_FULL), ("busy", TRY_AGAIN)]
)
def test_a_typed_error_prints_its_message_and_sets_the_exit_code(
    code: str, expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise VantageError(code, "do this instead.")

    with pytest.raises(SystemExit) as caught:
        run_command(command, "learner")
    assert caught.value.code == expected
    assert capsys.readouterr().err == "learner: do this instead.\n"


def test_other_exceptions_keep_their_traceback() -> None:
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(command, "learner")


def test_success_returns() -> None:
    run_command(lambda: None, "learner")


def test_characters_that_the_encoding_lacks_become_question_marks() -> None:
    program = "from protocol.run.exits import run_command\nrun_command(lambda: print('0.4 → 0.5'), 'vantage')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "0.4 ? 0.5\n"


STORM = """
import os, signal, sys, threading
from protocol.run.exits import stop_on_signals
stop = stop_on_signals()
print("up", flush=True)
while not stop.is_set():
    stop.wait(0.0001)
print("stopped", flush=True)
"""


def test_signals_may_interrupt_their_own_handler() -> None:
    """Many signals at once reach a process whose main thread uses the event all the time: it stops each time."""
    for _ in range(10):
        process = subprocess.Popen([sys.executable, "-c", STORM], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        for _ in range(200):
            process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10)[0] == "stopped\n"
        # A signal that arrives while the interpreter ends has its default effect.
        assert process.returncode in (0, -signal.SIGTERM)


def test_a_handler_that_interrupts_set_does_not_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler runs while the interrupted code holds the lock of the event."""
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    stop = stop_on_signals()
    done = threading.Event()

    def interrupted() -> None:
        with stop._cond:  # as in Event.set and Event.wait
            handlers[signal.SIGTERM](signal.SIGTERM, None)
            handlers[signal.SIGTERM](signal.SIGTERM, None)
        done.set()

    threading.Thread(target=interrupted, daemon=True).start()
    assert done.wait(5) and stop.wait(5)
