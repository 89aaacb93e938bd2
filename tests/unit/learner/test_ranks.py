"""A learner of two processes makes the steps of one, and their orders arrive as they were given."""

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
    """What `tests.support.ranks_step` makes of every case on two ranks, which agree to the last bit."""
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
def test_two_ranks_make_the_step_that_one_process_makes(
    two_ranks: dict[str, torch.Tensor], name: str, tmp_path: Path
) -> None:
    alone = adapters(Ranks(), CASES[name], tmp_path)
    together = {key: two_ranks[f"{name}/{key}"] for key in alone}
    apart = torch.cat([(alone[key] - together[key]).abs().flatten() for key in alone])
    # Steps are about 1e-2 long. Adam scales a gradient near zero to a whole step, so that its rounding, which depends
    # on the processor, shows in a few parameters.
    assert float((apart > 1e-4).float().mean()) < 1e-3
    assert float(apart.max()) < 1e-3


def test_every_row_is_in_one_share_and_no_share_holds_more_groups_than_it_needs() -> None:
    class Answered:
        rewards = (0,) * 6

    for groups, ranks in ((4, 2), (3, 2), (5, 3), (2, 4), (1, 6), (7, 1)):
        made = [Answered() for _ in range(groups)]
        shares = split_answers(made, ranks)  # type: ignore[arg-type]
        assert len({len(rows) for _, rows in shares}) == 1
        places = [(own[row // 6], row % 6) for own, rows in shares for row in rows]
        assert places == [(group, sample) for group in made for sample in range(6)]
        assert all(len({row // 6 for row in rows}) == len(own) for own, rows in shares)


def test_shares_that_cannot_be_equal_are_said_before_the_run() -> None:
    LearnerSettings(processes=4, grpo=GrpoSettings(groups=32, micro_batch_groups=4))
    with pytest.raises(ValueError, match=r"a multiple of processes times grpo\.micro_batch_groups"):
        LearnerSettings(processes=4, grpo=GrpoSettings(groups=36, micro_batch_groups=4))


def test_a_launcher_that_started_another_number_of_ranks_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_rank(4) is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert own_rank(2) == 1
    with pytest.raises(VantageError, match=r"2 ranks .* learner\.processes is 4"):
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


# A rank with a process of its own, as vLLM's engine is one, that tells both their numbers.
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
    """The launcher's process and, of each of the two ranks that it started, the numbers of its processes."""
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
def test_ranks_end_by_themselves_when_who_started_them_is_killed(launcher: str, tmp_path: Path) -> None:
    process, ranks = started(launcher, tmp_path)
    process.kill()
    process.wait(10)
    wait_for_end([pid for rank in ranks for pid in rank])
    if launcher == "rank 0":
        assert not list(tmp_path.iterdir())


def test_a_rank_that_dies_ends_the_others(tmp_path: Path) -> None:
    leader, ranks = started("rank 0", tmp_path)
    os.kill(ranks[0][0], signal.SIGKILL)
    said = leader.communicate(timeout=20)[1]
    assert leader.returncode == 75
    assert re.fullmatch(
        r"learner: rank [12] ended \(killed by SIGKILL\); the same command resumes at the last complete step.",
        said.strip(),
    )
    wait_for_end([pid for rank in ranks for pid in rank])


def test_a_rank_that_finds_nobody_to_meet_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """So ends one whose launcher died before it looked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for name, value in {**place, "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("learner.ranks.orders._MEET", timedelta(seconds=1))
    with pytest.raises(VantageError, match=rf"rank 1 did not meet the 1 others at 127\.0\.0\.1:{port}"):
        join(on_gpu=False)
