"""`learning_progress`: the larger the recent change of success in either direction, the larger the share.

The rule of ALP-GMM (Portelas et al. 2019, arXiv 1910.07224): sample in proportion to absolute learning progress, and a
fifth of the tasks at random. There, Gaussian mixtures locate progress in a continuous space of tasks; here each cell
has a progress: recent minus earlier success, less the standard error.
"""

from __future__ import annotations

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.selectors.base import Selector, Shares, feasible_weight, split

_RANDOM_SHARE = 0.2


class LearningProgressSelector(Selector):
    def shares(self, estimates: Estimates) -> Shares:
        return split(
            {
                "progress": (1.0 - _RANDOM_SHARE, self.weights(estimates)),
                "coverage": (_RANDOM_SHARE, feasible_weight(estimates)),
            },
            self.settings.shares.blind,
        )

    def weights(self, estimates: Estimates) -> np.ndarray:
        return feasible_weight(estimates) * np.abs(estimates.trend)
