"""Workers of habitat and `rooms` that join, drain and die under a client's load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional, Sequence

from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import DrainWorker, GetSimStatus, Observe

_START_S = 240.0

View = tuple[str, Pose]  # of a scene


class _Load(threading.Thread):
    """A client that asks for views one after the other, and records each answer."""

    def __init__(self, run: Path, views: Sequence[View]) -> None:
        super().__init__(daemon=True)
        self._client = Client(lambda: lookup(run, "sim"), "load")
        self._views = views
        self.stop = threading.Event()
        self.answers: dict[tuple[str, int], set[bytes]] = {}  # by renderer and request: distinct images
        self.answered, self.failures = 0, []  # type: ignore[var-annotated]

    def run(self) -> None:
        number = 0
        with self._client as client:
            while not self.stop.is_set():
                number += 1
                key = number % len(self._views)
                asset, pose = self._views[key]
                try:
                    packet = client.request(Observe(SceneSpec(asset=asset), Camera(96, 72), pose), deadline_s=_START_S)
                except VantageError as error:
                    self.failures.append(f"{error.code}: {error.message}")
                    continue
                image = packet.array(packet.message.view.rgb).tobytes()
                self.answers.setdefault((packet.message.renderer_digest, key), set()).add(image)
                self.answered += 1


def swap(
    folder: Path, dataset: Path, views: Sequence[View], environment: dict[str, str], rounds: int
) -> dict[str, Any]:
    """Replace habitat by `rooms` and back under load, `rounds` times; every second time the old worker is killed."""
    settings = {"backend": "habitat", "dataset": str(dataset), "gpu": -1, "software_rendering": True, "workers": 0}
    run = RunDir.create(folder / "run", {"sim": settings})
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sim_server.cli", *arguments]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        return processes[-1]

    def join(backend: str, number: int) -> subprocess.Popen[bytes]:
        name = f"{backend}-{number}"
        process = start("worker", "--join", str(run.path), "--backend", backend, "--worker-id", name)
        _wait(lambda: name in _workers(client))
        return process

    swaps = killed = 0
    load: Optional[_Load] = None
    start("serve", str(run.path))
    try:
        with Client(lambda: lookup(run.path, "sim"), "swap") as client:
            current, name = join("habitat", 0), "habitat-0"
            load = _Load(run.path, views)
            load.start()
            for number in range(1, 2 * rounds + 1):
                _answers(load, 20)
                backend = "rooms" if number % 2 else "habitat"
                new = join(backend, number)
                if number % 2:
                    client.request(DrainWorker(name), deadline_s=30.0)
                else:
                    os.kill(current.pid, signal.SIGKILL)
                    killed += 1
                current.wait(60)
                current, name = new, f"{backend}-{number}"
                swaps += 1
            _answers(load, 20)
            status = client.request(GetSimStatus(), deadline_s=30.0).message
            load.stop.set()
            load.join(60)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(60)
    return {
        "swaps": swaps,
        "killed": killed,
        "answered": load.answered,
        "failed": load.failures,
        "redispatched": status.redispatched,
        "renderers": len({digest for digest, _ in load.answers}),
        "requests_with_different_images_of_one_renderer": sum(len(images) > 1 for images in load.answers.values()),
    }


def _workers(client: Client) -> list[str]:
    return [worker.worker_id for worker in client.request(GetSimStatus(), deadline_s=60.0).message.workers]


def _answers(load: _Load, more: int) -> None:
    wanted = load.answered + more
    _wait(lambda: load.answered + len(load.failures) >= wanted)


def _wait(condition: Any) -> None:
    deadline_s = time.monotonic() + _START_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError("the service did not get there")
        time.sleep(0.1)
