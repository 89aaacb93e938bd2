"""Helpers for tests of the wire: random messages of any type, and services that run for one test."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
import zmq
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from protocol.tasks.scene import HELD_OUT_SEED_BORDER, Camera, Pose, SceneSpec
from protocol.tasks.task import DEGRADATIONS, SEVERITIES, Degradation, View
from protocol.wire.arrays import ArrayRef
from protocol.wire.codec import DTYPES, ArraySink, decode, encode
from protocol.wire.endpoint import Endpoint
from protocol.wire.messages import (
    MOST_QUESTIONS,
    Hello,
    LeaseSpecs,
    Observation,
    Observe,
    RenderTask,
    SpecBatch,
    Welcome,
)
from protocol.wire.service import Service

POSE = Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0))
OBSERVE = Observe(SceneSpec(seed=3), Camera(8, 6), POSE)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ARRAYS = hnp.arrays(
    dtype=st.sampled_from(list(DTYPES.values())), shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
)
IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3)))
CAMERAS = st.builds(Camera, st.integers(1, 4096), st.integers(1, 4096), st.floats(0.1, 2.8))
SCENES = st.one_of(
    st.builds(SceneSpec, seed=st.integers(0, HELD_OUT_SEED_BORDER - 1), asset=TEXT, light=TEXT),
    st.builds(SceneSpec, seed=st.integers(HELD_OUT_SEED_BORDER, 2**32 - 1), split=st.just("val"), rooms=st.just(12)),
)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**64 - 1),
    float: st.floats(allow_nan=False),  # only because NaN != NaN
    str: TEXT,
    bool: st.booleans(),
    Camera: CAMERAS,
    SceneSpec: SCENES,
    Degradation: st.builds(Degradation, st.sampled_from(DEGRADATIONS), st.integers(0, SEVERITIES - 1)),
}

BOUNDED = {(RenderTask, "questions"): st.integers(1, MOST_QUESTIONS)}


@st.composite
def messages(draw: st.DrawFn, cls: type) -> tuple[Any, ArraySink, list[np.ndarray]]:
    """Draw a message of this type, the sink with its arrays, and the arrays in order."""
    sink = ArraySink()
    arrays: list[np.ndarray] = []

    def value_of(hint: Any) -> Any:
        if hint in LEAVES:
            return draw(LEAVES[hint])
        if hint is ArrayRef:
            codec = draw(st.sampled_from(("raw", "png", "webp")))
            arrays.append(draw(ARRAYS if codec == "raw" else IMAGES))
            return sink.add(arrays[-1], codec)
        parts = get_args(hint)
        if get_origin(hint) is Union:
            return value_of(parts[0]) if draw(st.booleans()) else None
        if get_origin(hint) is tuple:
            if parts[-1] is Ellipsis:
                return tuple(value_of(parts[0]) for _ in range(draw(st.integers(0, 2))))
            return tuple(value_of(part) for part in parts)
        if get_origin(hint) is dict:
            return {value_of(parts[0]): value_of(parts[1]) for _ in range(draw(st.integers(0, 2)))}
        assert issubclass(hint, msgspec.Struct), hint
        fields = get_type_hints(hint).items()
        return hint(
            **{
                name: draw(BOUNDED[hint, name]) if (hint, name) in BOUNDED else value_of(field)
                for name, field in fields
            }
        )

    return value_of(cls), sink, arrays


@contextmanager
def serving(service: Service):
    """Run the service in a thread until the block ends, and raise its error, if any."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            service.serve(stop)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield service
    finally:
        stop.set()
        thread.join()
    assert not errors, errors


def observe(message: Observe, _request):
    """Handler that returns an image filled with the seed of the scene."""
    sink = ArraySink()
    image = np.full((message.camera.height_px, message.camera.width_px, 3), message.scene.seed, np.uint8)
    return Observation(View(message.pose, message.camera, sink.add(image))), sink.blobs


def lease(message: LeaseSpecs, _request) -> SpecBatch:
    return SpecBatch((), message.learner)


@contextmanager
def raw_dealer(endpoint: Endpoint, client: str = ""):
    """Yield a plain DEALER socket; with a client name, it has sent HELLO."""
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


def wait_for(condition, within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.01)
