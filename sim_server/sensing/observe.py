"""Moves a camera through a scene: the actions of Observe, and the poses that are allowed.

Actions follow embodied navigation: forward 0.25 m along the horizontal heading, turns of 30 degrees about the world's
up axis, looks of 15 degrees about the camera's x axis. A blocked move leaves the camera in place.
"""

from __future__ import annotations

import math

from protocol.errors import VantageError
from protocol.tasks.scene import Pose, Quat, Vec3
from protocol.tasks.task import ACTIONS
from sim_server.backends.base import Scene

FORWARD_M = 0.25
TURN_RAD = math.radians(30.0)
LOOK_RAD = math.radians(15.0)
MAX_PITCH_RAD = math.radians(75.0)
STEP_CHECK_M = 0.05  # spacing of the points at which a forward move is checked
FLOORS_BELOW_M = (2.0, 1.5, 1.0, 0.5)  # heights at which a floor is searched for, each within 0.5 m


def move(scene: Scene, pose: Pose, action: str) -> tuple[Pose, bool]:
    """The pose after `action` ("" for the pose itself), and whether the move was blocked.

    Raises VantageError("bad_request") for an unknown action, a rotation that is not a unit quaternion, and a free pose
    outside navigable space or above the ceiling.
    """
    pose = Pose(pose.position_m, _unit(pose.rotation_wxyz))
    if action == "":
        if not can_stand(scene, pose.position_m):
            x_m, y_m, z_m = pose.position_m
            raise VantageError(
                "bad_request",
                f"the pose ({x_m:.2f}, {y_m:.2f}, {z_m:.2f}) m is not in navigable space; "
                "choose a point above free floor and below the ceiling.",
            )
        return pose, False
    if action == "forward":
        return _forward(scene, pose)
    if action in ("turn_left", "turn_right"):
        half_rad = 0.5 * (TURN_RAD if action == "turn_left" else -TURN_RAD)
        turned = multiply((math.cos(half_rad), 0.0, math.sin(half_rad), 0.0), pose.rotation_wxyz)
        return Pose(pose.position_m, turned), False
    if action in ("look_up", "look_down"):
        return _look(pose, LOOK_RAD if action == "look_up" else -LOOK_RAD)
    raise VantageError("bad_request", f"unknown action {action[:32]!r}; use one of {', '.join(ACTIONS)}, or none.")


def can_stand(scene: Scene, eye_m: Vec3) -> bool:
    """Whether an agent with its eye here stands on free floor of a room, with the eye below the ceiling.

    In a scene without rooms: whether there is free floor at most 2.5 m below the eye.
    """
    if not all(map(math.isfinite, eye_m)):
        return False
    x_m, y_m, z_m = eye_m
    levels = {(room.floor_y_m, room.ceiling_y_m) for room in scene.description.rooms}
    if not levels:
        return any(scene.is_navigable((x_m, y_m - drop_m, z_m)) for drop_m in FLOORS_BELOW_M)
    return any(
        floor_m <= y_m < ceiling_m and scene.is_navigable((x_m, floor_m, z_m)) for floor_m, ceiling_m in sorted(levels)
    )


def _forward(scene: Scene, pose: Pose) -> tuple[Pose, bool]:
    x_m, y_m, z_m = pose.position_m
    ahead = rotate(pose.rotation_wxyz, (0.0, 0.0, -1.0))
    length = math.hypot(ahead[0], ahead[2])
    if length < 1e-6:
        raise VantageError("bad_request", "a camera that looks straight up or down has no forward direction.")
    step_x, step_z = ahead[0] / length, ahead[2] / length
    steps = round(FORWARD_M / STEP_CHECK_M)
    for step in range(1, steps + 1):
        distance_m = FORWARD_M * step / steps
        if not can_stand(scene, (x_m + step_x * distance_m, y_m, z_m + step_z * distance_m)):
            return pose, True
    return Pose((x_m + step_x * FORWARD_M, y_m, z_m + step_z * FORWARD_M), pose.rotation_wxyz), False


def _look(pose: Pose, angle_rad: float) -> tuple[Pose, bool]:
    ahead = rotate(pose.rotation_wxyz, (0.0, 0.0, -1.0))
    pitch_rad = math.asin(max(-1.0, min(1.0, ahead[1])))
    angle_rad = max(-MAX_PITCH_RAD, min(MAX_PITCH_RAD, pitch_rad + angle_rad)) - pitch_rad
    half_rad = 0.5 * angle_rad
    looked = multiply(pose.rotation_wxyz, (math.cos(half_rad), math.sin(half_rad), 0.0, 0.0))
    return Pose(pose.position_m, looked), False


# ----------------------------------------------------------------------------- quaternions (w, x, y, z)


def look_at(eye_m: Vec3, target_m: Vec3) -> Pose:
    """The pose at `eye_m`, without roll, with `target_m` in the image centre."""
    dx, dy, dz = (target_m[i] - eye_m[i] for i in range(3))
    yaw_rad = math.atan2(-dx, -dz)
    pitch_rad = math.atan2(dy, math.hypot(dx, dz))
    yaw = (math.cos(yaw_rad / 2), 0.0, math.sin(yaw_rad / 2), 0.0)
    pitch = (math.cos(pitch_rad / 2), math.sin(pitch_rad / 2), 0.0, 0.0)
    return Pose(eye_m, multiply(yaw, pitch))


def multiply(a: Quat, b: Quat) -> Quat:
    """The rotation that applies `b` first, then `a` (Hamilton product)."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def rotate(rotation: Quat, vector: Vec3) -> Vec3:
    w, x, y, z = rotation
    _, vx, vy, vz = multiply(multiply(rotation, (0.0, *vector)), (w, -x, -y, -z))
    return (vx, vy, vz)


def _unit(rotation: Quat) -> Quat:
    norm = math.sqrt(sum(part * part for part in rotation))
    if not abs(norm - 1.0) < 1e-3:  # also rejects NaN
        raise VantageError("bad_request", f"the rotation {rotation} is not a unit quaternion (w, x, y, z).")
    w, x, y, z = rotation
    return (w / norm, x / norm, y / norm, z / norm)
