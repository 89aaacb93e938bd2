from __future__ import annotations

import msgspec
import numpy as np
import pytest

from launch.serial import LocalChannel
from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.tasks.task import View
from protocol.wire.codec import ArraySink
from protocol.wire.messages import Describe, Done, Observation


def test_a_reply_and_its_arrays_match_those_of_a_client() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)

    def handle(_: msgspec.Struct, request_id: bytes) -> tuple[msgspec.Struct, list[bytes]]:
        sink = ArraySink()
        view = View(Pose((0, 0, 0), (1, 0, 0, 0)), Camera(2, 2), sink.add(image))
        return Observation(view), sink.blobs

    packet = LocalChannel(handle).request(Describe(SceneSpec()))
    assert np.array_equal(packet.array(packet.message.view.rgb), image)


def test_errors_arrive_in_the_future_and_request_ids_differ() -> None:
    ids = []

    def handle(_: msgspec.Struct, request_id: bytes) -> tuple[msgspec.Struct, tuple[()]]:
        ids.append(request_id)
        if len(ids) == 1:
            raise Infeasible("no such view")
        return Done(), ()

    channel = LocalChannel(handle)
    future = channel.submit(Describe(SceneSpec()))
    assert future.done()
    with pytest.raises(VantageError, match="no such view"):
        future.result()
    assert channel.request(Describe(SceneSpec())).message == Done()
    assert len(set(ids)) == 2
