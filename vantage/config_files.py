"""The shipped configurations: configs/ of a checkout, vantage/configs/ of an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Union

from protocol.errors import VantageError
from protocol.run.config import did_you_mean

_HERE = Path(__file__).resolve().parent
DEFAULT = "demo"


def config_folder() -> Path:
    """The folder of the shipped configurations."""
    shipped = _HERE / "configs"
    return shipped if shipped.is_dir() else _HERE.parent / "configs"


def config_names() -> list[str]:
    """The names of the shipped configurations, sorted."""
    return sorted(path.stem for path in config_folder().glob("*.toml"))


def config_path(config: Union[str, os.PathLike[str]]) -> Path:
    """The file of a configuration, given as the name of a shipped one or as a path.

    A text without a slash and without the suffix .toml is a name. Raises VantageError("bad_config") for an unknown one.
    """
    text = os.fspath(config)
    if "/" in text or text.endswith(".toml"):
        return Path(text)
    names = config_names()
    if text not in names:
        close = did_you_mean(text, names)
        raise VantageError(
            "bad_config",
            f"there is no shipped configuration {text!r}{close}; give a path or one of {', '.join(names)}.",
        )
    return config_folder() / f"{text}.toml"
