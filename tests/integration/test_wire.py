"""Client and service over real sockets: requests and answers, under load and with delayed answers."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import zmq

from protocol.errors import VantageError
from protocol.wire.client import Client
from protocol.wire.codec import PREFIX, decode, encode
from protocol.wire.endpoint import lookup, publish, serving_endpoint
from protocol.wire.messages import DrainWorker, GetSimStatus, LeaseSpecs, Observe, SpecBatch, Welcome
from protocol.wire.service import Service
from tests.support.wire import OBSERVE, POSE, lease, observe, serving, wait_for

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("bind", ["", "tcp://127.0.0.1:*"], ids=["ipc", "tcp with CURVE"])
def test_round_trip_with_arrays(tmp_path, bind):
    with serving(Service("sim", "r", serving_endpoint(tmp_path, "sim", bind), {Observe: observe})) as service:
        publish(tmp_path, "sim", service.endpoint)
        with Client(lambda: lookup(tmp_path, "sim"), "test") as client:
            packet = client.request(OBSERVE, deadline_s=10)
            assert packet.message.view.pose == POSE
            np.testing.assert_array_equal(packet.array(packet.message.view.rgb), np.full((6, 8, 3), 3))


def test_many_threads_share_a_client(endpoint):
    with serving(Service("s", "r", endpoint, {LeaseSpecs: lease})), Client(endpoint, "test") as client:
        with ThreadPoolExecutor(8) as pool:
            names = [str(number) for number in range(200)]
            replies = list(pool.map(lambda name: client.request(LeaseSpecs(name, 1, 0)), names))
        assert [reply.message.reason for reply in replies] == names
        assert client.counters["connections"] == 1


def test_a_waiting_caller_does_not_block_other_answers(endpoint):
    """The caller that drives the connection serves all callers and hands the work over when its answer arrives."""
    slow: Future = Future()

    def handler(message: LeaseSpecs, _request):
        return slow if message.learner == "slow" else SpecBatch((), message.learner)

    with serving(Service("s", "r", endpoint, {LeaseSpecs: handler})), Client(endpoint, "test") as client:
        with ThreadPoolExecutor(2) as pool:
            late = pool.submit(client.request, LeaseSpecs("slow", 1, 0))
            wait_for(lambda: client.counters["requests"] == 1)
            assert client.request(LeaseSpecs("a", 1, 0), deadline_s=10).message.reason == "a"
            assert client.submit(LeaseSpecs("b", 1, 0)).result(10).message.reason == "b"
            submitted = client.submit(LeaseSpecs("slow", 2, 0))
            slow.set_result(SpecBatch((), "slow"))
            assert late.result(10).message.reason == submitted.result(10).message.reason == "slow"
        assert client.counters["connections"] == 1


def test_a_callback_may_close_its_client(endpoint):
    """Also in the thread of request(), which drives the connection here."""
    answers: list[Future] = []

    def both_at_once(_message: LeaseSpecs, _request) -> Future:
        answers.append(Future())
        if len(answers) == 2:
            answers[0].set_result(SpecBatch((), "first"))
        return answers[-1]

    service = Service("s", "r", endpoint, {LeaseSpecs: both_at_once}, drain_s=0.1)
    with serving(service), Client(endpoint, "test") as client:
        client.submit(LeaseSpecs("a", 1, 0)).add_done_callback(lambda _: client.close())
        with pytest.raises(VantageError, match="closed"):
            client.request(LeaseSpecs("b", 1, 0))


def test_failures_arrive_as_typed_errors(endpoint):
    def fail(message: DrainWorker, _request):
        if message.worker_id == "bug":
            raise KeyError("secret detail")
        raise VantageError("infeasible", "the room is too small")

    handlers = {DrainWorker: fail, LeaseSpecs: lambda *_: None}
    with serving(Service("s", "r", endpoint, handlers)) as service, Client(endpoint, "test") as client:
        with pytest.raises(VantageError, match="too small") as caught:
            client.request(DrainWorker("w"))
        assert (caught.value.code, caught.value.retryable) == ("infeasible", False)
        with pytest.raises(VantageError, match="KeyError") as caught:
            client.request(DrainWorker("bug"))
        assert caught.value.code == "internal"
        assert "secret" not in caught.value.message
        with pytest.raises(VantageError, match="does not answer SIM_STATUS") as caught:
            client.request(GetSimStatus())
        assert caught.value.code == "unsupported"
        with pytest.raises(VantageError, match="NoneType"):
            client.request(LeaseSpecs("", 1, 0))
        assert service.counters["failures"] == 4


def test_handlers_may_answer_later(endpoint):
    """Futures are answered in the order in which they finish; an error fails only its own request."""
    futures: dict[str, Future] = {}

    def later(message: LeaseSpecs, _request) -> Future:
        futures[message.learner] = Future()
        return futures[message.learner]

    with serving(Service("s", "r", endpoint, {LeaseSpecs: later})), Client(endpoint, "test") as client:
        replies = {name: client.submit(LeaseSpecs(name, 1, 0)) for name in ("a", "b", "c")}
        wait_for(lambda: len(futures) == 3)
        futures["b"].set_result(SpecBatch((), "b"))
        assert replies["b"].result(5).message.reason == "b"
        futures["c"].set_exception(VantageError("poison", "it killed three workers"))
        with pytest.raises(VantageError, match="three workers"):
            replies["c"].result(5)
        futures["a"].cancel()
        with pytest.raises(VantageError, match="dropped this request") as caught:
            replies["a"].result(5)
        assert caught.value.retryable


def test_busy_requests_are_retried(endpoint):
    with ThreadPoolExecutor(1) as pool:

        def slow(message: LeaseSpecs, _request) -> Future:
            return pool.submit(lambda: time.sleep(0.02) or SpecBatch((), message.learner))

        service = Service("s", "r", endpoint, {LeaseSpecs: slow}, max_in_flight=2, retry_after_s=0.02)
        with serving(service), Client(endpoint, "test") as client:
            replies = [client.submit(LeaseSpecs(str(number), 1, 0)) for number in range(20)]
            assert [reply.result(20).message.reason for reply in replies] == [str(number) for number in range(20)]
            assert service.counters["busy"] == client.counters["busy"] > 0


def test_a_service_that_stays_busy_is_reported(endpoint):
    service = Service("s", "r", endpoint, {LeaseSpecs: lambda *_: Future()}, max_in_flight=1, drain_s=0.1)
    with serving(service), Client(endpoint, "test") as client:
        client.submit(LeaseSpecs("first", 1, 0))
        with pytest.raises(VantageError, match="too busy for LEASE within 0.5 s") as caught:
            client.request(LeaseSpecs("second", 1, 0), deadline_s=0.5)
        assert (caught.value.code, caught.value.retryable) == ("busy", True)


def test_an_invalid_answer_fails_its_request(endpoint):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, Client(endpoint, "test") as client:
        router.linger = 0
        router.rcvtimeo = 5000
        router.bind(endpoint.address)
        reply = client.submit(LeaseSpecs("x", 1, 0))
        identity, *_ = router.recv_multipart()
        router.send_multipart([identity, b"garbage"])
        router.send_multipart([identity, *encode(b"", Welcome("s", 1, 0, "r"))])
        request_id = decode(router.recv_multipart()[1:]).request_id
        router.send_multipart([identity, PREFIX, b"SPECS", request_id, b"\x80"])
        with pytest.raises(VantageError, match="answer to LEASE is not valid") as caught:
            reply.result(5)
        assert caught.value.code == "bad_reply"
        assert client.counters["malformed"] == 2
