"""A trainer outside of Vantage takes questions from a pool, with real services."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

import pytest

from launch.settings import resolve
from launch.supervise import open_or_create
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.tasks.task import ACTIONS
from tests.support.wire import wait_for
from vantage.config_files import config_path
from vantage.envs import Pool, Ticket, open_pool
from vantage.envs.services import Services

SETS = (
    "curriculum.world.width_px=48",
    "curriculum.world.height_px=48",
    "curriculum.world.look_around=2",
    "curriculum.shares.blind=0.0",
    'curriculum.skills=[{name="view_direction", levels=[0]}, {name="perspective", levels=[0]}]',
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that is served."""
    path = tmp_path_factory.mktemp("pool") / "run"
    given, resolved = resolve([config_path("smoke")], SETS, path.name)
    services = Services(open_or_create(path.parent, given, resolved)[0])
    services.wait(120.0)
    yield path
    services.close()


@pytest.fixture(scope="module")
def pool(run: Path) -> Iterator[Pool]:
    with open_pool(run=run, samples=2, ahead=2) as opened:
        yield opened


def _asked(pool: Pool) -> int:
    """The number of questions that were answered and counted."""
    return sum(cell.asked for cell in pool.status().cells)


def test_two_answers_make_one_report(pool: Pool) -> None:
    before = _asked(pool)
    question = pool.ask()
    assert question.images[0].shape == (48, 48, 3)
    assert question.answer("nonsense", key="first").accuracy == 0.0
    assert question.answer("nonsense", key="first").accuracy == 0.0  # sent again
    time.sleep(0.5)
    assert _asked(pool) == before
    question.answer("nonsense", key="second")
    wait_for(lambda: _asked(pool) == before + 1, within_s=60)
    question.answer("nonsense", key="third")  # too late
    time.sleep(0.5)
    assert _asked(pool) == before + 1
    assert question.ticket.spec.scene.split == "train"


def test_another_trainer_on_the_same_run_is_refused(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.ask()
    monkeypatch.delenv("VANTAGE_POOL")  # that of a process which the trainer did not start
    with open_pool(run=pool.path) as second:
        assert len(list(second.split("held-out", 1))) <= 1  # questions that are not reported need no lock
        with pytest.raises(VantageError, match="another learner") as refused:
            second.ask()
    assert refused.value.code == "conflict"


def test_a_ticket_looks_around_in_any_process(pool: Pool) -> None:
    question = next(one for one in pool.split("train") if one.moves)
    walk = Ticket.parse(str(question.ticket)).walk()
    assert walk.left == 2
    seen = walk.move("turn_left")
    assert seen.image.shape == (48, 48, 3) and not seen.blocked
    assert (seen.image != question.images[-1]).any()
    assert walk.move("turn_right").image.shape == (48, 48, 3)
    with pytest.raises(VantageError, match="no moves are left"):
        walk.move("forward")
    with pytest.raises(VantageError, match="there is no move"):
        question.walk().move("jump")
    assert "turn_left" in ACTIONS


def test_questions_of_a_split_are_the_same_every_time(pool: Pool) -> None:
    first = [one.ticket.question for one in pool.split("held-out", 4, seed=2)]
    assert first == [one.ticket.question for one in pool.split("held-out", 4, seed=2)]
    assert first[0] == pool.open_split("held-out", seed=2).question(0).question
    with pytest.raises(VantageError, match="a split is"):
        pool.split("test")


def test_a_trainer_that_never_answers_is_stopped(pool: Pool) -> None:
    with pytest.raises(VantageError, match="turn off shuffling") as refused:
        for _ in range(100):
            pool.ask()
    assert refused.value.code == "busy"


def test_vagen_answers_with_placeholders_and_images(pool: Pool) -> None:
    from vantage.envs.for_vagen import QuestionEnv

    env = QuestionEnv({"run": str(pool.path), "questions": "held-out"})

    async def play() -> None:
        observation, info = await env.reset(3)
        again, _ = await env.reset(3)
        assert again["obs_str"] == observation["obs_str"]
        assert observation["obs_str"].count("<image>") == len(observation["multi_modal_input"]["<image>"]) >= 1
        if "more move" in observation["obs_str"]:
            observation, reward, done, _ = await env.step("turn left")
            assert (reward, done) == (0.0, False) and observation["obs_str"].startswith("<image>")
        _, reward, done, info = await env.step("nonsense")
        assert (reward, done, info) == (0.0, True, {"success": False})
        with pytest.raises(VantageError, match="reset"):
            await env.step("A")

    asyncio.run(play())
    for opened in QuestionEnv._pools.values():
        opened.close()


def test_gymnasium_accepts_the_environment(pool: Pool) -> None:
    pytest.importorskip("gymnasium")
    from gymnasium.utils.env_checker import check_env

    from vantage.envs.for_gymnasium import QuestionEnv

    check_env(QuestionEnv(pool=pool), skip_render_check=True)


def test_what_a_killed_trainer_left_is_reported_once(run: Path, pool: Pool) -> None:
    before = _asked(pool)
    pool.close()
    code = f"""
import os
from vantage.envs import open_pool
question = open_pool(run={str(run)!r}, samples=4, ahead=2).ask()
question.answer("nonsense")
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=110).returncode == -9
    for _ in range(2):  # the second trainer finds nothing more
        with open_pool(run=run, samples=4, ahead=2) as after:
            after.ask()
            wait_for(lambda: _asked(after) == before + 1, within_s=60)
    assert not list((run / "answers").iterdir())


def test_a_run_without_workers_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(VantageError, match=r"no simulator worker joined run idle within 1 s.*worker --join"):
        open_pool("smoke", tmp_path / "idle", sets=["sim.workers=0"], wait_s=1)
    assert RunDir.open(tmp_path / "idle").read_done("learner") is None
    assert os.environ.get("VANTAGE_POOL") != str(tmp_path / "idle")
