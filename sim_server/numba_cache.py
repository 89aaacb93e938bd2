"""The directory of Numba's compilation cache."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from sim_server.caches import cache_dir, is_writable

log = logging.getLogger(__name__)


def set_cache_dir() -> None:
    """Set a writable cache directory for Numba, which fails without one. Call it before Numba is imported.

    NUMBA_CACHE_DIR is used if it is writable, else the package's directory (Numba's default), else `cache_dir`.
    """
    given = os.environ.get("NUMBA_CACHE_DIR", "")
    if given and is_writable(Path(given)):
        return
    chosen = "" if os.access(Path(__file__).parent, os.W_OK) else str(cache_dir("numba"))
    if given:
        log.warning("NUMBA_CACHE_DIR=%s is not writable; kernels are cached in %s", given, chosen or "the package")
    os.environ.pop("NUMBA_CACHE_DIR", None)
    if chosen:
        os.environ["NUMBA_CACHE_DIR"] = chosen
