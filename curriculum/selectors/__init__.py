"""Policies by the name that the settings give."""

from __future__ import annotations

from curriculum.selectors.base import Selector
from curriculum.selectors.confidence_bands import ConfidenceBandsSelector
from curriculum.selectors.difficulty_pools import DifficultyPoolsSelector
from curriculum.selectors.frontier import FrontierSelector
from curriculum.selectors.static import StaticSelector
from curriculum.selectors.uniform import UniformSelector
from curriculum.selectors.weakest_first import WeakestFirstSelector
from curriculum.settings import CurriculumSettings

_SELECTORS = {
    "frontier": FrontierSelector,
    "confidence_bands": ConfidenceBandsSelector,
    "weakest_first": WeakestFirstSelector,
    "difficulty_pools": DifficultyPoolsSelector,
    "uniform": UniformSelector,
    "static": StaticSelector,
}


def make_selector(settings: CurriculumSettings) -> Selector:
    """The policy that `settings.selector` names."""
    return _SELECTORS[settings.selector](settings)
