"""A client that keeps its promises through restarts: one request id per request, asked until answered or too late.

    submit() ─▶ inbox ─▶ whoever has the turn: connect · HELLO · send · retry · BUSY · heartbeats ─▶ futures

An I/O thread has the turn, and so the socket; but a caller of `request` takes it while it waits, so that its answer
comes without a hand-over between threads. A lost service is sought again with a fresh socket at the endpoint as it is
then, and everything unanswered is sent again; the service's de-duplication makes the effect exactly one.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Optional, Union

import msgspec
import zmq

from protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR
from protocol.errors import CODES, VantageError
from protocol.wire.codec import Blob, Packet, decode, encode, request_id_of
from protocol.wire.connection import Connection
from protocol.wire.endpoint import Endpoint
from protocol.wire.messages import KIND_OF, Busy, Failure, Heartbeat, Hello, Welcome
from protocol.wire.sockets import Waker

log = logging.getLogger(__name__)

MAX_BUSY_WAIT_S = 30.0
LOOK_AGAIN_S = 60.0
HAND_BACK_S = 0.005  # after a request() the next one is likely: only then does the I/O thread take the turn again


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


class _Pending:
    """A request that has no answer yet."""

    def __init__(self, kind: str, frames: list[Blob], deadline_s: float, resend: Backoff) -> None:
        self.kind = kind
        self.frames = frames
        self.deadline_s = deadline_s
        self.deadline = time.monotonic() + deadline_s
        self.resend = resend
        self.next_send = 0.0  # monotonic; at once
        self.sent_at_all = False
        self.refused_busy = False  # BUSY was the last word on it
        self.future: Future[Packet] = Future()

    def fail(self, error: VantageError) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Client:
    """Asks one service; safe to use from several threads.

    `endpoint` may be a callable, e.g. `lambda: lookup(run_dir, "sim")`, which is asked again for each connection.
    `name` is for the service's logs. A service that is silent for `liveness_s` counts as lost; a request that has no
    answer is sent again after `resend_s`, then ever less often.
    """

    def __init__(
        self,
        endpoint: Union[Endpoint, Callable[[], Endpoint]],
        name: str,
        *,
        liveness_s: float = 10.0,
        resend_s: float = 5.0,
    ) -> None:
        self._endpoint = endpoint
        # Unique, since request ids are remembered per client; stable across sockets, so that they are found again.
        self._name = f"{name[:96]}-{os.urandom(6).hex()}"
        self._hello = Hello(self._name, PROTOCOL_MAJOR, PROTOCOL_MINOR)
        self._liveness_s = liveness_s
        self._resend_s = resend_s
        self._context = zmq.Context()
        self._waker = Waker()
        self._inbox: deque[tuple[bytes, _Pending]] = deque()
        self._lock = threading.Lock()  # orders submit() against close()
        self._closed = threading.Event()
        self._turn = threading.Lock()  # held by the thread that works on the connection and what follows
        self._worker = 0  # that thread
        self._pending: dict[bytes, _Pending] = {}
        self._due = 0.0  # monotonic: when a pending request must be looked at
        self._blocked = False  # the connection has no room for one that is due
        self._connection: Optional[Connection] = None
        self._reconnect = Backoff(0.05, 3.0)
        self._next_connect = 0.0
        self._trouble = "it was never reached"
        self.counters: dict[str, int] = dict.fromkeys(("requests", "resent", "busy", "connections", "malformed"), 0)
        self._direct = threading.Lock()  # held by the caller of request() that does the work itself
        self._last_direct = 0.0
        self._thread = threading.Thread(target=self._run, name=f"{name}-io", daemon=True)
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def request(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Packet:
        """Ask and wait for the reply; raises what `submit`'s future would hold."""
        if not self._direct.acquire(blocking=False):  # another thread does the work of both
            return self.submit(message, deadline_s).result()
        try:
            future = self._put(message, deadline_s)
            if self._turn.locked():
                self._waker.wake()  # the I/O thread sleeps with it
            with self._my_turn():
                while not (future.done() or self._closed.is_set()):
                    self._work()
                    if not future.done():
                        self._wait()
        finally:
            self._last_direct = time.monotonic()
            self._direct.release()
        return future.result()

    def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Packet]:
        """Ask; the future holds the reply.

        The future raises VantageError: the service's own Failure; within `deadline_s` it was asked but did not answer
        ("timeout"), had no room for the request ("busy") or could not be reached ("unavailable"). A message that may
        not be sent raises "bad_request" here.
        """
        future = self._put(message, deadline_s)
        self._waker.wake()
        return future

    def close(self) -> None:
        """Fail what is unanswered and close the socket; idempotent."""
        with self._lock:
            self._closed.set()
        self._waker.wake()
        if self._worker != threading.get_ident():  # a future's callback may close its client
            self._thread.join()

    def _put(self, message: msgspec.Struct, deadline_s: float) -> Future[Packet]:
        request_id = os.urandom(16)
        pending = _Pending(
            KIND_OF.get(type(message), "?"),
            encode(request_id, message),
            deadline_s,
            Backoff(self._resend_s, 8 * self._resend_s),
        )
        with self._lock:
            if self._closed.is_set():
                raise VantageError("unavailable", "this client is closed; make a new one")
            self._inbox.append((request_id, pending))
        return pending.future

    # ------------------------------------------------------------------ the I/O thread

    def _run(self) -> None:
        reason = VantageError("unavailable", "the client was closed before the answer came")
        try:
            while not self._closed.is_set():
                if self._direct.locked() or time.monotonic() < self._last_direct + HAND_BACK_S:
                    self._closed.wait(HAND_BACK_S)
                    continue
                with self._my_turn():
                    self._work()
                    self._wait()
        except Exception as error:
            reason = VantageError("internal", f"the client's I/O thread failed: {error!r}")
            raise
        finally:
            with self._lock:
                self._closed.set()
            with self._my_turn():
                self._take_inbox()
                self._fail_all(reason)
                self._drop_connection("closed")
                self._context.term()
                self._waker.close()

    # ------------------------------------------------------------------ whoever has the turn

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        with self._turn:
            self._worker = threading.get_ident()
            try:
                yield
            finally:
                self._worker = 0

    def _work(self) -> None:
        """What there is to do now."""
        self._take_inbox()
        self._receive()
        self._tend_connection()
        self._look_at_pending()

    def _take_inbox(self) -> None:
        while self._inbox:
            request_id, pending = self._inbox.popleft()
            self.counters["requests"] += 1
            self._pending[request_id] = pending
            self._due = 0.0

    def _receive(self) -> None:
        if self._connection is None:
            return
        for frames in self._connection.receive():
            try:
                packet = decode(frames)
            except VantageError as error:
                self._on_malformed(frames, error)
                continue
            if packet.request_id:
                self._on_reply(packet)
            else:
                self._on_session_message(packet.message)

    def _on_malformed(self, frames: Sequence[Blob], error: VantageError) -> None:
        self.counters["malformed"] += 1
        if error.code == "version":
            self._fail_all(error)
            return
        pending = self._pending.pop(request_id_of(frames), None)
        if pending is not None:
            pending.fail(VantageError("internal", f"the answer to {pending.kind} is not valid: {error.message}"))

    def _on_reply(self, packet: Packet) -> None:
        pending = self._pending.get(packet.request_id)
        if pending is None:  # a second answer to a request that was sent twice, or an answer after the deadline
            return
        if isinstance(packet.message, Busy):
            self.counters["busy"] += 1
            wait_s = min(max(packet.message.retry_after_s, 0.01), MAX_BUSY_WAIT_S)
            pending.next_send = time.monotonic() + wait_s * random.uniform(1.0, 1.5)
            pending.refused_busy = True
            self._due = min(self._due, pending.next_send)
            return
        del self._pending[packet.request_id]
        if isinstance(packet.message, Failure):
            pending.fail(_as_error(packet.message))
        elif pending.future.set_running_or_notify_cancel():
            pending.future.set_result(packet)

    def _on_session_message(self, message: msgspec.Struct) -> None:
        assert self._connection is not None
        if isinstance(message, Welcome):
            self._connection.on_welcome(message)
            self._reconnect.reset()
            for pending in self._pending.values():
                pending.next_send = 0.0
            self._due = 0.0
        elif isinstance(message, Failure):
            error = _as_error(message)
            if not self._connection.ready and not error.retryable:  # HELLO was refused, and would be again
                self._fail_all(error)
            self._connection.lost = message.message
        elif not isinstance(message, Heartbeat):
            self.counters["malformed"] += 1

    def _look_at_pending(self) -> None:
        """Send the requests that are due; fail those whose time is up."""
        now = time.monotonic()
        if now < self._due and not self._blocked:
            return
        connection = self._connection if self._connection is not None and self._connection.ready else None
        self._due, self._blocked = now + LOOK_AGAIN_S, False
        for request_id, pending in list(self._pending.items()):
            if pending.future.cancelled():
                del self._pending[request_id]
                continue
            if now >= pending.deadline:
                del self._pending[request_id]
                pending.fail(self._too_late(pending))
                continue
            self._due = min(self._due, pending.deadline)
            if connection is None or self._blocked:
                continue
            if now >= pending.next_send:
                if not connection.send(pending.frames):
                    self._blocked = True
                    continue
                self.counters["resent"] += pending.sent_at_all
                pending.sent_at_all = True
                pending.refused_busy = False
                pending.next_send = now + pending.resend.next_s()
            self._due = min(self._due, pending.next_send)

    def _too_late(self, pending: _Pending) -> VantageError:
        within = f"{pending.kind} within {pending.deadline_s:g} s"
        if self._connection is not None and self._connection.ready and pending.sent_at_all:
            address = self._connection.endpoint.address
            if pending.refused_busy:
                return VantageError(
                    "busy", f"{address} was too busy for {within}; ask for less or give it more workers"
                )
            return VantageError("timeout", f"{address} did not answer {within}; see its log or allow more time")
        return VantageError("unavailable", f"no service answered {within}: {self._trouble}; is it running?")

    def _tend_connection(self) -> None:
        now = time.monotonic()
        if self._connection is not None:
            self._connection.tend()
            if self._connection.lost:
                self._receive()  # a service that ends sends its last answers first
                self._drop_connection(f"{self._connection.endpoint.address}: {self._connection.lost}")
                self._next_connect = now + self._reconnect.next_s()
        elif self._pending and now >= self._next_connect:
            try:
                endpoint = self._endpoint() if callable(self._endpoint) else self._endpoint
                self._connection = Connection(self._context, endpoint, self._hello, self._liveness_s)
                self.counters["connections"] += 1
            except VantageError as error:
                self._trouble = error.message
                self._next_connect = now + self._reconnect.next_s()
                if not error.retryable:
                    self._fail_all(error)

    def _drop_connection(self, trouble: str) -> None:
        if self._connection is None:
            return
        if self._connection.ready and not self._closed.is_set():
            log.warning("%s lost its service (%s)", self._name, trouble)
        self._trouble = trouble
        self._connection.close()
        self._connection = None

    def _wait(self) -> None:
        """Sleep until a frame, a wake-up or the next thing to do, and take what came."""
        if self._connection is not None:
            self._connection.sleep(self._waker, self._due, to_send=self._blocked)
        else:
            until = min(self._due, self._next_connect) if self._pending else self._due
            self._waker.sleep(until - time.monotonic())
        self._receive()

    def _fail_all(self, error: VantageError) -> None:
        pending, self._pending = self._pending, {}
        for item in pending.values():
            item.fail(error)


def _as_error(failure: Failure) -> VantageError:
    # A newer minor version may know codes that this side does not.
    code: Any = failure.code if failure.code in CODES else "internal"
    return VantageError(code, failure.message, failure.retryable)
