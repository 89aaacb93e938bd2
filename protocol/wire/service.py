"""A service: a ROUTER socket whose requests are answered by handlers, each request id once.

    Inbox ⇄ I/O thread: decode · HELLO, heartbeats · de-duplication · BUSY ─▶ queue ─▶ handlers in the thread of
    `serve` ─▶ outbox ─▶ I/O thread: remember, send

Handlers run one at a time in one thread, for one client after the other; heartbeats are answered however long a handler
takes.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Optional, Union

import msgspec

from protocol.errors import VantageError
from protocol.wire.codec import Blob, encode
from protocol.wire.dedup import Key, ReplyCache
from protocol.wire.endpoint import Endpoint
from protocol.wire.fair import FairQueue
from protocol.wire.inbox import PAUSE_S, Inbox, Request
from protocol.wire.messages import KIND_OF, Failure, failure_of
from protocol.wire.peers import CHECK_S
from protocol.wire.sockets import Waker

log = logging.getLogger(__name__)

Answer = Union[msgspec.Struct, tuple[msgspec.Struct, Sequence[Blob]]]
# A handler returns its answer, or a Future of it to answer other requests meanwhile.
Handler = Callable[[Any, Request], Union[Answer, "Future[Answer]"]]


class Service:
    """Answers requests on a bound endpoint.

    The constructor binds the address; `endpoint` is the real one, ready to publish. A handler returns a message,
    a (message, blobs) pair, or a Future of either; a VantageError that it raises (or its Future holds) becomes a
    Failure, any other exception Failure("internal"). Arrays of replies must not be written to
    afterwards. Above `max_in_flight` unanswered requests the answer is BUSY, except to a client with less than its
    share. `counters` are exported by /metrics.

    Raises VantageError: "conflict" if the address is in use, "bad_config" if it cannot be served.
    """

    def __init__(
        self,
        name: str,
        run: str,
        endpoint: Endpoint,
        handlers: Mapping[type[msgspec.Struct], Handler],
        *,
        max_in_flight: int = 256,
        retry_after_s: float = 0.25,
        heartbeat_s: float = 1.0,
        drain_s: float = 5.0,
    ) -> None:
        self.name = name
        self._handlers = dict(handlers)
        self._max_in_flight = max_in_flight
        self._retry_after_s = retry_after_s
        self._drain_s = drain_s
        self._queue: FairQueue[Request] = FairQueue()
        self._outbox: deque[tuple[Key, list[Blob]]] = deque()
        self._draining = threading.Event()
        self._finished = threading.Event()
        self._io_error: Optional[BaseException] = None
        self._inbox = Inbox(name, run, endpoint, heartbeat_s, ReplyCache(), self._handlers, self._room)
        self._waker = Waker()
        self.counters = self._inbox.counters
        self.endpoint = self._inbox.endpoint

    def serve(self, stop: threading.Event) -> None:
        """Answer until `stop` is set, then finish accepted requests (for at most `drain_s`) and free the address."""
        io_thread = threading.Thread(target=self._run_io, name=f"{self.name}-io", daemon=True)
        io_thread.start()
        try:
            while not stop.is_set() and self._io_error is None:
                self._handle_next(0.1)
            self._draining.set()
            end = time.monotonic() + self._drain_s
            while self._inbox.running and time.monotonic() < end and self._io_error is None:
                self._handle_next(0.02)
        finally:
            self._finished.set()
            self._waker.wake()
            io_thread.join()
            self.close()
        if self._io_error is not None:
            raise self._io_error

    def close(self) -> None:
        """Free the address of a service that is not serving; idempotent."""
        self._inbox.close()
        self._waker.close()

    # ------------------------------------------------------------------ handlers, in the thread of serve()

    def _handle_next(self, timeout_s: float) -> None:
        try:
            request = self._queue.get(timeout_s)
        except queue.Empty:
            return
        try:
            answer = self._handlers[type(request.message)](request.message, request)
        except Exception as error:  # a fault in a handler must not end the service
            self._post(request, self._failure(error))
            return
        if isinstance(answer, Future):
            answer.add_done_callback(partial(self._finish, request))
        else:
            self._post(request, answer)

    def _finish(self, request: Request, future: Future[Answer]) -> None:
        if future.cancelled():
            self._post(request, Failure("unavailable", f"{self.name} dropped this request; send it again", True))
            return
        error = future.exception()
        self._post(request, future.result() if error is None else self._failure(error))

    def _post(self, request: Request, answer: Answer) -> None:
        message, blobs = answer if isinstance(answer, tuple) else (answer, ())
        try:
            frames = encode(request.request_id, message, blobs)
        except VantageError as error:  # e.g. more arrays than a message may carry
            frames = encode(request.request_id, self._failure(error))
        self._outbox.append((request.key, frames))
        self._waker.wake()

    def _failure(self, error: BaseException) -> Failure:
        self.counters["failures"] += 1
        if isinstance(error, VantageError):
            return failure_of(error)
        log.error("a handler of %s failed", self.name, exc_info=error)
        return Failure("internal", f"{self.name} failed on this request ({type(error).__name__}); see its log")

    # ------------------------------------------------------------------ the socket, in the I/O thread

    def _run_io(self) -> None:
        try:
            while not self._finished.is_set():
                if self._inbox.flooded:  # leave the interpreter to the handlers
                    self._waker.sleep(PAUSE_S)
                else:
                    self._waker.sleep(CHECK_S, self._inbox.items)
                for request in self._inbox.requests():
                    self._on_request(request)
                self._send_outbox()
            self._send_outbox()
        except BaseException as error:  # raised again by serve()
            self._io_error = error

    def _on_request(self, request: Request) -> None:
        if type(request.message) not in self._handlers:
            kind = KIND_OF[type(request.message)]
            error = VantageError("unsupported", f"{self.name} does not answer {kind}; ask the service that does")
            self._inbox.reply(request, self._failure(error))
        else:
            self._inbox.accept(request)
            self._queue.put(request.client, request)

    def _room(self, client: str) -> Optional[float]:
        """None if the client may have one more request in progress, else the seconds until it may try again."""
        has_room = not self._draining.is_set() and self._inbox.admits(client, self._max_in_flight)
        return None if has_room else self._retry_after_s

    def _send_outbox(self) -> None:
        while self._outbox:
            self._inbox.finish(*self._outbox.popleft())
