"""De-duplication: the state and reply of each request, so that a repeated id takes effect once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Optional

from protocol.wire.codec import Blob

Key = tuple[str, bytes]  # (client, request id)


class ReplyCache:
    """Requests in progress, and the latest replies within bounded memory.

    Repeating a request in progress only changes where its reply is sent (its client may have a fresh socket). The
    oldest replies are dropped above `max_entries` or `max_bytes`; the newest is never dropped. Not thread-safe: used
    by the thread of the socket.
    """

    def __init__(self, max_entries: int = 4096, max_bytes: int = 128 * 2**20) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._running: dict[Key, bytes] = {}
        self._clients: dict[str, int] = {}  # client -> its requests in progress
        self._replies: OrderedDict[Key, list[Blob]] = OrderedDict()
        self.bytes_held = 0

    @property
    def running(self) -> int:
        return len(self._running)

    def __len__(self) -> int:
        return len(self._replies)

    def reply(self, key: Key) -> Optional[list[Blob]]:
        """The stored reply of a finished request."""
        return self._replies.get(key)

    def knows(self, key: Key) -> bool:
        """Whether the request is in progress or its reply is stored."""
        return key in self._running or key in self._replies

    def is_running(self, key: Key, identity: bytes) -> bool:
        """Whether the request is in progress; if so, its reply will be sent to `identity`."""
        if key not in self._running:
            return False
        self._running[key] = identity
        return True

    def start(self, key: Key, identity: bytes) -> None:
        self._running[key] = identity
        self._clients[key[0]] = self._clients.get(key[0], 0) + 1

    def finish(self, key: Key, frames: Sequence[Blob]) -> bytes:
        """Store the reply of a request in progress; returns the identity to send it to."""
        identity = self._running.pop(key)
        self._clients[key[0]] -= 1
        if not self._clients[key[0]]:
            del self._clients[key[0]]
        self._replies[key] = list(frames)
        self.bytes_held += _size(frames)
        while len(self._replies) > 1 and (len(self._replies) > self._max_entries or self.bytes_held > self._max_bytes):
            _, oldest = self._replies.popitem(last=False)
            self.bytes_held -= _size(oldest)
        return identity

    def forget(self, key: Key) -> None:
        """Drop the stored reply, so that a repetition of its request is a new request."""
        stored = self._replies.pop(key, None)
        if stored is not None:
            self.bytes_held -= _size(stored)

    def running_of(self, client: str) -> int:
        """Number of requests of this client in progress."""
        return self._clients.get(client, 0)

    @property
    def clients(self) -> int:
        """Number of clients with a request in progress."""
        return len(self._clients)


def _size(frames: Sequence[Blob]) -> int:
    return sum(memoryview(frame).nbytes for frame in frames)
