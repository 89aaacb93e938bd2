"""The broker's side towards clients: greets them, answers what was asked before, and hands on new requests.

Unlike protocol.service.Service it needs no thread of its own: it shares the broker's poll loop, and keeps requests as
the frames that came, so that they can be forwarded without being encoded again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import zmq

from protocol.codec import Blob, decode, encode, request_id_of
from protocol.dedup import Key, ReplyCache
from protocol.endpoint import Endpoint
from protocol.errors import VantageError
from protocol.messages import Failure, Heartbeat, Hello
from protocol.sessions import Sessions
from protocol.sockets import Listener, receive, send

log = logging.getLogger(__name__)

MESSAGES_PER_TURN = 64
LOG_EVERY_S = 10.0


@dataclass(frozen=True)
class ClientRequest:
    key: Key  # (client, request id)
    identity: bytes  # the connection that it came by
    message: Any
    frames: list[Any]  # as they came, without the identity


def failure_of(error: VantageError) -> Failure:
    return Failure(error.code, error.message, error.retryable)


class Frontend:
    """A ROUTER for clients. Raises VantageError("conflict") where its address is in use."""

    def __init__(self, endpoint: Endpoint, run: str, heartbeat_s: float, reply_cache_bytes: int) -> None:
        self._listener = Listener(endpoint)
        self._sessions = Sessions("sim", run, heartbeat_s)
        self._replies = ReplyCache(max_bytes=reply_cache_bytes)
        self._next_log_s = 0.0
        self.malformed = 0
        self.duplicates = 0

    @property
    def endpoint(self) -> Endpoint:
        return self._listener.endpoint

    @property
    def socket(self) -> zmq.Socket:
        return self._listener.socket

    @property
    def clients(self) -> int:
        return len(self._sessions)

    def requests(self) -> Iterator[ClientRequest]:
        """The new requests among the messages that wait, at most MESSAGES_PER_TURN; the rest is answered here.

        Each must be answered by `reply`, or be accepted and answered by `finish` later.
        """
        for _ in range(MESSAGES_PER_TURN):
            frames = receive(self.socket)
            if frames is None:
                break
            yield from self._on_frames(bytes(frames[0]), frames[1:])
        self._sessions.expire()

    def accept(self, request: ClientRequest) -> None:
        """From now on the request is in progress: a repetition of it only says where its answer should go."""
        self._replies.start(request.key, request.identity)

    def finish(self, key: Key, frames: Sequence[Blob]) -> None:
        """Answer an accepted request, and keep the answer for repetitions."""
        send(self.socket, [self._replies.finish(key, frames), *frames])

    def reply(self, request: ClientRequest, message: msgspec.Struct) -> None:
        """Answer a request that was not accepted; a repetition of it is a new request."""
        send(self.socket, [request.identity, *encode(request.key[1], message)])

    def close(self) -> None:
        self._listener.close()

    def _on_frames(self, identity: bytes, frames: Sequence[memoryview]) -> Iterator[ClientRequest]:
        try:
            packet = decode(frames)
            if isinstance(packet.message, Hello):
                welcome = self._sessions.open(identity, packet.message)
                send(self.socket, [identity, *encode(packet.request_id, welcome)])
                return
            client = self._sessions.client(identity)
            if client is None:
                raise VantageError("bad_request", "sim does not know this connection; say HELLO first", True)
        except VantageError as error:
            self._refuse(identity, frames, error)
            return
        key = (client, packet.request_id)
        stored = self._replies.reply(key)
        if isinstance(packet.message, Heartbeat):
            send(self.socket, [identity, *encode(b"", Heartbeat())])
        elif stored is not None:
            self.duplicates += 1
            send(self.socket, [identity, *stored])
        elif self._replies.is_running(key, identity):
            self.duplicates += 1
        else:
            yield ClientRequest(key, identity, packet.message, list(frames))

    def _refuse(self, identity: bytes, frames: Sequence[memoryview], error: VantageError) -> None:
        request_id = b"" if error.retryable else request_id_of(frames)  # not known yet: about the connection
        if not error.retryable:
            self.malformed += 1
            if time.monotonic() >= self._next_log_s:
                self._next_log_s = time.monotonic() + LOG_EVERY_S
                log.warning("refused a message: %s (%d so far)", error, self.malformed)
        send(self.socket, [identity, *encode(request_id, failure_of(error))])
