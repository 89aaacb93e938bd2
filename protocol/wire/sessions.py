"""The clients connected to a service: HELLO, WELCOME, and expiry of silent clients."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Optional

from protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR
from protocol.errors import VantageError
from protocol.tasks.check import check_name
from protocol.wire.messages import Hello, Welcome


class Sessions:
    """Connections that have sent HELLO, least recently active first.

    A connection is a ROUTER identity; the name of its client outlives it. A connection silent for `expiry_s`, or the
    least recently active one above `max_clients`, is dropped and must send HELLO again.
    """

    def __init__(
        self, service: str, run: str, heartbeat_s: float = 1.0, expiry_s: float = 60.0, max_clients: int = 4096
    ) -> None:
        self._welcome = Welcome(service, PROTOCOL_MAJOR, PROTOCOL_MINOR, run, heartbeat_s)
        self._expiry_s = expiry_s
        self._max_clients = max_clients
        self._clients: OrderedDict[bytes, tuple[str, float]] = (
            OrderedDict()
        )  # identity -> name, time of the last message

    def __len__(self) -> int:
        return len(self._clients)

    def open(self, identity: bytes, hello: Hello) -> Welcome:
        """Raises VantageError: "version" for a client of another major, "bad_request" for an unusable name."""
        if hello.protocol_major != PROTOCOL_MAJOR:
            raise VantageError(
                "version",
                f"{self._welcome.service} uses protocol major {PROTOCOL_MAJOR}, the client {hello.protocol_major}; "
                "update the older one",
            )
        check_name(hello.client, "a client's name")
        self._clients[identity] = (hello.client, time.monotonic())
        if len(self._clients) > self._max_clients:
            self._clients.popitem(last=False)
        return self._welcome

    def client(self, identity: bytes) -> Optional[str]:
        """The name of the client that sent a message on this connection; None if it must send HELLO first."""
        known = self._clients.get(identity)
        if known is None:
            return None
        self._clients[identity] = (known[0], time.monotonic())
        self._clients.move_to_end(identity)
        return known[0]

    def expire(self) -> None:
        horizon = time.monotonic() - self._expiry_s
        while self._clients and next(iter(self._clients.values()))[1] < horizon:
            self._clients.popitem(last=False)
