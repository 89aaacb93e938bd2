"""Visibility-buffer rasteriser: finds the triangle seen at each pixel centre, and its depth.

Pixel (column x, row y) is sampled at (x + 0.5, y + 0.5). Spans are bounded by edge functions that depend only on the
end points of an edge, so that neighbouring triangles leave neither gaps nor overlaps. Arithmetic is single precision
without fast-math: equal inputs give equal bits on every machine. The kernels release the GIL.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.draw.view import F32, I32, Pinhole, Triangles, VertexScratch, VisibilityBuffer
from sim_server.jit import jit

NEAR_M = np.float32(0.05)
CULL_BACK, CULL_FRONT = 1, -1
_SLACK_PX = np.float32(0.01)  # exceeds the rounding error of span ends relative to a triangle's corners


@jit
def larger(a, b):
    """max() of two numbers of one type, without the NaN handling of the builtin."""
    return a if a > b else b


@jit
def smaller(a, b):
    return a if a < b else b


@jit
def _ceiling(x):
    """The smallest integer >= x, for |x| < 2**31."""
    whole = np.int32(x)
    return np.int64(whole + np.int32(1) if np.float32(whole) < x else whole)


def visible_chunks(low: F32, high: F32, view: Pinhole) -> I32:
    """Indices of chunks whose bounds low, high float32 [C, 3] meet the view frustum, nearest centre first."""
    return _visible_chunks(low, high, view.eye, view.axes, view.tan_x, view.tan_y)


@jit
def _visible_chunks(low, high, eye, axes, tan_x, tan_y):
    count = low.shape[0]
    index = np.empty(count, np.int32)
    depth = np.empty(count, np.float32)
    half = np.float32(0.5)
    found = 0
    for k in range(count):
        centre = np.empty(3, np.float32)
        reach = np.empty(3, np.float32)
        for axis in range(3):
            c = np.float32(0)
            r = np.float32(0)
            for j in range(3):
                c += ((low[k, j] + high[k, j]) * half - eye[j]) * axes[axis, j]
                r += (high[k, j] - low[k, j]) * half * abs(axes[axis, j])
            centre[axis] = c
            reach[axis] = r
        far = centre[2] + reach[2]
        if far < NEAR_M:
            continue
        if abs(centre[0]) - reach[0] > far * tan_x or abs(centre[1]) - reach[1] > far * tan_y:
            continue
        index[found] = k
        depth[found] = centre[2]
        found += 1
    return index[:found][np.argsort(depth[:found])]


@jit
def _fill(x0, y0, z0, x1, y1, z1, x2, y2, z2, face, cull, inverse_depth, seen, stamp_only):
    """Fill one projected triangle (pixel units with centres at integers, z = 1 / depth); return new pixels.

    `stamp_only` ignores depth: sets and counts the pixels that do not hold `face` yet.
    """
    height, width = seen.shape
    zero = np.float32(0)
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if area == zero or (cull == 1 and area > zero) or (cull == -1 and area < zero):
        return 0
    top, bottom = smaller(smaller(y0, y1), y2), larger(larger(y0, y1), y2)
    left, right = smaller(smaller(x0, x1), x2), larger(larger(x0, x1), x2)
    if bottom <= -1 or top > height - 1 or left > width - 1 or right < 0:
        return 0
    first = _ceiling(larger(top, zero))
    last = _ceiling(smaller(bottom, np.float32(height)))
    if first >= last or np.float32(_ceiling(larger(left - _SLACK_PX, zero))) > right + _SLACK_PX:
        return 0  # covers no pixel centre
    inverse_area = np.float32(1) / area
    slope_x = ((y2 - y0) * (z1 - z0) - (y1 - y0) * (z2 - z0)) * inverse_area
    slope_y = ((x1 - x0) * (z2 - z0) - (x2 - x0) * (z1 - z0)) * inverse_area
    # sort the corners by row: a above b above c
    ax, ay, bx, by, cx, cy = x0, y0, x1, y1, x2, y2
    if by < ay:
        ax, ay, bx, by = bx, by, ax, ay
    if cy < by:
        bx, by, cx, cy = cx, cy, bx, by
        if by < ay:
            ax, ay, bx, by = bx, by, ax, ay
    long_slope = (cx - ax) / (cy - ay)
    upper_slope = (bx - ax) / (by - ay) if by > ay else zero
    lower_slope = (cx - bx) / (cy - by) if cy > by else zero
    bend_left = (bx - ax) * (cy - ay) < (cx - ax) * (by - ay)
    low_limit = zero
    high_limit = np.float32(width)
    # clamp the interpolated 1/depth to the range of the corners, against rounding at grazing angles
    z_low, z_high = smaller(smaller(z0, z1), z2), larger(larger(z0, z1), z2)
    # interpolate from the farthest corner: the large 1/depth of one at the near plane would add its rounding error
    far_x, far_y, far_z = x0, y0, z0
    if z1 < far_z:
        far_x, far_y, far_z = x1, y1, z1
    if z2 < far_z:
        far_x, far_y, far_z = x2, y2, z2
    count = 0
    for row in range(first, last):
        y = np.float32(row)
        long_x = ax + (y - ay) * long_slope
        bent_x = ax + (y - ay) * upper_slope if y < by else bx + (y - by) * lower_slope
        if bend_left:
            left, right = bent_x, long_x
        else:
            left, right = long_x, bent_x
        start = _ceiling(smaller(larger(left, low_limit), high_limit))
        end = _ceiling(smaller(larger(right, low_limit), high_limit))
        if start >= end:
            continue
        seen_span = seen[row, start:end]  # slices spare the compiler the handling of negative indices
        if stamp_only:
            for i in range(end - start):
                if seen_span[i] != face:
                    seen_span[i] = face
                    count += 1
        else:
            base = far_z + slope_y * (y - far_y)
            depth_span = inverse_depth[row, start:end]
            for i in range(end - start):
                z = smaller(larger(base + slope_x * (np.float32(start + i) - far_x), z_low), z_high)
                if z > depth_span[i]:
                    depth_span[i] = z
                    seen_span[i] = face
                    count += 1
    return count


@jit
def _clip_and_fill(camera, a, b, c, face, cull, focal, inverse_depth, seen, stamp_only):
    """Clip the camera-space triangle of vertices a, b, c at the near plane and fill it."""
    polygon, corner = np.empty((4, 3), np.float32), np.empty((3, 3), np.float32)
    for j in range(3):
        corner[0, j], corner[1, j], corner[2, j] = camera[a, j], camera[b, j], camera[c, j]
    height, width = seen.shape
    half_w = np.float32(width) * np.float32(0.5) - np.float32(0.5)
    half_h = np.float32(height) * np.float32(0.5) - np.float32(0.5)
    one = np.float32(1)
    count = 0
    for k in range(3):
        n = (k + 1) % 3
        inside, next_inside = corner[k, 2] >= NEAR_M, corner[n, 2] >= NEAR_M
        if inside:
            polygon[count, 0], polygon[count, 1], polygon[count, 2] = corner[k, 0], corner[k, 1], corner[k, 2]
            count += 1
        if inside != next_inside:
            # from the inner to the outer point, so that both triangles at an edge cut it at exactly the same point
            i, o = (k, n) if inside else (n, k)
            t = (NEAR_M - corner[i, 2]) / (corner[o, 2] - corner[i, 2])
            polygon[count, 0] = corner[i, 0] + t * (corner[o, 0] - corner[i, 0])
            polygon[count, 1] = corner[i, 1] + t * (corner[o, 1] - corner[i, 1])
            polygon[count, 2] = NEAR_M
            count += 1
    for k in range(count):
        z = one / polygon[k, 2]
        polygon[k, 0] = half_w + polygon[k, 0] * z * focal
        polygon[k, 1] = half_h - polygon[k, 1] * z * focal
        polygon[k, 2] = z
    new = 0
    for k in range(1, count - 1):
        new += _fill(
            polygon[0, 0], polygon[0, 1], polygon[0, 2],
            polygon[k, 0], polygon[k, 1], polygon[k, 2],
            polygon[k + 1, 0], polygon[k + 1, 1], polygon[k + 1, 2],
            face, cull, inverse_depth, seen, stamp_only,
        )  # fmt: skip
    return new


@jit
def _project(first, last, positions, eye, axes, focal, size, camera, screen):
    """Transform vertices first..last - 1 to the camera's frame and to the screen of size (height, width)."""
    height, width = size
    half_w = np.float32(width) * np.float32(0.5) - np.float32(0.5)
    half_h = np.float32(height) * np.float32(0.5) - np.float32(0.5)
    one = np.float32(1)
    ex, ey, ez = eye[0], eye[1], eye[2]
    rx, ry, rz, ux, uy, uz = axes[0, 0], axes[0, 1], axes[0, 2], axes[1, 0], axes[1, 1], axes[1, 2]
    fx, fy, fz = axes[2, 0], axes[2, 1], axes[2, 2]
    for v in range(np.uintp(first), np.uintp(last)):
        x, y, z = positions[v, 0] - ex, positions[v, 1] - ey, positions[v, 2] - ez
        cx, cy, cz = x * rx + y * ry + z * rz, x * ux + y * uy + z * uz, x * fx + y * fy + z * fz
        camera[v, 0], camera[v, 1], camera[v, 2] = cx, cy, cz
        iz = one / cz  # unused unless in front of the near plane
        screen[v, 0] = half_w + cx * iz * focal
        screen[v, 1] = half_h - cy * iz * focal
        screen[v, 2] = iz


