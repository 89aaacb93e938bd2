"""Kills of a real curriculum process: no acknowledged report is lost or counted twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from curriculum.record.load import load_state
from curriculum.record.state import encode_state
from curriculum.record.store import FILE_NAME, Store
from curriculum.settings import Estimation
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import (
    CurriculumStatus,
    GetCurriculumStatus,
    LeaseSpecs,
    ReportsCounted,
    SendReports,
    SpecBatch,
)
from tests.support.curriculum import report_on

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def run(tmp_path) -> RunDir:
    return RunDir.create(tmp_path / "run", {"run": {"seed": 11}})


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def client(run) -> Iterator[Client]:
    with Client(partial(lookup, run.path, "curriculum"), "test", liveness_s=2.0, resend_s=0.5) as client:
        yield client


def serve(run: RunDir) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "curriculum.cli", "serve", str(run.path)], cwd=ROOT)


class Learner:
    """Leases and reports continuously, and records acknowledged reports."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self.leased: list[str] = []
        self.acknowledged: list[str] = []
        self.duplicates: list[str] = []
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                batch = self._client.request(LeaseSpecs("test", 8, 1), deadline_s=60.0).message
                assert isinstance(batch, SpecBatch)
                self.leased += [leased.lease_id for leased in batch.specs]
                reports = tuple(report_on(leased) for leased in batch.specs)
                counted = self._client.request(SendReports(reports), deadline_s=60.0).message
                assert isinstance(counted, ReportsCounted)
                self.acknowledged += counted.counted
                self.duplicates += counted.duplicates
        except BaseException as error:
            self._error = error

    def wait_for_more(self, timeout_s: float = 60.0) -> None:
        """Wait until another batch of reports is acknowledged."""
        known, end = len(self.acknowledged), time.monotonic() + timeout_s
        while len(self.acknowledged) == known and self._error is None:
            assert time.monotonic() < end, "no report was acknowledged"
            time.sleep(0.02)

    def __enter__(self) -> Learner:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error


def test_kills_at_random_moments_lose_and_duplicate_nothing(run, client, processes):
    rng = random.Random(0)
    with Learner(client) as learner:
        for _ in range(4):
            processes.append(serve(run))
            learner.wait_for_more()
            time.sleep(rng.uniform(0.0, 0.3))
            processes[-1].kill()
            processes[-1].wait()
        processes.append(serve(run))
        learner.wait_for_more()
    assert not learner.duplicates, "the same request gets its first answer"
    assert len(set(learner.leased)) == len(learner.leased), "no spec was leased twice"
    status = client.request(GetCurriculumStatus()).message
    assert isinstance(status, CurriculumStatus)
    assert status.counted == len(learner.acknowledged) == len(set(learner.acknowledged))
    assert (status.issued, status.leased) == (len(learner.leased), 0)
    check_database(run, learner.acknowledged)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("commits", [1, 2], ids=["lease", "reports"])
def test_a_kill_before_or_after_the_commit(run, client, processes, moment, commits):
    dying = [sys.executable, "-m", "tests.support.curriculum_dies", str(run.path), str(commits), moment]
    processes.append(subprocess.Popen(dying, cwd=ROOT))
    with Learner(client) as learner:
        assert processes[-1].wait(60) == -9
        processes.append(serve(run))
        learner.wait_for_more()
        learner.wait_for_more()
    assert not learner.duplicates
    assert len(set(learner.leased)) == len(learner.leased)
    check_database(run, learner.acknowledged)


def test_a_second_curriculum_is_rejected_and_the_first_continues(run, client, processes):
    processes.append(serve(run))
    client.request(GetCurriculumStatus(), deadline_s=60.0)
    second = subprocess.run(
        [sys.executable, "-m", "curriculum.cli", "serve", str(run.path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert second.returncode == 2
    assert "another curriculum" in second.stderr and second.stderr.count("\n") == 1
    assert isinstance(client.request(LeaseSpecs("test", 1, 1)).message, SpecBatch)


def test_sigterm_ends_the_process_cleanly(run, client, processes):
    processes.append(serve(run))
    client.request(LeaseSpecs("test", 4, 1), deadline_s=60.0)
    processes[-1].terminate()
    assert processes[-1].wait(30) == 0


def test_an_invalid_request_gets_an_error(run, client, processes):
    processes.append(serve(run))
    with pytest.raises(VantageError, match="ask for 1 to"):
        client.request(LeaseSpecs("test", 0, 1), deadline_s=60.0)


def check_database(run: RunDir, acknowledged: list[str]) -> None:
    with closing(Store(run.path / FILE_NAME, run.seed, read_only=True)) as store:
        assert all(store.is_counted(report_id) for report_id in acknowledged)
        state, _ = load_state(store, Estimation(), from_snapshot=False)
        assert state.counted == len(acknowledged)
        assert encode_state(load_state(store, Estimation())[0]) == encode_state(state)
