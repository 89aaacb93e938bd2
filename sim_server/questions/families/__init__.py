"""The families of questions by the name of their skill.

Each module of the folders below lists its families in FAMILIES; other distributions register theirs, a class without
arguments or an object, under the entry-point group `vantage.families`. The registry is filled at the first look-up.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from protocol.entry_points import Registry, registered
from protocol.errors import VantageError
from protocol.skills import CATALOGUE, Skill
from sim_server.questions.families import pair, several, single, walk
from sim_server.questions.family import Family

GROUP = "vantage.families"


def _load() -> dict[str, Family]:
    families: dict[str, Family] = {}
    for package in (single, pair, several, walk):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            for family in getattr(import_module(module.name), "FAMILIES", ()):
                assert family.skill.name not in families, family
                families[family.skill.name] = family
    for plugin in registered(GROUP):
        family = plugin.value() if isinstance(plugin.value, type) else plugin.value
        skill = getattr(family, "skill", None)
        if not isinstance(skill, Skill):
            raise plugin.fault("has no attribute `skill` that is a protocol.skills.Skill")
        if CATALOGUE.get(skill.name) is not skill:
            raise plugin.fault(f"asks the skill {skill.name}, which no vantage.skills entry point registers")
        if skill.name in families:
            raise plugin.fault(f"asks the skill {skill.name}, as another family does; remove one of them")
        families[skill.name] = family
    # A skill without a family stays in the catalogue: another process may have the family.
    return {name: families[name] for name in CATALOGUE if name in families}


FAMILIES: Registry[Family] = Registry(_load)


def family_of(skill: str, level: int) -> Family:
    """The family of this skill. Raises VantageError("bad_request") if there is none or it has no such level."""
    family = FAMILIES.get(skill)
    if family is None:
        raise VantageError("bad_request", f"no question family asks {skill!r}; choose one of {', '.join(FAMILIES)}")
    levels = family.skill.feasible_levels
    if level not in levels:
        raise VantageError("bad_request", f"{skill} has the levels {', '.join(map(str, levels))}, not {level}")
    return family
