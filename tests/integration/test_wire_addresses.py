"""Addresses and access: addresses in use, CURVE keys, private directories."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
import zmq

from protocol.errors import VantageError
from protocol.wire.client import Client
from protocol.wire.endpoint import Endpoint, lookup, publish, serving_endpoint
from protocol.wire.messages import LeaseSpecs, SpecBatch
from protocol.wire.service import Service
from tests.support.wire import serving

pytestmark = pytest.mark.timeout(60)

ASK = LeaseSpecs("x", 1, 0)
HANDLERS = {LeaseSpecs: lambda *_: SpecBatch((), "ok")}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def conflict_of(endpoint: Endpoint) -> str:
    with pytest.raises(VantageError) as caught:
        Service("late", "r", endpoint, HANDLERS)
    assert caught.value.code == "conflict"
    return caught.value.message


# ----------------------------------------------------------------------------- addresses in use


def test_an_ipc_address_in_use_is_rejected_and_not_disturbed(tmp_path):
    endpoint = serving_endpoint(tmp_path, "sim")
    with serving(Service("first", "r", endpoint, HANDLERS)):
        for _ in range(2):
            assert "live process" in conflict_of(endpoint)
        with Client(endpoint, "test") as client:
            assert client.request(ASK).message.reason == "ok"
    Service("next", "r", endpoint, HANDLERS).close()


def test_the_socket_file_of_a_killed_process_is_reused(tmp_path):
    endpoint = serving_endpoint(tmp_path, "sim")
    path = Path(endpoint.address[len("ipc://") :])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.wire_service", endpoint.address, str(tmp_path / "effects")],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert "live process" in conflict_of(endpoint)
        process.send_signal(signal.SIGKILL)
    assert path.is_socket()
    with serving(Service("next", "r", endpoint, HANDLERS)), Client(endpoint, "test") as client:
        assert client.request(ASK).message.reason == "ok"


def test_foreign_sockets_and_files_are_never_deleted(tmp_path):
    endpoint = serving_endpoint(tmp_path, "sim")
    path = Path(endpoint.address[len("ipc://") :])
    with socket.socket(socket.AF_UNIX) as foreign:  # without our lock
        foreign.bind(str(path))
        foreign.listen()
        assert "live process" in conflict_of(endpoint)
        assert path.is_socket()
    path.unlink()
    path.write_text("precious")
    conflict_of(endpoint)
    assert path.read_text() == "precious"


def test_of_two_simultaneous_starts_one_is_rejected(tmp_path):
    """The other one holds the lock but does not listen yet."""
    endpoint = serving_endpoint(tmp_path, "sim")
    with open(f"{endpoint.address[len('ipc://') :]}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "live process" in conflict_of(endpoint)


def test_a_tcp_port_in_use_is_rejected():
    with serving(Service("first", "r", Endpoint("tcp://127.0.0.1:*"), HANDLERS)) as service:
        assert service.endpoint.address.startswith("tcp://127.0.0.1:")
        assert "in use" in conflict_of(service.endpoint)


@pytest.mark.parametrize(
    "address",
    ["tcp://192.0.2.1:5555", "tcp://0.0.0.0:*", "tcp://*:5555", "tcp://example.org:1", "tcp://[2001:db8::1]:1"],
)
def test_plain_tcp_on_a_network_is_rejected_by_both_sides(address):
    with pytest.raises(VantageError, match="plain TCP on a network") as caught:
        Service("s", "r", Endpoint(address), HANDLERS)
    assert caught.value.code == "bad_config"
    with Client(Endpoint(address), "test") as client, pytest.raises(VantageError, match="plain TCP on a network"):
        client.request(ASK)


@pytest.mark.parametrize(
    "address",
    ["", "tcp://", "tcp://host", "inproc://x", "ipc://", "ipc://*", "ipc://here.sock", "tcp://127.0.0.1:port"],
)
def test_invalid_addresses_are_rejected(address):
    with pytest.raises(VantageError, match="is not an address") as caught:
        Endpoint(address).check()
    assert caught.value.code == "bad_config"


def test_an_address_of_another_host_is_rejected(tmp_path):
    with pytest.raises(VantageError, match="cannot listen") as caught:
        Service("s", "r", serving_endpoint(tmp_path, "sim", "tcp://192.0.2.1:5555"), HANDLERS)
    assert caught.value.code == "bad_config"


def test_a_wildcard_is_published_as_this_host(tmp_path):
    service = Service("s", "r", serving_endpoint(tmp_path, "sim", "tcp://0.0.0.0:*"), HANDLERS)
    service.close()
    assert service.endpoint.address.startswith(f"tcp://{socket.gethostname()}:")


# ----------------------------------------------------------------------------- CURVE


@pytest.fixture
def curve_service(tmp_path):
    run_dir = tmp_path / "run"
    with serving(Service("sim", "r", serving_endpoint(run_dir, "sim", "tcp://127.0.0.1:*"), HANDLERS)) as service:
        publish(run_dir, "sim", service.endpoint)
        yield run_dir


def failure_of(endpoint: Endpoint) -> VantageError:
    with Client(endpoint, "test") as client, pytest.raises(VantageError) as caught:
        client.request(ASK, deadline_s=1.0)
    return caught.value


def test_the_keys_of_the_run_are_accepted(curve_service):
    with Client(lambda: lookup(curve_service, "sim"), "test") as client:
        assert client.request(ASK).message.reason == "ok"


def test_keys_are_private_and_created_once(curve_service):
    assert mode_of(curve_service / "keys") == 0o700
    keys = {path.name: path.read_bytes() for path in (curve_service / "keys").iterdir()}
    assert set(keys) == {"server.json", "client.json"}
    assert all(mode_of(curve_service / "keys" / name) == 0o600 for name in keys)
    serving_endpoint(curve_service, "curriculum", "tcp://127.0.0.1:*")
    assert keys == {path.name: path.read_bytes() for path in (curve_service / "keys").iterdir()}
    secret = msgspec.json.decode(keys["server.json"])["secret"].encode()
    assert secret not in (curve_service / "endpoints" / "sim.json").read_bytes()


def test_a_client_key_of_another_run_is_rejected(curve_service, tmp_path):
    serving_endpoint(tmp_path / "other", "sim", "tcp://127.0.0.1:*")
    stranger = msgspec.structs.replace(lookup(curve_service, "sim"), keys_dir=str(tmp_path / "other" / "keys"))
    error = failure_of(stranger)
    assert error.code == "unavailable"
    assert "rejects the client key of this run" in error.message


def test_a_server_key_of_another_run_is_rejected(curve_service):
    public, _ = zmq.curve_keypair()
    error = failure_of(msgspec.structs.replace(lookup(curve_service, "sim"), server_public_key=public.decode()))
    assert error.code == "unavailable"
    assert "CURVE handshake failed" in error.message


def test_a_client_without_a_key_is_rejected(curve_service):
    assert failure_of(Endpoint(lookup(curve_service, "sim").address)).code == "unavailable"


def test_rejected_clients_do_not_disturb_others(curve_service):
    plain = Endpoint(lookup(curve_service, "sim").address)
    with Client(lambda: lookup(curve_service, "sim"), "test") as client:
        for _ in range(3):
            failure_of(plain)
            assert client.request(ASK).message.reason == "ok"


def test_missing_and_corrupt_keys_are_reported(curve_service):
    key_file = curve_service / "keys" / "client.json"
    key_file.write_bytes(b"{}")
    assert failure_of(lookup(curve_service, "sim")).code == "corrupt"
    key_file.unlink()
    error = failure_of(lookup(curve_service, "sim"))
    assert error.code == "unavailable"
    assert "client.json" in error.message


def test_simultaneous_starts_agree_on_the_keys(tmp_path):
    endpoints: list[Endpoint] = []
    threads = [
        threading.Thread(target=lambda: endpoints.append(serving_endpoint(tmp_path, "s", "tcp://127.0.0.1:*")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({endpoint.server_public_key for endpoint in endpoints}) == 1
    assert len(endpoints) == 8
    assert os.listdir(tmp_path / "keys") and not [name for name in os.listdir(tmp_path / "keys") if name[0] == "."]


# ----------------------------------------------------------------------------- IPv6


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
@pytest.mark.parametrize("bind", ["tcp://[::1]:*", "tcp://[::]:*"])
def test_an_ipv6_address_is_served_with_keys(bind, tmp_path):
    service = Service("s", "r", serving_endpoint(tmp_path, "sim", bind), HANDLERS)
    publish(tmp_path, "sim", service.endpoint)
    local = msgspec.structs.replace(lookup(tmp_path, "sim"), address=f"tcp://[::1]:{service.endpoint.address[-5:]}")
    with serving(service), Client(local, "test") as client:
        assert client.request(ASK).message.reason == "ok"


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_plain_tcp_on_the_ipv6_loopback(tmp_path):
    with serving(Service("s", "r", Endpoint("tcp://[::1]:*"), HANDLERS)) as service:
        with Client(service.endpoint, "test") as client:
            assert client.request(ASK).message.reason == "ok"


@pytest.mark.parametrize("address", ["tcp://::1:5000", "tcp://[::1:5000", "tcp://[localhost]:5000", "tcp://[]:1"])
def test_other_spellings_of_ipv6_are_refused_by_name(address, tmp_path):
    with pytest.raises(VantageError, match=r"tcp://\[IPv6\]:PORT"):
        serving_endpoint(tmp_path, "sim", address)
