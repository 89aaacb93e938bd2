"""Backends by name: entry points of third parties, and messages for missing backends."""

from __future__ import annotations

import pytest

from protocol.errors import VantageError
from sim_server.backends.registry import BACKENDS, make_backend


def test_third_party_backends_are_found_by_their_entry_point():
    assert BACKENDS.targets()["toy"] == "vantage_toy:ToyBackend"
    assert make_backend("toy").digest == "toy-1"


def test_a_missing_habitat_sim_gives_instructions():
    with pytest.raises(VantageError) as caught:
        make_backend("habitat")
    assert caught.value.code == "backend_missing"
    assert "habitat_sim" in caught.value.message and "docs/guides/habitat.md" in caught.value.message


def test_an_unknown_backend_names_the_entry_point_group():
    with pytest.raises(VantageError, match="vantage.simulators") as caught:
        make_backend("unreal")
    assert "rooms" in caught.value.message and "toy" in caught.value.message


@pytest.mark.parametrize("target", ["no_such_module_here:Backend", "vantage_toy:NoSuchBackend"])
def test_a_backend_that_cannot_be_imported_is_reported_as_missing(monkeypatch, target):
    monkeypatch.setitem(BACKENDS.built_in, "broken", target)
    with pytest.raises(VantageError, match="broken") as caught:
        make_backend("broken")
    assert caught.value.code == "backend_missing"
