"""Prompts shared by tests of engines and processes."""

from __future__ import annotations

import numpy as np

from learner.rollouts.base import Prompt

TEXTS = ("is the red chair left or right of the blue box ?", "which is nearer : the green ball or the lamp ?")


def some_prompts(count: int, seed: int = 0) -> list[Prompt]:
    """Return prompts with views of noise, 96 x 96 px."""
    rng = np.random.default_rng(seed)
    return [Prompt(TEXTS[i % 2], (rng.integers(0, 255, (96, 96, 3), dtype=np.uint8),), (300, 2)) for i in range(count)]
