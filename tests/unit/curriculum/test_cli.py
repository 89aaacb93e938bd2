"""Commands that need no running curriculum."""

from __future__ import annotations

import sqlite3

import pytest
from typer.testing import CliRunner

from curriculum.cli import app
from curriculum.core import CurriculumCore
from curriculum.record.load import fingerprint
from curriculum.record.snapshot import save_snapshot
from curriculum.record.state import State, encode_state
from curriculum.record.store import FILE_NAME
from curriculum.settings import CurriculumSettings, Estimation
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.wire.messages import LeaseSpecs, SendReports, SpecBatch
from tests.support.curriculum import report_on


@pytest.fixture
def finished(run):
    with CurriculumCore(run, CurriculumSettings()) as core:
        batch = core.handle(LeaseSpecs("l", 48, 1), b"1")
        assert isinstance(batch, SpecBatch)
        core.handle(SendReports(tuple(report_on(leased) for leased in batch.specs[:40])), b"2")
    return run


def invoke(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_status_works_without_a_running_curriculum(finished):
    before = (finished.path / FILE_NAME).read_bytes()
    shown = invoke("status", str(finished.path))
    assert shown.exit_code == 0, shown.output
    assert "depth_order" in shown.output and "asking " in shown.output
    assert "48 specs issued, 8 on lease, 40 reports counted" in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    assert (finished.path / FILE_NAME).read_bytes() == before


def test_status_names_the_degradation_of_a_cell(tmp_path):
    world = {"degradations": ["over_exposure:3"]}
    skills = [{"name": "scene_relative_direction", "levels": [3]}]
    run = RunDir.create(tmp_path / "degraded", {"curriculum": {"skills": skills, "world": world}})
    with CurriculumCore(run, CurriculumSettings()):
        pass
    shown = invoke("status", str(run.path)).output
    assert "Brier" in shown and "scene_relative_direction" in shown and "L3 over_exposure:3" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_status_works_beside_a_running_curriculum(run):
    with CurriculumCore(run, CurriculumSettings()) as core:
        core.handle(LeaseSpecs("l", 5, 1), b"1")
        assert "5 specs issued" in invoke("status", str(run.path)).output


def test_status_before_the_first_start(run):
    result = invoke("status", str(run.path))
    assert isinstance(result.exception, VantageError) and "never started" in result.exception.message


def test_rebuild_confirms_correct_projections(finished):
    result = invoke("rebuild", str(finished.path))
    assert result.exit_code == 0 and "were correct" in result.output


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM reports", "DELETE FROM requests", ""],
    ids=["reports", "requests", "snapshot"],
)
def test_rebuild_repairs_damaged_projections(finished, damage):
    if damage:
        db = sqlite3.connect(finished.path / FILE_NAME)
        db.execute(damage)
        db.commit()
        db.close()
    else:
        save_snapshot(finished.path, 2, fingerprint(Estimation()), encode_state(State()))
    result = invoke("rebuild", str(finished.path))
    assert result.exit_code == 1 and "differed and are repaired" in result.output
    assert "were correct" in invoke("rebuild", str(finished.path)).output
    with CurriculumCore(finished, CurriculumSettings()) as core:
        assert core.status.counted == 40
