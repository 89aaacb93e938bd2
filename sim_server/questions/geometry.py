"""Geometry of questions: camera poses, projection, closest points of boxes, bearings.

World frame: right-handed, y up, metres. A camera looks along its own -z with x to the right. A yaw is a rotation about
+y: counter-clockwise seen from above, so a positive yaw turns to the left. Quaternions are (w, x, y, z).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Camera, OrientedBox, Pose, Quat, Vec3

Array = NDArray[np.float64]

_SIDE_CELLS = 12  # of the grid of points along each edge of a box side

_SIGNS = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
_EDGES = np.array([(i, j) for i in range(8) for j in range(i + 1, 8) if np.sum(_SIGNS[i] != _SIGNS[j]) == 1])
_FIRST, _SECOND = (grid.ravel() for grid in np.meshgrid(np.arange(12), np.arange(12), indexing="ij"))


def rotation_matrix(rotation_wxyz: Quat) -> Array:
    """The 3 x 3 matrix that maps vectors of the rotated frame to the world frame."""
    w, x, y, z = rotation_wxyz
    scale = 2.0 / (w * w + x * x + y * y + z * z)
    return np.array(
        [
            [1 - scale * (y * y + z * z), scale * (x * y - z * w), scale * (x * z + y * w)],
            [scale * (x * y + z * w), 1 - scale * (x * x + z * z), scale * (y * z - x * w)],
            [scale * (x * z - y * w), scale * (y * z + x * w), 1 - scale * (x * x + y * y)],
        ]
    )


def pose_from_yaw_pitch(position_m: Vec3, yaw_rad: float, pitch_rad: float) -> Pose:
    """A camera pose without roll: yaw about +y (left positive), then pitch (up positive)."""
    cy, sy = math.cos(yaw_rad / 2), math.sin(yaw_rad / 2)
    cp, sp = math.cos(pitch_rad / 2), math.sin(pitch_rad / 2)
    return Pose(position_m=position_m, rotation_wxyz=(cy * cp, cy * sp, sy * cp, -sy * sp))


def yaw_rad(pose: Pose) -> float:
    """Heading of the camera's view axis about +y; 0 looks along -z, positive to the left."""
    forward = -rotation_matrix(pose.rotation_wxyz)[:, 2]
    return math.atan2(-forward[0], -forward[2])


def pitch_rad(pose: Pose) -> float:
    """Elevation of the camera's view axis, positive upwards."""
    return math.asin(max(-1.0, min(1.0, -float(rotation_matrix(pose.rotation_wxyz)[1, 2]))))


def wrap_rad(angle_rad: float) -> float:
    """The same angle in (-pi, pi]."""
    return math.pi - (math.pi - angle_rad) % (2 * math.pi)


def to_camera(pose: Pose, points_m: Array) -> Array:
    """World points [N, 3] in the frame of the camera [N, 3] (x right, y up, -z forward)."""
    return (points_m - np.asarray(pose.position_m)) @ rotation_matrix(pose.rotation_wxyz)


def project(pose: Pose, camera: Camera, points_m: Array) -> tuple[Array, Array, Array]:
    """Image positions u, v (0..1 from the left and from the top) and z-depth in metres of world points [N, 3].

    Only points with a positive depth have a meaningful u and v.
    """
    local = to_camera(pose, points_m)
    depth = -local[:, 2]
    safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    focal = 0.5 / math.tan(camera.hfov_rad / 2)
    aspect = camera.width_px / camera.height_px
    return 0.5 + focal * local[:, 0] / safe, 0.5 - focal * aspect * local[:, 1] / safe, depth


def in_frame(u: Array, v: Array, depth_m: Array) -> NDArray[np.bool_]:
    """Which projected points are inside the image."""
    return (depth_m > 0) & (u > 0) & (u < 1) & (v > 0) & (v < 1)


def unproject(pose: Pose, camera: Camera, depth_m: NDArray[np.float32]) -> Array:
    """World points [H * W, 3] of the pixel centres at these z-depths [H, W], row by row."""
    rows, columns = np.indices(depth_m.shape).reshape(2, -1)
    focal_px = 0.5 * camera.width_px / math.tan(camera.hfov_rad / 2)
    right = (columns + 0.5 - camera.width_px / 2) / focal_px
    up = (camera.height_px / 2 - rows - 0.5) / focal_px
    local = np.stack([right, up, -np.ones(len(rows))], -1) * depth_m.reshape(-1, 1)
    return local @ rotation_matrix(pose.rotation_wxyz).T + np.asarray(pose.position_m)


