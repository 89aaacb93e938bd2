"""How sure a share is: what the learner writes of its evaluations, and the report of a run's changes."""

from __future__ import annotations

import math

_Z = 1.959964  # of 95 %


def wilson(right: float, asked: int) -> tuple[float, float]:
    """The 95 % score interval of right / asked (E. B. Wilson, 1927); everything where nothing was asked."""
    if asked == 0:
        return 0.0, 1.0
    share, squared = right / asked, _Z * _Z
    centre = (share + squared / (2 * asked)) / (1 + squared / asked)
    half = _Z / (1 + squared / asked) * math.sqrt(share * (1 - share) / asked + squared / (4 * asked * asked))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # rounding aside
