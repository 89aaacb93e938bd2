"""The measurements page is generated from the result files, and the README quotes only figures from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.sections import demo_table
from benchmarks.tables import CLAIMS, PAGE, RESULTS, machine_of, page

README = Path(__file__).parents[2] / "README.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run python -m benchmarks.tables"


def test_every_result_file_has_a_section() -> None:
    assert {claim.file for claim in CLAIMS} == {path.stem for path in RESULTS.glob("*.json")}


@pytest.mark.parametrize("file", sorted({claim.file for claim in CLAIMS}))
def test_every_result_names_its_machine(file: str) -> None:
    assert "cores" in machine_of(json.loads((RESULTS / f"{file}.json").read_text()))


def test_the_readme_shows_the_measured_scores() -> None:
    assert demo_table(json.loads((RESULTS / "learning.json").read_text())) in README.read_text()
