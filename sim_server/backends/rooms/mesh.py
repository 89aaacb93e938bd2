"""Triangle-mesh primitives: bevelled and soft boxes, revolved and swept surfaces, leaves.

All parts are float32 in metres, y up, with triangles counter-clockwise seen from outside. Texture coordinates are
metres along the surface, so that the material alone sets how often its pattern repeats. Topology is cached per
primitive, so that a part costs only a few array operations.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

_SMOOTH_EDGE_COS = math.cos(math.radians(40.0))


class Part(NamedTuple):
    """positions [V, 3] m, normals [V, 3] unit, uv [V, 2] m, faces [F, 3] vertex indices."""

    positions: F32
    normals: F32
    uv: F32
    faces: I32

    def moved(self, offset_m: Sequence[float]) -> Part:
        return self._replace(positions=self.positions + np.asarray(offset_m, np.float32))

    def turned(self, rotation: NDArray[np.floating]) -> Part:
        """Rotated about the origin by a 3x3 matrix."""
        matrix = rotation.astype(np.float32)
        return self._replace(positions=self.positions @ matrix.T, normals=self.normals @ matrix.T)


def rotation_x(angle_rad: float) -> NDArray[np.float64]:
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def rotation_y(angle_rad: float) -> NDArray[np.float64]:
    """Turns +z towards +x: the front (0, 0, 1) becomes (sin, 0, cos)."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rotation_z(angle_rad: float) -> NDArray[np.float64]:
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def cross(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Cross product along a last axis of length 3; five times as fast as np.cross for small arrays."""
    ax, ay, az, bx, by, bz = a[..., 0], a[..., 1], a[..., 2], b[..., 0], b[..., 1], b[..., 2]
    x = ay * bz - az * by
    out = np.empty((*x.shape, 3), x.dtype)
    out[..., 0], out[..., 1], out[..., 2] = x, az * bx - ax * bz, ax * by - ay * bx
    return out


def lengths(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Lengths of the vectors along the last axis, which becomes 1."""
    return np.sqrt((vectors * vectors).sum(-1, keepdims=True))


def _gradient(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences along axis -2: central, one-sided at the ends."""
    out = np.empty_like(values)
    out[..., 1:-1, :] = (values[..., 2:, :] - values[..., :-2, :]) / 2
    out[..., 0, :] = values[..., 1, :] - values[..., 0, :]
    out[..., -1, :] = values[..., -1, :] - values[..., -2, :]
    return out


def _outward(positions: NDArray[np.float64], faces: NDArray[np.int64]) -> I32:
    """Flip triangles of a convex shape around the origin so that they face outwards."""
    a, b, c = (positions[faces[:, k]] for k in range(3))
    inward = np.einsum("fk,fk->f", cross(b - a, c - a), a + b + c) < 0
    faces[inward] = faces[inward][:, ::-1]
    return faces.astype(np.int32)


@functools.cache
def _bevel_template() -> tuple[F32, F32, I32, I32]:
    """Corner signs [24, 3], normals [24, 3], faces [44, 3] and sides [24] of a bevelled box, with three vertices per
    corner: one for each adjoining side."""
    signs, normals, index = [], [], {}
    for corner in range(8):
        sign = tuple(1 if corner >> k & 1 else -1 for k in range(3))
        for axis in range(3):
            index[sign, axis] = len(signs)
            signs.append(sign)
            normals.append([sign[k] if k == axis else 0 for k in range(3)])
    faces: list[list[int]] = []

    def quad(a: int, b: int, c: int, d: int) -> None:
        faces.extend([[a, b, c], [a, c, d]])

    def corner_at(**along: int) -> tuple[int, ...]:
        return tuple(along[f"k{k}"] for k in range(3))

    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        for side in (-1, 1):
            ring = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
            quad(*(index[corner_at(**{f"k{axis}": side, f"k{i}": p, f"k{j}": q}), axis] for p, q in ring))
            for other in (-1, 1):  # the bevel between this side and its neighbour along i, running along j
                ends = [corner_at(**{f"k{axis}": side, f"k{i}": other, f"k{j}": e}) for e in (-1, 1)]
                quad(index[ends[0], axis], index[ends[1], axis], index[ends[1], i], index[ends[0], i])
    for corner in range(8):
        faces.append([corner * 3, corner * 3 + 1, corner * 3 + 2])
    sign_array, normal_array = np.array(signs, float), np.array(normals, float)
    return (
        sign_array.astype(np.float32),
        normal_array.astype(np.float32),
        _outward(sign_array + 0.3 * normal_array, np.array(faces)),
        _sides(normal_array),
    )


def _sides(normals: NDArray[np.floating]) -> I32:
    """The dominant axis of each normal."""
    return np.abs(normals).argmax(1).astype(np.int32)


def _side_uv(positions: F32, sides: I32, size_m: Sequence[float]) -> F32:
    """Planar texture coordinates per side, with u along the longer edge so that wood grain follows boards."""
    x, y, z = size_m
    axes = np.array([(2, 1) if z > y else (1, 2), (0, 2) if x > z else (2, 0), (1, 0) if y > x else (0, 1)])
    return positions[np.arange(len(positions))[:, None], axes[sides]]


def box(size_m: Sequence[float], at: Sequence[float] = (0, 0, 0), bevel_m: float = 0.008) -> Part:
    """A box of `size_m` centred on `at`, with bevels that are shaded as if rounded."""
    signs, normals, faces, sides = _bevel_template()
    half = np.asarray(size_m, np.float32) / 2
    bevel = np.float32(min(bevel_m, float(half.min()) * 0.8))
    positions = (signs * (half - bevel) + normals * bevel).astype(np.float32)
    uv = _side_uv(positions, sides, size_m)
    return Part(positions + np.asarray(at, np.float32), normals, uv, faces)


def raised_panel(width_m: float, height_m: float, at: Sequence[float], depth_m: float, slope_m: float = 0.03) -> Part:
    """A panel facing +z, its back centred on `at`, raised by `depth_m` with slopes of width `slope_m`."""
    x, y, inner = width_m / 2, height_m / 2, slope_m
    low = [(-x, -y, 0.0), (x, -y, 0.0), (x, y, 0.0), (-x, y, 0.0)]
    top = [(-x + inner, -y + inner, depth_m), (x - inner, -y + inner, depth_m),
           (x - inner, y - inner, depth_m), (-x + inner, y - inner, depth_m)]  # fmt: skip
    quads = [top] + [[low[k], low[(k + 1) % 4], top[(k + 1) % 4], top[k]] for k in range(4)]
    positions = np.array(quads, np.float64)
    normals = np.cross(positions[:, 1] - positions[:, 0], positions[:, 3] - positions[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    first = np.arange(5)[:, None] * 4
    faces = (first + np.array([0, 1, 2, 0, 2, 3])).reshape(-1, 3)
    uv = positions.reshape(-1, 3)[:, [1, 0] if height_m > width_m else [0, 1]]
    return Part(
        (positions.reshape(-1, 3) + np.asarray(at)).astype(np.float32),
        np.repeat(normals, 4, 0).astype(np.float32),
        uv.astype(np.float32),
        faces.astype(np.int32),
    )


@functools.cache
def _soft_template(steps: int) -> tuple[F32, F32, I32, I32]:
    """Core signs, unit directions, faces and sides of a cube sphere with `steps` rings per rounded edge."""
    tangent = np.tan(np.linspace(-math.pi / 4, math.pi / 4, 2 * steps + 2))
    count = len(tangent)
    half = np.where(np.arange(count) < count / 2, -1.0, 1.0)
    cores, directions, faces = [], [], []
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        for side in (-1.0, 1.0):
            direction = np.zeros((count, count, 3))
            direction[..., axis] = side
            direction[..., i], direction[..., j] = tangent[:, None], tangent[None, :]
            core = np.zeros((count, count, 3))
            core[..., axis] = side
            core[..., i], core[..., j] = half[:, None], half[None, :]
            grid = np.arange(count * count).reshape(count, count) + len(cores) * count * count
            a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
            faces += [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
            cores.append(core.reshape(-1, 3))
            directions.append((direction / np.linalg.norm(direction, axis=-1, keepdims=True)).reshape(-1, 3))
    core, direction = np.concatenate(cores), np.concatenate(directions)
    return (
        core.astype(np.float32),
        direction.astype(np.float32),
        _outward(core + direction * 0.7, np.concatenate(faces)),
        _sides(direction.astype(np.float32)),
    )


def soft_box(
    size_m: Sequence[float],
    at: Sequence[float] = (0, 0, 0),
    radius_m: float = 0.05,
    steps: int = 2,
    puff_m: float = 0.0,
) -> Part:
    """A box with round edges. `puff_m` makes the top bulge like a cushion's; the bulge stays inside `size_m`."""
    core, direction, faces, sides = _soft_template(steps)
    half = np.asarray(size_m, np.float32) / 2
    radius = np.float32(min(radius_m, float(half.min()) * 0.98))
    positions = (core * (half - radius) + direction * radius).astype(np.float32)
    uv = _side_uv(positions, sides, size_m)
    if puff_m:
        swell = (1 - (positions[:, 0] / half[0]) ** 2) * (1 - (positions[:, 2] / half[2]) ** 2)
        above = positions[:, 1] > 0
        positions[above, 1] *= 1 - np.float32(puff_m) / half[1] * (1 - swell[above])
    return Part(positions + np.asarray(at, np.float32), direction, uv, faces)


@functools.cache
def _circle(sections: int) -> F32:
    angle = np.linspace(0, 2 * math.pi, sections + 1)
    return np.stack([np.sin(angle), np.cos(angle)], 1).astype(np.float32)


@functools.lru_cache(maxsize=256)
def _revolve_faces(closed_low: tuple[bool, ...], closed_high: tuple[bool, ...], sections: int) -> I32:
    """Faces of stacked bands. A band whose low (high) ring is a point has one triangle per section."""
    faces = []
    for band, (low, high) in enumerate(zip(closed_low, closed_high)):
        lower = np.arange(sections) + band * 2 * (sections + 1)
        upper = lower + sections + 1
        if not low:
            faces.append(np.stack([lower, lower + 1, upper + 1], 1))
        if not high:
            faces.append(np.stack([lower, upper + 1, upper], 1))
    return np.concatenate(faces).astype(np.int32)


def revolve(profile_m: Sequence[tuple[float, float]], sections: int = 16, at: Sequence[float] = (0, 0, 0)) -> Part:
    """The surface of revolution of (radius, y) points about the y axis; the outside is to the right of the profile when
    it runs upwards."""
    points = np.asarray(profile_m, np.float64)
    step = points[1:] - points[:-1]
    length = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)
    normal = np.stack([step[:, 1], -step[:, 0]], 1) / length[:, None]
    smooth = (normal[:-1] * normal[1:]).sum(1) > _SMOOTH_EDGE_COS
    start, end = normal.copy(), normal.copy()
    mean = normal[:-1] + normal[1:]
    mean /= np.maximum(lengths(mean), 1e-9)
    end[:-1][smooth] = mean[smooth]
    start[1:][smooth] = mean[smooth]
    circle = _circle(sections)
    bands = len(step)
    ring, ring_normal = np.empty((2 * bands, 2), np.float32), np.empty((2 * bands, 2), np.float32)
    ring[::2], ring[1::2], ring_normal[::2], ring_normal[1::2] = points[:-1], points[1:], start, end
    shape = (2 * bands, sections + 1, 3)
    positions, normals = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for target, source in ((positions, ring), (normals, ring_normal)):
        target[..., 0] = source[:, :1] * circle[None, :, 0]
        target[..., 1] = source[:, 1:]
        target[..., 2] = source[:, :1] * circle[None, :, 1]
    along = np.concatenate([[0.0], np.cumsum(length)])
    uv = np.empty((*shape[:2], 2), np.float32)
    uv[..., 0] = np.linspace(0, 2 * math.pi * max(float(points[:, 0].max()), 0.05), sections + 1)
    uv[::2, :, 1], uv[1::2, :, 1] = along[:-1, None], along[1:, None]
    low = tuple(bool(r < 1e-6) for r in points[:-1, 0])
    high = tuple(bool(r < 1e-6) for r in points[1:, 0])
    faces = _revolve_faces(low, high, sections)
    positions = positions.reshape(-1, 3) + np.asarray(at, np.float32)
    return Part(positions, normals.reshape(-1, 3), uv.reshape(-1, 2), faces)


def cylinder(
    radius_m: float, height_m: float, at: Sequence[float] = (0, 0, 0), sections: int = 12, top_radius_m: float = -1.0
) -> Part:
    """A closed upright cylinder or cone frustum; `at` is the centre of its base."""
    top = radius_m if top_radius_m < 0 else top_radius_m
    return revolve([(0, 0), (radius_m, 0), (top, height_m), (0, height_m)], sections, at)


def sphere(radius_m: float, at: Sequence[float] = (0, 0, 0), sections: int = 20, squash: float = 1.0) -> Part:
    """A sphere centred on `at`; `squash` scales its height."""
    angle = np.linspace(-math.pi / 2, math.pi / 2, sections // 2 + 1)
    r, y = np.cos(angle) * radius_m, np.sin(angle) * radius_m * squash
    r[0] = r[-1] = 0.0
    return revolve(list(zip(r.tolist(), y.tolist())), sections, at)


def tube(path_m: Sequence[Sequence[float]], radius_m: float, sections: int = 8) -> Part:
    """A round bar along a polyline, with flat ends."""
    path = np.asarray(path_m, np.float64)
    tangent = _gradient(path)
    tangent /= lengths(tangent)
    circle = _circle(sections).astype(np.float64)
    side = np.cross(tangent[0], [0.0, 0.0, 1.0] if abs(tangent[0, 2]) < 0.9 else [1.0, 0.0, 0.0])
    sides = np.empty_like(tangent)
    for k, direction in enumerate(tangent):
        side = side - direction * (side @ direction)
        side /= math.sqrt(side @ side)
        sides[k] = side
    normals = circle[:, :1] * sides[:, None] + circle[:, 1:] * cross(tangent, sides)[:, None]
    positions = path[:, None] + normals * radius_m
    along = np.concatenate([[0.0], np.cumsum(lengths(path[1:] - path[:-1]))])
    uv = np.empty((*positions.shape[:2], 2))
    uv[..., 0] = along[:, None]
    uv[..., 1] = np.linspace(0, 2 * math.pi * radius_m, sections + 1)
    grid = np.arange(len(path) * (sections + 1)).reshape(len(path), sections + 1)
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    faces = [np.stack([a, c, b], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)]
    parts_p, parts_n, parts_uv, base = (
        [positions.reshape(-1, 3)],
        [normals.reshape(-1, 3)],
        [uv.reshape(-1, 2)],
        grid.size,
    )
    for end, sign in ((0, -1.0), (-1, 1.0)):
        parts_p.append(positions[end])
        parts_n.append(np.repeat(sign * tangent[end][None], sections + 1, 0))
        parts_uv.append(uv[end])
        fan = np.stack(
            [np.full(sections - 2, base), np.arange(1, sections - 1) + base, np.arange(2, sections) + base], 1
        )
        faces.append(fan if sign > 0 else fan[:, ::-1])
        base += sections + 1
    positions, normals, uv = (np.concatenate(part).astype(np.float32) for part in (parts_p, parts_n, parts_uv))
    return _oriented_by_normals(Part(positions, normals, uv, np.concatenate(faces).astype(np.int32)))


def _oriented_by_normals(part: Part) -> Part:
    """Flip triangles that disagree with their vertex normals."""
    a, b, c = (part.positions[part.faces[:, k]] for k in range(3))
    wrong = np.einsum("fk,fk->f", cross(b - a, c - a), part.normals[part.faces].sum(1)) < 0
    faces = part.faces.copy()
    faces[wrong] = faces[wrong][:, ::-1]
    return part._replace(faces=faces)


def blades(spines_m: NDArray[np.float64], sides: NDArray[np.float64], widths_m: NDArray[np.float64]) -> Part:
    """Two-sided leaves: `spines_m` [B, S, 3], unit `sides` [B, 3], half widths [S] or [B, S]."""
    count, steps = spines_m.shape[:2]
    widths = np.broadcast_to(widths_m, (count, steps))[..., None]
    left, right = spines_m - sides[:, None] * widths, spines_m + sides[:, None] * widths
    normal = cross(_gradient(spines_m), sides[:, None])
    normal /= np.maximum(lengths(normal), 1e-9)
    positions = np.stack([left, right], 2).reshape(count, -1, 3)
    normals = np.repeat(normal, 2, 1)
    quad = np.arange(steps - 1)[:, None, None] * 2
    strip = (quad + np.array([[0, 1, 3], [0, 3, 2]])).reshape(-1, 3)
    front = (strip[None] + np.arange(count)[:, None, None] * 2 * steps).reshape(-1, 3)
    positions, normals = (values.reshape(-1, 3).astype(np.float32) for values in (positions, normals))
    upper = _oriented_by_normals(Part(positions, normals, positions[:, :2], front.astype(np.int32)))
    return joined([upper, upper._replace(normals=-upper.normals, faces=upper.faces[:, ::-1])])


def joined(parts: Sequence[Part]) -> Part:
    """Several parts merged into one."""
    offsets = np.cumsum([0] + [len(p.positions) for p in parts[:-1]])
    return Part(
        np.concatenate([p.positions for p in parts]),
        np.concatenate([p.normals for p in parts]),
        np.concatenate([p.uv for p in parts]),
        np.concatenate([p.faces + np.int32(o) for p, o in zip(parts, offsets)]),
    )
