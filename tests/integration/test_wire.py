"""Client and service over real sockets: each request has its effect once, whatever dies in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import zmq

from protocol.client import Client
from protocol.codec import MAGIC, PREFIX, ArraySink, decode, encode
from protocol.endpoint import Endpoint, lookup, publish, serving_endpoint
from protocol.errors import VantageError
from protocol.messages import (
    Busy,
    Done,
    DrainWorker,
    Failure,
    GetSimStatus,
    Heartbeat,
    Hello,
    LeaseSpecs,
    Observation,
    Observe,
    SpecBatch,
    Welcome,
)
from protocol.scene import Camera, Pose, SceneSpec
from protocol.service import Service
from protocol.tasks import View
from tests.support.wire import serving

pytestmark = pytest.mark.timeout(60)

POSE = Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0))
OBSERVE = Observe(SceneSpec(seed=3), Camera(8, 6), POSE)


def observe(message: Observe, _request):
    sink = ArraySink()
    image = np.full((message.camera.height_px, message.camera.width_px, 3), message.scene.seed, np.uint8)
    return Observation(View(message.pose, message.camera, sink.add(image))), sink.blobs


def lease(message: LeaseSpecs, _request) -> SpecBatch:
    return SpecBatch((), message.learner)


@pytest.fixture
def endpoint(tmp_path) -> Endpoint:
    return serving_endpoint(tmp_path, "sim")


@contextmanager
def raw_dealer(endpoint: Endpoint, client: str = ""):
    """A bare DEALER, with HELLO said when it has a name."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.rcvtimeo = 5000
        socket.connect(endpoint.address)
        if client:
            socket.send_multipart(encode(b"", Hello(client, 1, 0)))
            assert isinstance(decode(socket.recv_multipart()).message, Welcome)
        yield socket


@contextmanager
def service_process(address: str, effects, *arguments: str):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.wire_service", address, str(effects), *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_for(condition, within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


# ----------------------------------------------------------------------------- asking and answering


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


def test_failures_arrive_as_typed_errors(endpoint):
    def refuse(message: DrainWorker, _request):
        if message.worker_id == "bug":
            raise KeyError("secret detail")
        raise VantageError("infeasible", "the room is too small")

    handlers = {DrainWorker: refuse, LeaseSpecs: lambda *_: None}
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
    """Futures are answered in the order in which they finish; a refusal in one reaches its own request."""
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
        with pytest.raises(VantageError, match="gave this request up") as caught:
            replies["a"].result(5)
        assert caught.value.retryable


def test_busy_is_waited_out(endpoint):
    with ThreadPoolExecutor(1) as pool:

        def slow(message: LeaseSpecs, _request) -> Future:
            return pool.submit(lambda: time.sleep(0.02) or SpecBatch((), message.learner))

        service = Service("s", "r", endpoint, {LeaseSpecs: slow}, max_in_flight=2, retry_after_s=0.02)
        with serving(service), Client(endpoint, "test") as client:
            replies = [client.submit(LeaseSpecs(str(number), 1, 0)) for number in range(20)]
            assert [reply.result(20).message.reason for reply in replies] == [str(number) for number in range(20)]
            assert service.counters["busy"] == client.counters["busy"] > 0


def test_a_service_that_stays_busy_is_named_busy(endpoint):
    service = Service("s", "r", endpoint, {LeaseSpecs: lambda *_: Future()}, max_in_flight=1, drain_s=0.1)
    with serving(service), Client(endpoint, "test") as client:
        client.submit(LeaseSpecs("first", 1, 0))
        with pytest.raises(VantageError, match="too busy for LEASE within 0.5 s") as caught:
            client.request(LeaseSpecs("second", 1, 0), deadline_s=0.5)
        assert (caught.value.code, caught.value.retryable) == ("busy", True)


def test_an_answer_that_is_not_valid_fails_its_request(endpoint):
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
        assert caught.value.code == "internal"
        assert client.counters["malformed"] == 2


# ----------------------------------------------------------------------------- once and only once


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
        # Another client's equal id is another request.
        with raw_dealer(endpoint, "other") as other:
            other.send_multipart(frames)
            assert decode(other.recv_multipart()).message.reason == "2"


def test_the_answer_follows_a_client_to_its_fresh_socket(endpoint):
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
    """The worst moment: the service dies after the effect; its successor on the same address answers, once."""
    effects = tmp_path / "effects"
    with Client(endpoint, "test", resend_s=60) as client:  # a new connection alone must make it ask again
        with service_process(endpoint.address, effects, "--die-after", "1") as first:
            reply = client.submit(LeaseSpecs("x", 7, 0), deadline_s=30)
            first.wait(10)
        assert not reply.done()
        with service_process(endpoint.address, effects):
            assert reply.result(20).message.reason == "known"
        assert client.counters["connections"] >= 2
    assert len(effects.read_text().split()) == 1


