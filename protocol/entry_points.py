"""What this package offers by name, together with what other distributions register as entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module, metadata
from typing import Any, Callable, Optional, TypeVar

import msgspec

from protocol.errors import VantageError
from protocol.run.config import did_you_mean

T = TypeVar("T", covariant=True)


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


class Plugin(msgspec.Struct, frozen=True):
    """A registered object; `origin` names its distribution, group and entry point."""

    origin: str
    value: Any

    def fault(self, why: str) -> VantageError:
        """The error that refuses this object; `why` continues the sentence."""
        return VantageError("bad_config", f"{self.origin} {why}")


def registered(group: str) -> Iterator[Plugin]:
    """Load every object of the group, in the order of the distributions' names.

    Raises VantageError("bad_config") for an object that cannot be loaded.
    """
    found: dict[tuple[str, str], metadata.EntryPoint] = {}
    for distribution in metadata.distributions():
        for point in distribution.entry_points:
            if point.group == group:  # the first distribution of a name on the path is the installed one
                found.setdefault((distribution.metadata["Name"], point.name), point)
    for (distribution, name), point in sorted(found.items()):
        origin = f"{name} = {point.value}, which the distribution {distribution} registers under {group},"
        try:
            yield Plugin(origin, point.load())
        except Exception as error:
            why = f"cannot be loaded ({type(error).__name__}: {error}); repair or uninstall the distribution"
            raise Plugin(origin, None).fault(why) from error


class Registry(Mapping[str, T]):
    """Objects by name. They are loaded at the first look-up, so that a plugin may import the module of the registry."""

    def __init__(self, load: Callable[[], Mapping[str, T]]) -> None:
        self._load = load
        self._found: Optional[Mapping[str, T]] = None

    @property
    def _items(self) -> Mapping[str, T]:
        if self._found is None:
            self._found = self._load()
        return self._found

    def __getitem__(self, name: str) -> T:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
