"""Exit codes and messages of commands."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from protocol.errors import VantageError
from protocol.run.exits import DISK_FULL, TRY_AGAIN, USER_ERROR, run_command


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
