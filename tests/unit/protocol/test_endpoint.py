"""Endpoint files and ipc addresses of a run directory."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from protocol.errors import VantageError
from protocol.wire.curve import make_keys, read_keys
from protocol.wire.endpoint import MAX_IPC_PATH_BYTES, Endpoint, is_loopback, lookup, publish, serving_endpoint


def path_of(endpoint: Endpoint) -> Path:
    assert endpoint.address.startswith("ipc://")
    return Path(endpoint.address[len("ipc://") :])


def test_a_published_endpoint_is_found(tmp_path):
    publish(tmp_path, "sim", Endpoint("ipc:///a.sock"))
    publish(tmp_path, "sim", Endpoint("tcp://127.0.0.1:7", "k" * 40, "/not/published"))
    assert lookup(tmp_path, "sim") == Endpoint("tcp://127.0.0.1:7", "k" * 40, str(tmp_path / "keys"))
    assert [path.name for path in (tmp_path / "endpoints").iterdir()] == ["sim.json"]


def test_an_invalid_server_key_is_rejected(tmp_path):
    with pytest.raises(VantageError, match="'abc' is not a server key"):
        Endpoint("tcp://127.0.0.1:7", "abc", str(tmp_path)).check()


def test_a_missing_endpoint_is_retryable(tmp_path):
    with pytest.raises(VantageError, match="start it first") as caught:
        lookup(tmp_path, "sim")
    assert (caught.value.code, caught.value.retryable) == ("unavailable", True)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"address": 5}'])
def test_a_corrupt_endpoint_file_is_reported(tmp_path, content):
    publish(tmp_path, "sim", Endpoint("ipc:///a.sock"))
    (tmp_path / "endpoints" / "sim.json").write_bytes(content)
    with pytest.raises(VantageError, match=r"sim\.json") as caught:
        lookup(tmp_path, "sim")
    assert caught.value.code == "corrupt"


def test_ipc_sockets_are_in_the_run_directory_and_private(tmp_path, monkeypatch):
    (tmp_path / "endpoints").mkdir(mode=0o755)
    monkeypatch.chdir(tmp_path)
    path = path_of(serving_endpoint(Path("."), "sim"))
    assert path == tmp_path / "endpoints" / "sim.sock"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_long_run_path_gets_a_short_socket_path(tmp_path, monkeypatch):
    short = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    deep = tmp_path / ("é" * 60) / "run"
    path = path_of(serving_endpoint(deep, "sim"))
    assert len(str(path).encode()) <= MAX_IPC_PATH_BYTES
    assert path.parent.parent == short
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path == path_of(serving_endpoint(deep, "sim")), "every process of the run finds the same address"
    assert path != path_of(serving_endpoint(deep.with_name("run2"), "sim"))


def test_a_link_in_place_of_the_private_directory_is_rejected(tmp_path, monkeypatch):
    """Another user may have created a link there."""
    short = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    deep = tmp_path / ("d" * 100)
    private = path_of(serving_endpoint(deep, "sim")).parent
    private.rmdir()
    private.symlink_to(tmp_path)
    with pytest.raises(VantageError, match="is a symbolic link, not a folder"):
        serving_endpoint(deep, "sim")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *((host, True) for host in ("127.0.0.1", "127.9.9.9", "localhost", "::1")),
        *((host, False) for host in ("0.0.0.0", "*", "10.0.0.1", "localhost.example.org", "::", "")),
    ],
)
def test_loopback(host, loopback):
    assert is_loopback(host) is loopback


def test_an_unresolvable_host_is_rejected(tmp_path):
    with pytest.raises(VantageError, match="cannot be resolved") as caught:
        serving_endpoint(tmp_path, "sim", "tcp://nowhere.invalid:*")
    assert caught.value.code == "bad_config"


def test_keys_that_another_user_planted_are_not_used(tmp_path, monkeypatch):
    make_keys(tmp_path / "keys")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    for use in (lambda: make_keys(tmp_path / "keys"), lambda: read_keys(tmp_path / "keys", "client")):
        with pytest.raises(VantageError, match="belongs to another user") as caught:
            use()
        assert caught.value.code == "conflict"


def test_a_link_in_place_of_a_key_is_not_followed(tmp_path):
    make_keys(tmp_path / "keys")
    (tmp_path / "keys" / "client.json").rename(tmp_path / "planted")
    (tmp_path / "keys" / "client.json").symlink_to(tmp_path / "planted")
    with pytest.raises(VantageError, match="is a symbolic link"):
        read_keys(tmp_path / "keys", "client")