@jit
def _fill_faces(first, last, faces, camera, screen, focal, cull, value, inverse_depth, seen, stamp_only):
    """Fill faces first..last - 1, whose vertices are projected; return new pixels.

    `value` >= 0 is written instead of the face index.
    """
    new = 0
    for f in range(np.uintp(first), np.uintp(last)):
        a, b, c = np.uintp(faces[f, 0]), np.uintp(faces[f, 1]), np.uintp(faces[f, 2])
        nearest = smaller(smaller(camera[a, 2], camera[b, 2]), camera[c, 2])
        mark = np.int32(f) if value < 0 else np.int32(value)
        if nearest >= NEAR_M:
            new += _fill(
                screen[a, 0], screen[a, 1], screen[a, 2],
                screen[b, 0], screen[b, 1], screen[b, 2],
                screen[c, 0], screen[c, 1], screen[c, 2],
                mark, cull, inverse_depth, seen, stamp_only,
            )  # fmt: skip
        elif larger(larger(camera[a, 2], camera[b, 2]), camera[c, 2]) >= NEAR_M:
            new += _clip_and_fill(camera, a, b, c, mark, cull, focal, inverse_depth, seen, stamp_only)
    return new


@jit
def _hidden(low, high, eye, axes, focal, inverse_depth):
    """Whether every pixel of the bounds low, high [3] already shows something nearer than their nearest corner."""
    height, width = inverse_depth.shape
    half_w = np.float32(width) * np.float32(0.5) - np.float32(0.5)
    half_h = np.float32(height) * np.float32(0.5) - np.float32(0.5)
    left, right, top, bottom = np.float32(1e9), np.float32(-1e9), np.float32(1e9), np.float32(-1e9)
    nearest = np.float32(1e9)
    for corner in range(8):
        x = (high[0] if corner & 1 else low[0]) - eye[0]
        y = (high[1] if corner & 2 else low[1]) - eye[1]
        z = (high[2] if corner & 4 else low[2]) - eye[2]
        forward = x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2]
        if forward < NEAR_M:
            return False
        nearest = smaller(nearest, forward)
        scale = focal / forward
        u = half_w + (x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2]) * scale
        v = half_h - (x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2]) * scale
        left, right = smaller(left, u), larger(right, u)
        top, bottom = smaller(top, v), larger(bottom, v)
    # one pixel more on every side, and slightly nearer, to allow for rounding
    limit = np.float32(1.0001) / nearest
    first_row, last_row = max(int(larger(top, np.float32(0))) - 1, 0), min(int(bottom) + 2, height)
    first_column, last_column = max(int(larger(left, np.float32(0))) - 1, 0), min(int(right) + 2, width)
    for row in range(first_row, last_row):
        span = inverse_depth[row, first_column : max(first_column, last_column)]
        for i in range(len(span)):
            if span[i] < limit:
                return False
    return True


