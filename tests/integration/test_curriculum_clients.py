"""Several clients of one curriculum."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from curriculum.service import serve
from protocol.run.directory import RunDir
from protocol.wire.client import Client
from protocol.wire.codec import decode, encode
from protocol.wire.endpoint import lookup
from protocol.wire.messages import ConfidenceReport, GetCurriculumStatus, LeaseSpecs, SendReports
from tests.support.curriculum import report_on
from tests.support.wire import raw_dealer, wait_for

pytestmark = pytest.mark.timeout(60)


@contextmanager
def served(run: RunDir) -> Iterator[RunDir]:
    stop = threading.Event()
    thread = threading.Thread(target=serve, args=(run, stop))
    thread.start()
    try:
        wait_for(lambda: (run.path / "endpoints" / "curriculum.json").exists())
        yield run
    finally:
        stop.set()
        thread.join()


def test_equal_request_ids_of_two_clients_are_two_leases(tmp_path):
    """Ids are chosen by the clients: each gets specs of its own, and the reports of both count."""
    with served(RunDir.create(tmp_path / "run", {})) as run:
        leased, counted = [], []
        for name in ("one", "two"):
            with raw_dealer(lookup(run.path, "curriculum"), name) as socket:
                socket.send_multipart(encode(b"1", LeaseSpecs("learner", 2, 0)))
                specs = decode(socket.recv_multipart()).message.specs
                leased += [one.spec.spec_id for one in specs]
                reports = tuple(
                    ConfidenceReport(
                        f"{name}-{index}", one.spec.spec_id, one.lease_id, 0, "broken",
                        one.spec.question.skill, one.spec.question.level,
                    )
                    for index, one in enumerate(specs)
                )  # fmt: skip
                socket.send_multipart(encode(b"2", SendReports(reports)))
                counted += decode(socket.recv_multipart()).message.counted
        assert len(set(leased)) == 4 and len(set(counted)) == 4


def client(run: RunDir, name: str) -> Client:
    return Client(lambda: lookup(run.path, "curriculum"), name)


def test_learners_of_one_run_get_distinct_specs_and_all_reports_count(tmp_path):
    """Two learners ask and report at the same time; a third one dies, and its specs go to the others."""
    answered: dict[str, list[str]] = {"one": [], "two": []}

    def learn(run: RunDir, name: str, rounds: int) -> None:
        with client(run, name) as curriculum:
            for _ in range(rounds):
                batch = curriculum.request(LeaseSpecs(name, 8, 0), deadline_s=20).message
                reports = tuple(report_on(leased) for leased in batch.specs)
                assert len(curriculum.request(SendReports(reports), deadline_s=20).message.counted) == 8
                answered[name] += [leased.spec.spec_id for leased in batch.specs]

    with served(RunDir.create(tmp_path / "run", {})) as run:
        with client(run, "dead") as dead:
            lost = dead.request(LeaseSpecs("dead", 4, 0, lease_s=1.0), deadline_s=20).message.specs
        learners = [threading.Thread(target=learn, args=(run, name, 6)) for name in answered]
        for thread in learners:
            thread.start()
        for thread in learners:
            thread.join()
        time.sleep(1.0)
        learn(run, "one", 1)
        with client(run, "two") as curriculum:
            open_leases = curriculum.request(LeaseSpecs("two", 3, 0), deadline_s=20).message.specs
            late = curriculum.request(SendReports((report_on(lost[0]),)), deadline_s=20).message
            status = curriculum.request(GetCurriculumStatus(), deadline_s=20).message
    specs = answered["one"] + answered["two"]
    assert len(specs) == len(set(specs)) == 8 * 13, "no spec was answered twice"
    assert {leased.spec.spec_id for leased in lost} <= set(specs), "expired leases go to the other learners"
    assert late.duplicates == (report_on(lost[0]).report_id,), "and count once"
    assert (status.counted, status.leased, status.learners) == (8 * 13, 3, {"two": 3})
    assert not {leased.spec.spec_id for leased in open_leases} & set(specs)
    assert Path(run.path / "curriculum.snapshot").exists()
