"""Clients are served in turn, and one with many requests leaves room for others."""

from __future__ import annotations

import queue
import threading

import pytest

from protocol.wire.fair import FairQueue, admits


def test_clients_are_served_in_turn_and_the_items_of_each_in_order():
    waiting: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        waiting.put(item[0], item)
    assert [waiting.get(1.0) for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]
    with pytest.raises(queue.Empty):
        waiting.get(0.01)


def test_a_waiting_thread_gets_the_next_item():
    waiting: FairQueue[int] = FairQueue()
    threading.Timer(0.05, waiting.put, ("a", 7)).start()
    assert waiting.get(5.0) == 7


def test_above_the_bound_a_client_has_its_share():
    assert admits(mine=99, total=99, clients=1, bound=100)
    assert not admits(mine=100, total=100, clients=1, bound=100)
    assert admits(mine=49, total=149, clients=2, bound=100)
    assert not admits(mine=50, total=150, clients=2, bound=100)
    assert not admits(mine=0, total=100, clients=101, bound=100)
