"""Makes the toy simulator of tests/support/third_party an installed distribution."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

THIRD_PARTY = Path(__file__).parent / "third_party"


@contextmanager
def toy_installed() -> Iterator[None]:
    """In this process, so that its entry points are found; subprocesses need THIRD_PARTY in their PYTHONPATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(THIRD_PARTY))
        yield
