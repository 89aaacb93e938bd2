"""A worker's link to the broker, where there is none."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Callable

import pytest

from protocol.endpoint import Endpoint, lookup
from protocol.messages import Ready
from sim_server.link import Link

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        (lambda run: lookup(run, "sim-workers"), "sim-workers of run .* is not up"),
        (lambda _: Endpoint("tcp://127.0.0.1:1"), "tcp://127.0.0.1:1: nobody listens there"),
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
    monkeypatch.setattr("sim_server.link.FIRST_WORD_S", 0.0)
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
    assert re.search(f"has not joined yet and goes on trying: .*{reason}", caplog.text)
