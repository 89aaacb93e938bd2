"""Checks of what a simulator worker sends: its offer, and its replies, each against its request."""

from __future__ import annotations

from typing import Union

from protocol.errors import VantageError
from protocol.tasks.check import (
    LARGEST_INT,
    MAX_TEXT,
    check_digest,
    check_episode,
    check_name,
    check_number,
    check_point,
    check_question,
    check_text,
    check_view,
    refuse,
    shown,
    text_fault,
)
from protocol.tasks.scene import SceneDescription
from protocol.tasks.task import Episode
from protocol.wire.codec import Packet
from protocol.wire.messages import (
    KIND_OF,
    Annotate,
    Annotated,
    Describe,
    Description,
    Failure,
    Observation,
    Observe,
    Ready,
    Rejected,
    RenderTask,
)

SimRequest = Union[RenderTask, Observe, Describe, Annotate]

# Codes of failures that answer a request. Other codes are about a process: "version" from a worker would end the run.
FAILURES = frozenset({"infeasible", "bad_request", "bad_config", "unsupported", "internal", "corrupt", "disk_full"})
MAX_MESSAGE = 4000  # characters of a failure or rejection
MAX_REJECTIONS = 64
MAX_OBJECTS = 10_000  # of a scene or an annotated view
MAX_CREDIT = 64
MAX_ASSETS = 100_000
MAX_CORNERS = 1000  # of the outline of a room


def check_reply(request: SimRequest, packet: Packet, digest: str) -> None:
    """Check that `packet` answers `request`; `digest` is the renderer digest that the worker announced.

    Raises VantageError("bad_reply") with one sentence.
    """
    reply = packet.message
    if isinstance(reply, Failure):
        if reply.code not in FAILURES:
            refuse(f"the reply is a failure of code {shown(reply.code)}, which is no answer to a request")
        check_text("message of a failure", reply.message, MAX_MESSAGE, lines=True)
    elif isinstance(request, RenderTask) and isinstance(reply, Episode):
        check_episode(
            request.spec,
            reply,
            sensors=request.sensors,
            image_codec=request.image_codec,
            digest=digest,
            questions=request.questions,
        )
        for view in reply.views:
            packet.check_file(view.rgb)
    elif isinstance(request, RenderTask) and request.examine and isinstance(reply, Rejected):
        _check_rejected(request, reply)
    elif isinstance(request, Observe) and isinstance(reply, Observation):
        check_digest(reply.renderer_digest, digest, bool(request.degradations))
        check_view(reply.view, request.camera, request.sensors, request.image_codec, "the view")
        packet.check_file(reply.view.rgb)
    elif isinstance(request, Describe) and isinstance(reply, Description):
        check_digest(reply.renderer_digest, digest, degraded=False)
        _check_description(reply.scene)
    elif isinstance(request, Annotate) and isinstance(reply, Annotated):
        check_digest(reply.renderer_digest, digest, degraded=False)
        _check_annotated(request, reply)
    else:
        refuse(f"the reply to {KIND_OF[type(request)]} is {KIND_OF[type(reply)]}")


def check_ready(ready: Ready) -> None:
    """Check the offer of a worker. Raises VantageError("bad_request")."""
    check_name(ready.worker_id, "a worker's id")
    check_name(ready.backend, "a worker's backend")
    for text in (ready.renderer_digest, *ready.sensors, *ready.skills, *ready.assets):
        if fault := text_fault(text, MAX_TEXT):
            raise VantageError("bad_request", f"a text in READY {fault}.")
    if not (1 <= ready.credit <= MAX_CREDIT and ready.warm_scenes >= 1 and len(ready.assets) <= MAX_ASSETS):
        raise VantageError(
            "bad_request",
            f"a worker needs credit 1..{MAX_CREDIT}, at least one warm scene, and at most {MAX_ASSETS} assets.",
        )


def _check_rejected(request: RenderTask, reply: Rejected) -> None:
    if reply.spec_id != request.spec.spec_id:
        refuse(f"the rejection is about spec {shown(reply.spec_id)}, not {shown(request.spec.spec_id)}")
    if not 1 <= len(reply.rejections) <= MAX_REJECTIONS:
        refuse(f"the reply has {len(reply.rejections)} rejections, not 1 to {MAX_REJECTIONS}")
    for one in reply.rejections:
        for field in ("code", "message", "part"):
            if fault := text_fault(getattr(one, field), MAX_MESSAGE, lines=True):
                refuse(f"the {field} of a rejection {fault}")


def _check_annotated(request: Annotate, reply: Annotated) -> None:
    if len(reply.views) > request.views:
        refuse(f"the reply has {len(reply.views)} views, and the request asks for {request.views}")
    asked = {(skill, level) for skill, level, _ in request.skills}
    for index, annotated in enumerate(reply.views):
        check_view(annotated.view, request.camera, request.sensors, "raw", f"view {index}")
        if len(annotated.questions) > request.questions_per_view or len(annotated.objects) > MAX_OBJECTS:
            refuse(f"view {index} has {len(annotated.questions)} questions and {len(annotated.objects)} objects")
        for question in annotated.questions:
            if (question.skill, question.level) not in asked:
                refuse(
                    f"a question is {shown(question.skill)} at level {shown(question.level)}, which was not asked for"
                )
            check_question(question)
        for item in annotated.objects:
            for text in (item.category, item.color):
                check_text("category or colour", text, MAX_TEXT, empty=True)
            for value in (item.pixels, item.u, item.v, item.depth_m, item.visible_fraction):
                check_number("measure of an object", value, -LARGEST_INT, LARGEST_INT)


def _check_description(scene: SceneDescription) -> None:
    for name, count in (
        ("rooms", len(scene.rooms)),
        ("openings", len(scene.openings)),
        ("objects", len(scene.objects)),
    ):
        if count > MAX_OBJECTS:
            refuse(f"the scene has {count} {name}, and the limit is {MAX_OBJECTS}")
    for text in (scene.scene_id, scene.backend):
        check_text("scene id or backend", text, MAX_TEXT)
    check_number("navigable area", scene.navigable_area_m2, 0, LARGEST_INT)
    for room in scene.rooms:
        check_text("category of a room", room.category, MAX_TEXT, empty=True)
        if len(room.polygon_xz_m) > MAX_CORNERS:
            refuse(f"a room has {len(room.polygon_xz_m)} corners, and the limit is {MAX_CORNERS}")
        for corner in (*room.polygon_xz_m, (room.floor_y_m, room.ceiling_y_m)):
            check_point(corner, "a corner of a room")
    for opening in scene.openings:
        check_text("kind of an opening", opening.kind, MAX_TEXT)
        for corner in (opening.min_m, opening.max_m):
            check_point(corner, "a corner of an opening")
    for item in scene.objects:
        check_text("category of an object", item.category, MAX_TEXT, empty=True)
        check_text("colour of an object", item.color, MAX_TEXT, empty=True)
        for point in (item.box.centre_m, item.box.half_extents_m, item.box.rotation_wxyz, item.front or ()):
            check_point(point, "the box of an object")
