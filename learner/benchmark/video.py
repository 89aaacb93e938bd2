"""Frames of a video, at equal distances or chosen to show as much of the space as possible.

`space_aware` chooses greedily: each further frame shows the most surface, in voxels, that no chosen frame shows
(Spatial-MLLM, arXiv 2505.23747, section 3.3, which predicts the geometry that is given here). The greedy choice covers
at least 1 − 1/e of what the best choice of as many frames covers.

A video NAME.mp4 may have its geometry in NAME.npz beside it:

frames      int [N]          numbers of the video's frames that have geometry, ascending
depth       float [N, H, W]  metres along the optical axis; 0: unknown
poses       float [N, 4, 4]  camera to world, with x right, y down and z forward (OpenCV)
intrinsics  float [3, 3]     of a depth image
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError

RgbImage = NDArray[np.uint8]

_VOXEL_M = 0.2
_STRIDE = 4  # of pixels whose depth is read
_AXIS = 2**20  # voxels per axis


def read_frames(path: Path, count: int, space_aware: bool = False) -> list[RgbImage]:
    """Up to `count` frames of a video, in order, each uint8 [H, W, 3].

    `space_aware` applies to videos with geometry; the frames of others are at equal distances. Raises VantageError
    ("corrupt") if the video or its geometry cannot be read, and ModuleNotFoundError without PyAV.
    """
    geometry = path.with_suffix(".npz")
    chosen: Optional[Sequence[int]] = None
    if space_aware and geometry.exists():
        chosen = cover(*_geometry(geometry), count)
    av: Any = import_module("av")  # optional
    try:
        with av.open(str(path)) as container:
            total = container.streams.video[0].frames or sum(1 for _ in container.decode(video=0))
        wanted = set(evenly(total, count) if chosen is None else chosen)
        found: list[RgbImage] = []
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number in wanted:
                    found.append(frame.to_ndarray(format="rgb24"))
                if len(found) == len(wanted):
                    break
    except (av.FFmpegError, IndexError, OSError) as error:
        raise VantageError("corrupt", f"the video {path} cannot be read: {error}.") from None
    if not found:
        raise VantageError("corrupt", f"the video {path} has no frames.")
    return found


def evenly(total: int, count: int) -> list[int]:
    """The numbers of `count` of `total` frames at equal distances, with the first and the last."""
    return sorted({round(float(at)) for at in np.linspace(0, total - 1, min(count, total))})


def cover(
    frames: NDArray[np.int64],
    depth: NDArray[np.float32],
    poses: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
    count: int,
) -> list[int]:
    """The numbers of up to `count` frames that together show the most voxels, ascending."""
    shown = [_voxels(own, pose, intrinsics) for own, pose in zip(depth, poses)]
    seen: set[int] = set()
    left = list(range(len(shown)))
    chosen: list[int] = []
    while left and len(chosen) < count:
        best = max(left, key=lambda index: len(shown[index] - seen))
        if not shown[best] - seen:
            break
        chosen.append(best)
        seen |= shown[best]
        left.remove(best)
    # Frames that add nothing fill up the rest at equal distances, so that prompts have the number that was asked for.
    chosen += [left[at] for at in evenly(len(left), count - len(chosen))] if left and len(chosen) < count else []
    return sorted(int(frames[index]) for index in chosen)


def _voxels(depth: NDArray[np.float32], pose: NDArray[np.float64], intrinsics: NDArray[np.float64]) -> set[int]:
    rows, columns = np.mgrid[0 : depth.shape[0] : _STRIDE, 0 : depth.shape[1] : _STRIDE]
    z = depth[rows, columns].astype(np.float64)
    known = np.isfinite(z) & (z > 0)
    z, rows, columns = z[known], rows[known], columns[known]
    x = (columns + 0.5 - intrinsics[0, 2]) / intrinsics[0, 0] * z
    y = (rows + 0.5 - intrinsics[1, 2]) / intrinsics[1, 1] * z
    points = np.stack([x, y, z], 1) @ pose[:3, :3].T + pose[:3, 3]
    cells = np.floor(points / _VOXEL_M).astype(np.int64) + _AXIS // 2
    return set(((cells[:, 0] * _AXIS + cells[:, 1]) * _AXIS + cells[:, 2]).tolist())


def _geometry(path: Path) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            frames, depth, poses, intrinsics = (file[key] for key in ("frames", "depth", "poses", "intrinsics"))
        if depth.ndim != 3 or poses.shape != (len(depth), 4, 4) or frames.shape != (len(depth),):
            raise ValueError("frames, depth and poses differ in number")
        if intrinsics.shape != (3, 3) or not len(depth):
            raise ValueError("intrinsics or frames are missing")
    except (OSError, ValueError, KeyError) as error:
        raise VantageError(
            "corrupt", f"the geometry {path} needs frames, depth, poses and intrinsics ({error})."
        ) from None
    return frames, depth, poses, intrinsics
