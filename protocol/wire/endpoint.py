"""Endpoints: where a service listens, and the files in the run directory that publish it.

On one host a service listens on `ipc://RUN/endpoints/SERVICE.sock`; across hosts on `tcp://` with the CURVE keys of
the run. Clients read `RUN/endpoints/SERVICE.json` each time they connect.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
import tempfile
from pathlib import Path

import msgspec

from protocol.errors import VantageError
from protocol.run.directory import write_atomic
from protocol.run.files import private_folder
from protocol.wire.curve import make_keys

# sockaddr_un.sun_path holds 108 bytes with its final zero.
MAX_IPC_PATH_BYTES = 107


class Endpoint(msgspec.Struct, frozen=True):
    """An address of a service. With `server_public_key` (Z85) the connection is CURVE, with the keys in `keys_dir`."""

    address: str
    server_public_key: str = ""
    keys_dir: str = ""

    def check(self) -> None:
        """Raises VantageError("bad_config") for an address that may not be served or connected to."""
        if self.address.startswith("ipc:///"):
            return
        host = host_of(self.address)
        if len(self.server_public_key) not in (0, 40):
            raise VantageError(
                "bad_config",
                f"{self.server_public_key!r} is not a server key, which has 40 characters: copy server_public_key from "
                "the run's endpoints folder.",
            )
        if not self.server_public_key and not is_loopback(host):
            raise VantageError(
                "bad_config",
                f"{self.address} would be plain TCP on a network; use ipc, a loopback address, or the run's CURVE keys",
            )


def host_of(address: str) -> str:
    """The host of `tcp://host:port`, an IPv6 address without its brackets.

    Raises VantageError("bad_config") on any other form.
    """
    host, separator, port = address[len("tcp://") :].rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    bracketed = bare != host
    good = address.startswith("tcp://") and separator and bare and (port.isdigit() or port == "*")
    if not good or bracketed != is_ipv6(bare) or "[" in bare or "]" in bare:
        raise VantageError(
            "bad_config", f"{address!r} is not an address; write ipc:///PATH, tcp://HOST:PORT or tcp://[IPv6]:PORT"
        )
    return bare


def is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:  # a name or a wildcard
        return False


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name or a wildcard
        return False


def serving_endpoint(run_dir: Path, service: str, bind: str = "") -> Endpoint:
    """Where `service` of this run should listen: ipc in the run directory, or `bind` = "tcp://HOST:PORT" with CURVE.

    Creates the keys of the run for TCP. HOST "0.0.0.0" or "[::]" means every interface, PORT "*" any free port; the
    bound socket has the real address.
    """
    if not bind:
        return Endpoint(f"ipc://{_ipc_path(run_dir, service)}")
    host = host_of(bind)
    if host not in ("*", "0.0.0.0") and not is_ipv6(host):
        try:  # ZeroMQ binds numeric addresses only
            bind = f"tcp://{socket.gethostbyname(host)}:{bind.rpartition(':')[2]}"
        except OSError as error:
            raise VantageError("bad_config", f"the host of {bind} cannot be resolved ({error}); name another") from None
    keys_dir = run_dir / "keys"
    return Endpoint(bind, make_keys(keys_dir).public, str(keys_dir.resolve()))


def publish(run_dir: Path, service: str, endpoint: Endpoint) -> None:
    """Write `endpoint` to the run directory, atomically."""
    path = _endpoint_file(run_dir, service)
    private_folder(path.parent)
    public = {"address": endpoint.address, "server_public_key": endpoint.server_public_key}
    write_atomic(path, msgspec.json.encode(public), durable=False)


def lookup(run_dir: Path, service: str) -> Endpoint:
    """The published endpoint of a service of this run.

    Raises VantageError: "unavailable" while the service has not published one, "corrupt" if the file is not one.
    """
    path = _endpoint_file(run_dir, service)
    try:
        endpoint = msgspec.json.decode(path.read_bytes(), type=Endpoint)
    except FileNotFoundError:
        raise VantageError("unavailable", f"{service} of run {run_dir.name} is not running; start it first") from None
    except OSError as error:
        raise VantageError("unavailable", f"{path} cannot be read ({error.strerror}); check its permissions") from None
    except (msgspec.MsgspecError, ValueError):
        raise VantageError("corrupt", f"{path} is not an endpoint file; delete it and restart {service}") from None
    return msgspec.structs.replace(endpoint, keys_dir=str((run_dir / "keys").resolve()))


def _endpoint_file(run_dir: Path, service: str) -> Path:
    return run_dir / "endpoints" / f"{service}.json"


def _ipc_path(run_dir: Path, service: str) -> Path:
    """RUN/endpoints/SERVICE.sock, or a file in a short private directory of this user if that path is too long."""
    path = run_dir.resolve() / "endpoints" / f"{service}.sock"
    if len(os.fsencode(path)) > MAX_IPC_PATH_BYTES:
        digest = hashlib.blake2b(os.fsencode(run_dir.resolve()), digest_size=8).hexdigest()
        path = Path(tempfile.gettempdir()) / f"vantage-{os.getuid()}-{digest}" / f"{service}.sock"
    if len(os.fsencode(path)) > MAX_IPC_PATH_BYTES:
        raise VantageError("bad_config", f"{path} is too long for a socket; set TMPDIR to a shorter path")
    private_folder(path.parent)
    return path
