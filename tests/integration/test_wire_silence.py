"""Timeouts, deadlines and shutdown: slow and frozen services, lost messages, and their errors."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future

import pytest
import zmq

from protocol.errors import VantageError
from protocol.wire.client import Client
from protocol.wire.codec import decode, encode
from protocol.wire.messages import Busy, Done, Heartbeat, Hello, LeaseSpecs, SpecBatch, Welcome
from protocol.wire.service import Service
from tests.support.wire import service_process, serving, wait_for

pytestmark = pytest.mark.timeout(60)


def test_a_slow_handler_is_not_a_dead_service(endpoint):
    def slow(*_) -> SpecBatch:
        time.sleep(1.5)
        return SpecBatch((), "late")

    service = Service("s", "r", endpoint, {LeaseSpecs: slow}, heartbeat_s=0.1)
    with serving(service), Client(endpoint, "test", liveness_s=0.6) as client:
        assert client.request(LeaseSpecs("x", 1, 0)).message.reason == "late"
        assert client.counters == {"requests": 1, "resent": 0, "busy": 0, "connections": 1, "malformed": 0}


def test_a_client_reconnects_to_a_frozen_service(tmp_path, endpoint):
    effects = tmp_path / "effects"
    with service_process(endpoint.address, effects) as process, Client(endpoint, "test", liveness_s=0.5) as client:
        client.request(LeaseSpecs("x", 1, 0))
        os.kill(process.pid, signal.SIGSTOP)
        reply = client.submit(LeaseSpecs("x", 2, 0))
        wait_for(lambda: client.counters["connections"] >= 2)
        os.kill(process.pid, signal.SIGCONT)
        assert reply.result(20).message.reason in ("new", "known")
    assert len(effects.read_text().split()) == 2


def test_late_heartbeats_within_the_limit_are_tolerated(endpoint):
    """A peer that answers only every second heartbeat stays connected."""
    with (
        zmq.Context() as context,
        context.socket(zmq.ROUTER) as router,
        Client(endpoint, "t", liveness_s=1.0) as client,
    ):
        router.linger = 0
        router.bind(endpoint.address)
        reply = client.submit(LeaseSpecs("x", 1, 0))
        heartbeats, request, end = 0, None, time.monotonic() + 3.0
        while time.monotonic() < end:
            if not router.poll(100):
                continue
            identity, *frames = router.recv_multipart()
            message = decode(frames).message
            if isinstance(message, Hello):
                router.send_multipart([identity, *encode(b"", Welcome("s", 1, 0, "r", heartbeat_s=0.2))])
            elif isinstance(message, Heartbeat):
                heartbeats += 1
                if heartbeats % 2:
                    router.send_multipart([identity, *encode(b"", Heartbeat())])
            else:
                request = (identity, decode(frames).request_id)
        assert heartbeats > 8
        assert request is not None
        router.send_multipart([request[0], *encode(request[1], SpecBatch((), "fine"))])
        assert reply.result(5).message.reason == "fine"
        assert client.counters["connections"] == 1


def test_deadline_errors_name_the_cause(endpoint):
    with Client(endpoint, "test") as client:
        with pytest.raises(VantageError, match="no process listens") as caught:
            client.request(LeaseSpecs("x", 1, 0), deadline_s=0.3)
        assert (caught.value.code, caught.value.retryable) == ("unavailable", True)
        service = Service("s", "r", endpoint, {LeaseSpecs: lambda *_: Future()}, drain_s=0.1)
        with serving(service), pytest.raises(VantageError, match="did not answer LEASE within 1 s") as caught:
            client.request(LeaseSpecs("x", 1, 0), deadline_s=1)
        assert caught.value.code == "timeout"


def test_a_lost_answer_is_requested_again_on_the_same_connection(endpoint):
    """If a reply is lost, the request is resent."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, Client(endpoint, "t", resend_s=0.2) as client:
        router.linger = 0
        router.rcvtimeo = 5000
        router.bind(endpoint.address)
        reply = client.submit(LeaseSpecs("x", 1, 0))
        identity, *_ = router.recv_multipart()
        router.send_multipart([identity, *encode(b"", Welcome("s", 1, 0, "r"))])
        ids = {decode(router.recv_multipart()[1:]).request_id for _ in range(3)}
        assert len(ids) == 1
        router.send_multipart([identity, *encode(ids.pop(), Busy(0.01))])
        router.send_multipart([identity, *encode(decode(router.recv_multipart()[1:]).request_id, Done())])
        assert reply.result(5).message == Done()


def test_close_fails_pending_requests(endpoint):
    client = Client(endpoint, "test")
    reply = client.submit(LeaseSpecs("x", 1, 0))
    client.close()
    client.close()
    with pytest.raises(VantageError, match="closed"):
        reply.result(0)
    with pytest.raises(VantageError, match="closed"):
        client.submit(LeaseSpecs("x", 1, 0))


def test_a_stopping_service_answers_accepted_requests(endpoint):
    started, stop = threading.Event(), threading.Event()

    def slow(*_) -> SpecBatch:
        started.set()
        time.sleep(0.3)
        return SpecBatch((), "done")

    service = Service("s", "r", endpoint, {LeaseSpecs: slow})
    thread = threading.Thread(target=service.serve, args=(stop,))
    thread.start()
    with Client(endpoint, "test") as client:
        reply = client.submit(LeaseSpecs("x", 1, 0))
        assert started.wait(5)
        stop.set()
        assert reply.result(5).message.reason == "done"
    thread.join()
    assert not os.path.exists(endpoint.address[len("ipc://") :])


def test_an_answer_after_the_end_is_ignored(endpoint):
    late: Future = Future()
    service = Service("s", "r", endpoint, {LeaseSpecs: lambda *_: late}, drain_s=0.1)
    with Client(endpoint, "test") as client:
        with serving(service):
            client.submit(LeaseSpecs("x", 1, 0))
            wait_for(lambda: service.counters["requests"] == 1)
        late.set_result(SpecBatch(()))
