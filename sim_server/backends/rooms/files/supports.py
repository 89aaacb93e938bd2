"""Supports of loaded objects, derived from their meshes."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import SceneObject
from sim_server.backends.placements import SceneFiles
from sim_server.backends.rooms.files.assemble import F32, Assembled, Mesh

# maximum height of a support above and below an object's lowest point; meshes often lack feet
_TOUCH_ABOVE_M, _TOUCH_BELOW_M = 0.004, 0.12
_PROBES = 0.45  # supports are probed below the centre and at this fraction of the half extents around it


def supported(assembled: Assembled, files: SceneFiles) -> tuple[SceneObject, ...]:
    """The objects with their supports.

    A support is the annotated one, or the object closely below most of five points, or, for an object that has sunk
    into a soft one, the object below its centre; -1 if there is none, as for a picture on a wall.
    """
    given = {p.id: p.annotation.support_id for p in files.objects if p.annotation.support_id is not None}
    out = []
    for item in assembled.objects:
        support = given.get(item.id)
        support = _found(assembled.mesh, item.id) if support is None else support
        out.append(msgspec.structs.replace(item, support_id=support))
    return tuple(out)


class _Region(NamedTuple):
    """The space in which an object's support is: below `high`, above `low`, around `middle`."""

    middle: F32
    reach: F32
    low: float
    high: float

    def touches(self, low: F32, high: F32) -> NDArray[np.bool_]:
        """Whether boxes [N, 3] reach into it."""
        inside = (low[:, 1] <= self.high) & (high[:, 1] >= self.low)
        for axis in (0, 2):
            inside &= low[:, axis] <= self.middle[axis] + self.reach[axis]
            inside &= high[:, axis] >= self.middle[axis] - self.reach[axis]
        return inside


def _found(mesh: Mesh, object_id: int) -> int:
    own = mesh.chunk_object == object_id
    low, high = mesh.chunk_low[own].min(0), mesh.chunk_high[own].max(0)
    middle, bottom = (low + high) / 2, float(low[1])
    region = _Region(middle, (high - low) / 2 * _PROBES, bottom - _TOUCH_BELOW_M, float(middle[1]))
    chunks = np.flatnonzero(~own & region.touches(mesh.chunk_low, mesh.chunk_high))
    if not len(chunks):
        return -1
    start, end = mesh.chunk_faces[chunks].T
    counts = end - start
    faces = np.arange(counts.sum()) + np.repeat(start - np.cumsum(counts) + counts, counts)
    corner = mesh.positions[mesh.faces[faces]]
    upward = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])[:, 1] > 0
    near = upward & region.touches(corner.min(1), corner.max(1))
    corner, owner = corner[near], mesh.face_object[faces[near]]
    support = -1
    for start in (bottom + _TOUCH_ABOVE_M, region.high):
        found = []
        for sx, sz in ((0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)):
            x, z = middle[0] + sx * region.reach[0], middle[2] + sz * region.reach[2]
            hit = _below(corner, x, z, start, region.low)
            found.append(int(owner[hit]) if hit >= 0 else -1)
        # the one below most points; in a tie the one below the centre
        support = max(dict.fromkeys(found), key=found.count)
        if support >= 0:
            break
    return support


def _below(corner: F32, x: float, z: float, high: float, low: float) -> int:
    """The first triangle on a vertical line down from `high` to `low`, or -1."""
    if not len(corner):
        return -1
    ax, az, bx, bz, cx, cz = (corner[:, k, j].astype(np.float64) for k in range(3) for j in (0, 2))
    area = (bx - ax) * (cz - az) - (cx - ax) * (bz - az)
    with np.errstate(divide="ignore", invalid="ignore"):
        w1 = ((x - ax) * (cz - az) - (cx - ax) * (z - az)) / area
        w2 = ((bx - ax) * (z - az) - (x - ax) * (bz - az)) / area
        y = corner[:, 0, 1] + w1 * (corner[:, 1, 1] - corner[:, 0, 1]) + w2 * (corner[:, 2, 1] - corner[:, 0, 1])
        hit = (w1 >= 0) & (w2 >= 0) & (w1 + w2 <= 1) & (y <= high) & (y >= low)
    return int(np.argmax(np.where(hit, y, -math.inf))) if hit.any() else -1
