"""Kills `sim-server generate` with SIGKILL at random moments, with worker processes; it resumes to the same dataset."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ARGUMENTS = [
    "--n",
    "40",
    "--shard-size",
    "5",
    "--skill",
    "depth_order:0",
    "--skill",
    "view_direction:0-1",
    "--no-parquet",
]
SMALL = ["--set", "curriculum.world.width_px=48", "--set", "curriculum.world.height_px=48"]


def command(out: Path, workers: int) -> list[str]:
    return [
        *(sys.executable, "-m", "sim_server.cli", "generate", "--out", str(out), "--workers", str(workers)),
        *ARGUMENTS,
        *SMALL,
    ]


def content(path: Path) -> dict[str, bytes]:
    return {str(item.relative_to(path)): item.read_bytes() for item in path.rglob("*") if item.is_file()}


@pytest.mark.timeout(180)
def test_a_killed_generation_resumes_without_duplicates(tmp_path):
    complete, killed = tmp_path / "complete", tmp_path / "killed"
    subprocess.run(command(complete, 1), check=True, timeout=120)
    for shards in (1, 3):
        process = subprocess.Popen(command(killed, 2))
        deadline_s = time.monotonic() + 100
        while len(list((killed / "shards").glob("shard-*"))) < shards and process.poll() is None:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    subprocess.run(command(killed, 2), check=True, timeout=120)
    assert content(killed) == content(complete)

    # Two processes verify the shards and find exactly the damaged rows.
    damaged = set()
    for path in sorted((complete / "shards").glob("shard-*/rows.jsonl"))[:2]:
        text = path.read_text()
        damaged.add(f"{path.parent.name} row {json.loads(text.splitlines()[0])['id']}")
        path.write_text(text.replace('"question_type":"', '"question_type":"x', 1))
    check = [sys.executable, "-m", "sim_server.cli", "verify", str(complete), "--workers", "2"]
    broken = subprocess.run(check, capture_output=True, text=True, timeout=120)
    assert broken.returncode == 1
    assert {line.split(":")[0] for line in broken.stdout.splitlines() if " row " in line} == damaged, broken.stdout
