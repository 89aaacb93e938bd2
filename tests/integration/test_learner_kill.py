"""SIGKILL of either process of a learner of two ranks: it resumes at the last complete step, and reports count once.

The policy looks around, a third of the questions are blind, questions are screened and replayed, and the first step has
no gradient (tests/support/learner_serial.py); the ranks stay synchronous.
"""

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
from learner.policy.checkpoints import CheckpointStore, verify
from learner.stream.outbox import Outbox
from protocol.run.config import section
from protocol.run.directory import RunDir, read_jsonl
from protocol.run.exits import TRY_AGAIN

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

STEPS = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    from learner.policy.build import build, save

    folder = tmp_path_factory.mktemp("kill")
    save(*build(0), folder / "tiny")
    skills = [{"name": name, "levels": [0]} for name in ("perspective", "object_color")]
    world = {"categories": ["chair", "table", "sofa", "bed", "lamp", "box"], "look_around": 2}
    tree = {
        "curriculum": {"skills": skills, "world": world, "shares": {"blind": 0.3}},
        "learner": {
            "policy": {"model": str(folder / "tiny")},
            "processes": 2,
            "budget": {"steps": STEPS, "minutes": 30.0},
            "stream": {"in_flight": 4, "ahead": 6},
            "rollout": {"max_answer_tokens": 4},
            "screen": {"candidates": 2, "samples": 2},
            "replay": {"share": 0.5, "gap_steps": 1},
            "grpo": {"groups": 4, "samples": 4, "lora_rank": 4},
            "evaluate": {"per_skill": 2, "samples": 1, "blind_per_skill": 1, "every_steps": 0},
        },
    }
    return RunDir.create(folder / "run", tree)


def start(run: RunDir) -> subprocess.Popen[bytes]:
    """Start a learner with its services in the same process; the database of the curriculum must stay consistent."""
    command = [sys.executable, "-m", "tests.support.learner_serial", str(run.path)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def steps_done(run: RunDir) -> int:
    lines, _ = read_jsonl(run.metrics / "learner.jsonl")
    return max((line["step"] for line in lines if line["event"] == "step"), default=0)


def other_rank(process: subprocess.Popen[bytes]) -> int:
    """Return the pid of rank 1, a child of rank 0."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in children}
    return next(child for child, command in commands.items() if "learner_serial" in command)


def ended(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def wait_for(run: RunDir, step: int, process: subprocess.Popen[bytes], deadline_s: float = 400) -> None:
    end = time.monotonic() + deadline_s
    while steps_done(run) < step:
        assert process.poll() is None, "the learner exited early"
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_learner_resumes_and_every_report_counts_once(run: RunDir) -> None:
    steps_before_kill = []
    for step, kill_rank_0 in ((1, True), (2, False)):
        process = start(run)
        wait_for(run, step, process)
        other = other_rank(process)
        os.kill(process.pid if kill_rank_0 else other, signal.SIGKILL)
        code = process.wait(timeout=60)  # both ranks exit
        assert code == (-signal.SIGKILL if kill_rank_0 else TRY_AGAIN)
        until = time.monotonic() + 30
        while not ended(other):
            assert time.monotonic() < until
            time.sleep(0.02)
        checkpoint = CheckpointStore(run.checkpoints).latest()
        steps_before_kill.append(verify(checkpoint).step if checkpoint else 0)
    assert start(run).wait(timeout=400) == 0

    done = run.read_done("learner")
    assert done is not None
    assert done["step"] == STEPS
    # No step is skipped, and no saved step is repeated.
    lines = [line for line in read_jsonl(run.metrics / "learner.jsonl")[0] if line["event"] == "step"]
    steps = [line["step"] for line in lines]
    assert set(steps) == set(range(1, STEPS + 1))
    times = Counter(steps)
    assert all(times[step] == 1 for step in times if step not in (before + 1 for before in steps_before_kill))

    assert all(line["kept"] and line["blind"] and line["screened"] for line in lines)
    assert all(
        (line["no_gradient"] == line["groups"] and not line["grad_norm"]) == (line["step"] == 1) for line in lines
    )
    episodes = read_jsonl(run.episodes / "episodes.jsonl")[0]
    assert any("turn left" in moves for line in episodes for moves in line.get("moves", ()))
    asked = [line["spec_id"] for line in episodes]
    with CurriculumCore(run, section(run.config, "curriculum", CurriculumSettings)) as curriculum:
        counted = curriculum.status.counted
    assert counted >= len(set(asked))  # an episode is logged after its report is on disk
    assert max(Counter(asked).values()) == 1
    outbox = Outbox(run.path / "outbox.jsonl")
    assert len(outbox) == 0
    newest = CheckpointStore(run.checkpoints).latest()
    assert newest is not None
    facts = verify(newest)
    assert 0 < facts.counted <= outbox.total <= counted
    replayed = [question.spec.spec_id for question in facts.replay]  # through both kills
    assert 0 < len(replayed) == len(set(replayed)) and set(replayed) <= set(asked)
    assert any(question.step < STEPS - 1 for question in facts.replay)


def test_starting_a_finished_run_reports_that_it_is_finished(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {})
    run.mark_done("learner", {"step": STEPS})
    command = [sys.executable, "-m", "learner.cli", "train", str(run.path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert second.returncode == 0
    assert "finished" in second.stdout


def test_a_second_learner_is_rejected(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {})
    with run.lock("learner"):
        command = [sys.executable, "-m", "learner.cli", "train", str(run.path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert second.returncode == 2
    assert second.stderr.strip().splitlines()[-1].startswith("learner: another learner (pid ")
