"""The scenes of each installed backend: generated ones, and those recorded from habitat-sim.

Every backend of the entry-point group runs the same tests. A backend that cannot be created here, or that lacks a
scene, is skipped with a reason (shown by `pytest -rs`).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple, Union

import pytest

from protocol.errors import VantageError
from protocol.tasks.scene import SceneSpec
from sim_server.backends.base import Backend, Scene
from sim_server.backends.registry import BACKENDS, make_backend
from sim_server.settings import SimSettings
from tests.support.toy import toy_installed

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "data" / "reference"

RECORDED = ("boxes", "flat", "apartment")
GENERATED = {
    "room": SceneSpec(seed=3, min_objects=5, max_objects=8, clutter=0.5),
    "home": SceneSpec(seed=4, rooms=2, min_objects=8, max_objects=12, clutter=0.5, palette="natural", light="evening"),
}


class Case(NamedTuple):
    """An open scene and the backend that opened it."""

    backend: Backend
    scene: Scene


@functools.cache
def _backend(name: str, recording: str) -> Union[Backend, str]:
    """The backend with the dataset of a recording ("" for none), or the reason why it cannot be created."""
    dataset = REFERENCE / recording / "dataset" / f"{recording}.scene_dataset_config.json"
    settings = SimSettings(
        backend=name, dataset=str(dataset) if recording else "", gpu=-1 if _on_cpu(name) else 0, software_rendering=True
    )
    try:
        with toy_installed():
            return make_backend(name, settings)
    except VantageError as error:
        if error.code not in ("backend_missing", "bad_config"):
            raise
        return error.message


def _on_cpu(name: str) -> bool:
    """Whether a backend must use the CPU: habitat-sim would end the process if there is no GPU."""
    return name == "habitat" and not Path("/dev/nvidia0").exists()


@functools.cache
def _open(name: str, scene: str) -> Union[Case, str]:
    backend = _backend(name, scene if scene in RECORDED else "")
    if isinstance(backend, str):
        return backend
    if scene in RECORDED:
        if scene not in backend.capabilities.assets:
            return f"backend {name} reads no datasets"
        return Case(backend, backend.open(SceneSpec(asset=scene)))
    if backend.capabilities.assets:
        return f"backend {name} generates no scenes"
    return Case(backend, backend.open(GENERATED[scene]))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        with toy_installed():
            names = sorted(BACKENDS.targets())
        scenes = (*GENERATED, *RECORDED)
        metafunc.parametrize("case", [f"{n}-{s}" for n in names for s in scenes], indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    name, _, scene = str(request.param).rpartition("-")
    opened = _open(name, scene)
    if isinstance(opened, str):
        pytest.skip(opened)
    return opened
