"""Simulator backends by name: built-in ones, and those that other distributions register.

A third party adds a backend through an entry point of the group `vantage.simulators`. Its value is a class that creates
a `sim_server.backends.base.Backend` without arguments, or a class with a classmethod `from_settings` that receives the
[sim] settings; see docs/guides/extending.md.
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
    """Name -> "module:attribute" of every installed backend. Imports none of them."""
    if sys.version_info >= (3, 10):
        found = metadata.entry_points(group=GROUP)
    else:
        found = metadata.entry_points().get(GROUP, ())
    return {**{point.name: point.value for point in found}, **BUILT_IN}


def check_installed(name: str) -> str:
    """The "module:attribute" of a backend.

    Raises VantageError("backend_missing"), with a list of the installed ones, if it is not installed.
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
    """Create the backend of this name.

    Raises VantageError("backend_missing") if it is not installed or cannot be imported, and what the backend raises for
    its settings: "bad_config" for a dataset that it cannot use.
    """
    target = check_installed(name)
    module, _, attribute = target.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except ImportError as error:
        raise VantageError(
            "backend_missing",
            f"backend {name!r} is installed but cannot be imported ({error}); install the missing module.",
        ) from error
    except AttributeError:
        raise VantageError(
            "backend_missing", f"backend {name!r} refers to {target}, which does not exist; reinstall its package."
        ) from None
    from_settings = getattr(factory, "from_settings", None)
    return factory() if from_settings is None else from_settings(settings or SimSettings(backend=name))
