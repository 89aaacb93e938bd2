"""The configuration of a run: the settings models of all packages, checked together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Sequence

from curriculum.settings import CurriculumSettings
from launch.trackers import TRACKERS
from learner.settings import LearnerSettings
from proposer.settings import ProposerSettings
from protocol.errors import VantageError
from protocol.run.config import RunSettings, Section, Tree, load, merge, section
from sim_server.settings import SimSettings

MODELS: dict[str, type[Section]] = {
    "run": RunSettings,
    "sim": SimSettings,
    "curriculum": CurriculumSettings,
    "learner": LearnerSettings,
    "proposer": ProposerSettings,
}


def resolve(paths: Sequence[Path], sets: Sequence[str], name: Optional[str] = None) -> tuple[Tree, Tree]:
    """(the merged files and settings, the same with every default filled in), both checked.

    The run's name is `name`, else run.name, else the name of the last file. Raises VantageError("bad_config").
    """
    given = load(paths, sets)
    run = section(given, "run", RunSettings)
    for tracker in run.trackers:
        TRACKERS.check(tracker)
    chosen = name or run.name or paths[-1].stem
    given = merge(given, {"run": {"name": chosen}})
    resolved = {table: plain(section(given, table, model)) for table, model in MODELS.items()}
    allowed = resolved["sim"]["allowed_backends"]
    for world in resolved["curriculum"]["worlds"]:
        if allowed and world["backend"] and world["backend"] not in allowed:
            raise VantageError(
                "bad_config",
                f"no worker of this run can make world {world['name']}: add its backend {world['backend']} to "
                "sim.allowed_backends.",
            )
    return given, resolved


def plain(settings: Section) -> Tree:
    """The settings as a tree of TOML values."""
    return json.loads(settings.model_dump_json(exclude_none=True))


def check_same(given: Mapping[str, Any], saved: Mapping[str, Any], run: str) -> None:
    """Check that a resumed run keeps its configuration: every given value must equal the saved one.

    Raises VantageError("bad_config") that names the first difference.
    """
    for key, value, was in _differences(given, saved, ()):
        raise VantageError(
            "bad_config",
            f"run {run} was created with {key} = {json.dumps(was)}, not {json.dumps(value)}; "
            "choose another --name to start a new run, or drop the change to resume.",
        )


def _differences(
    given: Mapping[str, Any], saved: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[str, Any, Any]]:
    for key, value in given.items():
        was = saved.get(key)
        if isinstance(value, dict) and isinstance(was, dict):
            yield from _differences(value, was, (*path, key))
        elif not _covers(value, was):
            yield ".".join((*path, key)), value, was


def _covers(value: Any, was: Any) -> bool:
    """Whether `was` equals `value` with defaults filled in (arrays may hold tables)."""
    if isinstance(value, dict) and isinstance(was, dict):
        return all(key in was and _covers(item, was[key]) for key, item in value.items())
    if isinstance(value, list) and isinstance(was, list):
        return len(value) == len(was) and all(map(_covers, value, was))
    return value == was
