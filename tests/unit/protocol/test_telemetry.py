"""Metrics and health of a process over HTTP."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request

import pytest

import protocol.run.telemetry
from protocol.errors import VantageError
from protocol.run.telemetry import Telemetry

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def get(port: int, path: str) -> str:
    return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read().decode()


def test_values_are_served_as_gauges_and_counters(port):
    with Telemetry("sim", port) as telemetry:
        telemetry.update({"queued": 3, "served_total": 1000})
        text = get(port, "/metrics")
    assert "\nvantage_sim_queued 3.0" in text
    assert "\nvantage_sim_served_total 1000.0" in text
    assert "# TYPE vantage_sim_served_total counter" in text


def test_health_fails_when_a_process_stops_updating(port, monkeypatch):
    with Telemetry("sim", port):
        assert json.loads(get(port, "/health"))["process"] == "sim"
        monkeypatch.setattr(protocol.run.telemetry, "STALE_AFTER_S", 0.0)
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(port, "/health")
    assert caught.value.code == 503


def test_the_server_listens_on_loopback_only(port):
    with Telemetry("sim", port) as telemetry:
        assert telemetry._server is not None and telemetry._server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_reported(port):
    with Telemetry("sim", port), pytest.raises(VantageError, match="metrics_port") as caught:
        Telemetry("other", port)
    assert caught.value.code == "conflict"


def test_port_zero_disables_the_server():
    with Telemetry("sim", 0) as telemetry:
        telemetry.update({"queued": 1})
        assert telemetry._server is None
