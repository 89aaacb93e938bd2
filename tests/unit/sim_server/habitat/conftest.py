"""habitat_sim for the tests of this folder: the real library where it is installed, else the stand-in."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator

import pytest

from protocol.tasks.scene import SceneSpec
from sim_server.backends.habitat import HabitatBackend
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.files.export import CONFIG_NAME, export_scenes

STAND_IN = Path(__file__).parents[3] / "support" / "habitat_stand_in"
REFERENCE = Path(__file__).parents[3] / "data" / "reference"
INSTALLED = importlib.util.find_spec("habitat_sim") is not None
HOME = SceneSpec(seed=5, rooms=2, min_objects=14, max_objects=20, clutter=0.6)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if INSTALLED and item.get_closest_marker("stand_in"):
            item.add_marker(pytest.mark.skip("looks into the stand-in, and the real habitat_sim is installed"))


@pytest.fixture
def habitat_sim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """habitat_sim as an importable module; navmeshes are cached in a temporary folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if INSTALLED:  # its extension modules cannot be imported twice
        yield importlib.import_module("habitat_sim")
        return
    monkeypatch.syspath_prepend(str(STAND_IN))
    _forget_stand_in()
    yield importlib.import_module("habitat_sim")
    _forget_stand_in()


def _forget_stand_in() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "habitat_sim"]:
        del sys.modules[name]


def dataset_of(name: str) -> Path:
    return REFERENCE / name / "dataset" / f"{name}.scene_dataset_config.json"


_last: list[tuple[Any, HabitatBackend]] = []  # the real library's backend; starting its renderer takes many seconds


@pytest.fixture
def make_habitat(habitat_sim: ModuleType) -> Iterator[Callable[..., HabitatBackend]]:
    """Creates backends. With the real library, only one is open at a time, and is used again for the same dataset."""

    def make(dataset: Path, **settings: Any) -> HabitatBackend:
        settings = {"gpu": -1, **settings}
        key = (dataset, sorted(settings.items()))
        if not INSTALLED:
            return HabitatBackend(dataset, **settings)
        if not _last or _last[0][0] != key:
            close_habitat()
            _last.append((key, HabitatBackend(dataset, **settings)))
        return _last[0][1]

    yield make


def close_habitat() -> None:
    while _last:
        _last.pop()[1].close()


@pytest.fixture(scope="session", autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    yield
    close_habitat()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The dataset and the scene of an exported home."""
    folder = tmp_path_factory.mktemp("exported") / "home"
    backend = RoomsBackend()
    (name,) = export_scenes([backend.open(HOME)], folder, backend.digest)
    return folder / CONFIG_NAME, name
