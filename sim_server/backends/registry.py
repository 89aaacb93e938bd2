"""Simulator backends by name: built-in ones, and those that other distributions register.

A third party adds a backend through an entry point of the group `vantage.simulators`. Its value is a class that creates
a `sim_server.backends.base.Backend` without arguments, or a class with a classmethod `from_settings` that receives the
[sim] settings; see docs/guides/extending.md.
"""

from __future__ import annotations

from typing import Optional

from protocol.entry_points import Implementations
from sim_server.backends.base import Backend
from sim_server.settings import SimSettings

BACKENDS = Implementations(
    "vantage.simulators",
    "backend",
    {
        "rooms": "sim_server.backends.rooms:RoomsBackend",
        "habitat": "sim_server.backends.habitat:HabitatBackend",
    },
    missing_code="backend_missing",
)


def make_backend(name: str, settings: Optional[SimSettings] = None) -> Backend:
    """Create the backend of this name.

    Raises VantageError("backend_missing") if it is not installed or cannot be imported, and what the backend raises for
    its settings: "bad_config" for a dataset that it cannot use.
    """
    factory = BACKENDS.load(name)
    from_settings = getattr(factory, "from_settings", None)
    return factory() if from_settings is None else from_settings(settings or SimSettings(backend=name))
