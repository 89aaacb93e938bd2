"""The CURVE keys of a run: created once under RUN/keys, readable by the owner only, checked on every TCP connection."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import msgspec
import zmq
import zmq.auth.thread

from protocol.errors import VantageError
from protocol.run.files import private_folder, read_regular


class KeyPair(msgspec.Struct, frozen=True):
    """A CURVE key pair in Z85 text."""

    public: str
    secret: str

    def __post_init__(self) -> None:
        if len(self.public) != 40 or len(self.secret) != 40:
            raise ValueError("a CURVE key has 40 characters of Z85")

    def __repr__(self) -> str:  # never a secret in a log
        return f"KeyPair(public={self.public!r})"


def make_keys(keys_dir: Path) -> KeyPair:
    """Create missing server and client keys (directory 0700, files 0600) and return the server's pair."""
    private_folder(keys_dir)
    for name in ("server", "client"):
        _make_pair(keys_dir / f"{name}.json")
    return read_keys(keys_dir, "server")


def read_keys(keys_dir: Path, name: str) -> KeyPair:
    """The "server" or "client" pair.

    Raises VantageError: "unavailable" if missing, "corrupt" if not a key file, "conflict" if another user may have put
    it there.
    """
    path = keys_dir / f"{name}.json"
    try:
        owner = path.lstat().st_uid
        if os.getuid() not in (0, owner):
            raise VantageError(
                "conflict", f"{path} belongs to another user; delete the keys folder and restart the run"
            )
        return msgspec.json.decode(read_regular(path), type=KeyPair)
    except OSError as error:
        raise VantageError(
            "unavailable", f"the key file {path} cannot be read ({error.strerror}); copy the run's keys here"
        ) from None
    except (msgspec.MsgspecError, ValueError):
        raise VantageError("corrupt", f"{path} is not a key file; delete the keys folder and restart the run") from None


def _make_pair(path: Path) -> None:
    if path.exists():
        return
    public, secret = zmq.curve_keypair()
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)  # mode 0600
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode(KeyPair(public.decode(), secret.decode())))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # unlike a rename, never replaces a pair that another service created first
    finally:
        os.unlink(temporary)


class _OneClientKey:
    """Credentials provider of zmq.auth that admits the client key of the run only."""

    def __init__(self, public: str) -> None:
        self._public = public.encode()

    def callback(self, domain: str, key: bytes) -> bool:  # noqa: ARG002 - zmq.auth passes both
        return key == self._public


def authenticate(context: zmq.Context, keys_dir: Path) -> zmq.auth.thread.ThreadAuthenticator:
    """Start the ZAP thread, which admits only the client key of the run. stop() it before the context ends."""
    authenticator = zmq.auth.thread.ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback(
        domain="*", credentials_provider=_OneClientKey(read_keys(keys_dir, "client").public)
    )
    return authenticator


def serve_curve(socket: zmq.Socket, keys_dir: Path) -> None:
    socket.curve_server = True
    socket.curve_secretkey = read_keys(keys_dir, "server").secret.encode()


def connect_curve(socket: zmq.Socket, keys_dir: Path, server_public_key: str) -> None:
    pair = read_keys(keys_dir, "client")
    socket.curve_serverkey = server_public_key.encode()
    socket.curve_publickey = pair.public.encode()
    socket.curve_secretkey = pair.secret.encode()
