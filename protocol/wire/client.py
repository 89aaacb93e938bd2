"""A client that survives restarts of its service: each request keeps its id and is sent until it is answered.

    submit() ─▶ inbox ─▶ thread that holds the turn: connect · HELLO · send · retry · BUSY · heartbeats ─▶ futures

An I/O thread normally holds the turn, and with it the socket. A caller of `request` takes the turn while it waits, so
that its answer arrives without a hand-over between threads. When the service is lost, the client looks up the endpoint
again, opens a fresh socket and resends everything unanswered; the service's de-duplication makes the effect exactly
once.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR
from protocol.errors import CODES, VantageError
from protocol.tasks.check import as_name
from protocol.wire.codec import Blob, Packet, decode, encode, request_id_of
from protocol.wire.messages import KIND_OF, Busy, Failure, Heartbeat, Hello, Welcome
from protocol.wire.upstream import Backoff, EndpointSource, Upstream

log = logging.getLogger(__name__)

MAX_BUSY_WAIT_S = 30.0
CHECK_INTERVAL_S = 60.0  # between two checks of the pending requests if nothing is due
HAND_BACK_S = 0.005  # the I/O thread waits this long after a request(), because the next one is likely


class _Pending:
    """A request that has no answer yet."""

    def __init__(self, kind: str, frames: list[Blob], deadline_s: float, resend: Backoff) -> None:
        self.kind = kind
        self.frames = frames
        self.deadline_s = deadline_s
        self.deadline = time.monotonic() + deadline_s
        self.resend = resend
        self.next_send = 0.0  # monotonic; 0: now
        self.sent = False
        self.refused_busy = False  # the last answer was BUSY
        self.future: Future[Packet] = Future()

    def fail(self, error: VantageError) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Client:
    """Sends requests to one service; safe to use from several threads.

    `endpoint` may be a callable such as `lambda: lookup(run_dir, "sim")`, which is called for each new connection.
    `name` appears in the service's logs. A service silent for `liveness_s` counts as lost. A request without an answer
    is resent after `resend_s`, then at growing intervals.
    """

    def __init__(self, endpoint: EndpointSource, name: str, *, liveness_s: float = 10.0, resend_s: float = 5.0) -> None:
        # Unique, since the service remembers request ids per client; constant, so that it finds them after a reconnect.
        self._name = f"{as_name(name)[:96]}-{os.urandom(6).hex()}"
        hello = Hello(self._name, PROTOCOL_MAJOR, PROTOCOL_MINOR)
        self._upstream = Upstream(endpoint, hello, liveness_s, Backoff(0.05, 3.0))
        self._trouble = "it was never reached"
        self._resend_s = resend_s
        self._inbox: deque[tuple[bytes, _Pending]] = deque()
        self._lock = threading.Lock()  # orders submit() against close()
        self._closed = threading.Event()
        self._pending: dict[bytes, _Pending] = {}
        self._due = 0.0  # monotonic time of the next check of the pending requests
        self._blocked = False  # the send queue had no room for a request that is due
        self.counters: dict[str, int] = dict.fromkeys(("requests", "resent", "busy", "connections", "malformed"), 0)
        self._direct = threading.Lock()  # held by the caller of request() that does the I/O itself
        self._last_direct = 0.0
        self._thread = threading.Thread(target=self._run, name=f"{name}-io", daemon=True)
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def request(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Packet:
        """Send a request and wait for the reply. Raises what the future of `submit` would raise."""
        if not self._direct.acquire(blocking=False):  # another caller does the I/O
            return self.submit(message, deadline_s).result()
        try:
            future = self._enqueue(message, deadline_s)
            if self._upstream.held:
                self._upstream.wake()  # the I/O thread sleeps with the turn
            with self._upstream.turn():
                while not (future.done() or self._closed.is_set()):
                    self._work()
                    if not future.done():
                        self._wait()
        finally:
            self._last_direct = time.monotonic()
            self._direct.release()
        return future.result()

    def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Packet]:
        """Send a request; the future holds the reply.

        The future raises VantageError: the service's own Failure, "timeout" if the service received the request but
        did not answer within `deadline_s`, "busy" if it had no room for it, "unavailable" if it could not be reached.
        A message that may not be sent raises "bad_request" here.
        """
        future = self._enqueue(message, deadline_s)
        self._upstream.wake()
        return future

    def close(self) -> None:
        """Fail unanswered requests and close the socket; idempotent."""
        with self._lock:
            self._closed.set()
        self._upstream.wake()
        if not self._upstream.held_by_me:  # the callback of a future may close its client
            self._thread.join()

    def _enqueue(self, message: msgspec.Struct, deadline_s: float) -> Future[Packet]:
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

    # ------------------------------------------------------------------------- the I/O thread

    def _run(self) -> None:
        reason = VantageError("unavailable", "the client was closed before the answer came")
        try:
            while not self._closed.is_set():
                if self._direct.locked() or time.monotonic() < self._last_direct + HAND_BACK_S:
                    self._closed.wait(HAND_BACK_S)
                    continue
                with self._upstream.turn():
                    self._work()
                    self._wait()
        except Exception as error:
            reason = VantageError("internal", f"the client's I/O thread failed: {error!r}")
            raise
        finally:
            with self._lock:
                self._closed.set()
            with self._upstream.turn():
                self._take_inbox()
                self._fail_all(reason)
                self._upstream.close()

    # ------------------------------------------------------------------------- the thread that holds the turn

    def _work(self) -> None:
        """Do everything that is due."""
        self._take_inbox()
        self._receive()
        self._tend()
        self._check_pending()

    def _wait(self) -> None:
        """Sleep until a message, a wake-up or the next due action, and receive what has arrived."""
        self._upstream.sleep(self._due, connect=bool(self._pending), to_send=self._blocked)
        self._receive()

    def _take_inbox(self) -> None:
        while self._inbox:
            request_id, pending = self._inbox.popleft()
            self.counters["requests"] += 1
            self._pending[request_id] = pending
            self._due = 0.0

    def _receive(self) -> None:
        for frames in self._upstream.receive():
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
        if error.code == "version" and not self._upstream.ready:  # the answer to HELLO of another major version
            self._fail_all(error)
            return
        pending = self._pending.pop(request_id_of(frames), None)
        if pending is not None:
            pending.fail(VantageError("bad_reply", f"the answer to {pending.kind} is not valid: {error.message}"))

    def _on_reply(self, packet: Packet) -> None:
        pending = self._pending.get(packet.request_id)
        if pending is None:  # the answer to a resend, or one after the deadline
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
        assert self._upstream.connection is not None
        if isinstance(message, Welcome):
            self._upstream.on_welcome(message)
            for pending in self._pending.values():
                pending.next_send = 0.0
            self._due = 0.0
        elif isinstance(message, Failure):
            error = _as_error(message)
            if not self._upstream.ready and not error.retryable:  # HELLO was rejected, and would be again
                self._fail_all(error)
            self._upstream.connection.lost = message.message
        elif not isinstance(message, Heartbeat):
            self.counters["malformed"] += 1

    def _check_pending(self) -> None:
        """Send the requests that are due; fail those whose deadline has passed."""
        now = time.monotonic()
        if now < self._due and not self._blocked:
            return
        self._due, self._blocked = now + CHECK_INTERVAL_S, False
        for request_id, pending in list(self._pending.items()):
            if pending.future.cancelled():
                del self._pending[request_id]
                continue
            if now >= pending.deadline:
                del self._pending[request_id]
                pending.fail(self._too_late(pending))
                continue
            self._due = min(self._due, pending.deadline)
            if not self._upstream.ready or self._blocked:
                continue
            if now >= pending.next_send:
                if not self._upstream.send(pending.frames):
                    self._blocked = True
                    continue
                self.counters["resent"] += pending.sent
                pending.sent = True
                pending.refused_busy = False
                pending.next_send = now + pending.resend.next_s()
            self._due = min(self._due, pending.next_send)

    def _too_late(self, pending: _Pending) -> VantageError:
        within = f"{pending.kind} within {pending.deadline_s:g} s"
        connection = self._upstream.connection
        if connection is not None and connection.ready and pending.sent:
            address = connection.endpoint.address
            if pending.refused_busy:
                return VantageError(
                    "busy", f"{address} was too busy for {within}; ask for less or give it more workers"
                )
            return VantageError("timeout", f"{address} did not answer {within}; see its log or allow more time")
        return VantageError("unavailable", f"no service answered {within}: {self._trouble}; is it running?")

    def _tend(self) -> None:
        try:
            lost = self._upstream.tend(connect=bool(self._pending), last_messages=self._receive)
        except VantageError as error:
            self._trouble = error.message
            self._fail_all(error)
            return
        self.counters["connections"] = self._upstream.connections
        if lost is not None:
            self._trouble = lost.reason
            if lost.was_ready:
                log.warning("%s lost its service (%s)", self._name, lost.reason)

    def _fail_all(self, error: VantageError) -> None:
        pending, self._pending = self._pending, {}
        for item in pending.values():
            item.fail(error)


def _as_error(failure: Failure) -> VantageError:
    # A newer minor version may know codes that this side does not.
    code: Any = failure.code if failure.code in CODES else "internal"
    return VantageError(code, failure.message, failure.retryable)
