"""Functions about the views of a question: their pixels and the poses of their cameras."""

from __future__ import annotations

import math

import numpy as np

from protocol.tasks.scene import SceneObject
from protocol.tasks.task import ObjectTruth
from sim_server.questions.evidence import Evidence, ViewEvidence, room_at
from sim_server.questions.geometry import (
    bearing_of_rad,
    point_box_distance,
    polygon_area_m2,
    to_camera,
    wrap_rad,
    yaw_rad,
)
from sim_server.questions.language.functions.registry import (
    MAX_OBJECTS,
    NUMBER,
    OBJECT,
    OBJECTS,
    VECTOR,
    VIEW,
    Fault,
    Vector,
    define,
    define_on_evidence,
)


def _evidence(item: SceneObject, view: ViewEvidence) -> ObjectTruth:
    truth = view.seen.get(item.id)
    if truth is None:
        raise Fault(f"object {item.id} is not visible in this view")
    return truth


@define_on_evidence(VIEW, index=NUMBER)
def view(evidence: Evidence, index: float) -> ViewEvidence:
    """The view with this index, from 0."""
    if index != int(index) or not 0 <= index < len(evidence.views):
        raise Fault(f"there is no view {index:g}")
    return evidence.views[int(index)]


@define_on_evidence(OBJECTS, cost=8, view=VIEW)
def visible(evidence: Evidence, view: ViewEvidence) -> list[SceneObject]:
    """The objects with at least one pixel in the view."""
    if len(view.seen) > MAX_OBJECTS:
        raise Fault(f"the view shows more than {MAX_OBJECTS} objects")
    return [evidence.objects[key] for key in view.seen]


@define_on_evidence(OBJECTS, cost=64)
def seen(evidence: Evidence) -> list[SceneObject]:
    """The objects with at least one pixel in any view."""
    keys = evidence.seen()
    if len(keys) > MAX_OBJECTS:
        raise Fault(f"the views show more than {MAX_OBJECTS} objects")
    return [evidence.objects[key] for key in keys]


@define_on_evidence(NUMBER, cost=4, o=OBJECT)
def times_seen(evidence: Evidence, o: SceneObject) -> float:
    """The number of views in which the object has at least one pixel."""
    return float(sum(o.id in view.seen for view in evidence.views))


@define(NUMBER, o=OBJECT, view=VIEW)
def image_x(o: SceneObject, view: ViewEvidence) -> float:
    """Mean column of the object's visible pixels, 0..1 from the left."""
    return _evidence(o, view).u


@define(NUMBER, o=OBJECT, view=VIEW)
def image_y(o: SceneObject, view: ViewEvidence) -> float:
    """Mean row of the object's visible pixels, 0..1 from the top."""
    return _evidence(o, view).v


@define(NUMBER, o=OBJECT, view=VIEW)
def depth(o: SceneObject, view: ViewEvidence) -> float:
    """Median depth in metres of the object's visible pixels, along the optical axis."""
    return _evidence(o, view).depth_m


@define(NUMBER, o=OBJECT, view=VIEW)
def pixels(o: SceneObject, view: ViewEvidence) -> float:
    """The number of the object's pixels in the view, 0 if it is not visible."""
    truth = view.seen.get(o.id)
    return float(truth.pixels) if truth else 0.0


@define(NUMBER, o=OBJECT, view=VIEW)
def visible_fraction(o: SceneObject, view: ViewEvidence) -> float:
    """The object's visible pixels over the pixels that it would have inside the image if nothing hid it."""
    truth = view.seen.get(o.id)
    return truth.visible_fraction if truth else 0.0


@define(NUMBER, cost=6, o=OBJECT, view=VIEW)
def distance_from_camera(o: SceneObject, view: ViewEvidence) -> float:
    """Metres from the camera to the closest point of the object's box."""
    return float(point_box_distance(np.asarray([view.pose.position_m]), o.box)[0])


@define(VECTOR, view=VIEW)
def position(view: ViewEvidence) -> Vector:
    """Position of the view's camera in the world frame, metres."""
    return view.pose.position_m


@define(NUMBER, cost=4, view=VIEW, to=VECTOR)
def bearing(view: ViewEvidence, to: Vector) -> float:
    """Bearing of a point from the camera on the floor plan, in radians: left is positive, behind is near +-pi."""
    return float(bearing_of_rad(view.pose.position_m, yaw_rad(view.pose), np.asarray([to]))[0])


@define_on_evidence(NUMBER, cost=512)
def area_shown(evidence: Evidence) -> float:
    """Floor area in square metres of the rooms that the cameras are in, each room counted once."""
    rooms = {room.id: room for view in evidence.views if (room := room_at(evidence.description, view.pose.position_m))}
    if not rooms:
        raise Fault("no camera is in a room of the scene")
    return sum(polygon_area_m2(room.polygon_xz_m) for room in rooms.values())


@define(NUMBER, cost=4, start=VIEW, to=VIEW)
def turn_between(start: ViewEvidence, to: ViewEvidence) -> float:
    """The turn of the camera about the vertical axis in radians, left positive, in (-pi, pi]."""
    return wrap_rad(yaw_rad(to.pose) - yaw_rad(start.pose))


@define(VECTOR, cost=4, start=VIEW, to=VIEW)
def shift_between(start: ViewEvidence, to: ViewEvidence) -> Vector:
    """The move of the camera in metres: right, up and back in the first camera's frame without pitch."""
    dx, dy, dz = (b - a for a, b in zip(start.pose.position_m, to.pose.position_m))
    yaw = yaw_rad(start.pose)
    cos, sin = math.cos(yaw), math.sin(yaw)
    return (cos * dx - sin * dz, dy, sin * dx + cos * dz)


@define(VECTOR, cost=4, o=OBJECT, view=VIEW)
def in_camera(o: SceneObject, view: ViewEvidence) -> Vector:
    """Centre of the object's box in the camera's frame, metres: right, up, back."""
    x, y, z = to_camera(view.pose, np.asarray([o.box.centre_m]))[0]
    return (float(x), float(y), float(z))
