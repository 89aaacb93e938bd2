"""A malformed frame never kills a service: thousands of mutated messages, at the decoder and on the wire."""

from __future__ import annotations

import random

import msgpack
import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose
from protocol.tasks.task import View
from protocol.wire.client import Client
from protocol.wire.codec import PREFIX, ArraySink, Packet, decode, encode
from protocol.wire.endpoint import serving_endpoint
from protocol.wire.messages import KINDS, Hello, LeaseSpecs, Observation, SpecBatch
from protocol.wire.service import Service
from tests.support.wire import messages, serving

pytestmark = pytest.mark.timeout(120)

POSE = Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0))
SETTINGS = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

# Any MessagePack value, including types that no message contains.
ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=6), st.binary(max_size=6)
)
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


@st.composite
def mutated(draw: st.DrawFn) -> list[bytes]:
    """A valid message with random changes of bytes, frames, or a value in the header."""
    message, sink, _ = draw(messages(KINDS[draw(st.sampled_from(sorted(KINDS)))]))
    frames = [bytes(frame) for frame in encode(b"id", message, sink.blobs)]
    for _ in range(draw(st.integers(1, 3))):
        index = draw(st.integers(0, max(len(frames) - 1, 0)))
        kind = draw(st.sampled_from(("flip", "cut", "grow", "drop", "double", "swap", "kind", "value", "noise")))
        frame = bytearray(frames[index]) if frames else bytearray()
        if kind == "flip" and frame:
            frame[draw(st.integers(0, len(frame) - 1))] ^= 1 << draw(st.integers(0, 7))
            frames[index] = bytes(frame)
        elif kind == "cut" and frame:
            frames[index] = bytes(frame[: draw(st.integers(0, len(frame) - 1))])
        elif kind == "grow" and frames:
            frames[index] += draw(st.binary(min_size=1, max_size=8))
        elif kind == "drop" and frames:
            del frames[index]
        elif kind == "double" and frames:
            frames.insert(index, frames[index])
        elif kind == "swap" and frames:
            frames[index], frames[-1] = frames[-1], frames[index]
        elif kind == "kind" and len(frames) > 1:
            frames[1] = draw(st.sampled_from(sorted(KINDS))).encode()
        elif kind == "value" and len(frames) > 3:
            frames[3] = msgpack.packb(draw(changed_value(frames[3])))
        elif kind == "noise" and frames:
            frames[index] = draw(st.binary(max_size=40))
    return frames


@st.composite
def changed_value(draw: st.DrawFn, header: bytes) -> object:
    """The decoded header with one value replaced."""
    try:
        root = msgpack.unpackb(header)
    except ValueError:
        return draw(VALUES)
    node, places = root, []
    while isinstance(node, (dict, list)) and node:
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        places.append((node, key))
        node = node[key]
    if not places:
        return draw(VALUES)
    container, key = draw(st.sampled_from(places))
    container[key] = draw(VALUES)
    return root


def read(frames: list[bytes]) -> None:
    """Decode a message and all its arrays; only VantageError may be raised."""
    try:
        packet = decode(frames)
        assert isinstance(packet, Packet)
        for index in range(len(packet.blobs)):
            for ref in refs_of(packet.message):
                if ref.index == index:
                    packet.array(ref)
    except VantageError as error:
        assert error.code in ("bad_request", "version")
        assert error.message


def refs_of(message) -> list:
    view = getattr(message, "view", None)
    views = [view] if view is not None else []
    views += [getattr(item, "view", item) for item in getattr(message, "views", ())]  # AnnotatedView or View
    return [ref for view in views for ref in (view.rgb, view.depth, view.ids) if ref is not None]


@settings(SETTINGS, max_examples=2000)
@given(frames=mutated())
def test_the_decoder_accepts_or_rejects_any_mutation(frames):
    read(frames)


@settings(SETTINGS, max_examples=1000)
@given(kind=st.sampled_from(sorted(KINDS)), header=VALUES, blobs=st.lists(st.binary(max_size=20), max_size=3))
def test_the_decoder_accepts_or_rejects_any_header(kind, header, blobs):
    read([PREFIX, kind.encode(), b"id", msgpack.packb(header), *blobs])


@settings(SETTINGS, max_examples=1000)
@given(frames=st.lists(st.binary(max_size=60), max_size=7))
def test_the_decoder_accepts_or_rejects_any_bytes(frames):
    read(frames)


@pytest.mark.parametrize("codec_name", ["png", "webp", "jpeg"])
def test_an_image_file_with_changed_bytes_is_read_or_rejected(codec_name):
    rng = random.Random(codec_name)
    sink = ArraySink()
    noise = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    message = Observation(View(POSE, Camera(), sink.add(noise, codec_name)))
    frames = encode(b"id", message, sink.blobs)
    for _ in range(500):
        data = bytearray(frames[4])
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        packet = decode([*frames[:4], bytes(data[: rng.randint(len(data) // 2, len(data))])])
        try:
            assert packet.array(message.view.rgb).shape == (16, 16, 3)
        except VantageError as error:
            assert error.code == "bad_request"


def test_a_service_answers_between_thousands_of_mutations(tmp_path):
    endpoint = serving_endpoint(tmp_path, "sim")
    service = Service("s", "r", endpoint, {LeaseSpecs: lambda message, _: SpecBatch((), message.learner)})
    sent = 0
    with serving(service), Client(endpoint, "good") as good, zmq.Context() as context:
        bad = context.socket(zmq.DEALER)
        bad.linger = 0
        bad.connect(endpoint.address)
        bad.send_multipart(encode(b"", Hello("bad", 1, 0)))

        @settings(SETTINGS, max_examples=1500)
        @given(frames=mutated())
        def attack(frames):
            nonlocal sent
            bad.send_multipart(frames or [b""])
            sent += 1
            while bad.poll(0):
                bad.recv_multipart()
            if sent % 100 == 0:
                assert good.request(LeaseSpecs(str(sent), 1, 0), deadline_s=10).message.reason == str(sent)

        attack()
        assert good.request(LeaseSpecs("end", 1, 0), deadline_s=10).message.reason == "end"
        bad.close()
    assert sent >= 1500
    assert service.counters["malformed"] > 400
    assert good.counters["connections"] == 1
