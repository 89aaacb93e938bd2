"""The skill catalogue: its levels, its reference page, and skills from other distributions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from protocol import skills
from protocol.entry_points import Plugin
from protocol.errors import VantageError
from protocol.skills import CATALOGUE
from protocol.skills.skill import VIEW_BUDGETS

ROOT = Path(__file__).resolve().parents[3]


def test_every_skill_is_complete() -> None:
    for name, skill in CATALOGUE.items():
        assert skill.name == name and len(skill.levels) == 5
        assert skill.reasoning in ("perceive", "relate", "map", "predict", "plan")
        assert skill.answer_type in ("choice", "number", "sequence", "map")
        assert skill.views in VIEW_BUDGETS and skill.frame in ("camera", "object", "agent")
        assert skill.evidence in ("objects", "maps", "pinhole")
        assert set(skill.world_needs) <= {"clutter", "rooms"}
        assert set(skill.backend_needs) <= {"fronts", "room outlines", "edits"}
        assert all(0 < level.chance < 1 and str(level) for level in skill.levels)
        assert len(set(skill.levels)) == 5


def test_the_reference_page_is_up_to_date() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "docs/generate.py"), "--check"], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout + result.stderr


def registered(*values: object) -> list[Plugin]:
    return [Plugin(f"plugin{n} = a:b, which the distribution d registers,", value) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("depth_order", "is a str, not a protocol.skills.Skill"),
        (CATALOGUE["depth_order"], "is named depth_order, as another skill is; rename it"),
    ],
)
def test_an_unusable_skill_of_another_distribution_is_refused(
    value: object, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skills, "registered", lambda _: registered(value))
    with pytest.raises(VantageError, match=f"the distribution d registers, {why}") as caught:
        skills._load()
    assert caught.value.code == "bad_config"
