"""Measures the overhead of the service over the raw backend on one scene: frames per second and latency.

    raw          render in this process, one view per call
    service      Observe through a broker and one worker process over ipc, with as many in flight as the worker's credit
    added p50    median of single Observe requests minus the median of raw renders; measured alternating, like a policy
                 that computes between two views, and back to back
    cpu          processor time per frame of the raw backend, the worker and the broker, hardly affected by other load

The two sides alternate in short rounds, so that other load on the machine affects both equally. Rates and latencies are
given over all rounds and for the quietest round of each side, which is the better measure on a shared machine, since
other load only adds time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import GetSimStatus, Observe
from sim_server.backends.base import Scene
from sim_server.backends.registry import make_backend
from sim_server.sensing.contact_sheet import overview_poses
from sim_server.settings import SimSettings

POSES = 16
START_S = 300.0  # the first start of a worker may compile kernels


def run_bench(settings: SimSettings, spec: SceneSpec, camera: Camera, rounds: int, frames: int) -> dict[str, Any]:
    """Results of `rounds` rounds of `frames` frames per side; rates are frames per second of wall-clock time."""
    scene = make_backend(settings.backend, settings).open(spec)
    poses = overview_poses(scene, camera, POSES)
    with tempfile.TemporaryDirectory(prefix="vantage-bench-") as folder:
        run = RunDir.create(Path(folder) / "run", {"sim": settings.model_dump(mode="json") | {"workers": 1}})
        with _service(run) as (client, broker_pid, worker_pid):
            asks = [Observe(spec, camera, pose) for pose in poses]
            raw_s, service_s = [], []
            raw_ms: list[list[float]] = []  # one list per round
            service_ms: list[list[float]] = []
            raw_at_once_ms: list[list[float]] = []
            at_once_ms: list[list[float]] = []
            raw_cpu_s = worker_cpu_s = broker_cpu_s = 0.0
            _raw_round(scene, camera, poses, POSES)
            # Warm up until the broker's reply cache is full: from then on it reuses memory, as in a long run.
            frame_bytes = 3 * camera.width_px * camera.height_px
            _service_round(client, asks, POSES + settings.reply_cache_bytes // frame_bytes, settings.credit)
            for _ in range(rounds):
                before_s = (_cpu_s(os.getpid()), _cpu_s(worker_pid), _cpu_s(broker_pid))
                raw_s.append(_raw_round(scene, camera, poses, frames))
                raw_cpu_s += _cpu_s(os.getpid()) - before_s[0]
                service_s.append(_service_round(client, asks, frames, settings.credit))
                worker_cpu_s += _cpu_s(worker_pid) - before_s[1]
                broker_cpu_s += _cpu_s(broker_pid) - before_s[2]
                raw_ms.append([])
                service_ms.append([])
                for index in range(frames // 2):
                    at = index % POSES
                    raw_ms[-1].append(_raw_ms(scene, camera, poses[at]))
                    service_ms[-1].append(_ask_ms(client, asks[at]))
                raw_at_once_ms.append([_raw_ms(scene, camera, poses[index % POSES]) for index in range(frames // 2)])
                at_once_ms.append([_ask_ms(client, asks[index % POSES]) for index in range(frames // 2)])
    overheads = [100 * (service / raw - 1) for raw, service in zip(raw_s, service_s)]
    raw_p50_ms, service_p50_ms, raw_at_once_p50_ms, at_once_p50_ms = (
        statistics.median(chain(*rounds)) for rounds in (raw_ms, service_ms, raw_at_once_ms, at_once_ms)
    )
    raw_quiet_ms, service_quiet_ms, raw_at_once_quiet_ms, at_once_quiet_ms = (
        min(map(statistics.median, rounds)) for rounds in (raw_ms, service_ms, raw_at_once_ms, at_once_ms)
    )
    return {
        "backend": settings.backend,
        "width_px": camera.width_px,
        "height_px": camera.height_px,
        "rounds": rounds,
        "frames_per_round": frames,
        "raw_frames_per_s": round(frames * rounds / sum(raw_s), 1),
        "service_frames_per_s": round(frames * rounds / sum(service_s), 1),
        "overhead_percent": round(100 * (sum(service_s) / sum(raw_s) - 1), 2),
        "overhead_percent_median_round": round(statistics.median(overheads), 2),
        "raw_cpu_ms": round(1000 * raw_cpu_s / (frames * rounds), 2),
        "worker_cpu_ms": round(1000 * worker_cpu_s / (frames * rounds), 2),
        "broker_cpu_ms": round(1000 * broker_cpu_s / (frames * rounds), 2),
        "raw_p50_ms": round(raw_p50_ms, 3),
        "service_p50_ms": round(service_p50_ms, 3),
        "added_p50_ms": round(service_p50_ms - raw_p50_ms, 3),
        "added_p50_at_once_ms": round(at_once_p50_ms - raw_at_once_p50_ms, 3),
        "quietest_overhead_percent": round(100 * (min(service_s) / min(raw_s) - 1), 2),
        "quietest_added_p50_ms": round(service_quiet_ms - raw_quiet_ms, 3),
        "quietest_added_p50_at_once_ms": round(at_once_quiet_ms - raw_at_once_quiet_ms, 3),
    }


@contextmanager
def _service(run: RunDir) -> Iterator[tuple[Client, int, int]]:
    """Start a broker with one worker; yield a client once the worker has joined, and the two process ids."""
    command = [sys.executable, "-m", "sim_server.cli", "serve", str(run.path)]
    process = subprocess.Popen(command)
    try:
        with Client(lambda: lookup(run.path, "sim"), "bench") as client:
            deadline_s = time.monotonic() + START_S
            while not client.request(GetSimStatus(), deadline_s=30.0).message.workers:
                if process.poll() is not None or time.monotonic() > deadline_s:
                    raise VantageError("unavailable", "the worker of the bench did not start; see its message above.")
                time.sleep(0.1)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield client, process.pid, int(children[0])
    finally:
        process.terminate()
        process.wait(30)


def _cpu_s(pid: int) -> float:
    """Processor time (user and system) of a process in seconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _raw_round(scene: Scene, camera: Camera, poses: tuple[Pose, ...], frames: int) -> float:
    started_s = time.perf_counter()
    for index in range(frames):
        scene.render((poses[index % len(poses)],), camera, ("rgb",))
    return time.perf_counter() - started_s


def _raw_ms(scene: Scene, camera: Camera, pose: Pose) -> float:
    return 1000 * _raw_round(scene, camera, (pose,), 1)


def _ask_ms(client: Client, ask: Observe) -> float:
    asked_s = time.perf_counter()
    client.request(ask)
    return 1000 * (time.perf_counter() - asked_s)


def _service_round(client: Client, asks: list[Observe], frames: int, in_flight: int) -> float:
    started_s = time.perf_counter()
    waiting: deque[Future[Any]] = deque()
    for index in range(frames):
        if len(waiting) >= in_flight:
            waiting.popleft().result()
        waiting.append(client.submit(asks[index % len(asks)]))
    while waiting:
        waiting.popleft().result()
    return time.perf_counter() - started_s
