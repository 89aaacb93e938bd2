"""Bounded ZeroMQ sockets: a listening ROUTER that never takes over a live address, a DEALER, send and receive."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import socket as unix_socket
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from protocol.errors import VantageError
from protocol.wire.codec import MAX_BLOB_BYTES, MAX_BLOBS, MAX_FRAME_BYTES, Blob
from protocol.wire.curve import authenticate, connect_curve, serve_curve
from protocol.wire.endpoint import Endpoint, host_of, is_ipv6
from protocol.wire.peers import Peers

log = logging.getLogger(__name__)

HIGH_WATER_MARK = (
    1024  # messages per peer and direction; must exceed what a service holds in flight, or replies are dropped
)
# Identity frame + four fixed frames + blobs, and one more to detect an overlong message.
MAX_RECEIVED_FRAMES = 1 + 4 + MAX_BLOBS + 1

MOST_PARTS = 20_000  # read of one message, which takes some 60 ms; a longer one costs its peer the connection
MARGIN_BYTES = 256 * 2**10  # for the other frames of a message, and the overhead of encryption
HANDSHAKE_MS = 10_000  # a connection that has not completed its handshake by then is closed
RESET_S = 5.0
TEND_S = 0.005

# Smaller frames are copied before sending: without a copy another thread must track the memory until it is sent, which
# costs more processor time than the copy.
COPY_BELOW_BYTES = 2**19
# A smaller received frame is copied out of ZeroMQ's 8 KiB buffer, which it would otherwise keep in memory.
OWN_BELOW_BYTES = 2**13
# An image should fit into the buffer of a socket file, or both sides must wake for every part of it. The kernel tunes
# the buffers of TCP.
IPC_BUFFER_BYTES = 4 * 2**20

# Plain integers: each use of the enumerations takes a microsecond, and every frame needs several.
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_SRCFD = int(zmq.SRCFD)
_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)


def _limit(socket: zmq.Socket, address: str) -> None:
    socket.maxmsgsize = MAX_FRAME_BYTES
    socket.sndhwm = HIGH_WATER_MARK
    socket.rcvhwm = HIGH_WATER_MARK
    socket.copy_threshold = 0  # `send` decides for each frame whether it is copied
    if address.startswith("tcp://"):
        socket.ipv6 = is_ipv6(host_of(address))
    else:
        socket.sndbuf = socket.rcvbuf = IPC_BUFFER_BYTES


class Listener:
    """A bound ROUTER with its own context, and limits on each of its connections.

    `endpoint` is the real address (with this host's name for a wildcard and the actual port).
    Raises VantageError: "conflict" if a live process holds the address (the socket file of a killed one is taken
    over), "bad_config" if the address cannot be served.
    """

    def __init__(self, endpoint: Endpoint, most_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        """A connection that sends a larger frame is closed."""
        endpoint.check()
        self._address = endpoint.address
        self._lock = _hold_ipc(endpoint.address) if endpoint.address.startswith("ipc://") else None
        self._context = zmq.Context()
        self._authenticator = None
        self._wanted = endpoint
        self._most_frame_bytes = most_frame_bytes
        self._next_tend_s = 0.0
        try:
            if endpoint.server_public_key:
                self._authenticator = authenticate(self._context, Path(endpoint.keys_dir))
            self.socket = self._context.socket(zmq.ROUTER)
            self._open(endpoint.address)
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
        self._bound = str(self.socket.getsockopt_string(zmq.LAST_ENDPOINT))
        self.endpoint = msgspec.structs.replace(endpoint, address=_reachable(self._bound))
        self._peers = self._new_peers()

    def _open(self, address: str) -> None:
        """Configure and bind the new `self.socket`."""
        _limit(self.socket, address)
        self.socket.maxmsgsize = self._most_frame_bytes
        self.socket.router_mandatory = True
        self.socket.linger = 1000  # delivers the last replies
        self.socket.handshake_ivl = HANDSHAKE_MS
        self._monitor = self.socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        if self._wanted.server_public_key:
            serve_curve(self.socket, Path(self._wanted.keys_dir))
        self.socket.bind(address)
        if self._lock is not None:
            os.chmod(address[len("ipc://") :], 0o600)

    def _new_peers(self) -> Peers:
        if self._most_frame_bytes < MAX_FRAME_BYTES:  # no arrays
            return Peers(self._bound, self._most_frame_bytes + MARGIN_BYTES, stuck_checks=3)
        return Peers(self._bound, MAX_BLOB_BYTES + MAX_FRAME_BYTES, stuck_checks=10)

    @property
    def items(self) -> tuple[tuple[zmq.Socket, int], ...]:
        """The sockets to poll, each with its events."""
        return (self.socket, zmq.POLLIN), (self._monitor, zmq.POLLIN)

    @property
    def refused(self) -> int:
        """Number of connections that were closed because of a limit."""
        return self._peers.refused

    def tend(self) -> None:
        """Note new and closed connections and enforce the limits; call it after each poll, and every CHECK_S.

        Most calls do nothing, since a busy service polls thousands of times a second.
        """
        now_s = time.monotonic()
        if now_s < self._next_tend_s:
            return
        self._next_tend_s = now_s + TEND_S
        while readable(self._monitor):
            event = recv_monitor_message(self._monitor)
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._peers.accepted(int(event["value"]))
            else:
                self._peers.closed(int(event["value"]))
        self._peers.check(now_s)

    def receive(self) -> Optional[list[Blob]]:
        """The frames of the next message, its sender's identity first, or None if no message is waiting.

        A message with too many frames is cut to MAX_RECEIVED_FRAMES, which `decode` rejects.
        """
        try:
            frames, fd = _receive(self.socket)
        except _EndlessMessage:
            self._reset()
            return None
        if frames is not None:
            self._peers.heard(fd, bytes(frames[0]))
        return frames

    def send(self, identity: bytes, frames: Sequence[Blob]) -> bool:
        """Send a message; False if the peer is gone, its queue is full, or too many bytes wait for it."""
        size = sum(memoryview(frame).nbytes for frame in frames)
        return self._peers.may_send(identity, size) and send(self.socket, [identity, *frames])

    def _reset(self) -> None:
        """Replace the socket, since to read a message of millions of parts would take too long.

        Every peer loses its connection, makes a new one and sends again what was not answered.
        """
        log.warning("a message to %s has more than %d parts; all connections are renewed", self._bound, MOST_PARTS)
        self.socket.disable_monitor()
        self._monitor.close()
        self.socket.close(linger=0)
        end_s = time.monotonic() + RESET_S
        while True:
            self.socket = self._context.socket(zmq.ROUTER)
            try:
                self._open(self._bound)
                break
            except zmq.ZMQError:  # the old socket is closed by another thread
                self.socket.disable_monitor()
                self._monitor.close()
                self.socket.close(linger=0)
                if time.monotonic() > end_s:
                    raise
                time.sleep(0.01)
        self._peers = self._new_peers()

    def close(self) -> None:
        """Send queued messages (up to the linger time) and free the address; idempotent."""
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
        if hasattr(self, "socket"):
            if hasattr(self, "_monitor") and not self.socket.closed:
                self.socket.disable_monitor()
                self._monitor.close()
            self.socket.close()
        self._context.term()  # returns when the address is free
        if self._lock is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._address[len("ipc://") :])  # still ours: the lock is held
            os.close(self._lock)
            self._lock = None


def _reachable(address: str) -> str:
    for wildcard in ("0.0.0.0", "[::]"):
        if address.startswith(f"tcp://{wildcard}:"):
            return address.replace(wildcard, unix_socket.gethostname(), 1)
    return address


def _hold_ipc(address: str) -> int:
    """Lock an ipc path for the lifetime of this process; returns the lock's descriptor. The kernel frees it on exit.

    bind() of libzmq silently deletes an existing file at its path, so a second service would take over the address.
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
    if os.path.exists(path) and (not stat.S_ISSOCK(os.stat(path).st_mode) or _is_served(path)):
        os.close(lock)
        raise conflict
    return lock


def _is_served(path: str) -> bool:
    """Whether a process that does not use our lock accepts connections there."""
    with unix_socket.socket(unix_socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # for example, its backlog is full: it is alive
            return True
        return True


def connect_dealer(context: zmq.Context, endpoint: Endpoint, events: int) -> tuple[zmq.Socket, zmq.Socket]:
    """A DEALER for one connection, and its monitor, which receives these `events`.

    The DEALER neither queues messages before it is connected nor reconnects by itself: a restarted service has no state
    of the old connection, so its peer must begin again with HELLO (or READY).
    Raises VantageError("bad_config", or "unavailable" without keys) if the endpoint cannot be connected to.
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
    """Whether a message is waiting; cheaper than trying to receive one and catching the exception."""
    return bool(int(socket.get(_EVENTS)) & _POLLIN)


class _EndlessMessage(Exception):
    """A message has more than MOST_PARTS parts."""


def receive(socket: zmq.Socket) -> Optional[list[Blob]]:
    """The frames of the next message of a DEALER, large ones without a copy, or None if no message is waiting.

    A message with too many frames is cut to MAX_RECEIVED_FRAMES, which `decode` rejects.
    """
    return _receive(socket, endless=True)[0]


def _receive(socket: zmq.Socket, endless: bool = False) -> tuple[Optional[list[Blob]], int]:
    """The frames of the next message, and the descriptor of the connection that it came from."""
    if not readable(socket):
        return None, -1
    frames: list[Blob] = []
    parts, fd, more = 0, -1, True
    while more:
        frame = socket.recv(_NOBLOCK, copy=False)  # the parts of one message arrive together
        more = frame.more
        parts += 1
        if parts == 1:
            fd = int(frame.get(_SRCFD))
        if len(frames) < MAX_RECEIVED_FRAMES:
            frames.append(frame.bytes if len(frame) < OWN_BELOW_BYTES else frame.buffer)
        elif parts > MOST_PARTS and not endless:
            raise _EndlessMessage
    return frames, fd


def send(socket: zmq.Socket, frames: Sequence[Blob]) -> bool:
    """Send without copying frames above COPY_BELOW_BYTES; False if the peer is gone or its queue is full.

    Do not write to the memory of the frames afterwards: ZeroMQ reads it until the message is sent.
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
        if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):  # raised by the first frame: nothing was sent
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