def corners(box: OrientedBox) -> Array:
    """The 8 corners of a box in the world frame, [8, 3]."""
    return np.asarray(box.centre_m) + (_SIGNS * box.half_extents_m) @ rotation_matrix(box.rotation_wxyz).T


def surface_points(box: OrientedBox, eye_m: Vec3) -> Array:
    """World points [N, 3] on the sides of a box that face an eye: the centres of a grid's cells on each side."""
    turn = rotation_matrix(box.rotation_wxyz)
    local_eye = (np.asarray(eye_m) - np.asarray(box.centre_m)) @ turn
    half = np.asarray(box.half_extents_m)
    cells = (np.arange(_SIDE_CELLS) + 0.5) * 2 / _SIDE_CELLS - 1
    first, second = (grid.ravel() for grid in np.meshgrid(cells, cells))
    sides = []
    for axis in range(3):
        if abs(local_eye[axis]) > half[axis]:
            points = np.empty((_SIDE_CELLS**2, 3))
            points[:, axis] = math.copysign(1.0, local_eye[axis])
            points[:, (axis + 1) % 3], points[:, (axis + 2) % 3] = first, second
            sides.append(points * half)
    local = np.concatenate(sides) if sides else np.empty((0, 3))
    return local @ turn.T + np.asarray(box.centre_m)


def point_box_distance(points_m: Array, box: OrientedBox) -> Array:
    """Distances in metres of world points [N, 3] from a solid box, 0 inside."""
    local = (points_m - np.asarray(box.centre_m)) @ rotation_matrix(box.rotation_wxyz)
    outside = np.maximum(np.abs(local) - np.asarray(box.half_extents_m), 0.0)
    return np.sqrt(np.sum(outside * outside, axis=1))


def _overlap(a: OrientedBox, b: OrientedBox, corners_a: Array, corners_b: Array) -> bool:
    """Separating axis test over the 15 axes of two boxes (Gottschalk et al. 1996)."""
    apart_m = math.dist(a.centre_m, b.centre_m)
    if apart_m > math.hypot(*a.half_extents_m) + math.hypot(*b.half_extents_m):  # their bounding spheres are disjoint
        return False
    axes_a, axes_b = rotation_matrix(a.rotation_wxyz).T, rotation_matrix(b.rotation_wxyz).T
    crossed = np.cross(axes_a[:, None, :], axes_b[None, :, :]).reshape(9, 3)
    axes = np.concatenate([axes_a, axes_b, crossed[np.sum(crossed * crossed, axis=1) > 1e-12]])
    spans_a, spans_b = corners_a @ axes.T, corners_b @ axes.T
    apart = (spans_a.max(0) < spans_b.min(0)) | (spans_b.max(0) < spans_a.min(0))
    return not bool(apart.any())


def _edge_distance(corners_a: Array, corners_b: Array) -> float:
    """Least distance in metres between the 12 edges of one box and the 12 of another.

    Computes all 144 segment pairs at once (Ericson, Real-Time Collision Detection, 5.1.9).
    """
    start_a, start_b = corners_a[_EDGES[:, 0]][_FIRST], corners_b[_EDGES[:, 0]][_SECOND]
    along_a = corners_a[_EDGES[:, 1]][_FIRST] - start_a
    along_b = corners_b[_EDGES[:, 1]][_SECOND] - start_b
    between = start_a - start_b
    aa, bb, ab = (np.einsum("ij,ij->i", p, q) for p, q in ((along_a, along_a), (along_b, along_b), (along_a, along_b)))
    ra, rb = np.einsum("ij,ij->i", along_a, between), np.einsum("ij,ij->i", along_b, between)
    aa, bb = np.maximum(aa, 1e-18), np.maximum(bb, 1e-18)
    denominator = aa * bb - ab * ab
    parallel = denominator < 1e-12 * aa * bb
    s = np.where(parallel, 0.0, np.clip((ab * rb - ra * bb) / np.where(parallel, 1.0, denominator), 0.0, 1.0))
    t = np.clip((ab * s + rb) / bb, 0.0, 1.0)
    s = np.clip((ab * t - ra) / aa, 0.0, 1.0)
    apart = between + s[:, None] * along_a - t[:, None] * along_b
    return float(np.sqrt(np.min(np.einsum("ij,ij->i", apart, apart))))


