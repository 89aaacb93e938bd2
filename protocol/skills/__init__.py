"""The skill catalogue: what can be asked, at which level of reasoning, in which form of answer, and how difficult.

`CATALOGUE` holds the skills of this package, one module per kind of views, and those that other distributions register
under the entry-point group `vantage.skills`: each value is a `Skill`. The catalogue is read at the first look-up.
"""

from __future__ import annotations

from protocol.entry_points import Registry, registered
from protocol.skills import cameras, pair, scene, single, small, space
from protocol.skills.skill import Level, Skill

GROUP = "vantage.skills"


def _load() -> dict[str, Skill[Level]]:
    skills: dict[str, Skill[Level]] = {
        skill.name: skill for module in (single, pair, scene, cameras, small, space) for skill in module.SKILLS
    }
    for plugin in registered(GROUP):
        skill = plugin.value
        if not isinstance(skill, Skill):
            raise plugin.fault(f"is a {type(skill).__name__}, not a protocol.skills.Skill")
        if skill.name in skills:
            raise plugin.fault(f"is named {skill.name}, as another skill is; rename it")
        skills[skill.name] = skill
    return skills


CATALOGUE: Registry[Skill[Level]] = Registry(_load)

__all__ = ["CATALOGUE", "Level", "Skill"]
