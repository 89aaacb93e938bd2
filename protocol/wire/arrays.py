"""References from a message header to the array frames that follow it."""

from __future__ import annotations

import msgspec


class ArrayRef(msgspec.Struct, frozen=True):
    """Frame `index` of the message's blobs holds an array of this dtype and shape in this codec.

    With codec "raw" the frame's length equals the product of the shape times the item size.
    """

    index: int
    dtype: str  # on the codec's allow-list, e.g. "uint8", "float32", "int32"
    shape: tuple[int, ...]
    codec: str = "raw"  # "raw" | "png" | "webp" | "jpeg"
