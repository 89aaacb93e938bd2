"""All randomness comes from (run seed, path): no generator state is ever saved."""

from __future__ import annotations

import hashlib
from typing import Union

import numpy as np


def _word(part: Union[int, str]) -> int:
    if isinstance(part, int):
        return part
    return int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "little")


def rng_for(run_seed: int, *path: Union[int, str]) -> np.random.Generator:
    """A generator for this path under the run's seed; the same arguments always give the same stream."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([run_seed, *map(_word, path)])))
