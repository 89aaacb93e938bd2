"""Damaged copies of a file: changed, missing, repeated and inserted bytes, cut ends, and JSON values of other types."""

from __future__ import annotations

import random
from typing import Iterator

_VALUES = (b"null", b"-1", b"1e999", b"{}", b"[]", b'"x"', b"9" * 30, b"NaN", b'"\\ud800"', b"true")


def damaged(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    rng = random.Random(seed)
    for _ in range(count):
        copy = data
        for _ in range(rng.choice((1, 1, 3, 20))):
            copy = _changed(copy, rng)
        yield copy


def _changed(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data) + 1), rng.randrange(1, 60)
    kind = rng.randrange(6)
    if kind == 0:
        return data[:at] + rng.randbytes(1) + data[at + 1 :]
    if kind == 1:
        return data[:at] + data[at + size :]
    if kind == 2:
        return data[:at] + rng.randbytes(size) + data[at:]
    if kind == 3:
        return data[:at]
    if kind == 4:
        start = rng.randrange(len(data) + 1)
        return data[:at] + data[start : start + size] + data[at:]
    old = rng.choice((b"0.0", b"1", b"false", b'""', b"null", b"[", b'"left"', b'"answered"'))
    return data.replace(old, rng.choice(_VALUES), rng.choice((1, -1)))
