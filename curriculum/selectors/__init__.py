"""Policies by the name that the settings give."""

from __future__ import annotations

from curriculum.selectors.base import Policy
from curriculum.selectors.confidence_bands import ConfidenceBandsPolicy
from curriculum.selectors.difficulty_pools import DifficultyPoolsPolicy
from curriculum.selectors.frontier import FrontierPolicy
from curriculum.selectors.static import StaticPolicy
from curriculum.selectors.uniform import UniformPolicy
from curriculum.selectors.weakest_first import WeakestFirstPolicy
from curriculum.settings import CurriculumSettings

_POLICIES = {
    "frontier": FrontierPolicy,
    "confidence_bands": ConfidenceBandsPolicy,
    "weakest_first": WeakestFirstPolicy,
    "difficulty_pools": DifficultyPoolsPolicy,
    "uniform": UniformPolicy,
    "static": StaticPolicy,
}


def make_policy(settings: CurriculumSettings) -> Policy:
    """The policy that `settings.policy` names."""
    return _POLICIES[settings.policy](settings)
