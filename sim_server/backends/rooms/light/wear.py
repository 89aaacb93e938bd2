"""Dirt and wear of a home: patches, and scuffs above the floor, which darken the baked light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protocol.seeds import rng_for
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.draw.raster import larger
from sim_server.jit import jit

F32 = NDArray[np.float32]
_PATCHES_PER_M = np.float32(2.3)
_SCUFFED_M = np.float32(0.55)  # height above the floor up to which walls are scuffed
_MOST_PATCHES, _MOST_SCUFFS = 0.14, 0.22
_ONE, _TWO, _THREE = np.float32(1), np.float32(2), np.float32(3)


def worn(spec: SceneSpec, points: F32, normals: F32, light: F32) -> None:
    """Darken `light` [N, 3] at these points [N, 3] by up to _MOST_PATCHES and _MOST_SCUFFS, homes to different degrees.

    The named palette is spotless.
    """
    if spec.palette == "named":
        return
    rng = rng_for(spec.seed, "rooms", "wear")
    patches, scuffs = rng.uniform(0, _MOST_PATCHES), rng.uniform(0, _MOST_SCUFFS)
    _wear(points, normals, np.float32(patches), np.float32(scuffs), np.uint32(rng.integers(2**32)), light)


@jit
def _lattice(x, y, z, seed):
    """A random number in 0..1 for a point of the integer lattice."""
    h = np.uint32(np.uint32(x) * np.uint32(0x9E3779B1)) ^ np.uint32(np.uint32(y) * np.uint32(0x85EBCA77))
    h = np.uint32(h ^ np.uint32(np.uint32(z) * np.uint32(0xC2B2AE3D))) ^ seed
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0x297A2D39))
    return np.float32(h >> np.uint32(8)) * np.float32(1 / 2**24)


@jit
def _wear(points, normals, patches, scuffs, seed, light):
    for i in range(points.shape[0]):
        x, y, z = points[i, 0] * _PATCHES_PER_M, points[i, 1] * _PATCHES_PER_M, points[i, 2] * _PATCHES_PER_M
        ix, iy, iz = np.int32(np.floor(x)), np.int32(np.floor(y)), np.int32(np.floor(z))
        fx, fy, fz = x - np.float32(ix), y - np.float32(iy), z - np.float32(iz)
        fx, fy, fz = fx * fx * (_THREE - _TWO * fx), fy * fy * (_THREE - _TWO * fy), fz * fz * (_THREE - _TWO * fz)
        value = np.float32(0)
        for corner in range(8):
            dx, dy, dz = np.int32(corner & 1), np.int32((corner >> 1) & 1), np.int32(corner >> 2)
            weight = (fx if dx else _ONE - fx) * (fy if dy else _ONE - fy) * (fz if dz else _ONE - fz)
            value += weight * _lattice(ix + dx, iy + dy, iz + dz, seed)
        factor = _ONE - value * patches
        if abs(normals[i, 1]) < np.float32(0.5):
            factor -= value * larger(_ONE - points[i, 1] / _SCUFFED_M, np.float32(0)) * scuffs
        for c in range(3):
            light[i, c] *= factor
