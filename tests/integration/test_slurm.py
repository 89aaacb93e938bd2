"""A run on a real Slurm: requeued in the middle, stopped at its time limit, cancelled, and run to its end."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.run.directory import RunDir, read_jsonl
from tests.support.slurm import Slurm, missing

WHY_NOT = missing()
ROOT = Path(__file__).parents[2]
SMOKE = ("--set", "learner.budget.minutes=60", "--set", "learner.grpo.save_every=1")


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vantage", "slurm", "configs/smoke.toml", *arguments]
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


def test_a_mistake_in_the_configuration_is_reported_before_anything_is_submitted(tmp_path):
    done = render("--runs", str(tmp_path), "--set", "sim.wrokers=1")
    assert done.returncode == 2
    assert "wrokers" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--time", "--option", "--train-option", "--worker-option", "--backend"])
def test_a_line_break_in_an_option_cannot_become_a_line_of_the_batch_file(option, tmp_path):
    done = render("--runs", str(tmp_path), "--dry-run", f"{option}=1:00\ntouch /tmp/planted")
    assert done.returncode == 2
    assert f"{option} '1:00\\ntouch /tmp/planted' holds a control character" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a loaded machine needs long for the steps
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")
def test_a_run_survives_a_requeue_of_its_training_job_and_of_a_worker(tmp_path):
    with Slurm(tmp_path / "slurm") as slurm:
        run = submit(slurm, tmp_path, 4, "--workers", "2", "--worker-option=--nodelist=two", "--time", "30:00")
        array = (run.path / "slurm" / "workers.job").read_text().strip()
        train = str(int(array) - 1)
        workers = {f"rooms-{array}.{task}" for task in (1, 2)}
        slurm.wait_for(lambda: steps(run) >= 1)
        slurm.wait_for(lambda: set((run.read_status("sim") or {})["worker_ids"]) == workers)
        assert slurm.run("squeue", "-h", "-o", "%N", "-j", array).split() == ["two", "two"]

        slurm.run("scontrol", "requeue", train)
        restarted(slurm, train)
        slurm.run("scancel", "--signal=USR1", "--batch", f"{array}_1")  # as Slurm does before the time limit
        restarted(slurm, f"{array}_1")

        slurm.wait_for(lambda: run.read_done("learner") is not None)
        slurm.wait_for(lambda: slurm.state(train) == "COMPLETED")
        slurm.wait_for(lambda: not slurm.run("squeue", "-h").strip())  # the job cancelled the workers
    assert steps(run) == 4
    assert_every_report_counted_once(run)
    assert (run.path / "report.html").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")
def test_a_run_goes_on_after_its_time_limit_until_it_is_cancelled(tmp_path):
    with Slurm(tmp_path / "slurm") as slurm:
        # Four minutes, of which the last three are the notice: the job is signalled after one.
        run = submit(slurm, tmp_path, 1_000_000, "--workers", "0", "--time", "4:00")
        train = slurm.run("squeue", "-h", "-o", "%A").strip()
        slurm.wait_for(lambda: steps(run) >= 1)
        restarted(slurm, train)
        before = steps(run)
        slurm.wait_for(lambda: steps(run) > before)
        slurm.run("scancel", train)
        slurm.wait_for(lambda: slurm.state(train) == "CANCELLED")
    assert run.read_done("learner") is None
    assert_every_report_counted_once(run)


# Starts and ends the ranks as the supervisor does. A rank writes its number and the number of the start, and sleeps.
BATCH = """#!/bin/bash
for start in 1 2; do
    setsid {root}/launch/slurm/ranks.sh \\
        sh -c 'echo $0 $RANK $WORLD_SIZE $$ > {folder}/$0-$RANK; exec sleep 300' $start &
    echo $! > {folder}/launcher-$start
    wait
done
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")
def test_ranks_whose_srun_was_killed_with_its_helper_end_before_the_next_are_started(tmp_path):
    def ranks(start: int) -> list[list[int]]:
        """Start, rank, size, pid of each."""
        return [[int(word) for word in path.read_text().split()] for path in sorted(tmp_path.glob(f"{start}-*"))]

    (tmp_path / "job.sh").write_text(BATCH.format(root=ROOT, folder=tmp_path))
    with Slurm(tmp_path / "slurm") as slurm:
        options = ("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=8", "--output=/dev/null")
        slurm.run("sbatch", *options, str(tmp_path / "job.sh"))
        slurm.wait_for(lambda: len(ranks(1)) == 2 and all(ranks(1)), 60)
        os.killpg(int((tmp_path / "launcher-1").read_text()), signal.SIGKILL)
        slurm.wait_for(lambda: len(ranks(2)) == 2 and all(ranks(2)), 120)
        assert not any(Path(f"/proc/{pid}").exists() for *_, pid in ranks(1))
        assert [rank[:3] for rank in ranks(2)] == [[2, 0, 2], [2, 1, 2]]


def submit(slurm: Slurm, folder: Path, step_budget: int, *arguments: str) -> RunDir:
    runs = folder / "runs"
    command = [sys.executable, "-m", "vantage", "slurm", str(ROOT / "configs" / "smoke.toml"), "--runs", str(runs)]
    slurm.run(
        *command, "--gpus", "0", "--cpus", "2", *SMOKE, "--set", f"learner.budget.steps={step_budget}", *arguments
    )
    return RunDir.open(runs / "smoke")


def assert_every_report_counted_once(run: RunDir) -> None:
    database = sqlite3.connect(run.path / "curriculum.sqlite3")
    bodies = [body for (body,) in database.execute("SELECT body FROM events WHERE kind = 'reported'")]
    database.close()
    reports = [report for body in bodies for report in json.loads(body)["reports"]]
    assert reports and len(reports) == len({report["report_id"] for report in reports})
    asked = {line["spec_id"] for line in read_jsonl(run.episodes / "episodes.jsonl")[0]}
    made = {line["report"]["spec_id"] for line in read_jsonl(run.path / "outbox.jsonl")[0] if "report" in line}
    assert asked <= {report["spec_id"] for report in reports} | made  # reports that were not sent yet are in the outbox


def restarted(slurm: Slurm, job: str) -> None:
    """Wait until Slurm has requeued the job, and start it in five seconds instead of two minutes.

    Not at once: within the second in which a job ended, slurmd mistakes its new start for the old one ("Job credential
    revoked"), and the job fails.
    """
    slurm.wait_for(
        lambda: "Restarts=1" in slurm.run("scontrol", "show", "job", "-o", job) and slurm.state(job) != "COMPLETING"
    )
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now+5seconds", check=False)
    slurm.wait_for(lambda: slurm.state(job) == "RUNNING")


def steps(run: RunDir) -> int:
    lines, _ = read_jsonl(run.metrics / "learner.jsonl")
    return max((line["step"] for line in lines if line["event"] == "step"), default=0)
