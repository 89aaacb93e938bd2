"""A policy looks around before it answers, with a real simulator process."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np
import pytest

from learner.rollouts.answerer import Answerer
from learner.rollouts.base import Completion, Prompt, Rollout, Sampling
from learner.rollouts.group import Group
from learner.settings import StreamSettings
from learner.stream.episodes import Task, task_from
from protocol.answers.prompt import write_answer
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.skills import CATALOGUE
from protocol.tasks.scene import Pose
from protocol.tasks.specs import World, task_spec, training_scene
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import RenderTask
from sim_server.backends.registry import make_backend
from sim_server.questions.geometry import yaw_rad
from sim_server.sensing.degradations import degraded
from sim_server.sensing.observe import multiply
from sim_server.settings import SimSettings

ROOT = Path(__file__).parents[2]
NAMES = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
BUDGET = 4
WORLD = World(
    min_objects=6,
    max_objects=9,
    categories=NAMES,
    look_around=BUDGET,
    degradations=("motion_blur:2", "noise:1"),
    degraded_share=1.0,
)
STREAM = StreamSettings()
LOOKING_AROUND = sorted(name for name, skill in CATALOGUE.items() if skill.looks_around)


class TurnsThenAnswers:
    """Turns left until the budget is used up, then gives the right answer."""

    name = "scripted"
    live = True

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._answers = {task.images[0].tobytes(): write_answer(task.question, "words") for task in tasks}

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        return [
            Rollout(prompt, (1,), (Completion((1, 2), (0.0, 0.0), self._reply(prompt), True),) * n)
            for prompt in prompts
        ]

    def _reply(self, prompt: Prompt) -> str:
        return "turn left" if len(prompt.images) <= BUDGET else self._answers[prompt.images[0].tobytes()]

    def load_adapter(self, name: str, path: Path) -> None: ...

    def close(self) -> None: ...


class Encoder:
    def plain(self, text: str) -> str:
        return text

    def answer(self, answer: str) -> tuple[int, ...]:
        return (1, 2)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    run = RunDir.create(tmp_path_factory.mktemp("runs") / "run", {"sim": {"backend": "rooms"}})
    command = [sys.executable, "-m", "sim_server.cli", "serve", str(run.path), "--workers", "1"]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        with Client(lambda: lookup(run.path, "sim"), "learner") as client:
            yield client
    finally:
        process.terminate()
        assert process.wait(60) == 0


def some_tasks(simulator: Client, count: int) -> list[Task]:
    """Return tasks of skills that allow looking around; infeasible specs are skipped."""
    tasks: list[Task] = []
    for seq in range(40):
        scene = training_scene(WORLD, 3, seq)
        skill = LOOKING_AROUND[seq % len(LOOKING_AROUND)]
        spec = task_spec(WORLD, 3, scene, spec_id=f"s{seq}", seq=seq, skill=skill, level=0)
        assert spec.look_around == BUDGET and spec.degradations
        try:
            tasks.append(task_from(simulator.request(RenderTask(spec), deadline_s=250), spec, "raw"))
        except VantageError as error:
            assert error.code == "infeasible"
        if len(tasks) == count:
            return tasks
    raise AssertionError(f"only {len(tasks)} of 40 specs were feasible")


@pytest.mark.timeout(300)  # the first start compiles the renderer
def test_a_policy_looks_around_and_answers(simulator: Client) -> None:
    tasks = some_tasks(simulator, 3)
    answerer = Answerer(TurnsThenAnswers(tasks), Encoder(), "words", simulator, STREAM)  # type: ignore[arg-type]
    backend = make_backend("rooms", SimSettings())
    for task, group in zip(tasks, answerer.answer(tasks, 2, Sampling())):
        assert len(task.images) == 1 and isinstance(group, Group)
        turns = group.turns(1)
        assert len(turns) == 1 + BUDGET
        (*_, last) = group.last
        assert group.rewards[-1].accuracy == 1.0
        views = last.prompt.images
        assert len(views) == 1 + BUDGET and np.array_equal(views[0], task.images[0])

        # Render the same views here: 30 degrees to the left each, degraded as views 0, 1, 2 … of one episode.
        scene = backend.open(task.spec.scene)
        assert task.pose is not None
        poses = [task.pose]
        for _ in range(BUDGET):
            poses.append(_turned_left(poses[-1]))
        expected = degraded(scene, task.spec).render(poses, task.spec.camera, ("rgb",)).rgb
        assert expected is not None
        assert all(np.abs(np.subtract(a, b, dtype=np.int16)).mean() < 0.5 for a, b in zip(views, expected))
        undegraded = scene.render(poses, task.spec.camera, ("rgb",)).rgb
        assert undegraded is not None
        assert all(np.abs(np.subtract(a, b, dtype=np.int16)).mean() > 0.5 for a, b in zip(views, undegraded))
        scene.close()
    backend.close()


def _turned_left(pose: Pose) -> Pose:
    half = math.radians(15)
    turned = Pose(pose.position_m, multiply((math.cos(half), 0.0, math.sin(half), 0.0), pose.rotation_wxyz))
    assert math.isclose((yaw_rad(turned) - yaw_rad(pose)) % math.tau, math.radians(30), abs_tol=1e-6)
    return turned
