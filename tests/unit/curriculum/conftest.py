from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from curriculum.core import CurriculumCore
from curriculum.settings import CurriculumSettings
from protocol.run.directory import RunDir


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", {"run": {"seed": 5}})


@pytest.fixture
def start(run: RunDir, clock: Clock) -> Iterator[Callable[..., CurriculumCore]]:
    """Factory of cores of the run; closes them at the end of the test."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(CurriculumCore(run, CurriculumSettings(**settings), clock, clock))
