"""A selector and a rollout engine from another distribution drive a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.run.config import load
from protocol.run.directory import RunDir, read_jsonl
from tests.support.distribution import write_distribution

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]

SELECTOR = '''
from curriculum.selectors.base import Selector


class FirstCell(Selector):
    """Ask nothing but the first cell."""

    def weights(self, estimates):
        return [1.0 if index == 0 else 0.0 for index, _ in enumerate(estimates)]
'''
ENGINE = """
import json, os


def make_engine(context):
    engine = context.parts.live_engine()
    generate = engine.generate

    def logged(prompts, n, sampling):
        with open(os.environ["OTHER_ENGINE_LOG"], "a") as file:
            file.write(json.dumps({"prompts": len(prompts), "max_images": context.max_images}) + "\\n")
        return generate(prompts, n, sampling)

    engine.generate = logged
    return engine
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_distribution(
        tmp_path_factory.mktemp("site"),
        "other-author",
        {"other_selector": SELECTOR, "other_engine": ENGINE},
        {
            "vantage.selectors": {"first-cell": "other_selector:FirstCell"},
            "vantage.engines": {"logged": "other_engine:make_engine"},
        },
    )


def test_a_run_uses_the_selector_and_the_engine_of_another_distribution(other: Path, tmp_path: Path) -> None:
    sets = [
        "curriculum.selector=first-cell",
        "learner.rollout.engine=logged",
        "learner.budget.steps=2",
        "learner.evaluate.per_skill=4",
        "learner.evaluate.samples=1",
    ]
    command = [sys.executable, "-m", "vantage", "run", "configs/smoke.toml", "--runs", str(tmp_path), "--serial"]
    environment = {**os.environ, "PYTHONPATH": str(other), "OTHER_ENGINE_LOG": str(tmp_path / "engine.jsonl")}
    arguments = [argument for item in sets for argument in ("--set", item)]
    done = subprocess.run(
        command + arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    run = RunDir.open(tmp_path / "smoke")
    first = load([ROOT / "configs" / "smoke.toml"])["curriculum"]["skills"][0]
    leases = [line for line in read_jsonl(run.metrics / "curriculum.jsonl")[0] if line["event"] == "leased"]
    assert {cell for line in leases for cell in line["cells"]} == {f"{first['name']} L{first['levels'][0]}"}
    calls = [json.loads(line) for line in (tmp_path / "engine.jsonl").read_text().splitlines()]
    assert calls and all(call["prompts"] > 0 and call["max_images"] >= 1 for call in calls)
