"""Checks the version of the trainer that an adapter is written for."""

from __future__ import annotations

import re
from importlib import metadata

from protocol.errors import VantageError


def need(distribution: str, least: tuple[int, int], extra: str) -> None:
    """Check that a distribution is installed in this version or a later one.

    Raises VantageError: "unsupported" if it is missing, "version" if it is older.
    """
    wanted = ".".join(map(str, least))
    install = f"install it with pip install 'vantage-loop[{extra}]'"
    try:
        found = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise VantageError("unsupported", f"this adapter needs {distribution} {wanted} or newer: {install}.") from None
    match = re.match(r"(\d+)\.(\d+)", found)
    if match is None or (int(match[1]), int(match[2])) < least:
        raise VantageError(
            "version", f"this adapter needs {distribution} {wanted} or newer, but {found} is installed: {install}."
        )
