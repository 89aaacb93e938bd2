"""Measures bandwidth and latency of the wire without a renderer. Aim: 640 x 480 RGB + depth + ids at 1 GB/s on ipc.

    python -m benchmarks.wire

    status       one small request at a time, answered by the broker itself
    observe      one 256 x 256 view at a time from a worker whose simulator only fills an array (tests/support)
    direct       640 x 480 views with depth and ids from a service in another process
    broker       the same from a worker through the broker, so every byte crosses two sockets

Every figure is the median and the best of several rounds, since the machine may be shared; run it as
`chrt -r 1 python -m benchmarks.wire` (as root) to give it priority for half a minute.
Writes benchmarks/results/wire.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.machine import describe_load, describe_machine
from protocol.run.directory import RunDir
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.tasks.task import View
from protocol.wire.client import Client
from protocol.wire.codec import ArraySink
from protocol.wire.endpoint import Endpoint, lookup
from protocol.wire.messages import GetSimStatus, Observation, Observe
from protocol.wire.service import Service

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).parent / "results" / "wire.json"
POSE = Pose((2.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0))
VGA = Observe(SceneSpec(seed=1), Camera(640, 480), POSE, sensors=("rgb", "depth", "ids"))
SMALL = Observe(SceneSpec(seed=1), Camera(256, 256), POSE)
ROUNDS = 9
IN_FLIGHT = 4


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="vantage-wire-") as folder:
        with _broker(Path(folder) / "run") as client:
            figures: dict[str, Any] = {
                "status": _latency(client, GetSimStatus(), 200),
                "observe": _latency(client, SMALL, 100),
                "broker": _bandwidth(client, 60),
            }
        with _direct(Endpoint(f"ipc://{folder}/direct.sock")) as client:
            figures["direct"] = _bandwidth(client, 120)
    for name, row in figures.items():
        print(f"{name:10}", "  ".join(f"{key} {value}" for key, value in row.items()))
    result = {"machine": describe_machine(), "load": describe_load(), "rounds": ROUNDS, "figures": figures}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def _rounds(measure: Callable[[], float]) -> list[float]:
    measure()  # warm up: one-time costs such as the first use of memory
    return [measure() for _ in range(ROUNDS)]


def _latency(client: Client, message: msgspec.Struct, count: int) -> dict[str, float]:
    def median_ms() -> float:
        times = []
        for _ in range(count):
            started_s = time.perf_counter()
            client.request(message)
            times.append(1000 * (time.perf_counter() - started_s))
        return statistics.median(times)

    medians = _rounds(median_ms)
    return {"p50_ms": round(statistics.median(medians), 3), "p50_ms_quietest_round": round(min(medians), 3)}


def _bandwidth(client: Client, count: int) -> dict[str, float]:
    def gb_per_s() -> float:
        received, waiting = 0, deque()
        started_s = time.perf_counter()
        for _ in range(count):
            if len(waiting) >= IN_FLIGHT:
                received += sum(blob.nbytes for blob in waiting.popleft().result().blobs)
            waiting.append(client.submit(VGA))
        received += sum(blob.nbytes for future in waiting for blob in future.result().blobs)
        return received / (time.perf_counter() - started_s) / 1e9

    rates = _rounds(gb_per_s)
    return {"gb_per_s": round(statistics.median(rates), 2), "gb_per_s_quietest_round": round(max(rates), 2)}


@contextmanager
def _broker(run_dir: Path) -> Iterator[Client]:
    """A broker with one worker of the toy simulator, and a client of it."""
    RunDir.create(run_dir, {"sim": {"backend": "toy", "credit": IN_FLIGHT}})
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support" / "third_party"))),
        "TOY_RENDER_S": "0",
        "TOY_OPEN_S": "0",
        "TOY_DEATHS": "0",
        "TOY_STATE": str(run_dir / "deaths"),
    }
    command = [sys.executable, "-m", "sim_server.cli", "serve", str(run_dir)]
    process = subprocess.Popen(command, env=environment)
    try:
        with Client(lambda: lookup(run_dir, "sim"), "bench") as client:
            while not client.request(GetSimStatus(), deadline_s=60.0).message.workers:
                time.sleep(0.05)
            yield client
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _direct(endpoint: Endpoint) -> Iterator[Client]:
    command = [sys.executable, "-m", "benchmarks.wire", "--serve", endpoint.address]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        with Client(endpoint, "bench") as client:
            client.request(VGA, deadline_s=60.0)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _serve(address: str) -> None:
    """Serve a service that answers every Observe with the same three arrays."""
    shape = (480, 640)
    arrays = (np.zeros((*shape, 3), np.uint8), np.ones(shape, np.float32), np.zeros(shape, np.int32))

    def observe(message: Observe, _request: object) -> tuple[Observation, list[Any]]:
        sink = ArraySink()
        rgb, depth, ids = map(sink.add, arrays)
        return Observation(View(message.pose, message.camera, rgb, depth, ids)), sink.blobs

    Service("wire", "bench", Endpoint(address), {Observe: observe}).serve(threading.Event())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", metavar="ADDRESS", help="run as the service (used by this script)")
    address = parser.parse_args().serve
    if address:
        _serve(address)
    else:
        main()
