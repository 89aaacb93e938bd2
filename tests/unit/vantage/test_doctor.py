"""`vantage doctor` with stand-ins for the probes of large libraries."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from sim_server.backends.registry import BACKENDS
from vantage import doctor
from vantage.cli import app


@pytest.fixture(autouse=True)
def probes(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "import sys; print('loading'); sys.exit('ModuleNotFoundError: no such library')"
    monkeypatch.setattr(doctor, "_PROBES", {"transformers": "print('CUDA 13.0')", "vllm": failing, "habitat": failing})


def test_what_works_and_what_is_missing_is_shown() -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    for line in (
        "rooms: works (renderer rooms-",
        "habitat: does not work (ModuleNotFoundError: no such library)",
        "install: conda create",
        "transformers: works (CUDA 13.0)",
        "vllm: does not work",
        "install: launch/env.sh --vllm",
        "ready: vantage run",
    ):
        assert line in result.output, line


def test_without_the_learner_the_simulator_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor._PROBES, "transformers", "raise ImportError('no torch')")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    assert "install: launch/env.sh\n" in result.output and "ready: sim-server render" in result.output


def test_the_exit_code_is_1_if_no_simulator_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BACKENDS, "targets", lambda: {"broken": "no_such_module:Backend", "habitat": "x:y"})
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "broken: does not work" in result.output and "nothing can run" in result.output
