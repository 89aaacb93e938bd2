"""Folders for caches: of the user, or temporary if the user has no writable folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_dir(name: str) -> Path:
    """A writable folder `vantage/<name>` in XDG_CACHE_HOME or ~/.cache, else a new temporary folder."""
    home = os.path.expanduser("~")  # stays "~" for a user without HOME and without an entry in the password database
    for base in (os.environ.get("XDG_CACHE_HOME", ""), os.path.join(home, ".cache")):
        path = Path(base) / "vantage" / name
        if path.is_absolute() and is_writable(path):
            return path
    return Path(tempfile.mkdtemp(prefix=f"vantage-{name}-"))


def is_writable(path: Path) -> bool:
    """Whether files can be created in the folder, which is made if it is missing."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False
