"""Simulator backends by name: the built-in ones and those that other distributions register.

A third party adds one by an entry point of the group `vantage.simulators` whose value is a class that makes a
`sim_server.backends.base.Backend` without arguments, or one with a classmethod `from_settings` that takes the [sim]
settings; docs/guides/extending.md shows how.
"""

from __future__ import annotations

import sys
from importlib import import_module, metadata
from typing import Optional

from protocol.errors import VantageError
from sim_server.backends.base import Backend
from sim_server.settings import SimSettings

GROUP = "vantage.simulators"
BUILT_IN = {
    "rooms": "sim_server.backends.rooms:RoomsBackend",
    "habitat": "sim_server.backends.habitat:HabitatBackend",
}


def installed() -> dict[str, str]:
    """Name -> "module:attribute" of every backend that can be made here. Nothing is imported."""
    if sys.version_info >= (3, 10):
        found = metadata.entry_points(group=GROUP)
    else:
        found = metadata.entry_points().get(GROUP, ())
    return {**{point.name: point.value for point in found}, **BUILT_IN}


def check_installed(name: str) -> str:
    """The "module:attribute" of this backend.

    Raises VantageError("backend_missing") that says how to get it and which are installed.
    """
    targets = installed()
    if name not in targets:
        raise VantageError(
            "backend_missing",
            f"backend {name!r} is not installed; install the package that registers it under the entry-point group "
            f"{GROUP}. Installed here: {', '.join(sorted(targets))}.",
        )
    return targets[name]


def make_backend(name: str, settings: Optional[SimSettings] = None) -> Backend:
    """A new backend of this name. Raises VantageError("backend_missing") as `check_installed` does, and what the
    backend says of the settings: "bad_config" for a data set that it cannot use."""
    target = check_installed(name)
    module, _, attribute = target.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except ImportError as error:
        raise VantageError(
            "backend_missing", f"backend {name!r} is installed but cannot be imported ({error}); install what it lacks."
        ) from error
    except AttributeError:
        raise VantageError(
            "backend_missing", f"backend {name!r} names {target}, which does not exist; reinstall its package."
        ) from None
    from_settings = getattr(factory, "from_settings", None)
    return factory() if from_settings is None else from_settings(settings or SimSettings(backend=name))
