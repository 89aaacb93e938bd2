"""Equirectangular panoramas, assembled from six square views of any simulator."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Camera, Pose, Quat
from sim_server.backends.base import Scene
from sim_server.sensing.observe import multiply, rotate

_HALF = math.sqrt(0.5)
# ahead, left, back, right, up, down, relative to the camera
_FACES: tuple[Quat, ...] = (
    (1.0, 0.0, 0.0, 0.0),
    (_HALF, 0.0, _HALF, 0.0),
    (0.0, 0.0, 1.0, 0.0),
    (_HALF, 0.0, -_HALF, 0.0),
    (_HALF, _HALF, 0.0, 0.0),
    (_HALF, -_HALF, 0.0, 0.0),
)


class Panorama(msgspec.Struct):
    """A panorama around a camera.

    Column c of W has azimuth ((c + 0.5) / W - 0.5) * 360 degrees, positive to the right of the camera's direction; row
    r of H = W / 2 has elevation (0.5 - (r + 0.5) / H) * 180 degrees.

    rgb: uint8 [H, W, 3] sRGB; depth: float32 [H, W] metres along the ray, 0 where nothing was hit; ids: int32 [H, W].
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    ids: NDArray[np.int32]


def panorama(scene: Scene, pose: Pose, width_px: int) -> Panorama:
    """Render a panorama. Every pixel is the nearest one of a view, so that ids and depth are never interpolated.

    Raises ValueError for a width outside 2..8192, and what the scene's render raises.
    """
    if not 2 <= width_px <= 8192:
        raise ValueError(f"a panorama must be 2 to 8192 pixels wide, not {width_px}")
    side = math.ceil(width_px / 2)
    camera = Camera(side, side, math.pi / 2)
    poses = [Pose(pose.position_m, multiply(pose.rotation_wxyz, face)) for face in _FACES]
    frames = scene.render(poses, camera, ("rgb", "depth", "ids"))
    face, row, column = _sources(width_px, side)
    x, y = ((k + 0.5) / side * 2 - 1 for k in (column, row))
    along_ray = np.sqrt(1 + x * x + y * y).astype(np.float32)
    assert frames.rgb is not None and frames.depth is not None and frames.ids is not None
    return Panorama(
        frames.rgb[face, row, column], frames.depth[face, row, column] * along_ray, frames.ids[face, row, column]
    )


def _sources(width_px: int, side: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """View, row and column that each pixel of the panorama is taken from, [H, W] each."""
    height_px = max(1, width_px // 2)
    azimuth = ((np.arange(width_px) + 0.5) / width_px - 0.5)[None] * 2 * math.pi
    elevation = (0.5 - (np.arange(height_px) + 0.5) / height_px)[:, None] * math.pi
    level = np.cos(elevation)
    rays = np.stack(
        [level * np.sin(azimuth), np.sin(elevation) * np.ones_like(azimuth), -level * np.cos(azimuth)], axis=-1
    )
    along = [np.array([rotate(face, axis) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, -1))]) for face in _FACES]
    turned = np.stack([rays @ axes.T for axes in along])  # right, up, ahead of each view
    face = turned[..., 2].argmax(0)
    x, y, z = np.take_along_axis(turned, face[None, ..., None], 0)[0].transpose(2, 0, 1)
    column = np.clip(((x / z + 1) * side / 2).astype(np.intp), 0, side - 1)
    row = np.clip(((1 - y / z) * side / 2).astype(np.intp), 0, side - 1)
    return face, row, column
