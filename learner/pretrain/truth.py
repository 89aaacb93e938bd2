"""Dense targets: the object shown by every image token, and its position and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.task import ObjectTruth

BINS = 8  # bins of columns, rows and depth
NEAREST_M, DEPTH_STEP_M = 1.0, 0.6  # depth bins: below 1.6 m, 1.6-2.2 m, … , 5.2 m and beyond
IGNORED = -100  # no target; ignored by torch's cross entropy
FIELDS = ("column", "row", "depth", "color", "category")


class Names(NamedTuple):
    """Classes of colour and category; an object of another colour or category has no target for it."""

    colors: tuple[str, ...]
    categories: tuple[str, ...]

    def size(self, field: str) -> int:
        return {"color": len(self.colors), "category": len(self.categories)}.get(field, BINS)


def cell_owners(ids: NDArray[np.int32], object_ids: Sequence[int], rows: int, columns: int) -> NDArray[np.int8]:
    """Return, per image token, the index (into object_ids) of the object with most pixels in its cell, or -1.

    `ids` is the id image [H, W] of the view. An object with less than 6 % of the pixels of a cell does not count.
    """
    height, width = ids.shape
    cells = ids.reshape(rows, height // rows, columns, width // columns).swapaxes(1, 2).reshape(rows * columns, -1)
    if not object_ids:
        return np.full(rows * columns, -1, np.int8)
    pixels = np.stack([(cells == object_id).sum(1) for object_id in object_ids], 1)
    return np.where(pixels.max(1) >= 0.06 * cells.shape[1], pixels.argmax(1), -1).astype(np.int8)


def object_targets(objects: Sequence[ObjectTruth], names: Names) -> NDArray[np.int64]:
    """Class targets [objects, FIELDS] of the objects of a view; IGNORED if there is no class."""
    targets = np.full((len(objects), len(FIELDS)), IGNORED, np.int64)
    for row, truth in zip(targets, objects):
        row[0] = np.clip(int(truth.u * BINS), 0, BINS - 1)
        row[1] = np.clip(int(truth.v * BINS), 0, BINS - 1)
        row[2] = np.clip(int((truth.depth_m - NEAREST_M) / DEPTH_STEP_M), 0, BINS - 1)
        if truth.color in names.colors:
            row[3] = names.colors.index(truth.color)
        if truth.category in names.categories:
            row[4] = names.categories.index(truth.category)
    return targets
