"""Installs the toy simulator for the tests of this folder."""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.support.toy import toy_installed


@pytest.fixture(autouse=True, scope="module")
def toy() -> Iterator[None]:
    with toy_installed():
        yield
