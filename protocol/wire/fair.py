"""Fair shares: a client that asks for much must not keep the others waiting."""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


def admits(mine: int, total: int, clients: int, bound: int) -> bool:
    """Whether a client with `mine` of `total` unanswered requests may have one more; `clients` counts it too.

    Up to `bound` requests in total every client is admitted; above it, one with less than an equal share.
    """
    return total < bound or mine < bound // clients


class FairQueue(Generic[Item]):
    """A queue that serves its clients in turn, and the items of each in order. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, deque[Item]] = OrderedDict()  # the next client first
        self._changed = threading.Condition()

    def put(self, client: Hashable, item: Item) -> None:
        with self._changed:
            self._waiting.setdefault(client, deque()).append(item)
            self._changed.notify()

    def get(self, timeout_s: float) -> Item:
        """The next item. Raises queue.Empty if there is none within `timeout_s`."""
        with self._changed:
            if not self._waiting and not self._changed.wait_for(lambda: bool(self._waiting), timeout_s):
                raise queue.Empty
            client, items = self._waiting.popitem(last=False)
            item = items.popleft()
            if items:
                self._waiting[client] = items  # behind the others
            return item
