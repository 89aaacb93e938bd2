from __future__ import annotations

import json
import logging
import socket
import urllib.request

import pytest

from protocol.run.stall import ATTEMPTS, Stalls, stalls_in
from protocol.run.telemetry import Telemetry

MISSING, ADVICE = "questions from the simulator", "See `sim-server status`."


def fail(stalls: Stalls, times: int) -> None:
    for number in range(times):
        stalls.failed(MISSING, f"error {number}.", ADVICE)


def test_attempts_in_a_row_make_a_stall_and_one_success_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    stalls = Stalls("learner")
    fail(stalls, ATTEMPTS - 1)
    stalls.progressed(MISSING)
    fail(stalls, ATTEMPTS - 1)
    assert not stalls.current
    with caplog.at_level(logging.WARNING):
        fail(stalls, 1)
        fail(stalls, 1)
    (stall,) = stalls.current
    assert stall.attempts == ATTEMPTS + 1
    assert stall.sentence.startswith(f"no {MISSING} since ")
    assert stall.sentence.endswith(f": {ATTEMPTS + 1} attempts failed, the last one with: error 0. {ADVICE}")
    assert len(caplog.records) == 1, "a stall is logged once"
    stalls.progressed(MISSING)
    assert not stalls.current
    assert "makes progress again" in caplog.records[-1].message


def test_kinds_of_attempts_are_counted_apart() -> None:
    stalls = Stalls("learner")
    for _ in range(ATTEMPTS):
        stalls.failed("specs", "", ADVICE)
        stalls.failed(MISSING, "", ADVICE)
        stalls.progressed(MISSING)
    assert [stall.missing for stall in stalls.current] == ["specs"]


def test_a_stall_is_in_the_status_and_in_health() -> None:
    stalls = Stalls("sim")
    fail(stalls, ATTEMPTS)
    assert stalls_in({"stalls": stalls.reports()}) == stalls.current
    assert stalls_in({}) == stalls_in({"stalls": [3, {}]}) == []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Telemetry("sim", port) as telemetry:
        telemetry.update({}, stalls.reports())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.status == 200
            assert json.load(answer)["stalls"][0]["missing"] == MISSING
