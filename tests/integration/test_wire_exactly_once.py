"""Each request takes effect once, whichever process dies between request and answer."""

from __future__ import annotations

import threading

import pytest

from protocol.wire.client import Client
from protocol.wire.codec import decode, encode
from protocol.wire.endpoint import Endpoint, lookup, publish
from protocol.wire.messages import LeaseSpecs, SpecBatch
from protocol.wire.service import Service
from tests.support.wire import raw_dealer, service_process, serving, wait_for

pytestmark = pytest.mark.timeout(60)


def test_a_repeated_id_has_one_effect_and_one_answer(endpoint):
    release, calls = threading.Event(), []

    def slow(_message: LeaseSpecs, request) -> SpecBatch:
        calls.append(request.request_id)
        release.wait(5)
        return SpecBatch((), str(len(calls)))

    with serving(Service("s", "r", endpoint, {LeaseSpecs: slow})) as service, raw_dealer(endpoint, "c") as socket:
        frames = encode(b"one", LeaseSpecs("x", 1, 0))
        for _ in range(3):
            socket.send_multipart(frames)
        wait_for(lambda: service.counters["duplicates"] == 2)
        release.set()
        first = socket.recv_multipart()
        assert decode(first).message.reason == "1"
        socket.send_multipart(frames)
        assert socket.recv_multipart() == first
        assert calls == [b"one"]
        # The same id of another client is another request.
        with raw_dealer(endpoint, "other") as other:
            other.send_multipart(frames)
            assert decode(other.recv_multipart()).message.reason == "2"


def test_a_reconnected_client_gets_its_answer(endpoint):
    release, calls = threading.Event(), []

    def slow(message: LeaseSpecs, _request) -> SpecBatch:
        calls.append(message)
        release.wait(5)
        return SpecBatch((), "here")

    with serving(Service("s", "r", endpoint, {LeaseSpecs: slow})) as service:
        frames = encode(b"one", LeaseSpecs("x", 1, 0))
        with raw_dealer(endpoint, "c") as old:
            old.send_multipart(frames)
            wait_for(lambda: len(calls) == 1)
        with raw_dealer(endpoint, "c") as fresh:
            fresh.send_multipart(frames)
            wait_for(lambda: service.counters["duplicates"] == 1)
            release.set()
            assert decode(fresh.recv_multipart()).message.reason == "here"
    assert len(calls) == 1


def test_killed_between_effect_and_answer(tmp_path, endpoint):
    """The service dies after the effect; its successor at the same address answers without repeating it."""
    effects = tmp_path / "effects"
    with Client(endpoint, "test", resend_s=60) as client:  # must resend because of the new connection, not the timeout
        with service_process(endpoint.address, effects, "--die-after", "1") as first:
            reply = client.submit(LeaseSpecs("x", 7, 0), deadline_s=30)
            first.wait(10)
        assert not reply.done()
        with service_process(endpoint.address, effects):
            assert reply.result(20).message.reason == "known"
        assert client.counters["connections"] >= 2
    assert len(effects.read_text().split()) == 1


@pytest.mark.timeout(240)  # starts five processes in sequence
def test_no_request_is_lost_or_repeated_over_many_kills(tmp_path, endpoint):
    effects = tmp_path / "effects"
    with Client(endpoint, "test", resend_s=60) as client:  # must resend because of the new connection, not the timeout
        replies = []
        for _ in range(4):
            with service_process(endpoint.address, effects, "--die-after", "15") as process:
                first = len(replies)
                replies += [client.submit(LeaseSpecs("x", first + index, 0), deadline_s=120) for index in range(20)]
                process.wait(30)
        with service_process(endpoint.address, effects):
            for reply in replies:
                assert reply.result(60).message.reason in ("new", "known")
    counts = sorted(int(line.rpartition(":")[2]) for line in effects.read_text().split())
    assert len(counts) == len(replies)


def test_a_client_follows_a_service_to_a_new_address(tmp_path):
    with Client(lambda: lookup(tmp_path, "sim"), "test") as client:
        reply = client.submit(LeaseSpecs("a", 1, 0))  # before any service is running
        for name in ("one", "two"):
            endpoint = Endpoint(f"ipc://{tmp_path}/{name}.sock")
            with serving(Service("s", name, endpoint, {LeaseSpecs: lambda *_: SpecBatch((), "ok")})):
                publish(tmp_path, "sim", endpoint)
                assert reply.result(10).message.reason == "ok"
                assert client.request(LeaseSpecs("b", 1, 0)).message.reason == "ok"
            reply = client.submit(LeaseSpecs("c", 1, 0))
        reply.cancel()
