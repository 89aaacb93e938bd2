"""A worker's connection to its broker, kept alive during a long render.

    broker ──requests──▶ Link.tasks() ─▶ the computing thread ─▶ Link.answer ──▶ broker

While it waits for a request, the computing thread does the I/O itself, so that a request arrives without a hand-over
between threads. While it computes, the keep-alive thread does the I/O: it sends heartbeats, receives requests, and
ends the process if it is orphaned or stuck.

When the broker is lost, the link looks up the endpoint again and opens a fresh socket. Answers that could not be sent
are sent there; they count if the broker still waits for them.
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
from protocol.wire.codec import Blob, Packet, decode, encode
from protocol.wire.endpoint import Endpoint
from protocol.wire.messages import Drain, Failure, Goodbye, Loading, Ready, Welcome
from protocol.wire.sockets import readable
from protocol.wire.upstream import Backoff, Lost, Upstream

log = logging.getLogger(__name__)

STUCK = 70  # exit status (EX_SOFTWARE) of a worker whose computation took too long
ORPHANED = 1  # exit status of a child whose parent is gone
KEEP_ALIVE_S = 0.1  # interval of the keep-alive thread
LINGER_MS = 2000
REJECTED_S = 5.0  # how long a computation may go on after the broker has rejected this worker for good
FIRST_WARNING_S = 5.0  # without a broker, before the worker logs a warning
NEXT_WARNING_S = 60.0
# An agent that looks around requests its next view as soon as it has this one. Polling for it spares the wake-up and
# keeps the broker and the client off this core, whose caches hold the scene.
POLL_S = 0.001


class Link:
    """Offers a worker to the broker, receives its requests and sends its answers.

    A broker silent for `silence_s` counts as lost. A computation longer than `request_timeout_s` ends the process,
    since nothing else can stop it. With `leash` the end of standard input ends it too.
    """

    def __init__(
        self,
        endpoint: Callable[[], Endpoint],
        ready: Ready,
        silence_s: float,
        request_timeout_s: float,
        leash: bool = False,
    ) -> None:
        self._upstream = Upstream(endpoint, ready, silence_s, Backoff(0.05, 2.0))
        self._request_timeout_s = request_timeout_s
        self._leash: Optional[int] = sys.stdin.fileno() if leash else None
        self._next_warning_s = time.monotonic() + FIRST_WARNING_S
        self._tasks: deque[Packet] = deque()  # received and not begun
        self._outbox: deque[tuple[Sequence[Blob], bool]] = deque()  # (frames, whether they answer a request)
        self._unanswered = 0
        self._leaving = False  # set in a signal handler
        self._drain_requested = False
        self._draining = False
        self._left = False
        self._fatal: Optional[VantageError] = None
        self._busy_since_s: Optional[float] = None  # set by the computing thread
        self._poll_until_s = 0.0
        self._finished = threading.Event()

    # ------------------------------------------------------------------------- the computing thread

    def tasks(self) -> Iterator[Packet]:
        """Requests, one after the other, until the worker has left. Each must be answered before the next.

        Raises VantageError if the broker rejects this worker for good.
        """
        keeper = threading.Thread(target=self._keep_alive, name="link", daemon=True)
        keeper.start()
        try:
            while True:
                with self._upstream.turn():
                    task = self._next_task()
                if task is None:
                    break
                self._busy_since_s = time.monotonic()
                yield task
        finally:
            self._finished.set()
            keeper.join()
            self._upstream.close()

    def answer(self, frames: Sequence[Blob]) -> None:
        """Send an answer; the arrays behind it must not change any more."""
        self._busy_since_s = None
        with self._upstream.turn():
            self._outbox.append((frames, True))
            self._flush()
        self._poll_until_s = time.monotonic() + POLL_S

    def announce_load(self, job_id: bytes, deadline_s: float) -> None:
        """Announce that this worker may be silent for `deadline_s`; 0 ends the announcement.

        The message is sent when this returns, since a simulator that loads a scene may block every other thread.
        """
        with self._upstream.turn():
            self._outbox.append((encode(job_id, Loading(deadline_s)), False))
            self._flush()

    def leave(self) -> None:
        """Request no more work, finish what was received, then leave. Safe in a signal handler."""
        self._leaving = True
        self._upstream.wake()

    # ------------------------------------------------------------------------- the thread that holds the turn

    def _next_task(self) -> Optional[Packet]:
        """Wait for the next request; None once the worker has left."""
        while self._fatal is None:
            if self._left:
                return None
            self._receive()
            if self._tasks:  # compute first; the keep-alive thread tends the connection meanwhile
                return self._tasks.popleft()
            self._tend()
            self._flush()
            if not self._left:
                self._wait()
        raise self._fatal

    def _keep_alive(self) -> None:
        """Do the I/O while the other thread computes; end the process if it is orphaned or stuck."""
        poller = zmq.Poller()
        if self._leash is not None:
            poller.register(self._leash, zmq.POLLIN)
        rejected_s = 0.0
        while not self._finished.is_set():
            if self._leash is None:
                self._finished.wait(KEEP_ALIVE_S)
            elif poller.poll(int(1000 * KEEP_ALIVE_S)) and not os.read(self._leash, 1):
                os._exit(ORPHANED)
            busy_since_s = self._busy_since_s
            if busy_since_s is None:
                continue
            if time.monotonic() - busy_since_s > self._request_timeout_s:
                log.error("one request took longer than %g s; this worker exits", self._request_timeout_s)
                os._exit(STUCK)
            with self._upstream.turn_if_free() as free:
                if free:
                    try:
                        self._receive()
                        self._tend()
                        self._flush()
                    except VantageError as error:
                        self._fatal = error
                        rejected_s = time.monotonic()
            if self._fatal is not None and time.monotonic() > rejected_s + REJECTED_S:
                log.error("this worker exits: %s", self._fatal)
                os._exit(STUCK)

    def _tend(self) -> None:
        unreachable = self._upstream.connection is None
        if unreachable and self._leaving and self._unanswered == sum(is_answer for _, is_answer in self._outbox):
            self._left = True  # no broker could be told, and none could take an answer that is ready
            return
        lost = self._upstream.tend(connect=True, last_messages=self._receive)
        if lost is not None:
            self._on_lost(lost)

    def _on_lost(self, lost: Lost) -> None:
        now_s = time.monotonic()
        if lost.was_ready:
            log.warning("lost the broker: %s", lost.reason)
        elif now_s >= self._next_warning_s:  # a wrong key looks like a broker that has not started yet
            self._next_warning_s = now_s + NEXT_WARNING_S
            log.warning("this worker has not joined a broker yet and keeps trying: %s", lost.reason)
        self._draining = self._drain_requested = False
        # The broker gives requests that were not begun to other workers; the one being computed is sent when done.
        self._unanswered -= len(self._tasks)
        self._tasks.clear()

    def _receive(self) -> None:
        for frames in self._upstream.receive():
            try:
                packet = decode(frames)
            except VantageError as error:
                log.warning("the broker sent a message that cannot be decoded: %s", error)
                continue
            if packet.request_id:
                self._unanswered += 1
                self._tasks.append(packet)
            elif isinstance(packet.message, Welcome):
                self._upstream.on_welcome(packet.message)
                self._next_warning_s = time.monotonic() + FIRST_WARNING_S
            elif isinstance(packet.message, Drain):
                self._draining = True
            elif isinstance(packet.message, Failure):
                failure = packet.message
                if not failure.retryable:
                    raise VantageError(failure.code, failure.message)
                assert self._upstream.connection is not None
                self._upstream.connection.lost = failure.message  # the broker gave this worker up: join again

    def _flush(self) -> None:
        if not self._upstream.ready:
            return
        while self._outbox:
            frames, is_answer = self._outbox[0]
            if not self._upstream.send(frames):
                return
            self._outbox.popleft()
            self._unanswered -= is_answer
        if self._draining and self._unanswered == 0:
            self._upstream.send(encode(b"", Goodbye()))
            assert self._upstream.connection is not None
            self._upstream.connection.socket.linger = LINGER_MS  # the last answers must still be delivered
            self._left = True
        elif self._leaving and not self._drain_requested:
            self._drain_requested = self._upstream.send(encode(b"", Drain()))

    def _wait(self) -> None:
        connection = self._upstream.connection
        while connection is not None and time.monotonic() < self._poll_until_s:
            if readable(connection.socket):
                return
        blocked = bool(self._outbox) and self._upstream.ready
        self._upstream.sleep(time.monotonic() + 1.0, connect=True, to_send=blocked)
