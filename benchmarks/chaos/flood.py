"""A good client beside one that floods the service: one client must not starve another."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import zmq

from benchmarks.chaos.frames import services, stranger
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.wire.client import Client
from protocol.wire.codec import encode
from protocol.wire.endpoint import lookup
from protocol.wire.messages import GetCurriculumStatus, Observe

LARGEST_RATIO = 5.0  # of the good client's median under the flood to its quiet one
REQUESTS = {
    "curriculum": (GetCurriculumStatus(), GetCurriculumStatus()),
    # The flood orders work, which fills the queue of the broker; the good client asks for one view at a time.
    "sim": (
        Observe(SceneSpec(seed=5), Camera(16, 16), Pose((2.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0))),
        Observe(SceneSpec(seed=5), Camera(16, 16), Pose((2.0, 1.5, 1.0), (1.0, 0.0, 0.0, 0.0))),
    ),
}


def flood(seconds: float) -> list[dict[str, Any]]:
    """Measure a good client for `seconds` beside nobody, and for as long beside a flood, on each service.

    Raises AssertionError if its median grows more than fivefold or a request of it fails.
    """
    with tempfile.TemporaryDirectory(prefix="vantage-chaos-") as folder:
        run_dir = Path(folder) / "run"
        with services(run_dir):
            return [_beside(run_dir, service, seconds) for service in REQUESTS]


def _beside(run_dir: Path, service: str, seconds: float) -> dict[str, Any]:
    good_request, _ = REQUESTS[service]
    with Client(lambda: lookup(run_dir, service), "good") as good:
        quiet = _round_trips(good, good_request, seconds)
        # In a process of its own, so that the good client does not wait for its own interpreter.
        command = [sys.executable, "-m", "benchmarks.chaos.flood", str(run_dir), service]
        attacker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(1.0)  # the queues are full by then
            loud = _round_trips(good, good_request, seconds)
        finally:
            sent, _ = attacker.communicate(timeout=60)  # it stops when its standard input ends
    row = {
        "service": service,
        "frames_of_the_flood": int(sent),
        "quiet_ms": _figures(quiet),
        "flooded_ms": _figures(loud),
        "ratio_of_medians": round(statistics.median(loud) / statistics.median(quiet), 2),
    }
    assert row["ratio_of_medians"] <= LARGEST_RATIO, row
    return row


def _round_trips(good: Client, message: msgspec.Struct, seconds: float) -> list[float]:
    times = []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        started_s = time.perf_counter()
        good.request(message, deadline_s=60.0)
        times.append(1e3 * (time.perf_counter() - started_s))
        time.sleep(0.01)
    return times


def _flood(run_dir: Path, service: str) -> int:
    """Send requests as fast as the service reads until standard input ends; returns their number."""
    _, message = REQUESTS[service]
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    sent = 0
    with zmq.Context() as context:
        bad = stranger(context, run_dir, service)
        bad.sndtimeo = 100
        while not stop.is_set():
            try:
                bad.send_multipart(encode(sent.to_bytes(16, "big"), message))
                sent += 1
            except zmq.Again:  # the service reads no faster
                pass
            while bad.poll(0):
                bad.recv_multipart()
        bad.close(linger=0)
    return sent


def _figures(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {"p50": round(statistics.median(ordered), 2), "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 2)}


if __name__ == "__main__":
    print(_flood(Path(sys.argv[1]), sys.argv[2]))
