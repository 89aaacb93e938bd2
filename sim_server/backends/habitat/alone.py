"""How many pixels each object would cover without occlusion, from renders without the rest of the scene.

Objects whose boxes are apart in the image cannot hide each other, so that one render serves several of them.
"""

from __future__ import annotations

from typing import Callable, Mapping, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Camera, OrientedBox, Pose
from sim_server.questions.geometry import corners, project

_NEAR_M = 0.01  # of the renderer; boxes that cross this plane have no bounded image
_MARGIN_PX = 2.0

Span = tuple[float, float, float, float]  # columns and rows: low, high, low, high


def apart(boxes: Mapping[int, OrientedBox], pose: Pose, camera: Camera) -> list[list[int]]:
    """The keys of the boxes that may be in the image, in groups whose boxes are apart there."""
    groups: list[tuple[list[int], list[Span]]] = []
    for key, box in boxes.items():
        span = _span(box, pose, camera)
        if span is None:
            continue
        for keys, spans in groups:
            if not any(_overlap(span, other) for other in spans):
                keys.append(key)
                spans.append(span)
                break
        else:
            groups.append(([key], [span]))
    return [keys for keys, _ in groups]


def unoccluded_pixels(
    boxes: Mapping[int, OrientedBox],
    pose: Pose,
    camera: Camera,
    draw: Callable[[Sequence[Sequence[int]]], Sequence[NDArray[np.int64]]],
) -> dict[int, int]:
    """Key -> pixels without occlusion, for each object in the image.

    `draw` returns, for each group of keys, an image [H, W] with the keys of only these objects.
    """
    counts: dict[int, int] = {}
    groups = apart(boxes, pose, camera)
    for group, image in zip(groups, draw(groups)):
        keys, pixels = np.unique(image, return_counts=True)
        found = dict(zip(keys.tolist(), pixels.tolist()))
        counts.update({key: found[key] for key in group if key in found})
    return dict(sorted(counts.items()))


def _span(box: OrientedBox, pose: Pose, camera: Camera) -> Optional[Span]:
    """The part of the image that contains the box; None if it is outside."""
    u, v, depth = project(pose, camera, corners(box))
    if (depth <= _NEAR_M).all():
        return None
    if (depth <= _NEAR_M).any():
        return (0.0, camera.width_px, 0.0, camera.height_px)
    columns, rows = u * camera.width_px, v * camera.height_px
    span = (
        columns.min() - _MARGIN_PX, columns.max() + _MARGIN_PX, rows.min() - _MARGIN_PX, rows.max() + _MARGIN_PX
    )  # fmt: skip
    return span if _overlap(span, (0.0, camera.width_px, 0.0, camera.height_px)) else None


def _overlap(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
