"""Mutated messages to the listening sockets: they neither end a service nor make it grow.

The toy simulator of tests/support/third_party is behind the broker, so that a mutation that is still a valid request
costs nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq

from benchmarks.chaos.live import ROOT
from benchmarks.mutations import Mutator
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.wire.client import Client
from protocol.wire.codec import decode, encode
from protocol.wire.endpoint import lookup
from protocol.wire.messages import GetCurriculumStatus, GetSimStatus, Hello, LeaseSpecs, Observe

SOCKETS = {"sim": "sim", "sim-workers": "sim", "curriculum": "curriculum"}  # socket -> the service behind it
BURST = 100


def attack(name: str, count: int, seed: int) -> dict[str, Any]:
    """Send `count` mutated messages to the socket `name` while the service must keep answering a well-behaved client.

    Raises AssertionError if the service dies or stops answering.
    """
    with tempfile.TemporaryDirectory(prefix="vantage-chaos-") as folder, services(Path(folder) / "run") as processes:
        run_dir, service = Path(folder) / "run", SOCKETS[name]
        process = processes[service]
        mutator = Mutator(seed)
        started_s = time.monotonic()
        resident: list[float] = []
        answers = 0
        with Client(lambda: lookup(run_dir, service), "good") as good, zmq.Context() as context:
            _ask(good, service)
            bad = stranger(context, run_dir, name)
            for sent in range(0, count, BURST):
                for message in mutator.messages(min(BURST, count - sent)):
                    if _orders_work(message):
                        continue
                    bad.send_multipart(message or [b""])
                while bad.poll(0):
                    bad.recv_multipart()
                    answers += 1
                if sent % (50 * BURST) == 0:
                    assert process.poll() is None, f"{service} died"
                    _ask(good, service)
                    resident.append(resident_mib(process.pid))
                    bad.close(linger=0)
                    bad = stranger(context, run_dir, name)
            bad.close(linger=0)
            _ask(good, service, last=True)
            assert process.poll() is None, f"{service} died"
            resident.append(resident_mib(process.pid))
            connections = good.counters["connections"]
    return {
        "socket": name,
        "mutated_messages": count,
        "refusals_and_answers_read": answers,
        "service_alive": True,
        "connections_of_the_good_client": connections,
        "resident_mib_at_the_start": resident[0],
        "resident_mib_after_a_fifth": resident[len(resident) // 5],
        "resident_mib_after_half": resident[len(resident) // 2],
        "resident_mib_at_the_end": resident[-1],
        "seconds": round(time.monotonic() - started_s, 1),
    }


def _ask(good: Client, service: str, last: bool = False) -> None:
    if service == "curriculum":
        good.request(GetCurriculumStatus(), deadline_s=30.0)
        return
    good.request(GetSimStatus(), deadline_s=30.0)
    if last:  # strangers that were accepted as workers are gone by now: expect a real view
        pose = Pose((2.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0))
        good.request(Observe(SceneSpec(seed=5), Camera(16, 16), pose), deadline_s=60.0)


def _orders_work(message: list[bytes]) -> bool:
    """Whether the mutated message is still a valid request for specs. The curriculum remembers what it issues, so its
    memory would not reflect refused messages alone."""
    try:
        return isinstance(decode(message).message, LeaseSpecs)
    except VantageError:
        return False


def stranger(context: zmq.Context, run_dir: Path, name: str) -> zmq.Socket:
    socket = context.socket(zmq.DEALER)
    socket.sndtimeo = 30_000
    socket.connect(lookup(run_dir, name).address)
    assert socket.poll(10_000, zmq.POLLOUT), f"{name} accepts no connection"
    if name != "sim-workers":
        socket.send_multipart(encode(b"", Hello("stranger", 1, 0)))
    return socket


@contextmanager
def services(run_dir: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A broker with one toy worker, and a curriculum."""
    RunDir.create(run_dir, {"sim": {"backend": "toy"}})
    paths = (str(ROOT), str(ROOT / "tests" / "support" / "third_party"))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "TOY_DEATHS": "0",
        "TOY_RENDER_S": "0",
        "TOY_OPEN_S": "0",
        "TOY_STATE": str(run_dir / "deaths"),
    }
    processes = {}
    for name, module in (("sim", "sim_server.cli"), ("curriculum", "curriculum.cli")):
        command = [sys.executable, "-m", module, "serve", str(run_dir)]
        with open(run_dir / f"{name}.stderr", "wb") as stderr:
            processes[name] = subprocess.Popen(command, env=environment, stderr=stderr)
    try:
        with Client(lambda: lookup(run_dir, "sim"), "chaos") as client:
            while not client.request(GetSimStatus(), deadline_s=60.0).message.workers:
                time.sleep(0.05)
        yield processes
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(30)


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024, 1)
