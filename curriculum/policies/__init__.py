"""Policies by the name that the settings give."""

from __future__ import annotations

from curriculum.policies.base import Policy
from curriculum.policies.confidence_bands import ConfidenceBandsPolicy
from curriculum.policies.difficulty_pools import DifficultyPoolsPolicy
from curriculum.policies.frontier import FrontierPolicy
from curriculum.policies.static import StaticPolicy
from curriculum.policies.uniform import UniformPolicy
from curriculum.policies.weakest_first import WeakestFirstPolicy
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
