"""Selectors by the name that the settings give.

To add one, write a module beside these and list it here, or register a class under the entry-point group
`vantage.selectors` in another distribution. Nothing is imported until it is chosen.
"""

from __future__ import annotations

from protocol.entry_points import Implementations

SELECTORS = Implementations(
    "vantage.selectors",
    "selector",
    {
        "frontier": "curriculum.selectors.frontier:FrontierSelector",
        "confidence_bands": "curriculum.selectors.confidence_bands:ConfidenceBandsSelector",
        "weakest_first": "curriculum.selectors.weakest_first:WeakestFirstSelector",
        "difficulty_pools": "curriculum.selectors.difficulty_pools:DifficultyPoolsSelector",
        "learning_progress": "curriculum.selectors.learning_progress:LearningProgressSelector",
        "uniform": "curriculum.selectors.uniform:UniformSelector",
        "static": "curriculum.selectors.static:StaticSelector",
    },
)
