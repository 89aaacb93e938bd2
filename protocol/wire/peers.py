"""Limits on each connection of a listening socket, which libzmq does not have.

libzmq counts complete messages. It bounds neither the connections, nor the parts of a message that never ends, nor the
bytes that wait for a peer that does not read. So the descriptors of the connections, which its monitor reports, are
observed here, and a connection beyond a limit is shut down: libzmq then closes it and frees what it holds.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import logging
import resource
import socket
import struct
import termios
import time
from collections import OrderedDict
from typing import Optional

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 4096
SPARE_DESCRIPTORS = 128  # for files, databases and child processes
LISTENERS = 2  # of one process, which share its descriptors
CHECK_S = 0.1  # between two checks of all connections
MAX_UNSENT_BYTES = 64 * 2**20  # that wait for a peer
LOOK_EVERY_BYTES = 2**20  # before the queue of a peer is looked at
NOT_READING_S = 10.0  # after which a peer that reads nothing is disconnected
LOG_INTERVAL_S = 10.0

_SIOCOUTQ = getattr(termios, "TIOCOUTQ", 0x5411)
_TCP_INFO_BYTES = 136
_BYTES_ACKED = 120  # offset in struct tcp_info of Linux; bytes_received follows it


class _Peer:
    """One connection."""

    def __init__(self, fd: int, is_tcp: bool) -> None:
        self.fd = fd
        self.is_tcp = is_tcp
        self.known = False  # it has sent a complete message
        self.fresh = True  # it has sent one since the last check
        self.received = 0  # bytes at that check
        self.stuck = 0  # checks since then that found unread bytes
        self.unsent = 0  # bytes sent since its queue was last seen empty
        self.acknowledged = 0  # bytes acknowledged at that time
        self.blocked_s: Optional[float] = None


class Peers:
    """The connections of one listening socket."""

    def __init__(self, address: str, most_incomplete_bytes: int, stuck_checks: int) -> None:
        """`address` is the bound one. A message may have `most_incomplete_bytes` before it is complete.

        The bytes that a socket file brings are not counted by the kernel: there, `stuck_checks` may find unread bytes
        before a message is complete.
        """
        self._stuck_checks = stuck_checks
        self._address = address
        self._most_incomplete = most_incomplete_bytes
        self._peers: OrderedDict[int, _Peer] = OrderedDict()  # by descriptor, oldest first
        self._of_identity: OrderedDict[bytes, _Peer] = OrderedDict()
        self._next_check_s = 0.0
        self._next_log_s = 0.0
        self.refused = 0  # connections that were shut down here

    def __len__(self) -> int:
        return len(self._peers)

    def accepted(self, fd: int) -> None:
        """A connection was accepted. Above the limit the oldest one without a message is shut down."""
        self._peers.pop(fd, None)
        peer = self._peers[fd] = _Peer(fd, self._address.startswith("tcp://"))
        if len(self._peers) > most_connections():
            strangers = (other for other in self._peers.values() if not other.known)
            self._shut_down(next(strangers, peer), f"{len(self._peers)} connections are open")

    def closed(self, fd: int) -> None:
        self._peers.pop(fd, None)

    def heard(self, fd: int, identity: bytes) -> None:
        """A complete message has arrived."""
        peer = self._peers.get(fd)
        if peer is not None:
            peer.known = peer.fresh = True
            if self._of_identity.get(identity) is not peer:
                self._of_identity[identity] = peer
                while len(self._of_identity) > MAX_CONNECTIONS:
                    self._of_identity.popitem(last=False)

    def may_send(self, identity: bytes, size: int) -> bool:
        """Whether to send this many bytes; False if too many wait for this peer already."""
        peer = self._of_identity.get(identity)
        if peer is None or self._peers.get(peer.fd) is not peer:
            return True
        if peer.unsent > LOOK_EVERY_BYTES and _queued(peer.fd, _SIOCOUTQ) == 0:
            peer.unsent, peer.blocked_s = 0, None
            peer.acknowledged = _tcp_bytes(peer.fd)[0] if peer.is_tcp else 0
        peer.unsent += size
        if peer.unsent <= MAX_UNSENT_BYTES or peer.unsent == size:
            return True
        if peer.is_tcp and peer.unsent - (_tcp_bytes(peer.fd)[0] - peer.acknowledged) <= MAX_UNSENT_BYTES:
            return True
        peer.unsent -= size
        peer.blocked_s = peer.blocked_s or time.monotonic()
        return False

    def check(self, now_s: float) -> None:
        """Shut down connections that send a message without end, or read nothing of what waits for them."""
        if now_s < self._next_check_s:
            return
        self._next_check_s = now_s + CHECK_S
        for peer in list(self._peers.values()):
            received = _tcp_bytes(peer.fd)[1] if peer.is_tcp else 0
            if peer.fresh:
                peer.fresh, peer.received, peer.stuck = False, received, 0
            elif peer.is_tcp and received - peer.received > self._most_incomplete:
                self._shut_down(peer, f"a message has more than {self._most_incomplete} bytes")
            elif not peer.is_tcp:
                peer.stuck += _queued(peer.fd, termios.FIONREAD) > 0
                if peer.stuck >= self._stuck_checks:
                    self._shut_down(peer, "a message does not end")
            if peer.blocked_s is not None and now_s > peer.blocked_s + NOT_READING_S:
                self._shut_down(peer, f"it has not read for {NOT_READING_S:g} s")

    def _shut_down(self, peer: _Peer, reason: str) -> None:
        self._peers.pop(peer.fd, None)
        self.refused += 1
        now_s = time.monotonic()
        if now_s >= self._next_log_s:
            self._next_log_s = now_s + LOG_INTERVAL_S
            log.warning("a connection to %s is closed: %s (%d so far)", self._address, reason, self.refused)
        try:
            connection = socket.socket(fileno=peer.fd)
        except OSError:  # closed meanwhile
            return
        try:
            if self._is_ours(connection):  # not closed, and its descriptor used for something else
                _reset(connection)
        except OSError:
            pass
        finally:
            connection.detach()

    def _is_ours(self, connection: socket.socket) -> bool:
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        name = connection.getsockname()
        if self._address.startswith("ipc://"):
            return bool(name == self._address[len("ipc://") :])
        return isinstance(name, tuple) and str(name[1]) == self._address.rpartition(":")[2]


def _reset(connection: socket.socket) -> None:
    """End a connection at once. A TCP socket that is only shut down still takes what its peer goes on to send."""
    if connection.family != socket.AF_UNIX:
        unspecified = bytes(16)  # sockaddr of family AF_UNSPEC: dissolves the association with the peer
        if ctypes.CDLL(None).connect(connection.fileno(), unspecified, len(unspecified)) == 0:
            return
    connection.shutdown(socket.SHUT_RDWR)


def most_connections() -> int:
    """The limit for one listening socket: its share of the descriptors of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    available = MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else (soft - SPARE_DESCRIPTORS) // LISTENERS
    return max(8, min(MAX_CONNECTIONS, available))


def _queued(fd: int, request: int) -> int:
    """Bytes in a queue of the kernel: FIONREAD, received; SIOCOUTQ, not yet taken by the peer."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(fd, request, count)
    except OSError:
        return 0
    return count[0]


def _tcp_bytes(fd: int) -> tuple[int, int]:
    """Bytes that the peer has acknowledged, and bytes received from it."""
    try:
        connection = socket.socket(fileno=fd)
    except OSError:
        return 0, 0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        return struct.unpack_from("QQ", info, _BYTES_ACKED) if len(info) >= _TCP_INFO_BYTES else (0, 0)
    except OSError:
        return 0, 0
    finally:
        connection.detach()
