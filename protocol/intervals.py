"""Confidence intervals for proportions."""

from __future__ import annotations

import math

_Z = 1.959964  # of 95 %


def wilson(right: float, asked: int) -> tuple[float, float]:
    """The 95 % score interval of right / asked (E. B. Wilson, 1927); (0, 1) if nothing was asked."""
    if asked == 0:
        return 0.0, 1.0
    p, squared = right / asked, _Z * _Z
    centre = (p + squared / (2 * asked)) / (1 + squared / asked)
    half = _Z / (1 + squared / asked) * math.sqrt(p * (1 - p) / asked + squared / (4 * asked * asked))
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))  # min and max absorb rounding
