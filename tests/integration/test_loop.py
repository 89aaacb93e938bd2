"""The complete loop as a user starts it: real processes, sockets and views, and the packaged policy."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from protocol.run.directory import RunDir, read_jsonl

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = ("sim", "curriculum", "learner")


def start(runs: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vantage", "run", "configs/smoke.toml", "--runs", str(runs), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def steps_of(run: RunDir) -> list[int]:
    return [line["step"] for line in read_jsonl(run.metrics / "learner.jsonl")[0] if line["event"] == "step"]


def wait_for_step(run: RunDir, step: int, loop: subprocess.Popen[str]) -> None:
    while max(steps_of(run), default=0) < step:
        assert loop.poll() is None, loop.communicate()[0]
        time.sleep(0.1)


def check_finished(run: RunDir, output: str) -> None:
    """Check that the run is complete: table, report page, and every confidence report counted once."""
    assert "depth_order" in output and "after" in output
    assert "<html" in (run.path / "report.html").read_text()
    assert max(steps_of(run)) == run.config["learner"]["budget"]["steps"]
    database = sqlite3.connect(run.path / "curriculum.sqlite3")
    bodies = [body for (body,) in database.execute("SELECT body FROM events WHERE kind = 'reported'")]
    reports = [report for body in bodies for report in json.loads(body)["reports"]]
    assert len(reports) == len({report["report_id"] for report in reports})
    asked = {json.loads(line)["spec_id"] for line in (run.episodes / "episodes.jsonl").read_text().splitlines()}
    assert asked <= {report["spec_id"] for report in reports}


def test_the_run_survives_a_kill_of_any_process(tmp_path: Path) -> None:
    loop = start(tmp_path, "--name", "killed", "--set", "learner.budget.minutes=30")
    run_path = tmp_path / "killed"
    while not (run_path / "run.json").exists():
        assert loop.poll() is None
        time.sleep(0.05)
    run = RunDir.open(run_path)
    for step, process in enumerate(PROCESSES, start=1):
        wait_for_step(run, step, loop)
        os.kill(run.read_status(process)["pid"], signal.SIGKILL)
    output, _ = loop.communicate()
    assert loop.returncode == 0, output
    assert all(f"{process} died" in output for process in PROCESSES)
    check_finished(run, output)


def test_the_loop_runs_in_one_process_without_sockets(tmp_path: Path) -> None:
    loop = start(tmp_path, "--name", "serial", "--serial", "--set", "learner.budget.steps=3")
    output, _ = loop.communicate()
    assert loop.returncode == 0, output
    run = RunDir.open(tmp_path / "serial")
    check_finished(run, output)
    assert not list(run.path.rglob("*.sock"))


@pytest.mark.vllm
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_the_loop_samples_with_vllm(tmp_path: Path) -> None:
    sets = ("learner.rollout.engine=vllm", "learner.budget.steps=3", "learner.evaluate.per_skill=8")
    loop = start(tmp_path, "--name", "vllm", *(argument for item in sets for argument in ("--set", item)))
    output, _ = loop.communicate()
    assert loop.returncode == 0, output
    run = RunDir.open(tmp_path / "vllm")
    check_finished(run, output)
    assert {path.name for path in run.adapters.iterdir()} >= {f"policy-v{step:06d}" for step in range(1, 4)}
    mismatch = [line["mismatch"] for line in read_jsonl(run.metrics / "learner.jsonl")[0] if line["event"] == "step"]
    assert len(mismatch) == 3 and max(mismatch) < 0.02
