"""One connection to a service, from the greeting (HELLO, or READY of a worker) until it is lost. It is never reused."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Optional

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from protocol.wire.codec import Blob, encode
from protocol.wire.endpoint import Endpoint
from protocol.wire.messages import Heartbeat, Welcome
from protocol.wire.sockets import Waker, close_dealer, connect_dealer, readable, receive, send

CONNECT_TIMEOUT_S = 5.0
GREETING_RETRY_S = 0.05
# Events that end a connection at once. A hanging peer or a broken network shows as missing heartbeats instead.
_LOST = {
    zmq.EVENT_CLOSED: "no process listens there",
    zmq.EVENT_DISCONNECTED: "it closed the connection",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "it rejects the client key of this run",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "it does not use this protocol",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the CURVE handshake failed; is the endpoint file of this run and current?",
}


class Connection:
    """A DEALER socket, its monitor, and the state of the peer.

    `lost` is empty while the connection is alive, then the reason why it ended. `ready` becomes True with WELCOME.
    """

    def __init__(self, context: zmq.Context, endpoint: Endpoint, greeting: msgspec.Struct, liveness_s: float) -> None:
        self.endpoint = endpoint
        self.lost = ""
        self.ready = False
        self._liveness_s = liveness_s
        self._heartbeat_s = liveness_s
        self._greeting: Optional[list[Blob]] = encode(b"", greeting)
        self._opened = self._heard = self._sent = time.monotonic()
        self.socket, self._monitor = connect_dealer(context, endpoint, sum(_LOST) | zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def on_welcome(self, welcome: Welcome) -> None:
        self.ready = True
        # Never rarer than half of our own time-out, or a live service would be taken for lost.
        self._heartbeat_s = min(max(welcome.heartbeat_s, 0.01), self._liveness_s / 2)

    def send(self, frames: Sequence[Blob]) -> bool:
        """False if the connection is not established yet or its queue is full: try again later."""
        if not send(self.socket, frames):
            return False
        self._sent = time.monotonic()
        return True

    def receive(self) -> Iterator[list[Blob]]:
        """The messages that have arrived; each of them counts as a sign of life."""
        while True:
            frames = receive(self.socket)
            if frames is None:
                return
            self._heard = time.monotonic()
            yield frames

    def tend(self) -> None:
        """Send the greeting and heartbeats, and detect the end of the connection.

        Call it after `receive`, so that a pause of this process does not count as silence of the peer.
        """
        while readable(self._monitor):
            event = zmq.Event(recv_monitor_message(self._monitor)["event"])
            # The first event is the most precise: a failed handshake also disconnects.
            self.lost = self.lost or _LOST.get(event, "")
        now = time.monotonic()
        if self._greeting is not None and self.send(self._greeting):
            self._greeting = None
        if not self.ready and now > self._opened + CONNECT_TIMEOUT_S:
            self.lost = self.lost or "it does not answer"
        elif self.ready and now > self._heard + self._liveness_s:
            self.lost = self.lost or f"it has been silent for {self._liveness_s:g} s"
        elif self.ready and now >= self._sent + self._heartbeat_s:
            self.send(encode(b"", Heartbeat()))

    def sleep(self, waker: Waker, until_s: float, to_send: bool) -> None:
        """Sleep until a message, a wake-up, room to send (if `to_send`), the next `tend`, or the time `until_s`."""
        events = zmq.POLLIN | (zmq.POLLOUT if to_send else 0)
        timeout_s = min(until_s, self._next_tend()) - time.monotonic()
        waker.sleep(timeout_s, ((self.socket, events), (self._monitor, zmq.POLLIN)))

    def _next_tend(self) -> float:
        """Monotonic time at which `tend` is due if nothing happens before."""
        if self._greeting is not None:
            return time.monotonic() + GREETING_RETRY_S
        if not self.ready:
            return self._opened + CONNECT_TIMEOUT_S
        return min(self._sent + self._heartbeat_s, self._heard + self._liveness_s)

    def close(self) -> None:
        close_dealer(self.socket, self._monitor)
