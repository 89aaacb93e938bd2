"""The skill catalogue: what can be asked, at which level of reasoning, answered how, and how hard.

Levels 0..4 have a measurable meaning per skill, in words here and in numbers beside each skill; a test holds the two
together. `feasible_levels` is what is implemented today. One module per kind of views.
"""

from __future__ import annotations

from protocol.skills import cameras, pair, scene, single, small, space
from protocol.skills.skill import Skill

_MODULES = (single, pair, scene, cameras, small, space)
CATALOGUE: dict[str, Skill] = {skill.name: skill for module in _MODULES for skill in module.SKILLS}

__all__ = ["CATALOGUE", "Skill"]
