"""Whether a person can tell an object from its surroundings in an image: it may be too dark, or of the same colour."""

from __future__ import annotations

from typing import Iterable

import numpy as np
from numpy.typing import NDArray

from sim_server.questions.evidence import Evidence

INDISTINCT = "an object cannot be told from its surroundings: it is too dark, or of the same colour"
# Levels of 255. An object is distinct if its brightest tenth has a luminance of _LIT or more, or its middle differs by
# _APART from that of its surroundings in some channel. If its luminances span less than _FLAT, a difference of _FLAT is
# needed too.
_LIT, _APART, _FLAT = 20.0, 30.0, 6.0
_AROUND = 0.02  # of the width of the image: how far the surroundings reach
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
_SAMPLED = 4096  # pixels that are looked at, at most


def all_distinct(rgb: NDArray[np.uint8], ids: NDArray[np.int32], evidence: Evidence, keys: Iterable[int]) -> bool:
    """Whether each of these objects is distinct in the image that shows most of it, and in those that show half as
    much; rgb uint8 [N, H, W, 3], ids int32 [N, H, W] of the shown views."""
    for key in keys:
        pixels = [view.seen[key].pixels if key in view.seen else 0 for view in evidence.views]
        for index, count in enumerate(pixels):
            if count and 2 * count >= max(pixels) and not distinct(rgb[index], ids[index] == key):
                return False
    return True


def distinct(rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> bool:
    """Whether the pixels of a mask, bool [H, W] with at least one pixel, differ enough from those around it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    reach = max(2, round(_AROUND * mask.shape[1]))
    here = (
        slice(max(0, int(rows[0]) - reach), int(rows[-1]) + reach + 1),
        slice(max(0, int(columns[0]) - reach), int(columns[-1]) + reach + 1),
    )
    inside, around = _sampled(rgb[here][mask[here]]), _sampled(rgb[here][~mask[here]])
    low, high = np.percentile(inside @ _LUMINANCE, (10, 90))
    apart = float(np.abs(np.median(inside, 0) - np.median(around, 0)).max()) if len(around) else 0.0
    return bool((high >= _LIT or apart >= _APART) and (high - low >= _FLAT or apart >= _FLAT))


def _sampled(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels[:: max(1, len(pixels) // _SAMPLED)].astype(np.float32)
