"""Functions about poses and moves: poses of cameras and objects, turns and walks, and when an object is first seen."""

from __future__ import annotations

import math

import numpy as np

from protocol.tasks.scene import Pose, SceneObject
from sim_server.questions.evidence import Evidence, ViewEvidence
from sim_server.questions.geometry import pitch_rad, pose_from_yaw_pitch, project, wrap_rad, yaw_rad
from sim_server.questions.language.functions.registry import (
    BOOL,
    NUMBER,
    OBJECT,
    POSE,
    VECTOR,
    VIEW,
    Fault,
    Vector,
    define,
    define_on_evidence,
)

FARTHEST_MOVE_M = 100.0


@define(POSE, view=VIEW)
def camera(view: ViewEvidence) -> Pose:
    """The pose of the view's camera."""
    return view.pose


@define(POSE, o=OBJECT)
def place(o: SceneObject) -> Pose:
    """The pose at the centre of the object that looks the way its front faces."""
    if o.front is None:
        raise Fault(f"object {o.id} has no front")
    return pose_from_yaw_pitch(o.box.centre_m, math.atan2(-o.front[0], -o.front[2]), 0.0)


@define(POSE, cost=10, pose=POSE, degrees=NUMBER)
def turned(pose: Pose, degrees: float) -> Pose:
    """The pose after a turn about the vertical axis, left positive; the pitch stays."""
    if abs(degrees) > 360:
        raise Fault("a turn is at most 360 degrees")
    return pose_from_yaw_pitch(pose.position_m, yaw_rad(pose) + math.radians(degrees), pitch_rad(pose))


@define(POSE, cost=5, pose=POSE, metres=NUMBER)
def walked(pose: Pose, metres: float) -> Pose:
    """The pose after a walk straight ahead on the floor."""
    if abs(metres) > FARTHEST_MOVE_M:
        raise Fault(f"a walk is at most {FARTHEST_MOVE_M:g} m")
    x, y, z = pose.position_m
    yaw = yaw_rad(pose)
    return Pose((x - metres * math.sin(yaw), y, z - metres * math.cos(yaw)), pose.rotation_wxyz)


@define(NUMBER, cost=5, pose=POSE, to=VECTOR)
def bearing_at(pose: Pose, to: Vector) -> float:
    """Bearing of a point from the pose on the floor plan, in radians: left is positive, behind is near +-pi."""
    x, _, z = pose.position_m
    return wrap_rad(math.atan2(x - to[0], z - to[2]) - yaw_rad(pose))


@define(NUMBER, a=OBJECT, b=OBJECT, c=OBJECT)
def turn_on_route(a: SceneObject, b: SceneObject, c: SceneObject) -> float:
    """The turn at b on the way from a to c, in radians: left is positive, back is near +-pi."""
    (ax, _, az), (bx, _, bz), (cx, _, cz) = a.box.centre_m, b.box.centre_m, c.box.centre_m
    return wrap_rad(math.atan2(bx - cx, bz - cz) - math.atan2(ax - bx, az - bz))


@define_on_evidence(BOOL, cost=15, pose=POSE, o=OBJECT)
def in_frame(evidence: Evidence, pose: Pose, o: SceneObject) -> bool:
    """Whether the object's centre is in the image of the first view's camera at this pose, ignoring occlusion."""
    if not evidence.views:
        raise Fault("there is no view")
    u, v, z = (float(value[0]) for value in project(pose, evidence.views[0].camera, np.array([o.box.centre_m])))
    return z > 0 and 0 < u < 1 and 0 < v < 1


@define_on_evidence(NUMBER, cost=8, o=OBJECT, share=NUMBER)
def first_seen(evidence: Evidence, o: SceneObject, share: float) -> float:
    """Index of the first view, from 0, in which the object covers at least this fraction of the image."""
    for index, view in enumerate(evidence.views):
        truth = view.seen.get(o.id)
        if truth is not None and truth.pixels >= share * view.ids.size:
            return float(index)
    raise Fault(f"object {o.id} covers that much of no view")


@define_on_evidence(NUMBER, cost=8)
def walk_length(evidence: Evidence) -> float:
    """Metres from the first camera to the last, straight from each view to the next."""
    places = [view.pose.position_m for view in evidence.views]
    return float(sum(math.dist(a, b) for a, b in zip(places, places[1:])))
