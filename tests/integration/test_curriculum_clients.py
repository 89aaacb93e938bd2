"""Several clients of one curriculum."""

from __future__ import annotations

import threading

import pytest

from curriculum.service import serve
from protocol.run.directory import RunDir
from protocol.wire.codec import decode, encode
from protocol.wire.endpoint import lookup
from protocol.wire.messages import ConfidenceReport, LeaseSpecs, SendReports
from tests.support.wire import raw_dealer, wait_for

pytestmark = pytest.mark.timeout(60)


def test_equal_request_ids_of_two_clients_are_two_leases(tmp_path):
    """Ids are chosen by the clients: each gets specs of its own, and the reports of both count."""
    run = RunDir.create(tmp_path / "run", {})
    stop = threading.Event()
    thread = threading.Thread(target=serve, args=(run, stop))
    thread.start()
    try:
        wait_for(lambda: (run.path / "endpoints" / "curriculum.json").exists())
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
    finally:
        stop.set()
        thread.join()
