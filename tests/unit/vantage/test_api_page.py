"""The examples of docs/api.md run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.synthetic_run import make_run

ROOT = Path(__file__).resolve().parents[3]
MOST_LINES = 5


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)


def test_the_examples_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes").symlink_to(ROOT / "tests" / "data" / "reference" / "flat" / "dataset")
    make_run(tmp_path / "runs" / "demo")
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(), start=1):
        exec(compile(block, f"docs/api.md, block {number}", "exec"), names)
    assert names["scene"] is not None


def test_every_task_takes_at_most_five_lines() -> None:
    for block in blocks():
        lines = [line for line in block.splitlines() if line.strip() and not line.startswith("import ")]
        assert len(lines) <= MOST_LINES, block
