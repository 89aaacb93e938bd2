"""Child processes: start, replacement with back-off, leash."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from protocol.errors import VantageError
from protocol.run.exits import USER_ERROR
from sim_server.service.fleet import STEADY_S, SUSPECTED_S, Fleet

pytestmark = pytest.mark.timeout(60)

WAIT = "import sys; sys.stdin.read()"  # ends with its standard input, like a worker on a leash


def fleet_of(code: str, size: int = 1, started=None) -> Fleet:
    def command(worker_id: str):
        if started is not None:
            started.append(worker_id)
        return [sys.executable, "-c", code]

    return Fleet(size, "toy", command, backoff_s=1.0, backoff_max_s=3.0)


def await_death(fleet: Fleet, now_s: float) -> list[str]:
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s:
        dead = fleet.tick(now_s)
        if dead:
            return dead
        time.sleep(0.02)
    raise AssertionError("no child died")


def test_children_have_distinct_names_and_end_with_their_leash():
    started: list[str] = []
    fleet = fleet_of(WAIT, size=2, started=started)
    assert fleet.tick(0.0) == [] and started == ["toy-0.1", "toy-1.1"]
    began_s = time.monotonic()
    fleet.stop(grace_s=20.0)
    assert time.monotonic() - began_s < 15.0


def test_a_child_that_keeps_dying_early_is_replaced_with_growing_delays():
    started: list[str] = []
    fleet = fleet_of("raise SystemExit(1)", started=started)
    fleet.tick(0.0)
    assert await_death(fleet, 0.0) == ["toy-0.1"]
    assert started[1:] == ["toy-0.2"]  # immediately the first time
    assert await_death(fleet, 0.0) == ["toy-0.2"]
    fleet.tick(0.9)
    assert len(started) == 2
    fleet.tick(1.0)
    assert await_death(fleet, 1.0) == ["toy-0.3"]
    fleet.tick(2.9)
    assert len(started) == 3
    fleet.tick(3.0)
    assert len(started) == 4
    fleet.stop()


def test_a_long_lived_child_is_replaced_immediately():
    started: list[str] = []
    fleet = fleet_of(WAIT, started=started)
    fleet.tick(0.0)
    for life in range(1, 4):
        fleet.suspect(f"toy-0.{life}", 0.0)
        await_death(fleet, life * (STEADY_S + SUSPECTED_S))
        assert started[-1] == f"toy-0.{life + 1}"
    fleet.stop()


def test_a_retired_child_is_not_replaced():
    started: list[str] = []
    fleet = fleet_of(WAIT, started=started)
    fleet.tick(0.0)
    fleet.retire("toy-0.1")
    fleet.suspect("toy-0.1", 0.0)
    await_death(fleet, 100.0)
    fleet.tick(200.0)
    assert started == ["toy-0.1"]


def test_a_silent_child_gets_time_to_recover_unless_it_is_stopped(tmp_path):
    fleet = fleet_of(f"import os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); {WAIT}")
    fleet.tick(0.0)
    fleet.suspect("toy-0.1", 0.0)
    assert fleet.tick(SUSPECTED_S - 1) == []
    fleet.trust("toy-0.1")
    assert fleet.tick(SUSPECTED_S + 1) == []
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGSTOP)
    fleet.suspect("toy-0.1", 20.0)
    assert await_death(fleet, 20.0) == ["toy-0.1"]
    fleet.stop()


def test_a_child_that_can_never_start_ends_the_fleet_with_a_reason():
    fleet = fleet_of(f"raise SystemExit({USER_ERROR})")
    fleet.tick(0.0)
    with pytest.raises(VantageError, match="toy-0.1") as caught:
        await_death(fleet, 0.0)
    assert caught.value.code == "backend_missing"
