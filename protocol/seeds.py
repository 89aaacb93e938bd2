"""Random generators derived from (run seed, path), so that no generator state is ever saved."""

from __future__ import annotations

import hashlib
from typing import Sequence, TypeVar, Union

import numpy as np

Item = TypeVar("Item")


def rng_for(run_seed: int, *path: Union[int, str]) -> np.random.Generator:
    """A generator for this path under the run's seed; the same arguments always give the same stream.

    The path is hashed because SeedSequence treats a path and the same path followed by zeros as equal.
    """
    whole = (int(run_seed), *(part if isinstance(part, str) else int(part) for part in path))
    digest = hashlib.blake2b(repr(whole).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def pick(items: Sequence[Item], rng: np.random.Generator) -> Item:
    """One of the items, drawn uniformly."""
    return items[int(rng.integers(len(items)))]
