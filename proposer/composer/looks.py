"""What the composer knows about a scene: its description, and the truth about each object in one or two views."""

from __future__ import annotations

import itertools
import math
from typing import Optional, Sequence

import msgspec

from protocol.tasks.scene import Camera, OrientedBox, Pose, SceneDescription, SceneObject, SceneSpec, Vec3
from protocol.tasks.task import ObjectTruth

# The simulator rejects a question about an object that is shown less clearly than this.
LEAST_VISIBLE, LEAST_OF_IMAGE = 0.5, 0.004

Point = tuple[float, float]


class Look(msgspec.Struct, frozen=True):
    """One or two views of a scene. `seen` holds, for each view, the truth about its objects by their id, `apart_m` and
    `extents` what was computed of them so far, `image_png` the image of the first view if a source needs it."""

    spec: SceneSpec
    camera: Camera
    objects: dict[int, SceneObject]
    poses: tuple[Pose, ...]
    seen: tuple[dict[int, ObjectTruth], ...]
    apart_m: dict[tuple[int, int], float] = {}
    extents: dict[int, tuple[float, float, float, float]] = {}
    image_png: bytes = b""

    @classmethod
    def of(
        cls,
        spec: SceneSpec,
        camera: Camera,
        description: SceneDescription,
        views: Sequence[tuple[Pose, Sequence[ObjectTruth]]],
        image_png: bytes = b"",
    ) -> Look:
        return cls(
            spec,
            camera,
            {item.id: item for item in description.objects},
            tuple(pose for pose, _ in views),
            tuple({truth.object_id: truth for truth in seen} for _, seen in views),
            image_png=image_png,
        )

    def clear(self, view: int = 0) -> list[int]:
        """The objects that a view shows clearly, with their centre inside the image."""
        area = self.camera.width_px * self.camera.height_px
        return [
            key
            for key, truth in self.seen[view].items()
            if truth.visible_fraction >= LEAST_VISIBLE
            and truth.pixels >= LEAST_OF_IMAGE * area
            and _is_centred(self.objects[key].box, self.poses[view], self.camera)
        ]

    @property
    def all_clear(self) -> bool:
        """Whether every object of every view is shown clearly, so that a viewer can count them."""
        return all(len(self.clear(index)) == len(seen) for index, seen in enumerate(self.seen))

    def name(self, key: int) -> str:
        item = self.objects[key]
        return f"{item.color} {item.category}" if item.color else item.category

    def named_once(self) -> list[int]:
        """The objects that the first view shows clearly and whose name fits no other object of the views."""
        names = [self.name(key) for key in {key for seen in self.seen for key in seen}]
        return [key for key in self.clear() if names.count(self.name(key)) == 1]

    def extent(self, key: int) -> tuple[float, float, float, float]:
        """Left, right, top and bottom of the box of an object in the first image, 0..1 within the image."""
        if key not in self.extents:
            self.extents[key] = _extent(self.objects[key].box, self.poses[0], self.camera)
        return self.extents[key]

    def is_complete(self, key: int) -> bool:
        """Whether the box of an object is within the first image."""
        left, right, top, bottom = self.extent(key)
        return left >= 0 and right <= 1 and top >= 0 and bottom <= 1

    def distance_m(self, a: int, b: int) -> float:
        """Metres between the closest points of the boxes of two objects."""
        pair = (min(a, b), max(a, b))
        if pair not in self.apart_m:
            self.apart_m[pair] = box_distance_m(self.objects[a].box, self.objects[b].box)
        return self.apart_m[pair]


def _extent(box: OrientedBox, pose: Pose, camera: Camera) -> tuple[float, float, float, float]:
    """As Look.extent. A box that is partly behind the camera covers the image."""
    axes = _axes(box)
    us, vs = [], []
    for signs in itertools.product((-1, 1), repeat=3):
        steps = [sign * half for sign, half in zip(signs, box.half_extents_m)]
        corner = [c + sum(step * axis[i] for step, axis in zip(steps, axes)) for i, c in enumerate(box.centre_m)]
        at = _in_image((corner[0], corner[1], corner[2]), pose, camera)
        if at is None:
            return (-1.0, 2.0, -1.0, 2.0)
        us.append(at[0])
        vs.append(at[1])
    return min(us), max(us), min(vs), max(vs)


