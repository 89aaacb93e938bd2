"""Switch off one rule of the families: a number of a skill's levels, or a constant of a module."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import msgspec
import pytest

from protocol.skills import CATALOGUE
from sim_server.questions.families import FAMILIES

# Fields of levels that state what is asked or shown; they reject nothing.
FIELDS_WITHOUT_RULE = frozenset(
    {
        "chance",
        "any_angle",
        "asks",
        "asks_same",
        "asks_vertical",
        "cameras",
        "corners",
        "images",
        "kinds",
        "longest_m",
        "moves",
        "objects",
        "options",
        "same_camera",
        "sectors",
        "several_rooms",
        "shortest_m",
        "turns",
        "turns_deg",
        "within_m",
        "words",
    }
)
# Constants that place cameras, choose what is asked, or set how finely something is measured.
CONSTANTS_WITHOUT_RULE = frozenset(
    {
        "families.pair.cameras.HEIGHT_M",
        "families.pair.change.BEHIND_M",
        "families.pair.change.BEHIND_RAD",
        "families.pair.change.OTHER_CAMERA_M",
        "families.pair.motion.MOST_MOVE_M",
        "families.pair.motion.MOST_TURN_DEG",
        "families.rules.MAX_NAMED",
        "families.single.small.DISTANCES_APART_M",
        "families.single.small.OPTIONS_M",
        "families.walk.fits.SIZES_M",
        "families.walk.route.TURNS_DEG",
        "families.walk.route.WALKS_M",
        "families.walk.trajectory.ORDER_WALK_M",
        "families.walk.trajectory.VIEWS",
        "families.walk.trajectory.WALKS",
        "views.coverage.LEAST_GAIN",
        "views.coverage.LEAST_OVERLAP",
        "views.coverage.LOOK_RAD",
        "views.coverage.VOXELS",
    }
)


def switch_off(rule: str, off: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set "SKILL.FIELD" in every level of the skill, or "PACKAGE.MODULE.CONSTANT" below sim_server.questions."""
    owner, name = rule.rsplit(".", 1)
    if owner in CATALOGUE:
        skill = CATALOGUE[owner]
        levels = tuple(msgspec.structs.replace(level, **{name: off}) for level in skill.levels)
        monkeypatch.setattr(type(FAMILIES[owner]), "skill", msgspec.structs.replace(skill, levels=levels))
    else:
        module = import_module(f"sim_server.questions.{owner}")
        assert hasattr(module, name), rule
        monkeypatch.setattr(module, name, off)
