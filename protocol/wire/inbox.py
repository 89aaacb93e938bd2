"""The receiving half of a service: yields new requests and answers everything else itself, each request id once.

    receive ─▶ decode ─▶ HELLO, heartbeat, repetition, rejection: answered here
                     └─▶ new request ─▶ the caller: reply() now, or accept() and finish() later

Used by the thread that polls its socket; it starts no thread.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Optional

import msgspec
import zmq

from protocol.errors import VantageError
from protocol.wire.codec import MAX_HEADER_BYTES, Blob, Packet, decode, encode, request_id_of
from protocol.wire.dedup import Key, ReplyCache
from protocol.wire.endpoint import Endpoint
from protocol.wire.fair import admits
from protocol.wire.messages import KIND_OF, Busy, Heartbeat, Hello, failure_of
from protocol.wire.sessions import Sessions
from protocol.wire.sockets import Listener

log = logging.getLogger(__name__)

MESSAGES_PER_TURN = 16  # received before pending replies are sent
PAUSE_S = 0.002
MOST_BUSY = 200  # answers to one client in a second
LOG_INTERVAL_S = 10.0


class Request(Packet, frozen=True):
    """A received request: a Packet with its client, connection and frames."""

    client: str
    identity: bytes  # of the connection
    frames: list[Blob]  # without the identity, to be forwarded unchanged

    @property
    def key(self) -> Key:
        return (self.client, self.request_id)

    @property
    def durable_id(self) -> bytes:
        """`key` as one value, for effects that a database remembers: ids of different clients may be equal."""
        return hashlib.blake2b(self.client.encode() + b"\0" + self.request_id, digest_size=16).digest()


class Inbox:
    """A bound ROUTER, the clients connected to it, and the state of each request.

    `endpoint` is the real address, ready to publish; `counters` are exported by /metrics. Raises VantageError:
    "conflict" if the address is in use, "bad_config" if it cannot be served.
    """

    def __init__(
        self,
        name: str,
        run: str,
        endpoint: Endpoint,
        heartbeat_s: float,
        replies: ReplyCache,
        bounded: Iterable[type[msgspec.Struct]],
        room: Callable[[str], Optional[float]],
    ) -> None:
        """`room` is called with the client of each new request of the types `bounded`.

        It returns None if the client may have one more request in progress, else the seconds until it may try again.
        """
        self._bounded = {KIND_OF[cls].encode() for cls in bounded}
        self._room = room
        self.flooded = False  # the last messages were all turned away: the caller waits for PAUSE_S before it reads on
        self._busy_answers: Counter[str] = Counter()  # in this second
        self._next_second_s = 0.0
        self._name = name
        self._sessions = Sessions(name, run, heartbeat_s)
        self._replies = replies
        self._next_log = 0.0
        self.counters: dict[str, int] = dict.fromkeys(
            (
                "requests",
                "replies",
                "failures",
                "malformed",
                "duplicates",
                "busy",
                "undelivered",
                "clients",
                "connections_refused",
            ),
            0,
        )
        self._listener = Listener(endpoint, most_frame_bytes=MAX_HEADER_BYTES)  # requests have no arrays
        self.endpoint = self._listener.endpoint

    @property
    def items(self) -> tuple[tuple[zmq.Socket, int], ...]:
        """The sockets to poll, each with its events."""
        return self._listener.items

    @property
    def running(self) -> int:
        """Number of requests accepted and not finished."""
        return self._replies.running

    def requests(self) -> Iterator[Request]:
        """New requests among the waiting messages; receives at most MESSAGES_PER_TURN messages."""
        self._listener.tend()
        busy_before = self.counters["busy"]
        for _ in range(MESSAGES_PER_TURN):
            frames = self._listener.receive()
            if frames is None:
                break
            identity = bytes(frames[0])
            try:
                request = self._take(identity, frames[1:])
            except Exception:  # one bad message must not stop the service
                self.counters["malformed"] += 1
                log.exception("%s failed on a message", self._name)
                continue
            if request is not None:
                yield request
        self.flooded = self.counters["busy"] - busy_before == MESSAGES_PER_TURN
        self._sessions.expire()
        self.counters["clients"] = len(self._sessions)
        self.counters["connections_refused"] = self._listener.refused

    def accept(self, request: Request) -> None:
        """Mark the request as in progress: repeating it then only changes where its answer is sent."""
        self._replies.start(request.key, request.identity)

    def finish(self, key: Key, frames: Sequence[Blob]) -> None:
        """Answer an accepted request and store the answer for repetitions."""
        self._send(self._replies.finish(key, frames), frames)

    def admits(self, client: str, bound: int) -> bool:
        """Whether the client may have one more request in progress; `bound` is for all clients together."""
        mine, clients = self._replies.running_of(client), self._replies.clients
        return admits(mine, self.running, clients + (mine == 0), bound)

    def forget(self, key: Key) -> None:
        """Drop a stored answer, so that a repetition of its request is a new request."""
        self._replies.forget(key)

    def reply(self, request: Request, message: msgspec.Struct) -> None:
        """Answer a request that was not accepted; a repetition of it is a new request."""
        self._send(request.identity, encode(request.request_id, message))

    def close(self) -> None:
        """Free the address; idempotent."""
        self._listener.close()

    def _take(self, identity: bytes, frames: list[Blob]) -> Optional[Request]:
        if len(frames) >= 4 and self._turn_away(identity, frames):
            return None
        try:
            packet = decode(frames)
        except VantageError as error:
            self._refuse(identity, frames, error)
            return None
        try:
            if isinstance(packet.message, Hello):
                self._send(identity, encode(packet.request_id, self._sessions.open(identity, packet.message)))
                return None
        except VantageError as error:
            self._fail(identity, packet.request_id, error)
            return None
        client = self._sessions.client(identity)
        if client is None:  # no request id: the error is about the connection
            error = VantageError("bad_request", f"{self._name} does not know this connection; send HELLO first", True)
            self._fail(identity, b"", error)
            return None
        if isinstance(packet.message, Heartbeat):
            self._send(identity, encode(b"", Heartbeat()))
            return None
        self.counters["requests"] += 1
        request = Request(packet.request_id, packet.message, packet.blobs, client, identity, frames)
        stored = self._replies.reply(request.key)
        if stored is not None:
            self.counters["duplicates"] += 1
            self._send(identity, stored)
        elif self._replies.is_running(request.key, identity):
            self.counters["duplicates"] += 1
        else:
            return request
        return None

    def _turn_away(self, identity: bytes, frames: list[Blob]) -> bool:
        """Answer BUSY to a new request of a client without room, before it costs anything.

        Above MOST_BUSY in a second there is no answer: a client that does not wait after BUSY must not occupy this
        thread.
        """
        client = self._sessions.client(identity) if bytes(frames[1]) in self._bounded else None
        retry_after_s = None if client is None else self._room(client)
        request_id = request_id_of(frames)
        if client is None or retry_after_s is None or self._replies.knows((client, request_id)):
            return False
        self.counters["busy"] += 1
        now_s = time.monotonic()
        if now_s >= self._next_second_s:
            self._next_second_s = now_s + 1.0
            self._busy_answers.clear()
        self._busy_answers[client] += 1
        if self._busy_answers[client] <= MOST_BUSY:
            self._send(identity, encode(request_id, Busy(retry_after_s)))
        return True

    def _send(self, identity: bytes, frames: Sequence[Blob]) -> None:
        self.counters["replies"] += 1
        if not self._listener.send(identity, frames):
            self.counters["undelivered"] += 1  # the client resends the request and gets the stored reply

    def _fail(self, identity: bytes, request_id: bytes, error: VantageError) -> None:
        self.counters["failures"] += 1
        self._send(identity, encode(request_id, failure_of(error)))

    def _refuse(self, identity: bytes, frames: Sequence[Blob], error: VantageError) -> None:
        self.counters["malformed"] += 1
        now = time.monotonic()
        if now >= self._next_log:
            self._next_log = now + LOG_INTERVAL_S
            log.warning("%s rejected a message: %s (%d so far)", self._name, error, self.counters["malformed"])
        self._send(identity, encode(request_id_of(frames), failure_of(error)))
