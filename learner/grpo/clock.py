"""Where a training step's wall time goes."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from typing import Iterator


class StepClock:
    """Wall seconds by name, added up until they are taken."""

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
        """The times since the last call."""
        taken, self.spent_s = dict(self.spent_s), defaultdict(float)
        return taken
