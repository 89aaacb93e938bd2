"""A skill and a family from another distribution are configured, asked and scored like the built-in ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.entry_points import Plugin
from protocol.errors import VantageError
from sim_server.questions import families

ROOT = Path(__file__).resolve().parents[4]
CONFIG = """
[curriculum.world]
min_objects = 6
max_objects = 8
width_px = 48
height_px = 48

[[curriculum.skills]]
name = "largest"
levels = [0, 1]
"""
ASK_AND_SCORE = """
import sys
from pathlib import Path
from curriculum.settings import CurriculumSettings
from protocol.answers.scoring import score
from protocol.errors import Infeasible
from protocol.run.config import load, section
from protocol.tasks.specs import task_spec, training_scene
from protocol.wire.messages import RenderTask
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings

settings = section(load([Path(sys.argv[1])], []), "curriculum", CurriculumSettings)
(skill,) = settings.skills
core = SimCore(SimSettings())
for seq in range(8):
    scene = training_scene(settings.world, 0, seq)
    spec = task_spec(settings.world, 0, scene, spec_id="s", seq=seq, skill=skill.name, level=skill.levels[seq % 2])
    try:
        episode, _ = core.handle(RenderTask(spec))
    except Infeasible:
        continue
    question = episode.question
    wrong = next(option for option in question.options if option != question.answer)
    print(question.skill, question.text, score(question, question.answer).accuracy, score(question, wrong).accuracy)
    break
"""


def run(*arguments: str, extra: str = "") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), *([extra] if extra else [])])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_a_skill_of_another_distribution_is_configured_asked_and_scored(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG)
    installed = str(ROOT / "tests/support/largest")
    result = run("-c", ASK_AND_SCORE, str(config), extra=installed)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "largest Which of these objects covers more of the image? 1.0 0.0\n"
    without = run("-c", ASK_AND_SCORE, str(config))
    assert without.returncode == 1 and "there is no skill largest" in without.stderr


def test_a_skill_that_cannot_be_loaded_is_named_with_its_distribution(tmp_path: Path) -> None:
    metadata = tmp_path / "broken_skills-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-skills\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[vantage.skills]\nlost = no_such_module:SKILL\n")
    result = run("-c", "from protocol.skills import CATALOGUE; len(CATALOGUE)", extra=str(tmp_path))
    assert "the distribution broken-skills registers under vantage.skills, cannot be loaded" in result.stderr


class Nameless:
    """A family without a skill."""


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Nameless, "has no attribute `skill`"),
        (families.FAMILIES["depth_order"], "asks the skill depth_order, as another family does"),
    ],
)
def test_an_unusable_family_of_another_distribution_is_refused(
    value: object, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "registered", lambda _: [Plugin("largest = a:b, which d registers,", value)])
    with pytest.raises(VantageError, match=why) as caught:
        families._load()
    assert caught.value.code == "bad_config"