def _is_centred(box: OrientedBox, pose: Pose, camera: Camera) -> bool:
    """Whether the centre of a box is inside the image; if not, only its edge may be visible."""
    at = _in_image(box.centre_m, pose, camera)
    return at is not None and 0 < at[0] < 1 and 0 < at[1] < 1


def _in_image(point_m: Vec3, pose: Pose, camera: Camera) -> Optional[Point]:
    """Where a point is in the image, 0..1 from left and top; None if it is not in front of the camera."""
    x, y, z = _local(point_m, OrientedBox(pose.position_m, (1.0, 1.0, 1.0), pose.rotation_wxyz))
    if z > -0.05:
        return None
    focal = 0.5 / math.tan(camera.hfov_rad / 2)  # of the width of the image
    return 0.5 + focal * x / -z, 0.5 - focal * y / -z * camera.width_px / camera.height_px


def centre_distance_m(a: OrientedBox, b: OrientedBox) -> float:
    return math.dist(a.centre_m, b.centre_m)


def eye_distance_m(eye_m: Vec3, box: OrientedBox) -> float:
    """Metres from a point to the closest point of a box."""
    inside = zip(_local(eye_m, box), box.half_extents_m)
    return math.sqrt(math.fsum(max(abs(part) - half, 0.0) ** 2 for part, half in inside))


def box_distance_m(a: OrientedBox, b: OrientedBox) -> float:
    """Metres between the outlines of two boxes on the floor plan, combined with the gap between their heights.

    Exact for upright boxes. For a tilted box, an upper bound of its outline is taken.
    """
    (plan_a, low_a, high_a), (plan_b, low_b, high_b) = _upright(a), _upright(b)
    gap_m = max(low_a - high_b, low_b - high_a, 0.0)
    return math.hypot(_outline_distance(plan_a, plan_b), gap_m)


def _upright(box: OrientedBox) -> tuple[tuple[Point, ...], float, float]:
    """The rectangle of a box on the floor plan, its lowest and its highest point."""
    (ux, uy, uz), (vx, vy, vz), (wx, wy, wz) = _axes(box)
    hx, hy, hz = box.half_extents_m
    x, y, z = box.centre_m
    rise = abs(uy) * hx + abs(vy) * hy + abs(wy) * hz
    if abs(vy) > 0.999:
        plan = tuple((x + s * ux * hx + t * wx * hz, z + s * uz * hx + t * wz * hz) for s, t in _TURN)
    else:
        across = abs(ux) * hx + abs(vx) * hy + abs(wx) * hz
        along = abs(uz) * hx + abs(vz) * hy + abs(wz) * hz
        plan = tuple((x + s * across, z + t * along) for s, t in _TURN)
    return plan, y - rise, y + rise


_TURN = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def _axes(box: OrientedBox) -> tuple[Vec3, Vec3, Vec3]:
    w, x, y, z = box.rotation_wxyz
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)),
        (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)),
        (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)),
    )


def _local(point_m: Vec3, box: OrientedBox) -> tuple[float, ...]:
    apart = [p - c for p, c in zip(point_m, box.centre_m)]
    return tuple(math.fsum(p * q for p, q in zip(apart, axis)) for axis in _axes(box))


def _outline_distance(a: Sequence[Point], b: Sequence[Point]) -> float:
    """Between two convex outlines; 0 if they overlap."""
    if not (_separated(a, b) or _separated(b, a)):
        return 0.0
    return min(
        _to_side(point, other[index - 1], other[index])
        for one, other in ((a, b), (b, a))
        for point in one
        for index in range(len(other))
    )


def _separated(a: Sequence[Point], b: Sequence[Point]) -> bool:
    """Whether a side of `a` separates the outlines."""
    for index in range(len(a)):
        (x0, z0), (x1, z1) = a[index - 1], a[index]
        across = (z0 - z1, x1 - x0)
        of_a, of_b = ([x * across[0] + z * across[1] for x, z in outline] for outline in (a, b))
        if max(of_a) < min(of_b) or max(of_b) < min(of_a):
            return True
    return False


def _to_side(point: Point, start: Point, end: Point) -> float:
    along = (end[0] - start[0], end[1] - start[1])
    length2 = along[0] ** 2 + along[1] ** 2 or 1e-18
    t = ((point[0] - start[0]) * along[0] + (point[1] - start[1]) * along[1]) / length2
    t = min(max(t, 0.0), 1.0)
    return math.hypot(point[0] - start[0] - t * along[0], point[1] - start[1] - t * along[1])
