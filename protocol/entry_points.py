"""Implementations by name: built-in ones, and those that other distributions register as entry points."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Any

from protocol.errors import VantageError
from protocol.run.config import did_you_mean


class Implementations:
    """What can be chosen by name in a configuration: `kind` is the word for it in error messages.

    Names map to "module:attribute"; nothing is imported until `load`. A built-in name cannot be replaced.
    """

    def __init__(self, group: str, kind: str, built_in: Mapping[str, str], missing_code: str = "bad_config") -> None:
        self.group = group
        self.kind = kind
        self.built_in = dict(built_in)
        self._missing_code = missing_code

    def targets(self) -> dict[str, str]:
        """Name -> "module:attribute" of everything that is installed here."""
        if sys.version_info >= (3, 10):
            found = metadata.entry_points(group=self.group)
        else:
            found = metadata.entry_points().get(self.group, ())
        return {**{point.name: point.value for point in found}, **self.built_in}

    def check(self, name: str) -> str:
        """The target of this name. Raises VantageError that lists the names that are installed."""
        targets = self.targets()
        if name not in targets:
            raise VantageError(
                self._missing_code,
                f"{self.kind} {name!r} is not installed{did_you_mean(name, targets)}; choose one of "
                f"{', '.join(sorted(targets))}, or install the package that registers it under the entry-point group "
                f"{self.group}.",
            )
        return targets[name]

    def check_setting(self, name: str) -> str:
        """`name`, for a validator of settings. Raises ValueError if it is not installed."""
        try:
            self.check(name)
        except VantageError as error:
            raise ValueError(error.message.rstrip(".")) from None
        return name

    def load(self, name: str) -> Any:
        """Import the implementation. Raises VantageError if it is not installed or cannot be imported."""
        target = self.check(name)
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except ImportError as error:
            raise VantageError(
                self._missing_code,
                f"{self.kind} {name!r} is installed but cannot be imported ({error}); install what it needs.",
            ) from error
        except AttributeError:
            raise VantageError(
                self._missing_code, f"{self.kind} {name!r} names {target}, which does not exist; reinstall its package."
            ) from None
