"""The core of a worker: one reply per message, without sockets."""

from __future__ import annotations

import msgspec
import pytest

from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.tasks.task import QuestionSpec, TaskSpec
from protocol.wire.codec import decode, encode
from protocol.wire.messages import Describe, GetSimStatus, Observe, RenderTask
from sim_server.service.core import SimCore
from sim_server.service.scenes import scene_key
from sim_server.settings import SimSettings
from tests.support.third_party.vantage_toy import ToyBackend

POSE = Pose((2.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0))


class CountingBackend(ToyBackend):
    """Counts opened scenes and scenes that are still open."""

    def __init__(self) -> None:
        self.opened = 0
        self.open_now = 0

    def open(self, spec):
        scene = super().open(spec)
        self.opened += 1
        self.open_now += 1
        scene.close = self._closed
        return scene

    def _closed(self) -> None:
        self.open_now -= 1


@pytest.fixture
def backend():
    return CountingBackend()


@pytest.fixture
def core(backend):
    made = SimCore(SimSettings(warm_scenes=2), backend)
    yield made
    made.close()


def observe(core, seed=1, **fields):
    """The reply as a client receives it."""
    reply, blobs = core.handle(Observe(SceneSpec(seed=seed), Camera(32, 24), POSE, **fields))
    return decode(encode(b"id", reply, blobs))


def test_a_view_has_only_the_requested_sensors(core):
    view = observe(core).message.view
    assert view.rgb.shape == (24, 32, 3) and view.depth is None and view.ids is None
    packet = observe(core, sensors=("rgb", "depth", "ids"))
    view = packet.message.view
    assert packet.array(view.depth).dtype == "float32" and packet.array(view.ids).dtype == "int32"


@pytest.mark.parametrize("codec", ["raw", "png", "webp"])
def test_colour_is_encoded_with_the_requested_codec(core, codec):
    packet = observe(core, image_codec=codec)
    assert packet.message.view.rgb.codec == codec
    assert (packet.array(packet.message.view.rgb) == 1 + 275 - 256).all()


def test_an_action_moves_the_camera_and_the_reply_has_its_pose(core):
    packet = observe(core, action="forward")
    assert packet.message.view.pose.position_m == pytest.approx((2.0, 1.5, 1.75))
    assert packet.message.renderer_digest == "toy-1"


def test_scenes_stay_open_up_to_the_bound(core, backend):
    for seed in (1, 1, 2, 1):
        observe(core, seed)
    assert backend.opened == 2
    observe(core, 3)  # closes 2, the least recently used scene
    observe(core, 1)
    assert (backend.opened, backend.open_now) == (3, 2)
    observe(core, 2)
    assert backend.opened == 4


def test_closing_closes_every_scene(backend):
    core = SimCore(SimSettings(), backend)
    for seed in range(3):
        core.handle(Describe(SceneSpec(seed=seed)))
    core.close()
    assert backend.open_now == 0


def test_only_loads_of_scenes_are_announced(backend):
    events = []

    class Loading:
        def __enter__(self):
            events.append(("begin", backend.opened))

        def __exit__(self, *_):
            events.append(("end", backend.opened))

    core = SimCore(SimSettings(), backend, loading=Loading)
    core.handle(Describe(SceneSpec(seed=1)))
    core.handle(Describe(SceneSpec(seed=1)))
    assert events == [("begin", 0), ("end", 1)]


def test_describe_returns_the_description_of_the_scene(core):
    reply, _ = core.handle(Describe(SceneSpec(seed=4)))
    assert reply.scene.scene_id == "toy-4" and reply.renderer_digest == "toy-1"


@pytest.mark.parametrize("sensors", [("depth",), ("rgb", "amodal"), ()])
def test_sensors_outside_the_protocol_are_rejected(core, sensors):
    with pytest.raises(VantageError) as caught:
        observe(core, sensors=sensors)
    assert caught.value.code == "bad_request"


def test_an_infeasible_question_has_a_reason(core):
    spec = TaskSpec("s", run_seed=0, seq=1, scene=SceneSpec(seed=1), question=QuestionSpec("depth_order"))
    with pytest.raises(Infeasible) as caught:
        core.handle(RenderTask(spec))
    assert caught.value.message


def test_unknown_messages_are_rejected(core):
    with pytest.raises(VantageError, match="GetSimStatus"):
        core.handle(GetSimStatus())


def test_scene_keys_differ_for_every_field():
    keys = {scene_key(spec) for spec in (SceneSpec(), SceneSpec(clutter=0.5), SceneSpec(seed=1), SceneSpec(asset="a"))}
    assert len(keys) == 4
    assert scene_key(SceneSpec(seed=1)) == scene_key(SceneSpec(seed=1))


def test_a_reply_that_a_receiver_would_refuse_is_not_sent(backend):
    """A name in a dataset can hold anything; the worker is not broken for that."""

    class Marked(type(backend)):
        def open(self, spec):
            scene = super().open(spec)
            objects = (msgspec.structs.replace(scene.description.objects[0], category="\x1b[2J"),)
            scene.description = msgspec.structs.replace(scene.description, objects=objects)
            return scene

    with pytest.raises(VantageError, match="no usable answer: the category of an object") as caught:
        SimCore(SimSettings(), Marked()).handle(Describe(SceneSpec()))
    assert caught.value.code == "unsupported"
