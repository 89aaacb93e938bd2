"""The logic of the simulator, independent of sockets: one message in, one reply and its arrays out.

A worker process wraps a SimCore; a serial run calls it directly.

    RenderTask -> Episode | Rejected · Observe -> Observation · Describe -> Description · Annotate -> Annotated
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Callable, ContextManager, Optional, Sequence, Union

import msgspec

from protocol.errors import VantageError
from protocol.tasks.task import AnnotatedView, Episode, View
from protocol.wire.codec import ArraySink, Blob, Packet
from protocol.wire.messages import (
    Annotate,
    Annotated,
    Describe,
    Description,
    Observation,
    Observe,
    Rejected,
    RenderTask,
)
from protocol.wire.replies import SimRequest, check_reply
from sim_server.backends.base import Backend, Frames
from sim_server.backends.registry import make_backend
from sim_server.questions.annotate import annotate
from sim_server.questions.propose.elsewhere import Elsewhere
from sim_server.questions.realise import RejectedProposal, realise
from sim_server.sensing.degradations import degraded, digest_for
from sim_server.sensing.observe import move
from sim_server.service.scenes import WarmScenes
from sim_server.settings import SimSettings

WIRE_SENSORS = ("rgb", "depth", "ids")
SimReply = Union[Episode, Observation, Description, Annotated, Rejected]


class SimCore:
    """Answers simulator requests with one backend and keeps recently used scenes open.

    Not thread-safe: a backend may be bound to the thread that created it.
    """

    def __init__(
        self,
        settings: SimSettings,
        backend: Optional[Backend] = None,
        loading: Callable[[], ContextManager[None]] = nullcontext,
    ) -> None:
        """Without `backend`, create the one of the settings; raises VantageError("backend_missing") if it is missing.

        The context manager `loading()` is active while a scene that is not warm is opened, which can be slow.
        """
        self.backend = make_backend(settings.backend, settings) if backend is None else backend
        self.scenes = WarmScenes(self.backend, settings.warm_scenes, loading)
        self._elsewhere = Elsewhere(self.backend, loading)

    def handle(self, message: msgspec.Struct) -> tuple[SimReply, list[Blob]]:
        """The reply and its array frames.

        Raises Infeasible for a spec that cannot be realised, VantageError("bad_request") for an invalid one.
        """
        sink = ArraySink()
        if isinstance(message, RenderTask):
            reply: SimReply = self._render_task(message, sink)
        elif isinstance(message, Observe):
            reply = self._observe(message, sink)
        elif isinstance(message, Describe):
            reply = Description(self.scenes.get(message.scene).description, self.backend.digest)
        elif isinstance(message, Annotate):
            reply = self._annotate(message, sink)
        else:
            raise VantageError("bad_request", f"a simulator does not answer {type(message).__name__}.")
        self._check(message, reply, sink.blobs)
        return reply, sink.blobs

    def close(self) -> None:
        self.scenes.close()
        self.backend.close()

    def _check(self, message: SimRequest, reply: SimReply, blobs: list[Blob]) -> None:
        """Apply the check of the receiver, which takes a worker whose reply fails it for broken.

        A name in a file of a dataset can be one that no question may contain.
        """
        try:
            check_reply(message, Packet(b"", reply, [memoryview(blob) for blob in blobs]), self.backend.digest)
        except VantageError as error:
            code = "infeasible" if isinstance(message, RenderTask) else "unsupported"
            raise VantageError(code, f"this request has no usable answer: {error.message}") from None

    def _render_task(self, message: RenderTask, sink: ArraySink) -> Union[Episode, Rejected]:
        _check_sensors(message.sensors)
        started_s = time.perf_counter()
        scene = self.scenes.get(message.spec.scene)
        try:
            realised = realise(
                scene,
                message.spec,
                message.sensors,
                self._elsewhere if message.examine else None,
                message.questions,
            )
        except RejectedProposal as rejected:
            if not message.examine:
                raise
            return Rejected(message.spec.spec_id, rejected.rejections)
        views = _views(realised.frames, message.sensors, message.image_codec, sink)
        if realised.changes:
            views = tuple(msgspec.structs.replace(view, changes=made) for view, made in zip(views, realised.changes))
        return Episode(
            spec_id=message.spec.spec_id,
            views=views,
            question=realised.question,
            scene_id=scene.description.scene_id,
            renderer_digest=digest_for(self.backend, message.spec),
            attempts=realised.attempts,
            render_s=time.perf_counter() - started_s,
            others=realised.others,
        )

    def _observe(self, message: Observe, sink: ArraySink) -> Observation:
        _check_sensors(message.sensors)
        scene = self.scenes.get(message.scene)
        pose, collided = move(scene, message.pose, message.action)
        frames = degraded(scene, message).render((pose,), message.camera, message.sensors)
        (view,) = _views(frames, message.sensors, message.image_codec, sink)
        return Observation(view, collided, digest_for(self.backend, message))

    def _annotate(self, message: Annotate, sink: ArraySink) -> Annotated:
        _check_sensors(message.sensors)
        scene = self.scenes.get(message.scene)
        views: list[AnnotatedView] = []
        for truth in annotate(scene, message):
            (view,) = _views(truth.frames, message.sensors, "raw", sink)
            views.append(AnnotatedView(view, truth.objects, truth.questions))
        return Annotated(tuple(views), self.backend.digest)


def _check_sensors(sensors: Sequence[str]) -> None:
    unknown = set(sensors) - set(WIRE_SENSORS)
    if unknown or "rgb" not in sensors:
        raise VantageError(
            "bad_request", f"sensors are 'rgb' and any of {', '.join(WIRE_SENSORS[1:])}, not {sorted(sensors)}."
        )


def _views(frames: Frames, sensors: Sequence[str], image_codec: str, sink: ArraySink) -> tuple[View, ...]:
    """One View per pose of `frames`; RGB is encoded with `image_codec`, depth and ids are raw."""
    views = []
    for index, pose in enumerate(frames.poses):
        assert frames.rgb is not None
        rgb = sink.add(frames.rgb[index], image_codec)
        depth = ids = None
        if "depth" in sensors and frames.depth is not None:
            depth = sink.add(frames.depth[index])
        if "ids" in sensors and frames.ids is not None:
            ids = sink.add(frames.ids[index])
        views.append(View(pose, frames.camera, rgb, depth, ids))
    return tuple(views)