def draw(
    order: I32, triangles: Triangles, view: Pinhole, cull: int, buffer: VisibilityBuffer, scratch: VertexScratch
) -> None:
    """Clear the visibility buffer and draw the chunks int32 [C] in `order` into it.

    A chunk that is completely hidden by those before it is skipped.
    """
    _draw(order, tuple(triangles), tuple(view), cull, tuple(buffer), tuple(scratch))


@jit
def _draw(order, triangles, view, cull, buffer, scratch):
    positions, faces, chunk_faces, chunk_vertices, chunk_low, chunk_high = triangles
    eye, axes, _, _, focal = view
    inverse_depth, seen = buffer
    camera, screen = scratch
    inverse_depth[:] = 0
    seen[:] = -1
    for k in order:
        if not _hidden(chunk_low[k], chunk_high[k], eye, axes, focal, inverse_depth):
            _project(
                chunk_vertices[k, 0], chunk_vertices[k, 1], positions, eye, axes, focal, seen.shape, camera, screen
            )
            _fill_faces(
                chunk_faces[k, 0], chunk_faces[k, 1], faces, camera, screen, focal, cull, -1, inverse_depth, seen, False
            )


def count_unoccluded(
    order: I32,
    triangles: Triangles,
    chunk_object: I32,
    objects: int,
    view: Pinhole,
    buffer: VisibilityBuffer,
    scratch: VertexScratch,
) -> NDArray[np.int64]:
    """Pixels that each object would cover if nothing else were there, int64 [objects + 1] by object id.

    chunk_object int32 [C]: the object of each chunk. Overwrites the buffer.
    """
    return _count_unoccluded(order, tuple(triangles), chunk_object, objects, tuple(view), tuple(buffer), tuple(scratch))


@jit
def _count_unoccluded(order, triangles, chunk_object, objects, view, buffer, scratch):
    positions, faces, chunk_faces, chunk_vertices, _, _ = triangles
    eye, axes, _, _, focal = view
    inverse_depth, seen = buffer
    camera, screen = scratch
    seen[:] = -1
    counts = np.zeros(objects + 1, np.int64)
    # the chunks of one object must be consecutive, so that each pixel counts once per object
    by_object = order[np.argsort(chunk_object[order], kind="mergesort")]
    for k in by_object:
        object_id = chunk_object[k]
        if object_id > 0:
            _project(
                chunk_vertices[k, 0], chunk_vertices[k, 1], positions, eye, axes, focal, seen.shape, camera, screen
            )
            counts[object_id] += _fill_faces(
                chunk_faces[k, 0], chunk_faces[k, 1], faces, camera, screen, focal, CULL_BACK, object_id,
                inverse_depth, seen, True,
            )  # fmt: skip
    return counts
