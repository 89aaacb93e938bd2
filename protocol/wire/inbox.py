"""What arrives at a service's ROUTER, down to the new requests: all else is answered here, each request id once.

    receive ─▶ decode ─▶ HELLO, heartbeat, repetition, refusal: answered
                     └─▶ new request ─▶ the caller: reply() now, or accept() and finish() later

It belongs to the thread that polls its socket, and has none of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Optional

import msgspec
import zmq

from protocol.errors import VantageError
from protocol.wire.codec import Blob, Packet, decode, encode, request_id_of
from protocol.wire.dedup import Key, ReplyCache
from protocol.wire.endpoint import Endpoint
from protocol.wire.messages import Heartbeat, Hello, failure_of
from protocol.wire.sessions import Sessions
from protocol.wire.sockets import Listener, receive, send

log = logging.getLogger(__name__)

MESSAGES_PER_TURN = 64  # received before what waits to be sent has its turn
LOG_INTERVAL_S = 10.0


class Request(Packet, frozen=True):
    """A request as it came: request_id, message, blobs and array(ref) of Packet, and by whom and how."""

    client: str
    identity: bytes  # the connection that it came by
    frames: list[Blob]  # without the identity, to be forwarded as they are

    @property
    def key(self) -> Key:
        return (self.client, self.request_id)


class Inbox:
    """A bound ROUTER, who is connected to it, and what became of each request.

    `endpoint` is the real address, ready to publish; `counters` is for /metrics. Raises VantageError: "conflict" when
    the address is in use, "bad_config" when it cannot be served.
    """

    def __init__(self, name: str, run: str, endpoint: Endpoint, heartbeat_s: float, replies: ReplyCache) -> None:
        self._name = name
        self._sessions = Sessions(name, run, heartbeat_s)
        self._replies = replies
        self._next_log = 0.0
        self.counters: dict[str, int] = dict.fromkeys(
            ("requests", "replies", "failures", "malformed", "duplicates", "busy", "undelivered", "clients"), 0
        )
        self._listener = Listener(endpoint)
        self.endpoint = self._listener.endpoint

    @property
    def socket(self) -> zmq.Socket:
        return self._listener.socket

    @property
    def running(self) -> int:
        """Requests accepted and not finished."""
        return self._replies.running

    def requests(self) -> Iterator[Request]:
        """The new requests among the messages that wait, at most MESSAGES_PER_TURN of which are taken."""
        for _ in range(MESSAGES_PER_TURN):
            frames = receive(self.socket)
            if frames is None:
                break
            identity = bytes(frames[0])
            try:
                request = self._take(identity, frames[1:])
            except Exception:  # whatever a peer sent, the others are served
                self.counters["malformed"] += 1
                log.exception("%s could not take a message", self._name)
                continue
            if request is not None:
                yield request
        self._sessions.expire()
        self.counters["clients"] = len(self._sessions)

    def accept(self, request: Request) -> None:
        """From now on the request is in progress: a repetition of it only says where its answer should go."""
        self._replies.start(request.key, request.identity)

    def finish(self, key: Key, frames: Sequence[Blob]) -> None:
        """Answer an accepted request, and keep the answer for repetitions."""
        self._send(self._replies.finish(key, frames), frames)

    def reply(self, request: Request, message: msgspec.Struct) -> None:
        """Answer a request that was not accepted; a repetition of it is a new request."""
        self._send(request.identity, encode(request.request_id, message))

    def close(self) -> None:
        """Free the address; idempotent."""
        self._listener.close()

    def _take(self, identity: bytes, frames: list[Blob]) -> Optional[Request]:
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
        if client is None:  # about the connection, not about this request
            error = VantageError("bad_request", f"{self._name} does not know this connection; say HELLO first", True)
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

    def _send(self, identity: bytes, frames: Sequence[Blob]) -> None:
        self.counters["replies"] += 1
        if not send(self.socket, [identity, *frames]):
            self.counters["undelivered"] += 1  # its client asks again and finds the stored reply

    def _fail(self, identity: bytes, request_id: bytes, error: VantageError) -> None:
        self.counters["failures"] += 1
        self._send(identity, encode(request_id, failure_of(error)))

    def _refuse(self, identity: bytes, frames: Sequence[Blob], error: VantageError) -> None:
        self.counters["malformed"] += 1
        now = time.monotonic()
        if now >= self._next_log:
            self._next_log = now + LOG_INTERVAL_S
            log.warning("%s refused a message: %s (%d so far)", self._name, error, self.counters["malformed"])
        self._send(identity, encode(request_id_of(frames), failure_of(error)))
