"""Implementations by name: those of other distributions are found, and every fault has one clear sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.entry_points import Implementations
from protocol.errors import VantageError
from tests.support.distribution import write_distribution

GROUP = "vantage.test_group"


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Implementations:
    points = {
        "square": "shapes_of_others:SQUARE",
        "circle": "shapes_of_others:CIRCLE",
        "gone": "shapes_of_others:GONE",
        "broken": "shapes_that_need_more:X",
    }
    modules = {"shapes_of_others": "SQUARE = 4\nCIRCLE = 0\n", "shapes_that_need_more": "import no_such_module_here\n"}
    monkeypatch.syspath_prepend(str(write_distribution(tmp_path, "shapes", modules, {GROUP: points})))
    return Implementations(GROUP, "shape", {"circle": "math:pi"})


def test_names_of_other_distributions_are_found_and_built_in_ones_stay(shapes: Implementations) -> None:
    assert set(shapes.targets()) == {"circle", "square", "gone", "broken"}
    assert shapes.load("square") == 4
    assert shapes.load("circle") > 3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("squar", r"shape 'squar' is not installed, did you mean square; choose one of .* vantage\.test_group"),
        ("gone", "names shapes_of_others:GONE, which does not exist; reinstall"),
        ("broken", "cannot be imported .*no_such_module_here.*; install what it needs"),
    ],
)
def test_every_fault_says_what_to_do(shapes: Implementations, name: str, sentence: str) -> None:
    with pytest.raises(VantageError, match=sentence):
        shapes.load(name)
