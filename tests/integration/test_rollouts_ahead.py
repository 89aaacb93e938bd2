"""SIGKILL of a learner whose rollouts run ahead of training: it resumes, and every report counts once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from curriculum.core import CurriculumCore
from curriculum.settings import CurriculumSettings
from learner.stream.outbox import Outbox
from protocol.run.config import section
from protocol.run.directory import RunDir, read_jsonl

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

STEPS = 4
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    from learner.policy.build import build, save

    save(*build(0), tmp_path / "tiny")
    tree = {
        "curriculum": {"skills": [{"name": "object_color", "levels": [0]}]},
        "learner": {
            "policy": {"model": str(tmp_path / "tiny")},
            "budget": {"steps": STEPS, "minutes": 30.0},
            "stream": {"in_flight": 4, "ahead": 6},
            "rollout": {"max_answer_tokens": 4, "ahead": True},
            "grpo": {"groups": 4, "samples": 4, "lora_rank": 4, "learning_rate": 0.02, "objective": "grpo+truth"},
            "evaluate": {"per_skill": 2, "samples": 1, "blind_per_skill": 0, "every_steps": 0},
        },
    }
    return RunDir.create(tmp_path / "run", tree)


def start(run: RunDir) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.support.learner_ahead", str(run.path)], env=ENVIRONMENT)


def steps(run: RunDir) -> list[dict]:
    return [line for line in read_jsonl(run.metrics / "learner.jsonl")[0] if line["event"] == "step"]


def test_a_killed_learner_that_runs_ahead_resumes_and_every_report_counts_once(run: RunDir) -> None:
    process = start(run)
    end = time.monotonic() + 400
    while not steps(run):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert start(run).wait(timeout=400) == 0

    done = run.read_done("learner")
    assert done is not None and done["step"] == STEPS
    lines = steps(run)
    assert {line["step"] for line in lines} == set(range(1, STEPS + 1))
    assert all({"rollout wait", "ahead: rollout"} <= line["seconds"].keys() for line in lines)
    # The weights moved between the sampling of a step and its training, but for the first step of a start.
    assert sum(line["mismatch"] > 10 * lines[0]["mismatch"] for line in lines) >= STEPS - 2
    asked = Counter(line["spec_id"] for line in read_jsonl(run.episodes / "episodes.jsonl")[0])
    assert max(asked.values()) == 1
    outbox = Outbox(run.path / "outbox.jsonl")
    with CurriculumCore(run, section(run.config, "curriculum", CurriculumSettings)) as curriculum:
        assert len(outbox) == 0
        assert len(asked) <= curriculum.status.counted and outbox.total <= curriculum.status.counted
