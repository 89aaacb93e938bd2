"""Fixtures for tests of services."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.wire.endpoint import Endpoint, serving_endpoint
from tests.support.sim import Sim


@pytest.fixture
def endpoint(tmp_path) -> Endpoint:
    return serving_endpoint(tmp_path, "sim")


@pytest.fixture
def make_sim(tmp_path):
    made: list[Sim] = []

    def make(**settings: Any) -> Sim:
        made.append(Sim(tmp_path, **settings))
        return made[-1]

    yield make
    for sim in made:
        sim.close()
