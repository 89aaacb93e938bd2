"""Workers on another machine, emulated by network namespaces with a slow, lossy, breakable connection."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.run.directory import RunDir
from protocol.tasks.scene import Camera, SceneSpec
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import GetSimStatus, Observe
from tests.support.network import ADDRESSES, Cable, missing
from tests.support.sim import POSE, expected_grey, grey, toy_environment
from tests.support.wire import wait_for

MISSING = missing()
pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")]

HERE, THERE = 0, 1  # ends of the cable: the machines of the broker and of the remote worker


class Cluster:
    """A broker at one end of the cable that listens for workers on TCP; this process connects by its ipc socket."""

    def __init__(self, folder: Path, cable: Cable) -> None:
        self.cable = cable
        self.run_dir = folder / "run"
        listen = f"tcp://{ADDRESSES[HERE]}:*"
        RunDir.create(self.run_dir, {"sim": {"backend": "toy", "workers": 0, "listen_workers": listen}})
        self.far_keys = folder / "far" / "keys"  # copied to the other machine, which has no run directory
        self.environment = toy_environment(folder, "0", "0")
        self.processes: list[subprocess.Popen[bytes]] = []
        self.client = Client(lambda: lookup(self.run_dir, "sim"), "test")
        self.start(HERE, "serve", str(self.run_dir))
        self.client.request(GetSimStatus(), deadline_s=60.0)

    def start(self, end: int, *arguments: str) -> subprocess.Popen[bytes]:
        command = self.cable.inside(end, sys.executable, "-m", "sim_server.cli", *arguments)
        self.processes.append(subprocess.Popen(command, env=self.environment))
        return self.processes[-1]

    def start_far_worker(self) -> None:
        self.far_keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(self.run_dir / "keys" / "client.json", self.far_keys)
        endpoint = lookup(self.run_dir, "sim-workers")
        where = ["--connect", endpoint.address, "--server-key", endpoint.server_public_key]
        self.start(THERE, "worker", *where, "--keys", str(self.far_keys), "--backend", "toy", "--worker-id", "far")
        self.await_workers({"far"})

    def workers(self) -> set[str]:
        return {worker.worker_id for worker in self.client.request(GetSimStatus(), deadline_s=60.0).message.workers}

    def await_workers(self, names: set[str]) -> None:
        wait_for(lambda: self.workers() == names, within_s=60.0)

    def observe(self, seed: int, side_px: int = 32):
        return self.client.submit(Observe(SceneSpec(seed=seed), Camera(side_px, side_px), POSE), deadline_s=90.0)

    def close(self) -> None:
        self.client.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def cluster(tmp_path):
    with Cable(delay_s=0.02, loss=0.01) as cable:
        cluster = Cluster(tmp_path, cable)
        yield cluster
        cluster.close()


def test_a_remote_worker_serves_over_a_slow_and_lossy_network(cluster):
    cluster.start_far_worker()
    futures = {seed: cluster.observe(seed, side_px=96) for seed in range(20)}
    assert all(grey(future.result(90)) == expected_grey(seed) for seed, future in futures.items())
    assert cluster.cable.lost > 0
    assert cluster.client.request(GetSimStatus()).message.redispatched == 0


def test_a_worker_lost_during_a_frame_is_replaced_and_can_return(cluster):
    cluster.start_far_worker()
    before = cluster.cable.carried[THERE]
    future = cluster.observe(7, side_px=1024)  # 3 MiB
    wait_for(lambda: cluster.cable.carried[THERE] > before + 300_000, within_s=60.0)  # a part of the image
    cluster.cable.interface(THERE, "down")
    assert not future.done()
    cluster.start(HERE, "worker", "--join", str(cluster.run_dir), "--worker-id", "near")
    assert grey(future.result(90)) == expected_grey(7)
    cluster.await_workers({"near"})
    cluster.cable.interface(THERE, "up")
    cluster.await_workers({"near", "far"})
    futures = {seed: cluster.observe(seed) for seed in range(12)}
    assert all(grey(future.result(90)) == expected_grey(seed) for seed, future in futures.items())
