"""A learner of two processes takes the same steps as one process; ranks exit when their parent dies."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from learner.grpo.groups import split_answers
from learner.ranks.orders import Ranks, join
from learner.ranks.processes import own_rank, select_gpu
from learner.settings import GrpoSettings, LearnerSettings
from protocol.errors import VantageError
from tests.support.ranks_step import CASES, adapters

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Results of `tests.support.ranks_step` for every case on two ranks, which are bit-identical."""
    folder = tmp_path_factory.mktemp("ranks")
    code = (
        "import sys; from learner.ranks.processes import start_other_ranks; from tests.support import ranks_step\n"
        "with start_other_ranks(2, [sys.executable, '-m', 'tests.support.ranks_step', sys.argv[1]]): ranks_step.main()"
    )
    command = [sys.executable, "-c", code, str(folder)]
    subprocess.run(command, check=True, timeout=280, env={**os.environ, "OMP_NUM_THREADS": "1"})
    first, second = (load_file(folder / f"rank{rank}.safetensors") for rank in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    return first


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_take_the_same_step_as_one_process(
    two_ranks: dict[str, torch.Tensor], name: str, tmp_path: Path
) -> None:
    alone = adapters(Ranks(), CASES[name], tmp_path)
    together = {key: two_ranks[f"{name}/{key}"] for key in alone}
    difference = torch.cat([(alone[key] - together[key]).abs().flatten() for key in alone])
    # Updates are about 1e-2. Adam scales a gradient near zero to a full update, so its rounding error, which depends on
    # the processor, is visible in a few parameters.
    assert float((difference > 1e-4).float().mean()) < 1e-3
    assert float(difference.max()) < 1e-3


def test_split_assigns_every_answer_once_with_no_unneeded_groups() -> None:
    class Answered:
        rows = 6

    for groups, ranks in ((4, 2), (3, 2), (5, 3), (2, 4), (1, 6), (7, 1)):
        made = [Answered() for _ in range(groups)]
        parts = split_answers(made, ranks)  # type: ignore[arg-type]
        assert len({len(rows) for _, rows in parts}) == 1
        answers = [(own[row // 6], row % 6) for own, rows in parts for row in rows]
        assert answers == [(group, sample) for group in made for sample in range(6)]
        assert all(len({row // 6 for row in rows}) == len(own) for own, rows in parts)


def test_settings_reject_groups_that_cannot_be_split_evenly() -> None:
    LearnerSettings(processes=4, grpo=GrpoSettings(groups=32, micro_batch_groups=4))
    with pytest.raises(ValueError, match=r"a multiple of processes times grpo\.micro_batch_groups"):
        LearnerSettings(processes=4, grpo=GrpoSettings(groups=36, micro_batch_groups=4))


def test_wrong_number_of_launched_ranks_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_rank(4) is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert own_rank(2) == 1
    with pytest.raises(VantageError, match=r"2 ranks, but learner\.processes is 4"):
        own_rank(4)


@pytest.mark.parametrize(
    ("visible", "local", "own"),
    [(None, "2", "2"), ("4,5,6,7", "1", "5"), ("GPU-ab", "3", "GPU-ab"), ("", "1", ""), ("0,1", None, "0,1")],
)
def test_each_rank_sees_one_gpu(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, local: str | None, own: str
) -> None:
    for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("LOCAL_RANK", local)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    select_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == own


# A rank with a child process, like an engine of vLLM; prints both pids.
RANK = """
import os, subprocess, time
from learner.ranks.processes import exit_with_parent
exit_with_parent()
engine = subprocess.Popen(["sleep", "60"])
os.write(1, f"{os.getpid()} {engine.pid}\\n".encode())
time.sleep(60)
"""
LEADER = (
    "import sys, time; from learner.ranks.processes import start_other_ranks\n"
    "with start_other_ranks(3, [sys.executable, '-c', sys.argv[1]]): time.sleep(60)"
)
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--no-python")
LAUNCHERS = {
    "rank 0": [sys.executable, "-c", LEADER, RANK],
    "torchrun": [*TORCHRUN, sys.executable, "-c", RANK],
}


def started(launcher: str, folder: Path) -> tuple[subprocess.Popen[str], list[list[int]]]:
    """Start a launcher; return its process and the pids of the two ranks, each with its child."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(LAUNCHERS[launcher], **pipes, text=True, env=environment, start_new_session=True)
    assert process.stdout is not None
    return process, [[int(pid) for pid in process.stdout.readline().split()] for _ in range(2)]


def wait_for_end(pids: list[int]) -> None:
    end = time.monotonic() + 10
    while alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, alive
        time.sleep(0.02)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ranks_exit_when_their_parent_is_killed(launcher: str, tmp_path: Path) -> None:
    process, ranks = started(launcher, tmp_path)
    process.kill()
    process.wait(10)
    wait_for_end([pid for rank in ranks for pid in rank])
    if launcher == "rank 0":
        assert not list(tmp_path.iterdir())


def test_death_of_a_rank_ends_the_others(tmp_path: Path) -> None:
    leader, ranks = started("rank 0", tmp_path)
    os.kill(ranks[0][0], signal.SIGKILL)
    stderr = leader.communicate(timeout=20)[1]
    assert leader.returncode == 75
    assert re.fullmatch(
        r"learner: rank [12] exited early \(killed by SIGKILL\); the same command resumes at the last complete step.",
        stderr.strip(),
    )
    wait_for_end([pid for rank in ranks for pid in rank])


def test_joining_alone_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after the death of the launcher before the rank started to watch it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for name, value in {**variables, "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("learner.ranks.orders._JOIN_TIMEOUT", timedelta(seconds=1))
    with pytest.raises(VantageError, match=rf"rank 1 could not join the 1 others at 127\.0\.0\.1:{port}"):
        join(on_gpu=False)
