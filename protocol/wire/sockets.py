"""Bounded ZeroMQ sockets: a listening ROUTER that never steals an address, a DEALER, and frames in and out."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket as unix_socket
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import msgspec
import zmq

from protocol.errors import VantageError
from protocol.wire.codec import MAX_BLOBS, MAX_FRAME_BYTES, Blob
from protocol.wire.curve import authenticate, connect_curve, serve_curve
from protocol.wire.endpoint import Endpoint, host_of

HIGH_WATER_MARK = 1024  # messages per peer and direction; above what a service holds in flight, or replies are dropped
# Identity frame + four fixed frames + blobs, and one more by which an overlong message is known.
MAX_RECEIVED_FRAMES = 1 + 4 + MAX_BLOBS + 1

# Below this a frame is copied to be sent: without a copy its memory must be watched by another thread until it is out,
# which costs more processor time than the copy.
COPY_BELOW_BYTES = 2**19
# A received frame smaller than this is copied out of ZeroMQ's 8 KiB buffer, which it would keep whole in memory.
OWN_BELOW_BYTES = 2**13
# A picture should fit into the buffer of a socket file: else both sides must wake for every part of it. TCP's buffers
# are left to the kernel, which fits them to the network.
IPC_BUFFER_BYTES = 4 * 2**20

# Plain integers: the enumerations take a microsecond for each use, and every frame needs some.
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)


def _limit(socket: zmq.Socket, address: str) -> None:
    socket.maxmsgsize = MAX_FRAME_BYTES
    socket.sndhwm = HIGH_WATER_MARK
    socket.rcvhwm = HIGH_WATER_MARK
    socket.copy_threshold = 0  # `send` says of each frame whether it is copied
    if address.startswith("ipc://"):
        socket.sndbuf = socket.rcvbuf = IPC_BUFFER_BYTES


class Listener:
    """A bound ROUTER with its own context.

    `socket` is the ROUTER, `endpoint` the real address (a wildcard host becomes this host's name, "*" the port).
    Raises VantageError: "conflict" when a live process holds the address (the socket file of a killed one is taken
    over), "bad_config" when the address cannot be served.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        endpoint.check()
        self._address = endpoint.address
        self._lock = _hold_ipc(endpoint.address) if endpoint.address.startswith("ipc://") else None
        self._context = zmq.Context()
        self._authenticator = None
        self.socket = self._context.socket(zmq.ROUTER)
        _limit(self.socket, endpoint.address)
        self.socket.router_mandatory = True
        self.socket.linger = 1000  # the last replies
        try:
            if endpoint.server_public_key:
                self._authenticator = authenticate(self._context, Path(endpoint.keys_dir))
                serve_curve(self.socket, Path(endpoint.keys_dir))
            self.socket.bind(endpoint.address)
            if self._lock is not None:
                os.chmod(endpoint.address[len("ipc://") :], 0o600)
        except zmq.ZMQError as error:
            self.close()
            if error.errno == errno.EADDRINUSE:
                raise VantageError(
                    "conflict", f"{endpoint.address} is in use; stop the process that holds it"
                ) from None
            raise VantageError("bad_config", f"cannot listen on {endpoint.address}: {error}") from None
        except VantageError:
            self.close()
            raise
        self.endpoint = msgspec.structs.replace(
            endpoint, address=_reachable(str(self.socket.getsockopt_string(zmq.LAST_ENDPOINT)))
        )

    def close(self) -> None:
        """Send what is queued (up to the linger time) and free the address; idempotent."""
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
        self.socket.close()
        self._context.term()  # returns when nothing listens any more
        if self._lock is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._address[len("ipc://") :])  # still ours: the lock is held
            os.close(self._lock)
            self._lock = None


def _reachable(address: str) -> str:
    if address.startswith("tcp://") and host_of(address) == "0.0.0.0":
        return address.replace("0.0.0.0", unix_socket.gethostname(), 1)
    return address


def _hold_ipc(address: str) -> int:
    """Lock an ipc path for this process's life (the kernel frees it on any death); the lock's descriptor.

    libzmq silently deletes whatever lies at the path of a bind, so without this a second service would steal it.
    """
    path = address[len("ipc://") :]
    conflict = VantageError("conflict", f"{path} is held by a live process; stop it first or use another run directory")
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise VantageError("bad_config", f"cannot listen on {path}: {error.strerror}; use another directory") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise conflict from None
    if os.path.exists(path) and (not stat.S_ISSOCK(os.stat(path).st_mode) or _somebody_listens(path)):
        os.close(lock)
        raise conflict
    return lock


