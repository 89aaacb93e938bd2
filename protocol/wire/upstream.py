"""A connection to a service that is re-established whenever it is lost, used by one thread at a time.

Both ends that connect build on it: `Client` (protocol/wire/client.py), where callers and an I/O thread take turns,
and the `Link` of a simulator worker, where the computing thread and a keep-alive thread do.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Optional, Union

import msgspec
import zmq

from protocol.errors import VantageError
from protocol.wire.codec import Blob
from protocol.wire.connection import Connection
from protocol.wire.endpoint import Endpoint
from protocol.wire.messages import Welcome
from protocol.wire.sockets import Waker

EndpointSource = Union[Endpoint, Callable[[], Endpoint]]


class Backoff:
    """Exponential back-off with jitter: each delay is drawn from the upper half of a doubling range."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._tries = 0

    def next_s(self) -> float:
        bound_s = min(self._most_s, self._first_s * 2.0**self._tries)
        self._tries = min(self._tries + 1, 30)
        return bound_s * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._tries = 0


class Lost(NamedTuple):
    """Why there is no connection, and whether there was an established one until now."""

    reason: str
    was_ready: bool


class Upstream:
    """The current connection, the thread that holds the turn, and the delay before the next attempt.

    Every method below `turn_if_free`, except `wake`, must be called by the thread that holds the turn.
    """

    def __init__(self, endpoint: EndpointSource, greeting: msgspec.Struct, silence_s: float, retry: Backoff) -> None:
        """A callable `endpoint` is evaluated for each attempt. A service silent for `silence_s` counts as lost."""
        self._endpoint = endpoint
        self._greeting = greeting
        self._silence_s = silence_s
        self._retry = retry
        self._next_attempt = 0.0  # monotonic
        self._context = zmq.Context()
        self._waker = Waker()
        self._turn = threading.Lock()
        self._holder = 0  # thread id
        self.connection: Optional[Connection] = None
        self.connections = 0  # attempts that opened a socket

    # ------------------------------------------------------------------------- turns

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn, waiting for it if necessary."""
        with self._turn:
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = 0

    @contextmanager
    def turn_if_free(self) -> Iterator[bool]:
        """Hold the turn if no other thread does; yields whether this thread holds it."""
        if not self._turn.acquire(blocking=False):
            yield False
            return
        self._holder = threading.get_ident()
        try:
            yield True
        finally:
            self._holder = 0
            self._turn.release()

    @property
    def held(self) -> bool:
        """Whether a thread holds the turn."""
        return self._turn.locked()

    @property
    def held_by_me(self) -> bool:
        return self._holder == threading.get_ident()

    def wake(self) -> None:
        """End the sleep of the thread that holds the turn. Safe in a signal handler."""
        self._waker.wake()

    # ------------------------------------------------------------------------- the thread that holds the turn

    @property
    def ready(self) -> bool:
        """Whether the service has accepted the greeting of the current connection."""
        return self.connection is not None and self.connection.ready

    def receive(self) -> Iterator[list[Blob]]:
        """The messages that have arrived."""
        if self.connection is not None:
            yield from self.connection.receive()

    def on_welcome(self, welcome: Welcome) -> None:
        assert self.connection is not None
        self.connection.on_welcome(welcome)
        self._retry.reset()

    def send(self, frames: Sequence[Blob]) -> bool:
        """False if there is no established connection or its queue is full."""
        return self.connection is not None and self.connection.ready and self.connection.send(frames)

    def tend(self, connect: bool, last_messages: Callable[[], None]) -> Optional[Lost]:
        """Send heartbeats, detect a lost connection, and open a new one if `connect` and the delay is over.

        `last_messages` is called before a lost connection is closed: a service that exits sends its last answers first.
        Raises the VantageError of the endpoint or socket if another attempt cannot help.
        """
        if self.connection is not None:
            self.connection.tend()
            if not self.connection.lost:
                return None
            last_messages()
            lost = Lost(f"{self.connection.endpoint.address}: {self.connection.lost}", self.connection.ready)
            self.disconnect()
            self._delay()
            return lost
        if not connect or time.monotonic() < self._next_attempt:
            return None
        try:
            endpoint = self._endpoint() if callable(self._endpoint) else self._endpoint
            self.connection = Connection(self._context, endpoint, self._greeting, self._silence_s)
            self.connections += 1
            return None
        except VantageError as error:
            self._delay()
            if not error.retryable:
                raise
            return Lost(error.message, was_ready=False)

    def sleep(self, until: float, connect: bool, to_send: bool = False) -> None:
        """Sleep until the monotonic time `until`, a message, a wake-up, or the next attempt to connect if `connect`.

        With `to_send` room in the send queue ends the sleep too.
        """
        if self.connection is not None:
            self.connection.sleep(self._waker, until, to_send)
        else:
            until = min(until, self._next_attempt) if connect else until
            self._waker.sleep(until - time.monotonic())

    def disconnect(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def close(self) -> None:
        """Close the connection and release the sockets."""
        self.disconnect()
        self._context.term()
        self._waker.close()

    def _delay(self) -> None:
        self._next_attempt = time.monotonic() + self._retry.next_s()
