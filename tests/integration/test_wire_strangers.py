"""Other peers: garbage, other versions, and a client written from the documentation only."""

from __future__ import annotations

import subprocess
import sys

import pytest
import zmq

from protocol.errors import VantageError
from protocol.wire.client import Client
from protocol.wire.codec import MAGIC, PREFIX, decode, encode
from protocol.wire.messages import Failure, Hello, LeaseSpecs, Observe, SpecBatch, Welcome
from protocol.wire.service import Service
from tests.support.wire import lease, observe, raw_dealer, serving

pytestmark = pytest.mark.timeout(60)


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


def test_requests_before_hello_are_rejected(endpoint):
    with serving(Service("s", "r", endpoint, {LeaseSpecs: lease})), raw_dealer(endpoint) as socket:
        socket.send_multipart(encode(b"id", LeaseSpecs("x", 1, 0)))
        assert "HELLO" in decode(socket.recv_multipart()).message.message
        socket.send_multipart(encode(b"", Hello("", 1, 0)))
        assert "name" in decode(socket.recv_multipart()).message.message


def test_the_major_version_is_checked(endpoint):
    with serving(Service("s", "r", endpoint, {LeaseSpecs: lease})), raw_dealer(endpoint) as socket:
        socket.send_multipart(encode(b"", Hello("c", 2, 0)))
        assert decode(socket.recv_multipart()).message.code == "version"
        socket.send_multipart([MAGIC + b"\x02", *encode(b"", Hello("c", 2, 0))[1:]])
        assert decode(socket.recv_multipart()).message.code == "version"
        socket.send_multipart(encode(b"", Hello("c", 1, 99)))
        assert isinstance(decode(socket.recv_multipart()).message, Welcome)


def test_a_client_rejects_a_service_of_another_major_version(endpoint):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, Client(endpoint, "test") as client:
        router.linger = 0
        router.bind(endpoint.address)
        reply = client.submit(LeaseSpecs("x", 1, 0))
        identity, *_ = router.recv_multipart()
        router.send_multipart([identity, MAGIC + b"\x02", *encode(b"", Failure("version", "version 2 only"))[1:]])
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
print("done")
"""


def test_a_client_with_pyzmq_and_msgpack_only(endpoint, tmp_path):
    with serving(Service("sim", "r", endpoint, {Observe: observe})):
        run = subprocess.run(
            [sys.executable, "-I", "-c", PLAIN_CLIENT, endpoint.address],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert run.stdout == "done\n", run.stderr


def test_an_answer_with_another_version_byte_fails_one_request_only(endpoint):
    """A damaged answer must not look like a service that was updated: that would end the run."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, Client(endpoint, "test") as client:
        router.linger = 0
        router.rcvtimeo = 5000
        router.bind(endpoint.address)
        first, second = client.submit(LeaseSpecs("x", 1, 0)), client.submit(LeaseSpecs("y", 1, 0))
        identity, *_ = router.recv_multipart()
        router.send_multipart([identity, *encode(b"", Welcome("s", 1, 0, "r"))])
        ids = {}
        while len(ids) < 2:
            packet = decode(router.recv_multipart()[1:])
            if isinstance(packet.message, LeaseSpecs):
                ids[packet.message.learner] = packet.request_id
        answer = encode(ids["x"], SpecBatch(()))
        router.send_multipart([identity, MAGIC + b"\x02", *answer[1:]])
        router.send_multipart([identity, *encode(ids["y"], SpecBatch((), "fine"))])
        assert second.result(5).message.reason == "fine"
        with pytest.raises(VantageError) as caught:
            first.result(5)
        assert caught.value.code == "bad_reply"


@pytest.mark.parametrize("name", ["c[/bold]", "\x1b[31mred", "two words", ""])
def test_a_client_name_with_other_characters_is_refused(name, endpoint):
    with serving(Service("sim", "r", endpoint, {Observe: observe})), zmq.Context() as context:
        with context.socket(zmq.DEALER) as socket:
            socket.linger, socket.rcvtimeo = 0, 5000
            socket.connect(endpoint.address)
            socket.send_multipart(encode(b"", Hello(name, 1, 0)))
            failure = decode(socket.recv_multipart()).message
    assert failure.code == "bad_request" and failure.message.isprintable()


def test_equal_request_ids_of_two_clients_are_two_requests(endpoint):
    """Each is performed, and an effect that a database remembers has another id for each."""
    seen = []

    def handler(message, request):
        seen.append(request.durable_id)
        return SpecBatch((), message.learner)

    with serving(Service("s", "r", endpoint, {LeaseSpecs: handler})):
        for name in ("one", "two", "one"):
            with raw_dealer(endpoint, name) as socket:
                socket.send_multipart(encode(b"1", LeaseSpecs(name, 1, 0)))
                assert decode(socket.recv_multipart()).message.reason == name
    assert len(seen) == len(set(seen)) == 2
