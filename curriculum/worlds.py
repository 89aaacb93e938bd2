"""The worlds of a run: those of the configuration, and those that the curriculum has derived from them."""

from __future__ import annotations

from curriculum.record.state import State
from curriculum.settings import CurriculumSettings
from protocol.tasks.specs import World


def all_worlds(state: State, settings: CurriculumSettings) -> dict[str, World]:
    """Every world by name, those that are retired included: their specs can be built again."""
    derived = {name: record.world for name, record in state.worlds.items() if record.parent}
    return {**settings.by_name, **derived}


def asked_worlds(state: State, settings: CurriculumSettings) -> dict[str, World]:
    """The worlds of the menu by name."""
    retired = {name for name, record in state.worlds.items() if record.retired}
    return {name: world for name, world in all_worlds(state, settings).items() if name not in retired}
