"""The reply cache is bounded and never drops requests in progress; sessions expire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import VantageError
from protocol.wire.dedup import ReplyCache
from protocol.wire.messages import Hello
from protocol.wire.sessions import Sessions


def key(number: int) -> tuple[str, bytes]:
    return ("client", bytes([number]))


def test_a_request_in_progress_then_answered():
    cache = ReplyCache()
    assert not cache.is_running(key(1), b"old")
    cache.start(key(1), b"old")
    assert cache.running == 1
    assert cache.reply(key(1)) is None
    assert cache.is_running(key(1), b"fresh")
    assert cache.finish(key(1), [b"frames"]) == b"fresh"
    assert cache.reply(key(1)) == [b"frames"]
    assert not cache.is_running(key(1), b"fresh")
    assert cache.running == 0


@given(
    sizes=st.lists(st.integers(0, 50), max_size=60),
    max_entries=st.integers(1, 10),
    max_bytes=st.integers(0, 120),
)
def test_the_cache_is_bounded_and_keeps_the_newest_replies(sizes, max_entries, max_bytes):
    cache = ReplyCache(max_entries, max_bytes)
    for number, size in enumerate(sizes):
        cache.start(key(number), b"id")
        cache.finish(key(number), [bytes(size)])
        held = [n for n in range(number + 1) if cache.reply(key(n)) is not None]
        assert held[-1] == number
        assert held == list(range(held[0], number + 1)), "the oldest are dropped first"
        assert cache.bytes_held == sum(sizes[n] for n in held)
        assert len(cache) == len(held) <= max_entries
        assert cache.bytes_held <= max_bytes or len(held) == 1
        if held[0] > 0:  # no reply is dropped unnecessarily
            assert len(held) == max_entries or cache.bytes_held + sizes[held[0] - 1] > max_bytes


def test_sessions_hold_names_and_expire_without_messages(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    sessions = Sessions("sim", "run", heartbeat_s=0.5, expiry_s=10.0, max_clients=2)
    welcome = sessions.open(b"1", Hello("one", 1, 0))
    assert (welcome.service, welcome.run, welcome.heartbeat_s) == ("sim", "run", 0.5)
    now[0] = 105.0
    sessions.open(b"2", Hello("two", 1, 7))
    now[0] = 109.0
    assert sessions.client(b"1") == "one"
    now[0] = 116.0
    sessions.expire()
    assert (sessions.client(b"1"), sessions.client(b"2")) == ("one", None)
    sessions.open(b"3", Hello("three", 1, 0))
    sessions.open(b"4", Hello("four", 1, 0))
    assert [sessions.client(identity) for identity in (b"1", b"3", b"4")] == [None, "three", "four"]


def test_a_rejected_hello_opens_no_session():
    sessions = Sessions("sim", "run")
    with pytest.raises(VantageError, match="major 2|client 2") as caught:
        sessions.open(b"1", Hello("one", 2, 0))
    assert caught.value.code == "version"
    for name in ("", "n" * 129):
        with pytest.raises(VantageError, match="name") as caught:
            sessions.open(b"1", Hello(name, 1, 0))
        assert caught.value.code == "bad_request"
    assert len(sessions) == 0
