"""The taskset for verifiers: tasks with images, rewards that are recorded once. Skipped without verifiers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from protocol.tasks.scene import Pose, SceneSpec
from protocol.tasks.task import Question, QuestionSpec, TaskSpec
from vantage.envs.answers import left_behind
from vantage.envs.questions import OpenQuestion, Ticket

pytest.importorskip("verifiers")
from vantage.envs import for_verifiers as adapter


def question(run: Path) -> OpenQuestion:
    spec = TaskSpec("s1", 0, 1, SceneSpec(seed=1), QuestionSpec("view_direction"))
    asked = Question("view_direction", 0, "Is the chair left or right?", "left", "choice", "p", ("left", "right"))
    pose = Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0))
    return OpenQuestion(Ticket(str(run), spec, asked, pose, 1, "pool", "lease"), (np.zeros((4, 6, 3), np.uint8),))


def tasks(run: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pool = SimpleNamespace(questions=lambda: iter([question(run)]))
    monkeypatch.setattr(adapter, "open_pool", lambda *_, **__: pool)
    return adapter.SpatialTaskset(adapter.SpatialConfig()).load()


def test_a_task_shows_its_image_and_hides_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = tasks(tmp_path, monkeypatch)
    (message,) = task.data.prompt
    image, text = message.content
    assert image.image_url.url.startswith("data:image/png;base64,") and "A. left" in text.text
    assert adapter.SpatialTaskset.INFINITE and task.key == "s1"


def test_an_answer_that_is_scored_twice_is_recorded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = tasks(tmp_path, monkeypatch)
    trace: Any = SimpleNamespace(last_reply="The answer is A.", id="trace-1")
    assert [asyncio.run(task.accuracy(trace)) for _ in range(2)] == [1.0, 1.0]
    ((report,),) = left_behind(tmp_path).values()
    assert report.rewards == (1.0,)