def _somebody_listens(path: str) -> bool:
    """True when a process that knows nothing of our lock accepts connections there."""
    with unix_socket.socket(unix_socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # e.g. its backlog is full: alive
            return True
        return True


def connect_dealer(context: zmq.Context, endpoint: Endpoint, events: int) -> tuple[zmq.Socket, zmq.Socket]:
    """A DEALER of one connection, and the monitor on which these `events` of it arrive.

    It neither queues before it is connected nor reconnects on its own.

    A restarted service knows nothing of the old connection, so whoever loses it starts afresh with HELLO (or READY).
    Raises VantageError ("bad_config", or "unavailable" without keys) when the endpoint cannot be connected to.
    """
    endpoint.check()
    socket = context.socket(zmq.DEALER)
    _limit(socket, endpoint.address)
    socket.immediate = True
    socket.linger = 0
    socket.reconnect_ivl = -1
    monitor = socket.get_monitor_socket(events)  # before connecting, which can fail at once
    try:
        if endpoint.server_public_key:
            connect_curve(socket, Path(endpoint.keys_dir), endpoint.server_public_key)
        socket.connect(endpoint.address)
    except zmq.ZMQError as error:
        close_dealer(socket, monitor)
        raise VantageError("bad_config", f"cannot connect to {endpoint.address}: {error}") from None
    except VantageError:
        close_dealer(socket, monitor)
        raise
    return socket, monitor


def close_dealer(socket: zmq.Socket, monitor: zmq.Socket) -> None:
    socket.disable_monitor()
    monitor.close()
    socket.close()


def readable(socket: zmq.Socket) -> bool:
    """Whether a message waits; cheaper than to ask for one and to catch the exception where there is none."""
    return bool(int(socket.get(_EVENTS)) & _POLLIN)


def receive(socket: zmq.Socket) -> Optional[list[Blob]]:
    """The next message's frames, large ones without a copy, or None when there is none now.

    Of a message with too many frames only the first MAX_RECEIVED_FRAMES are kept, which `decode` refuses.
    """
    if not readable(socket):
        return None
    frames: list[Blob] = []
    more = True
    while more:
        frame = socket.recv(_NOBLOCK, copy=False)  # the parts of one message arrive together
        more = frame.more
        if len(frames) < MAX_RECEIVED_FRAMES:
            frames.append(frame.bytes if len(frame) < OWN_BELOW_BYTES else frame.buffer)
    return frames


def send(socket: zmq.Socket, frames: Sequence[Blob]) -> bool:
    """Send without copying frames above COPY_BELOW_BYTES; False when the peer is gone or its queue is full.

    A large frame that was received is passed on without a copy. Do not write to the frames' memory afterwards: ZeroMQ
    reads it until the message is out.
    """
    left = len(frames)
    try:
        for frame in frames:
            left -= 1
            flags = _MORE if left else _NOBLOCK
            view = memoryview(frame)
            if isinstance(view.obj, zmq.Frame) and len(view.obj) == view.nbytes:
                socket.send(view.obj, flags)
            else:
                socket.send(frame, flags, copy=view.nbytes < COPY_BELOW_BYTES)
    except zmq.ZMQError as error:
        if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):  # known at the first frame: nothing was sent
            return False
        raise
    return True


class Waker:
    """Ends the sleep of another thread. A signal handler may call `wake`, even during another call of it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a late wake must not write to a closed, perhaps reused, descriptor
        self._closed = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def sleep(self, timeout_s: float, sockets: Sequence[tuple[zmq.Socket, int]] = ()) -> None:
        """Sleep until `wake`, one of the events (zmq.POLLIN, zmq.POLLOUT) on a socket, or the timeout."""
        milliseconds = int(1000 * max(0.0, timeout_s)) + 1
        for ready, _ in zmq.zmq_poll([(self._read, zmq.POLLIN), *sockets], milliseconds):
            if ready == self._read:
                os.read(self._read, 65536)

    def wake(self) -> None:
        with self._lock:
            if self._closed:
                return
            with contextlib.suppress(BlockingIOError):  # full: the thread has not slept since
                os.write(self._write, b"\0")

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._read)
                os.close(self._write)
