"""A run with the toy simulator of tests/support/third_party, and the processes that serve it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from protocol.run.directory import RunDir
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import GetSimStatus, Observe, SimStatus
from tests.support.toy import THIRD_PARTY
from tests.support.wire import wait_for

ROOT = Path(__file__).parents[2]
POSE = Pose((2.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0))
DEADLY_M, SLOW_RENDER_M, SLOW_OPEN_M = 2.5, 3.0, 3.5  # special ceiling heights of the toy
QUICK = {"backend": "toy", "restart_backoff_s": 0.05, "status_every_s": 0.1}


def toy_environment(folder: Path, render_s: str, open_s: str) -> dict[str, str]:
    """The environment of processes with the toy; render_s and open_s: durations of its slow renders and loads."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(THIRD_PARTY))),
        "TOY_RENDER_S": render_s,
        "TOY_OPEN_S": open_s,
        "TOY_DEATHS": "0",
        "TOY_STATE": str(folder / "deaths"),
    }


class Sim:
    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path / "run"
        RunDir.create(self.path, {"sim": {**QUICK, **settings}})
        self.environment = toy_environment(path, "1.0", "4")
        self.processes: list[subprocess.Popen[str]] = []
        self.client = Client(lambda: lookup(self.path, "sim"), "test")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `serve` or `worker` with options for this run."""
        where = ["--join"] if arguments[0] == "worker" else []
        command = [sys.executable, "-m", "sim_server.cli", *arguments, *where, str(self.path)]
        process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def serve(self, workers: int = 1) -> subprocess.Popen[str]:
        process = self.start("serve", "--workers", str(workers))
        self.await_workers(workers)
        return process

    def status(self) -> SimStatus:
        return self.client.request(GetSimStatus(), deadline_s=60.0).message

    def await_workers(self, count: int) -> None:
        wait_for(lambda: len(self.status().workers) == count, within_s=60.0)

    def observe(self, seed: int, ceiling_m: float = 2.6, deadline_s: float = 60.0):
        """A future of a view of the scene with this seed."""
        message = Observe(SceneSpec(seed=seed, ceiling_m=ceiling_m), Camera(32, 24), POSE)
        return self.client.submit(message, deadline_s=deadline_s)

    def close(self) -> None:
        self.client.close()
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.communicate(timeout=60)


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def grey(packet: Any) -> int:
    """The level of an image of the toy, which is uniformly grey."""
    array = packet.array(packet.message.view.rgb)
    assert array.min() == array.max()
    return int(array[0, 0, 0])


def expected_grey(seed: int) -> int:
    return int(seed + 50 * sum(POSE.position_m)) % 256
