"""`learner pretrain` with a real simulator writes a loadable policy and a model card with its accuracies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CONFIG = """
[learner.pretrain]
processes = 2
scenes_per_shard = 3
views_per_scene = 2
train_shards = 2
first_shards = 1
held_out_shards = 1
vision_steps = 2
vision_batch = 4
ground_steps = 2
ground_batch = 4
ground_questions = 4
evaluate_every = 1
evaluate_views = 4
"""


@pytest.mark.timeout(300)
def test_a_terminated_pretraining_leaves_no_processes(tmp_path: Path) -> None:
    config = tmp_path / "pretrain.toml"
    long, single = ("vision_steps = 2", "vision_steps = 100000"), ("processes = 2", "processes = 1")
    config.write_text(CONFIG.replace(*long).replace(*single))
    command = [sys.executable, "-m", "learner.cli", "pretrain", "--config", str(config), "--out", str(tmp_path / "out")]
    running = subprocess.Popen([*command, "--work", str(tmp_path / "work")], start_new_session=True)
    while not (tmp_path / "work" / "logs" / "pretrain").exists():  # the training process has started
        assert running.poll() is None
        time.sleep(0.1)
    running.terminate()
    assert running.wait(60) == 128 + signal.SIGTERM
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and _alive(running.pid):
        time.sleep(0.1)
    assert not _alive(running.pid)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.timeout(600)
def test_pretrain_writes_a_policy_and_its_card(tmp_path: Path) -> None:
    config = tmp_path / "pretrain.toml"
    config.write_text(CONFIG)
    out = tmp_path / "policy"
    command = [sys.executable, "-m", "learner.cli", "pretrain", "--config", str(config), "--seed", "4"]
    done = subprocess.run(
        [*command, "--out", str(out), "--work", str(tmp_path / "work")], capture_output=True, text=True, timeout=540
    )
    assert done.returncode == 0, done.stderr
    card = (out / "README.md").read_text()
    assert "learner pretrain --config pretrain.toml --seed 4 --steps 4 --out policy" in card
    assert "| object_color |" in card

    from learner.policy.load import load

    assert load(str(out)).model.config.model_type == "qwen3_vl"
