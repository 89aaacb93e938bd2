"""Wall time of the phases of a training step."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from typing import Iterator


class StepClock:
    """Accumulates wall seconds by name until `take` is called."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent_s[name] += time.perf_counter() - start

    def take(self) -> dict[str, float]:
        """Return the times since the last call and start over."""
        taken, self.spent_s = dict(self.spent_s), defaultdict(float)
        return taken
