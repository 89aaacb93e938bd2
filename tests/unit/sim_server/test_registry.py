"""Backends by name: a third party's is found by its entry point, a missing one is explained."""

from __future__ import annotations

import pytest

from protocol.errors import VantageError
from sim_server.backends.registry import BUILT_IN, installed, make_backend


def test_a_third_partys_backend_is_found_by_its_entry_point():
    assert installed()["toy"] == "vantage_toy:ToyBackend"
    assert make_backend("toy").digest == "toy-1"


def test_habitat_is_known_by_name_and_the_sentence_says_what_to_do():
    with pytest.raises(VantageError) as caught:
        make_backend("habitat")
    assert caught.value.code == "backend_missing"
    assert "habitat_sim" in caught.value.message and "docs/guides/habitat.md" in caught.value.message


def test_an_unknown_backend_names_the_entry_point_group():
    with pytest.raises(VantageError, match="vantage.simulators") as caught:
        make_backend("unreal")
    assert "rooms" in caught.value.message and "toy" in caught.value.message


@pytest.mark.parametrize("target", ["no_such_module_here:Backend", "vantage_toy:NoSuchBackend"])
def test_a_backend_that_cannot_be_made_is_missing_too(monkeypatch, target):
    monkeypatch.setitem(BUILT_IN, "broken", target)
    with pytest.raises(VantageError, match="broken") as caught:
        make_backend("broken")
    assert caught.value.code == "backend_missing"
