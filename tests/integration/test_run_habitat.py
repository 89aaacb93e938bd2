"""tests/conformance/run_habitat.py in its short form, over the stand-in for habitat_sim."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_short_run_over_the_stand_in_passes(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.conformance.run_habitat", "--short", "--stand-in", "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(out.read_text())
    assert set(found) == {"machine", "library", "agreement", "skills", "defects", "swaps", "cost"}
    assert found["library"]["habitat_sim"] == "stand-in"
    assert found["skills"]["habitat_realised"] > 5 and found["swaps"]["killed"] == 1
    assert found["defects"]["with_a_sentence"] == found["defects"]["bad_scenes"] > 15
    assert "agreement    passed" in done.stdout
