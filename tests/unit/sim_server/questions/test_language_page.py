"""docs/reference/language.md: every function is listed, and each example gives its result in the scene of the page."""

from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import pytest

from protocol.tasks.scene import Camera, OrientedBox, SceneObject, SceneSpec, Vec3
from protocol.tasks.task import Episode, TaskSpec
from protocol.wire.messages import RenderTask
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence
from sim_server.questions.geometry import pose_from_yaw_pitch
from sim_server.questions.language.evaluator import run
from sim_server.questions.language.functions.registry import BINDERS, FUNCTIONS
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings
from tests.support.questions.fake_scene import FakeScene

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "language.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)\([^`]*\)` \| [^|]* \| `([^`]+)` \| `([^`]*)` \|$", PAGE, re.M)


def test_the_proposal_of_the_page_is_accepted() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.S)
    core = SimCore(SimSettings())
    reply, _ = core.handle(RenderTask(msgspec.json.decode(block, type=TaskSpec), examine=True))
    core.close()
    assert isinstance(reply, Episode), reply


def vector(text: str) -> Vec3:
    x, y, z = (float(part) for part in text.split(","))
    return (x, y, z)


def page_evidence() -> Evidence:
    objects = []
    for row in re.findall(r"^\| (\d+) \| (\w+) (\w+) \| ([^|]+) \| ([^|]+) \| ([^|]*)\| (\d+) \|$", PAGE, re.M):
        key, color, category, centre, size, front, support = row
        x, y, z = vector(size)
        box = OrientedBox(vector(centre), (x / 2, y / 2, z / 2))
        facing = vector(front) if front.strip() else None
        objects.append(SceneObject(int(key), category, box, color, 1, int(support), facing))
    scene = FakeScene(SceneSpec(seed=1), objects)
    poses = [
        pose_from_yaw_pitch((0.0, 1.5, 2.5), 0.0, math.radians(-14)),
        pose_from_yaw_pitch((0.5, 1.5, 2.0), math.radians(30), math.radians(-14)),
    ]
    return Evidence.of(scene.description, scene.render(poses, Camera(96, 96), EVIDENCE_SENSORS))


EVIDENCE = page_evidence()


@pytest.mark.parametrize(("function", "program", "result"), ROWS)
def test_an_example_gives_its_result(function: str, program: str, result: str) -> None:
    assert f"{function}(" in program
    assert run(program, EVIDENCE) == result


def test_the_page_lists_every_function_and_no_other() -> None:
    assert sorted(function for function, _, _ in ROWS) == sorted([*FUNCTIONS, *BINDERS])
