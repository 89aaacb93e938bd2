"""A run on a real one-node Slurm: submitted, put back into the queue in the middle, and ended by itself."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.rundir import RunDir, read_jsonl
from tests.support.slurm import Slurm, missing

WHY_NOT = missing()
ROOT = Path(__file__).parents[2]
SMOKE = ("--set", "learner.budget.minutes=60", "--set", "learner.budget.steps=4", "--set", "learner.grpo.save_every=1")


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "launch.slurm", "configs/smoke.toml", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_dry_run_prints_both_files_and_makes_nothing(tmp_path):
    done = render("--runs", str(tmp_path), "--workers", "3", "--gpus", "2", "--option=--account=lab", "--dry-run")
    assert done.returncode == 0, done.stderr
    for line in ("--requeue", "--signal=B:USR1@180", "--gpus-per-node=2", "--array=1-3", "--account=lab"):
        assert f"#SBATCH {line}\n" in done.stdout
    assert done.stdout.count("#SBATCH --account=lab") == 2
    assert not list(tmp_path.iterdir())
    for script in done.stdout.split("# ----")[1:]:
        assert subprocess.run(["bash", "-n"], input=script.partition("\n")[2], text=True, timeout=20).returncode == 0


def test_a_mistake_in_the_configuration_is_said_before_anything_is_submitted(tmp_path):
    done = render("--runs", str(tmp_path), "--set", "sim.wrokers=1")
    assert done.returncode == 2
    assert "wrokers" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")
def test_a_run_survives_a_requeue_of_its_training_job_and_of_a_worker(tmp_path):
    runs = tmp_path / "runs"
    with Slurm(tmp_path / "slurm") as slurm:
        command = [sys.executable, "-m", "launch.slurm", str(ROOT / "configs" / "smoke.toml"), "--runs", str(runs)]
        slurm.run(*command, "--workers", "1", "--gpus", "0", "--cpus", "2", "--time", "30:00", *SMOKE)
        run = RunDir.open(runs / "smoke")
        array = (run.path / "slurm" / "workers.job").read_text().strip()
        train = str(int(array) - 1)
        wait_for(lambda: steps(run) >= 1)
        assert [name for name in (run.read_status("sim") or {})["worker_ids"] if name.startswith(f"rooms-{array}.")]

        slurm.run("scontrol", "requeue", train)
        restarted(slurm, train)
        slurm.run("scancel", "--signal=USR1", "--batch", f"{array}_1")  # as before its time limit
        restarted(slurm, f"{array}_1")

        wait_for(lambda: run.read_done("learner") is not None)
        wait_for(lambda: slurm.state(train) == "COMPLETED")
        wait_for(lambda: not slurm.run("squeue", "-h").strip())  # the workers were told to leave
    assert steps(run) == 4
    database = sqlite3.connect(run.path / "curriculum.sqlite3")
    bodies = [body for (body,) in database.execute("SELECT body FROM events WHERE kind = 'reported'")]
    reports = [report for body in bodies for report in json.loads(body)["reports"]]
    assert len(reports) == len({report["report_id"] for report in reports})
    asked = {line["spec_id"] for line in read_jsonl(run.episodes / "episodes.jsonl")[0]}
    assert asked <= {report["spec_id"] for report in reports}
    assert (run.path / "report.html").exists()


def restarted(slurm: Slurm, job: str) -> None:
    """Wait until Slurm has put the job back into the queue, and have it start at once instead of in two minutes."""
    wait_for(
        lambda: "Restarts=1" in slurm.run("scontrol", "show", "job", "-o", job) and slurm.state(job) != "COMPLETING"
    )
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now", check=False)
    wait_for(lambda: slurm.state(job) == "RUNNING")


def steps(run: RunDir) -> int:
    return max((line["step"] for line in run.read_metrics("learner") if line["event"] == "step"), default=0)


def wait_for(condition: Callable[[], bool], timeout_s: float = 300.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.3)
