"""The stand-in for habitat_sim, only for the tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Iterator

import pytest

STAND_IN = Path(__file__).parents[3] / "support" / "habitat_stand_in"
REFERENCE = Path(__file__).parents[3] / "data" / "reference"


@pytest.fixture
def habitat_sim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The stand-in as an importable module; navmeshes are cached in a temporary folder."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sys.modules.pop("habitat_sim", None)
    import habitat_sim as module

    yield module
    sys.modules.pop("habitat_sim", None)


def dataset_of(name: str) -> Path:
    return REFERENCE / name / "dataset" / f"{name}.scene_dataset_config.json"
