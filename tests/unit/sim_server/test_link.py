"""A worker's link to the broker, where there is none."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Callable

import pytest
import zmq

from protocol.wire.codec import encode
from protocol.wire.endpoint import Endpoint, lookup
from protocol.wire.messages import Done, GetSimStatus, Ready, Welcome
from sim_server.service.link import Link

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        (lambda run: lookup(run, "sim-workers"), "sim-workers of run .* is not running"),
        (lambda _: Endpoint("tcp://127.0.0.1:1"), "tcp://127.0.0.1:1: no process listens there"),
        (lambda run: Endpoint("tcp://127.0.0.1:1", "k" * 40, str(run)), "client.json cannot be read"),
    ],
)
def test_a_worker_that_finds_no_broker_says_why_and_can_still_leave(
    endpoint: Callable[[Path], Endpoint],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("sim_server.service.link.FIRST_WARNING_S", 0.0)
    link = Link(lambda: endpoint(tmp_path), Ready("w", "rooms", "digest", 1), 2.5, 300.0)
    thread = threading.Thread(target=lambda: list(link.tasks()))
    thread.start()
    end = time.monotonic() + 20
    while not caplog.records:
        assert time.monotonic() < end
        time.sleep(0.01)
    link.leave()
    thread.join(20)
    assert not thread.is_alive()
    assert re.search(f"has not joined a broker yet and keeps trying: .*{reason}", caplog.text)


def test_a_worker_whose_broker_went_away_leaves_with_an_answer_that_nobody_takes() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as broker:
        port = broker.bind_to_random_port("tcp://127.0.0.1")
        link = Link(lambda: Endpoint(f"tcp://127.0.0.1:{port}"), Ready("w", "rooms", "digest", 1), 2.5, 300.0)

        def work() -> None:
            for task in link.tasks():
                broker.close(linger=0)
                time.sleep(0.5)  # the link notices
                link.answer(encode(task.request_id, Done()))
                link.leave()

        thread = threading.Thread(target=work)
        thread.start()
        identity = broker.recv_multipart()[0]
        broker.send_multipart([identity, *encode(b"", Welcome("sim", 1, 0, "run"))])
        broker.send_multipart([identity, *encode(b"task", GetSimStatus())])
        thread.join(20)
        assert not thread.is_alive()