def test_no_request_is_lost_or_doubled_over_many_kills(tmp_path, endpoint):
    effects = tmp_path / "effects"
    with Client(endpoint, "test", resend_s=60) as client:  # a new connection alone must make it ask again
        replies = []
        for _ in range(4):
            with service_process(endpoint.address, effects, "--die-after", "15") as process:
                replies += [client.submit(LeaseSpecs("x", len(replies) + index, 0)) for index in range(20)]
                process.wait(10)
        with service_process(endpoint.address, effects):
            for reply in replies:
                assert reply.result(20).message.reason in ("new", "known")
    counts = sorted(int(line.rpartition(":")[2]) for line in effects.read_text().split())
    assert len(counts) == len(replies)


def test_a_service_that_moved_is_found_again(tmp_path):
    with Client(lambda: lookup(tmp_path, "sim"), "test") as client:
        reply = client.submit(LeaseSpecs("a", 1, 0))  # before there is any service
        for name in ("one", "two"):
            endpoint = Endpoint(f"ipc://{tmp_path}/{name}.sock")
            with serving(Service("s", name, endpoint, {LeaseSpecs: lambda *_: SpecBatch((), "ok")})):
                publish(tmp_path, "sim", endpoint)
                assert reply.result(10).message.reason == "ok"
                assert client.request(LeaseSpecs("b", 1, 0)).message.reason == "ok"
            reply = client.submit(LeaseSpecs("c", 1, 0))
        reply.cancel()


# ----------------------------------------------------------------------------- silence


def test_a_slow_handler_is_not_a_dead_service(endpoint):
    def slow(*_) -> SpecBatch:
        time.sleep(1.5)
        return SpecBatch((), "late")

    service = Service("s", "r", endpoint, {LeaseSpecs: slow}, heartbeat_s=0.1)
    with serving(service), Client(endpoint, "test", liveness_s=0.6) as client:
        assert client.request(LeaseSpecs("x", 1, 0)).message.reason == "late"
        assert client.counters == {"requests": 1, "resent": 0, "busy": 0, "connections": 1, "malformed": 0}


def test_a_frozen_service_is_given_up_and_found_again(tmp_path, endpoint):
    effects = tmp_path / "effects"
    with service_process(endpoint.address, effects) as process, Client(endpoint, "test", liveness_s=0.5) as client:
        client.request(LeaseSpecs("x", 1, 0))
        os.kill(process.pid, signal.SIGSTOP)
        reply = client.submit(LeaseSpecs("x", 2, 0))
        wait_for(lambda: client.counters["connections"] >= 2)
        os.kill(process.pid, signal.SIGCONT)
        assert reply.result(20).message.reason in ("new", "known")
    assert len(effects.read_text().split()) == 2


def test_late_heartbeats_within_patience_are_forgiven(endpoint):
    """A peer that answers every second heartbeat only stays connected."""
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


def test_deadlines_say_which_side_to_look_at(endpoint):
    with Client(endpoint, "test") as client:
        with pytest.raises(VantageError, match="nobody listens") as caught:
            client.request(LeaseSpecs("x", 1, 0), deadline_s=0.3)
        assert (caught.value.code, caught.value.retryable) == ("unavailable", True)
        service = Service("s", "r", endpoint, {LeaseSpecs: lambda *_: Future()}, drain_s=0.1)
        with serving(service), pytest.raises(VantageError, match="did not answer LEASE within 1 s") as caught:
            client.request(LeaseSpecs("x", 1, 0), deadline_s=1)
        assert caught.value.code == "timeout"


def test_a_lost_request_is_sent_again_on_a_living_connection(endpoint):
    """A reply that was dropped on the way is fetched by asking again."""
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


def test_closing_fails_what_is_open(endpoint):
    client = Client(endpoint, "test")
    reply = client.submit(LeaseSpecs("x", 1, 0))
    client.close()
    client.close()
    with pytest.raises(VantageError, match="closed"):
        reply.result(0)
    with pytest.raises(VantageError, match="closed"):
        client.submit(LeaseSpecs("x", 1, 0))


def test_stopping_answers_what_was_accepted(endpoint):
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


def test_an_answer_after_the_end_harms_nobody(endpoint):
    late: Future = Future()
    service = Service("s", "r", endpoint, {LeaseSpecs: lambda *_: late}, drain_s=0.1)
    with Client(endpoint, "test") as client:
        with serving(service):
            client.submit(LeaseSpecs("x", 1, 0))
            wait_for(lambda: service.counters["requests"] == 1)
        late.set_result(SpecBatch(()))


# ----------------------------------------------------------------------------- strangers


