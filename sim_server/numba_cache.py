"""The directory of Numba's compilation cache."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def set_cache_dir() -> None:
    """Set a per-user cache directory for Numba if none is set and the package directory is not writable.

    Call it before Numba is imported.
    """
    if "NUMBA_CACHE_DIR" in os.environ or os.access(Path(__file__).parent, os.W_OK):
        return
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    try:
        path = Path(base) / "vantage" / "numba"
        path.mkdir(parents=True, exist_ok=True)
    except OSError:  # no writable home: use a temporary directory for this process
        path = Path(tempfile.mkdtemp(prefix="vantage-numba-"))
    os.environ["NUMBA_CACHE_DIR"] = str(path)
