"""Vantage: spatial questions about simulated scenes, and the loop that trains a vision-language model on them.

    scene = vantage.open_scene(seed=3)
    views = scene.render(count=4)                   # views.rgb: uint8 [4, H, W, 3]
    question = scene.ask("depth_order", level=1)    # question.text, .options, .answer, .images
    question.score("A").accuracy
    run = vantage.open_run("runs/demo")             # run.steps, run.evaluations, run.frame("steps")

Names load when they are first used, so that this import is fast; nothing here imports torch. docs/api.md has an example
of every task.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch.report.records import EpisodeRecord, Evaluation, Lease, ReportBatch, Score, SkillChange, StepRecord
    from protocol.answers.scoring import Reward
    from protocol.errors import VantageError
    from protocol.skills import CATALOGUE, Skill
    from protocol.tasks.scene import Camera, Pose, SceneDescription, SceneObject, Wish
    from vantage.config_files import config_names, config_path
    from vantage.question import Question, questions
    from vantage.run import Run, open_run
    from vantage.scene import Scene, Views, open_scene

_MODULES = {
    "CATALOGUE": "protocol.skills",
    "Camera": "protocol.tasks.scene",
    "EpisodeRecord": "launch.report.records",
    "Evaluation": "launch.report.records",
    "Lease": "launch.report.records",
    "Pose": "protocol.tasks.scene",
    "Question": "vantage.question",
    "ReportBatch": "launch.report.records",
    "Reward": "protocol.answers.scoring",
    "Run": "vantage.run",
    "Scene": "vantage.scene",
    "SceneDescription": "protocol.tasks.scene",
    "SceneObject": "protocol.tasks.scene",
    "Score": "launch.report.records",
    "Skill": "protocol.skills",
    "SkillChange": "launch.report.records",
    "StepRecord": "launch.report.records",
    "VantageError": "protocol.errors",
    "Views": "vantage.scene",
    "Wish": "protocol.tasks.scene",
    "config_names": "vantage.config_files",
    "config_path": "vantage.config_files",
    "open_run": "vantage.run",
    "open_scene": "vantage.scene",
    "questions": "vantage.question",
}

__all__ = [
    "CATALOGUE",
    "Camera",
    "EpisodeRecord",
    "Evaluation",
    "Lease",
    "Pose",
    "Question",
    "ReportBatch",
    "Reward",
    "Run",
    "Scene",
    "SceneDescription",
    "SceneObject",
    "Score",
    "Skill",
    "SkillChange",
    "StepRecord",
    "VantageError",
    "Views",
    "Wish",
    "config_names",
    "config_path",
    "open_run",
    "open_scene",
    "questions",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'vantage' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