def test_garbage_does_not_kill_a_service(endpoint):
    garbage = [
        [b""],
        [b"GET / HTTP/1.1"],
        [PREFIX],
        [PREFIX, b"LEASE", b"id"],
        [PREFIX, b"LEASE", b"id", b"\x81\xa1a" + b"\x91" * 10**5],
        [PREFIX, b"LEASE", b"i" * 300, b""],
        [b"\x00" * 10**6] * 3,
        [PREFIX, b"LEASE", b"id", b"\x80", *[b""] * 3000],
        encode(b"id", SpecBatch(())),  # well-formed, but an answer
        encode(b"", Failure("internal", "nonsense")),
    ]
    with serving(Service("s", "r", endpoint, {LeaseSpecs: lease})) as service:
        for name in ("", "stranger"):  # before and after HELLO
            with raw_dealer(endpoint, name) as socket:
                for frames in garbage:
                    socket.send_multipart(frames)
                    assert isinstance(decode(socket.recv_multipart()).message, Failure)
        with Client(endpoint, "test") as client:
            assert client.request(LeaseSpecs("x", 1, 0)).message.reason == "x"
        assert service.counters["malformed"] == 2 * 8


def test_requests_before_hello_are_refused(endpoint):
    with serving(Service("s", "r", endpoint, {LeaseSpecs: lease})), raw_dealer(endpoint) as socket:
        socket.send_multipart(encode(b"id", LeaseSpecs("x", 1, 0)))
        assert "HELLO" in decode(socket.recv_multipart()).message.message
        socket.send_multipart(encode(b"", Hello("", 1, 0)))
        assert "name" in decode(socket.recv_multipart()).message.message


def test_majors_are_negotiated(endpoint):
    with serving(Service("s", "r", endpoint, {LeaseSpecs: lease})), raw_dealer(endpoint) as socket:
        socket.send_multipart(encode(b"", Hello("c", 2, 0)))
        assert decode(socket.recv_multipart()).message.code == "version"
        socket.send_multipart([MAGIC + b"\x02", *encode(b"", Hello("c", 2, 0))[1:]])
        assert decode(socket.recv_multipart()).message.code == "version"
        socket.send_multipart(encode(b"", Hello("c", 1, 99)))
        assert isinstance(decode(socket.recv_multipart()).message, Welcome)


def test_a_client_gives_up_on_a_service_of_another_major(endpoint):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, Client(endpoint, "test") as client:
        router.linger = 0
        router.bind(endpoint.address)
        reply = client.submit(LeaseSpecs("x", 1, 0))
        identity, *_ = router.recv_multipart()
        router.send_multipart([identity, MAGIC + b"\x02", *encode(b"", Failure("version", "I speak 2"))[1:]])
        with pytest.raises(VantageError, match="protocol major 2") as caught:
            reply.result(5)
        assert (caught.value.code, caught.value.retryable) == ("version", False)


PLAIN_CLIENT = """
import struct, sys, msgpack, zmq
socket = zmq.Context().socket(zmq.DEALER)
socket.rcvtimeo = 5000
socket.connect(sys.argv[1])
def ask(kind, request_id, fields):
    socket.send_multipart([b"VNTG\\x01", kind, request_id, msgpack.packb(fields)])
    prefix, kind, reply_id, header, *blobs = socket.recv_multipart()
    assert prefix == b"VNTG\\x01" and reply_id == request_id
    return kind, msgpack.unpackb(header), blobs
kind, welcome, _ = ask(b"HELLO", b"", {"client": "plain", "protocol_major": 1, "protocol_minor": 0})
assert kind == b"WELCOME" and welcome["service"] == "sim", (kind, welcome)
assert ask(b"HEARTBEAT", b"", {})[0] == b"HEARTBEAT"
kind, reply, blobs = ask(b"OBSERVE", b"my id", {
    "scene": {"seed": 3}, "camera": {"width_px": 8, "height_px": 6},
    "pose": {"position_m": [0.0, 1.5, 0.0], "rotation_wxyz": [1.0, 0.0, 0.0, 0.0]}})
assert kind == b"OBSERVATION", (kind, reply)
rgb = reply["view"]["rgb"]
assert rgb == {"index": 0, "dtype": "uint8", "shape": [6, 8, 3], "codec": "raw"}, rgb
assert blobs[rgb["index"]] == bytes([3]) * 6 * 8 * 3
kind, failure, _ = ask(b"OBSERVE", b"other id", {"scene": {"seed": -1}})
assert kind == b"FAILURE" and failure["code"] == "bad_request" and not failure["retryable"], failure
assert not any(name.startswith("protocol") for name in sys.modules)
print("spoken")
"""


def test_a_client_of_pyzmq_and_msgpack_alone_speaks_the_protocol(endpoint, tmp_path):
    with serving(Service("sim", "r", endpoint, {Observe: observe})):
        run = subprocess.run(
            [sys.executable, "-I", "-c", PLAIN_CLIENT, endpoint.address],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert run.stdout == "spoken\n", run.stderr
