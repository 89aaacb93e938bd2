"""What requests and scene loads cost, from which the broker derives how long one may take."""

from __future__ import annotations

from collections import OrderedDict

# A deadline is the floor plus this multiple of the largest cost of late. One request can take many times as long as
# another of its kind: up to 24 placements of the camera are tried.
FACTOR = 20.0
UNMEASURED = 4.0  # times the floor, until the first request of a kind is measured: it may compile kernels
DECAY = 0.99  # of the largest cost, per request
SMALLEST_MPX = 0.01  # the cost of a smaller image hardly depends on its size
MAX_KINDS = 256
_LOAD = "load"  # no kind of the wire is in lower case


class Costs:
    """The largest cost of late for each renderer and kind of request: seconds per megapixel, or seconds per load."""

    def __init__(self, floor_s: float, most_s: float) -> None:
        self._floor_s = floor_s
        self._most_s = most_s
        self._largest: OrderedDict[tuple[str, str], float] = OrderedDict()  # least recently measured first

    def took(self, digest: str, kind: str, megapixels: float, seconds: float) -> None:
        self._measure((digest, kind), seconds / max(megapixels, SMALLEST_MPX))

    def loaded(self, digest: str, seconds: float) -> None:
        self._measure((digest, _LOAD), seconds)

    def deadline_s(self, digest: str, kind: str, megapixels: float) -> float:
        """How long a request of this kind and size may take."""
        rate = self._largest.get((digest, kind))
        if rate is None:
            return min(self._most_s, UNMEASURED * self._floor_s)
        return min(self._most_s, self._floor_s + FACTOR * rate * max(megapixels, SMALLEST_MPX))

    def load_deadline_s(self, digest: str, announced_s: float) -> float:
        """How long a load may take that was announced with this time."""
        largest = self._largest.get((digest, _LOAD))
        return announced_s if largest is None else min(announced_s, self._floor_s + FACTOR * largest)

    def _measure(self, key: tuple[str, str], cost: float) -> None:
        self._largest[key] = max(self._largest.pop(key, 0.0) * DECAY, cost)
        if len(self._largest) > MAX_KINDS:
            self._largest.popitem(last=False)
