"""Prometheus /metrics and /health of one process, on loopback only and only when a port is configured.

    with Telemetry("sim", port) as telemetry:
        telemetry.update({"queued": 3, "served_total": 1000})

The process pushes its values; a scrape never touches the state of the process.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterable, Mapping, Optional, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from protocol.errors import VantageError

STALE_AFTER_S = 30.0


class Telemetry:
    """Stores the latest values and serves them. With port 0 nothing is served.

    A name ending in `_total` is a counter, any other a gauge; all are prefixed with `vantage_<process>_`.
    /health answers 200 while `update` was called within the last 30 s, else 503. It lists the stalls of the process
    (protocol/run/stall.py), which do not change its code: a restart would not help.
    """

    def __init__(self, process: str, port: int) -> None:
        """Raises VantageError("conflict") if the port is in use."""
        self.process = process
        self._values: Mapping[str, float] = {}
        self.stalls: Sequence[Mapping[str, Any]] = ()
        self._updated_s = time.monotonic()
        self._server: Optional[ThreadingHTTPServer] = None
        if port:
            registry = CollectorRegistry()
            registry.register(self)
            try:
                self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self, registry))
            except OSError as error:
                raise VantageError(
                    "conflict",
                    f"metrics_port {port} of {process} cannot be used ({error.strerror}); choose another or 0.",
                ) from None
            threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True).start()

    def update(self, values: Mapping[str, float], stalls: Sequence[Mapping[str, Any]] = ()) -> None:
        """`stalls` are those of protocol.run.stall.Stalls.reports."""
        self._values = dict(values)
        self.stalls = stalls
        self._updated_s = time.monotonic()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Telemetry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._updated_s

    def collect(self) -> Iterable[Metric]:
        """Called by prometheus_client for each scrape."""
        for name, value in self._values.items():
            is_counter = name.endswith("_total")
            family = CounterMetricFamily if is_counter else GaugeMetricFamily
            full_name = f"vantage_{self.process}_{name}"
            yield family(full_name, f"{name.replace('_', ' ')} of {self.process}", value=float(value))


def _handler(telemetry: Telemetry, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(registry))
            elif self.path == "/health":
                age_s = telemetry.age_s
                health = {"process": telemetry.process, "age_s": round(age_s, 3), "stalls": telemetry.stalls}
                body = json.dumps(health).encode()
                self._answer(200 if age_s < STALE_AFTER_S else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"try /metrics or /health\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Scrapes are not worth a log line."""

    return Handler