@lru_cache(maxsize=8192)
def box_distance_m(a: OrientedBox, b: OrientedBox) -> float:
    """Exact distance in metres between the closest points of two solid boxes; 0 if they touch or overlap.

    Of two disjoint boxes, the closest points include a corner of one box or are on an edge of each.
    """
    corners_a, corners_b = corners(a), corners(b)
    if _overlap(a, b, corners_a, corners_b):
        return 0.0
    return min(
        float(point_box_distance(corners_a, b).min()),
        float(point_box_distance(corners_b, a).min()),
        _edge_distance(corners_a, corners_b),
    )


def bearing_rad(stand_m: Vec3, face_m: Vec3, target_m: Vec3) -> float:
    """Bearing of the target on the floor plan for an observer at `stand_m` who faces `face_m`.

    0 is straight ahead, positive is left (counter-clockwise seen from above), in (-pi, pi].
    """
    fx, fz = face_m[0] - stand_m[0], face_m[2] - stand_m[2]
    tx, tz = target_m[0] - stand_m[0], target_m[2] - stand_m[2]
    return math.atan2(fz * tx - fx * tz, fx * tx + fz * tz)


def bearing_of_rad(eye_m: Vec3, heading_rad: float, points_m: Array) -> Array:
    """Bearings [P] of points [P, 3] from a camera at `eye_m` with this yaw, as in `bearing_rad`."""
    angles = np.arctan2(eye_m[0] - points_m[:, 0], eye_m[2] - points_m[:, 2]) - heading_rad
    return np.arctan2(np.sin(angles), np.cos(angles))


def longest_m(box: OrientedBox) -> float:
    """The longest side of a box."""
    return 2 * max(box.half_extents_m)


def polygon_area_m2(polygon_xz_m: Sequence[tuple[float, float]]) -> float:
    """Area of a simple polygon on the floor plan (shoelace formula)."""
    ahead = (*polygon_xz_m[1:], *polygon_xz_m[:1])
    return abs(sum(x0 * z1 - x1 * z0 for (x0, z0), (x1, z1) in zip(polygon_xz_m, ahead))) / 2


def polygon_centre(polygon_xz_m: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Centroid (x, z) of a simple polygon; the mean of its corners if it has no area."""
    ahead = (*polygon_xz_m[1:], *polygon_xz_m[:1])
    crosses = [x0 * z1 - x1 * z0 for (x0, z0), (x1, z1) in zip(polygon_xz_m, ahead)]
    if abs(sum(crosses)) < 1e-12:
        return tuple(np.mean(polygon_xz_m, axis=0).tolist())
    x = sum((x0 + x1) * cross for (x0, _), (x1, _), cross in zip(polygon_xz_m, ahead, crosses))
    z = sum((z0 + z1) * cross for (_, z0), (_, z1), cross in zip(polygon_xz_m, ahead, crosses))
    return x / (3 * sum(crosses)), z / (3 * sum(crosses))


def inside_polygon(points_xz_m: Array, polygon_xz_m: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """Whether each point [N, 2] of the floor plan is inside a simple polygon (crossings of a ray along +x)."""
    x, z = points_xz_m[:, 0], points_xz_m[:, 1]
    inside = np.zeros(len(points_xz_m), bool)
    for (x0, z0), (x1, z1) in zip(polygon_xz_m, (*polygon_xz_m[1:], *polygon_xz_m[:1])):
        if z0 != z1:
            inside ^= ((z0 > z) != (z1 > z)) & (x < x0 + (z - z0) * (x1 - x0) / (z1 - z0))
    return inside


def floor_distance_m(a: Vec3, b: Vec3) -> float:
    """Distance on the floor plan in metres."""
    return math.hypot(a[0] - b[0], a[2] - b[2])
