"""Calibration: agreement between the likelihood of the true answer and the success rate.

Expected calibration error over ten equal bins (Naeini et al. 2015; Guo et al. 2017) and the Brier score (1950), per
skill, with exponential forgetting because the policy changes.
"""

from __future__ import annotations

from typing import Optional

import msgspec

_BINS = 10
_KEEP = 1.0 - 1.0 / 512  # forgetting per report of the skill


class Calibration(msgspec.Struct):
    """Bins of predicted probability, each [weight, sum of predictions, sum of successes], and the Brier sum."""

    bins: list[list[float]] = msgspec.field(default_factory=lambda: [[0.0, 0.0, 0.0] for _ in range(_BINS)])
    brier_sum: float = 0.0

    def add(self, likelihood: float, success: float) -> None:
        """Add one report: the likelihood of the true answer and the fraction of right answers, both 0..1."""
        for entry in self.bins:
            entry[:] = [value * _KEEP for value in entry]
        entry = self.bins[min(int(likelihood * _BINS), _BINS - 1)]
        entry[0] += 1.0
        entry[1] += likelihood
        entry[2] += success
        # mean of (likelihood - right)² over the answers of a group, of which the fraction `success` is right
        self.brier_sum = self.brier_sum * _KEEP + (likelihood - success) ** 2 + success * (1.0 - success)

    @property
    def weight(self) -> float:
        return sum(entry[0] for entry in self.bins)

    @property
    def ece(self) -> Optional[float]:
        """Expected calibration error, or None before the first report."""
        return sum(abs(entry[1] - entry[2]) for entry in self.bins) / self.weight if self.weight else None

    @property
    def brier(self) -> Optional[float]:
        return self.brier_sum / self.weight if self.weight else None
