"""A worker's connection to its broker, kept alive during a long render.

    broker ──requests──▶ Link.tasks() ─▶ the computing thread ─▶ Link.answer ──▶ broker

The computing thread does the connection's work itself while it waits for a request, so that a request is there without
a hand-over between threads. While it computes, a second thread does: heartbeats, what arrives, the end of the process
when it is orphaned or stuck. One lock says whose turn it is.

A broker that is lost is sought again with a fresh socket at the endpoint as it is then; answers that could not be sent
are sent there, and count if the broker still waits for them.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Optional

import zmq

from protocol.errors import VantageError
from protocol.wire.client import Backoff
from protocol.wire.codec import Blob, Packet, decode, encode
from protocol.wire.connection import Connection
from protocol.wire.endpoint import Endpoint
from protocol.wire.messages import Drain, Failure, Goodbye, Loading, Ready, Welcome
from protocol.wire.sockets import Waker, readable

log = logging.getLogger(__name__)

STUCK = 70  # exit status (EX_SOFTWARE) of a worker that computed for too long
ORPHANED = 1  # exit status of a child whose parent is gone
KEEP_ALIVE_S = 0.1  # between two looks at the connection while a request is computed
LINGER_MS = 2000
FIRST_WORD_S = 5.0  # without a broker, before a worker says so
NEXT_WORD_S = 60.0
# An agent that looks around asks for its next view as soon as it has this one. To wait for it awake spares the wake-up,
# and keeps the broker and the client off this core, whose caches hold the scene.
AWAKE_S = 0.001


class Link:
    """Offers a worker to the broker, takes its requests and sends its answers.

    `silence_s` without a word from the broker means that it is lost. A computation that takes longer than
    `request_timeout_s` ends the process, since nothing else can stop it. With `leash` the end of standard input does.
    """

    def __init__(
        self,
        endpoint: Callable[[], Endpoint],
        ready: Ready,
        silence_s: float,
        request_timeout_s: float,
        leash: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._ready = ready
        self._silence_s = silence_s
        self._request_timeout_s = request_timeout_s
        self._leash: Optional[int] = sys.stdin.fileno() if leash else None
        self._context = zmq.Context()
        self._connection: Optional[Connection] = None
        self._backoff = Backoff(0.05, 2.0)
        self._next_connect_s = 0.0
        self._next_word_s = time.monotonic() + FIRST_WORD_S
        self._waker = Waker()
        self._turn = threading.Lock()  # held by the thread that works on the connection, the queues and what follows
        self._tasks: deque[Packet] = deque()  # taken and not begun
        self._outbox: deque[tuple[Sequence[Blob], bool]] = deque()  # (frames, whether they answer a request)
        self._held = 0  # requests taken and not answered yet
        self._asked_to_drain = False
        self._draining = False
        self._left = False
        self._fatal: Optional[VantageError] = None
        self._wants_to_leave = False  # set in a signal handler
        self._busy_since_s: Optional[float] = None  # set by the computing thread
        self._awake_until_s = 0.0
        self._finished = threading.Event()

    # ------------------------------------------------------------------------- the computing thread

    def tasks(self) -> Iterator[Packet]:
        """Requests, one after the other, until the worker has left. Each must be answered before the next.

        Raises VantageError where the broker refuses this worker for good.
        """
        keeper = threading.Thread(target=self._keep_alive, name="link", daemon=True)
        keeper.start()
        try:
            while True:
                with self._turn:
                    task = self._next_task()
                if task is None:
                    break
                self._busy_since_s = time.monotonic()
                yield task
        finally:
            self._finished.set()
            keeper.join()
            if self._connection is not None:
                self._connection.close()
            self._context.term()

    def answer(self, frames: Sequence[Blob]) -> None:
        """Send an answer; the arrays behind it must not change any more."""
        self._busy_since_s = None
        with self._turn:
            self._outbox.append((frames, True))
            self._flush()
        self._awake_until_s = time.monotonic() + AWAKE_S

    def announce_load(self, job_id: bytes, deadline_s: float) -> None:
        """Say that this worker may be silent for so long; 0 says that the load is over.

        It is on its way when this returns, since a simulator that loads may keep every other thread of the process
        from running.
        """
        with self._turn:
            self._outbox.append((encode(job_id, Loading(deadline_s)), False))
            self._flush()

    def leave(self) -> None:
        """Ask the broker for no more work, finish what was taken, then leave. Safe in a signal handler."""
        self._wants_to_leave = True
        self._waker.wake()

    # ------------------------------------------------------------------------- whoever has the turn

    def _next_task(self) -> Optional[Packet]:
        """The next request, waited for; None once the worker has left."""
        while self._fatal is None:
            if self._left:
                return None
            self._receive()
            if self._tasks:  # what is there goes first; the other thread tends the connection meanwhile
                return self._tasks.popleft()
            self._tend()
            self._flush()
            if not self._left:
                self._wait()
        raise self._fatal

    def _keep_alive(self) -> None:
        """The second thread: the connection's work while the other computes, and the reasons to end the process."""
        poller = zmq.Poller()
        if self._leash is not None:
            poller.register(self._leash, zmq.POLLIN)
        while not self._finished.is_set():
            if self._leash is None:
                self._finished.wait(KEEP_ALIVE_S)
            elif poller.poll(int(1000 * KEEP_ALIVE_S)) and not os.read(self._leash, 1):
                os._exit(ORPHANED)
            busy_since_s = self._busy_since_s
            if busy_since_s is None:
                continue
            if time.monotonic() - busy_since_s > self._request_timeout_s:
                log.error("one request took longer than %g s; this worker ends", self._request_timeout_s)
                os._exit(STUCK)
            if self._turn.acquire(blocking=False):
                try:
                    self._receive()
                    self._tend()
                    self._flush()
                except VantageError as error:
                    self._fatal = error
                finally:
                    self._turn.release()

    def _tend(self) -> None:
        now_s = time.monotonic()
        if self._connection is not None:
            self._connection.tend()
            if self._connection.lost:
                self._drop(self._connection.lost)
                self._next_connect_s = now_s + self._backoff.next_s()
        elif self._wants_to_leave and self._held == sum(is_answer for _, is_answer in self._outbox):
            self._left = True  # there is nobody to say it to, nor to take an answer that is ready
        elif now_s >= self._next_connect_s:
            try:
                self._connection = Connection(self._context, self._endpoint(), self._ready, self._silence_s)
            except VantageError as error:
                if not error.retryable:
                    raise
                self._still_alone(error.message)
                self._next_connect_s = now_s + self._backoff.next_s()

    def _still_alone(self, reason: str) -> None:
        """Say now and then why this worker is not joined: a wrong key looks like a broker that has yet to come."""
        now_s = time.monotonic()
        if now_s >= self._next_word_s:
            self._next_word_s = now_s + NEXT_WORD_S
            log.warning("this worker is not joined and goes on trying: %s", reason)

    def _drop(self, reason: str) -> None:
        assert self._connection is not None
        if self._connection.ready:
            log.warning("lost the broker: %s", reason)
        else:
            self._still_alone(f"{self._connection.endpoint.address}: {reason}")
        self._connection.close()
        self._connection = None
        self._draining = self._asked_to_drain = False
        # What was not begun, the broker gives to others; what is being computed is sent when it is done.
        self._held -= len(self._tasks)
        self._tasks.clear()

    def _receive(self) -> None:
        if self._connection is None:
            return
        for frames in self._connection.receive():
            try:
                packet = decode(frames)
            except VantageError as error:
                log.warning("the broker sent a message that cannot be read: %s", error)
                continue
            if packet.request_id:
                self._held += 1
                self._tasks.append(packet)
            elif isinstance(packet.message, Welcome):
                self._connection.on_welcome(packet.message)
                self._next_word_s = time.monotonic() + FIRST_WORD_S
                self._backoff.reset()
            elif isinstance(packet.message, Drain):
                self._draining = True
            elif isinstance(packet.message, Failure):
                failure = packet.message
                if not failure.retryable:
                    raise VantageError(failure.code, failure.message)
                self._connection.lost = failure.message  # it took us for dead: join anew

    def _flush(self) -> None:
        connection = self._connection
        if connection is None or not connection.ready:
            return
        while self._outbox:
            frames, is_answer = self._outbox[0]
            if not connection.send(frames):
                return
            self._outbox.popleft()
            self._held -= is_answer
        if self._draining and self._held == 0:
            connection.send(encode(b"", Goodbye()))
            connection.socket.linger = LINGER_MS  # the last answers must still get out
            self._left = True
        elif self._wants_to_leave and not self._asked_to_drain:
            self._asked_to_drain = connection.send(encode(b"", Drain()))

    def _wait(self) -> None:
        if self._connection is None:
            self._waker.sleep(min(1.0, self._next_connect_s - time.monotonic()))
        else:
            while time.monotonic() < self._awake_until_s:
                if readable(self._connection.socket):
                    return
            blocked = bool(self._outbox) and self._connection.ready
            self._connection.sleep(self._waker, time.monotonic() + 1.0, to_send=blocked)
