"""Connections, messages and peers without end: each costs its own connection and no one else's answers."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from protocol.run.directory import RunDir
from protocol.wire.client import Client
from protocol.wire.codec import PREFIX, encode
from protocol.wire.endpoint import Endpoint, lookup
from protocol.wire.messages import GetSimStatus, Hello, LeaseSpecs
from tests.support.wire import wait_for

pytestmark = pytest.mark.timeout(120)

ASK = LeaseSpecs("x", 1, 0)


@contextmanager
def served(address: str, folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Endpoint]]:
    """A service process, and its endpoint."""
    command = [sys.executable, "-m", "tests.support.wire_service", address, str(folder / "effects"), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        yield process, Endpoint(address)
        assert process.poll() is None, "the service ended"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["tcp", "ipc"])
def address(request, tmp_path) -> str:
    return f"tcp://127.0.0.1:{free_port()}" if request.param == "tcp" else f"ipc://{tmp_path}/s.sock"


def resident_mib(process: subprocess.Popen[str]) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def answered(endpoint: Endpoint, within_s: float = 10.0) -> float:
    """The time in which a new client is answered."""
    start_s = time.monotonic()
    with Client(endpoint, "good") as client:
        client.request(ASK, deadline_s=within_s)
    return time.monotonic() - start_s


def test_idle_connections_leave_room_for_good_clients(tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    with served(address, tmp_path) as (process, endpoint), Client(endpoint, "before") as before:
        before.request(ASK)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (256, 256))
        host, port = "127.0.0.1", int(address.rpartition(":")[2])
        idle = []
        try:
            for _ in range(600):
                idle.append(socket.create_connection((host, port), timeout=5))
            for _ in range(3):
                assert answered(endpoint) < 8
            before.request(ASK, deadline_s=10)  # a connection that is in use is not closed for them
            assert before.counters["connections"] == 1
            assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 200
        finally:
            for connection in idle:
                connection.close()


def test_idle_connections_do_not_end_a_broker(tmp_path):
    """Strangers without keys, on the port for workers: more than the process has descriptors."""
    run = RunDir.create(tmp_path / "run", {"sim": {"workers": 0, "listen_workers": "tcp://127.0.0.1:*"}})
    command = [sys.executable, "-m", "sim_server.cli", "serve", str(run.path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        idle = []
        try:
            wait_for(lambda: (run.path / "endpoints" / "sim-workers.json").exists())
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (256, 256))
            port = int(lookup(run.path, "sim-workers").address.rpartition(":")[2])
            with Client(lambda: lookup(run.path, "sim"), "good") as client:
                for _ in range(600):
                    idle.append(socket.create_connection(("127.0.0.1", port), timeout=5))
                before_s = (run.read_status("sim") or {})["time_s"]
                for _ in range(3):
                    client.request(GetSimStatus(), deadline_s=5)
                wait_for(lambda: (run.read_status("sim") or {})["time_s"] > before_s + 2)
            assert process.poll() is None
        finally:
            for connection in idle:
                connection.close()
            process.terminate()
    assert process.returncode == 0


def test_a_message_without_end_costs_its_connection(address, tmp_path):
    """libzmq holds the parts of a message until it is complete."""
    with served(address, tmp_path) as (process, endpoint):
        answered(endpoint)
        before_mib = peak_mib = resident_mib(process)
        with raw_peer(endpoint.address) as peer, Client(endpoint, "good") as good:
            peer(encode(b"", Hello("endless", 1, 0)))
            part = bytes(2**20)
            with pytest.raises(OSError):
                for number in range(4000):
                    peer([part], more=True)
                    if number % 20 == 0:
                        peak_mib = max(peak_mib, resident_mib(process))
            good.request(ASK, deadline_s=5)
        assert peak_mib - before_mib < (600 if address.startswith("tcp") else 2000)
        wait_for(lambda: resident_mib(process) - before_mib < 200)  # what it held is free again


def test_a_message_of_a_million_parts_does_not_stall_the_others(address, tmp_path):
    with served(address, tmp_path) as (_, endpoint), Client(endpoint, "good") as good, zmq.Context() as context:
        good.request(ASK)
        with context.socket(zmq.DEALER) as bad:
            bad.linger, bad.reconnect_ivl = 0, -1
            bad.connect(endpoint.address)
            bad.send_multipart(encode(b"", Hello("parts", 1, 0)))
            bad.recv_multipart()
            for _ in range(1_000_000):
                bad.send(b"", zmq.SNDMORE)
            bad.send(b"")
            longest_s = 0.0
            for _ in range(30):
                start_s = time.monotonic()
                good.request(ASK, deadline_s=10)
                longest_s = max(longest_s, time.monotonic() - start_s)
                time.sleep(0.05)
        assert longest_s < 2.5


def test_a_peer_that_never_reads_costs_bounded_memory(address, tmp_path):
    """Replies of 1 MiB, 1000 of them, to a peer that reads none."""
    with served(address, tmp_path, "--reply-bytes", str(2**20)) as (process, endpoint):
        answered(endpoint)
        before_mib = resident_mib(process)
        with raw_peer(endpoint.address) as peer:
            peer(encode(b"", Hello("deaf", 1, 0)))
            for number in range(1000):
                peer(encode(number.to_bytes(8, "big"), ASK))
                if number % 50 == 0:
                    answered(endpoint)
            time.sleep(1.0)
            # 128 MiB are stored for repetitions, and 64 MiB may wait for one peer
            assert resident_mib(process) - before_mib < 350
            assert answered(endpoint) < 5


@contextmanager
def raw_peer(address: str):
    """Send messages over a plain socket, in ZMTP without encryption, and read nothing."""
    if address.startswith("tcp://"):
        connection = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address[len("ipc://") :])
    with connection:
        greeting = b"\xff" + bytes(8) + b"\x7f" + bytes([3, 0]) + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
        connection.sendall(greeting)
        connection.recv(64, socket.MSG_WAITALL)
        kind = b"\x0bSocket-Type" + (6).to_bytes(4, "big") + b"DEALER"
        ready = b"\x05READY" + kind + b"\x08Identity" + bytes(4)
        connection.sendall(bytes([4, len(ready)]) + ready)

        def send(frames, more: bool = False) -> None:
            data = b""
            for index, frame in enumerate(frames):
                flag = int(more or index < len(frames) - 1)
                size = (
                    bytes([flag, len(frame)]) if len(frame) < 256 else bytes([flag | 2]) + len(frame).to_bytes(8, "big")
                )
                data += size + bytes(frame)
            connection.sendall(data)

        yield send


def test_garbage_of_one_client_is_answered_and_counted(tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    with served(address, tmp_path) as (_, endpoint), zmq.Context() as context, context.socket(zmq.DEALER) as bad:
        bad.linger = 0
        bad.connect(endpoint.address)
        for _ in range(200):
            bad.send_multipart([PREFIX, b"NOISE", b"1", b"\xc1"])
        assert answered(endpoint) < 5
