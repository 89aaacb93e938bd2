"""Mistakes at the start of the loop: one clear sentence, a non-zero exit code, nothing destroyed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from protocol.run.config import load
from protocol.run.directory import RunDir
from protocol.run.exits import run_command
from vantage.cli import app

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).resolve().parents[2]
SMOKE = str(ROOT / "configs" / "smoke.toml")


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def try_start(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """`vantage run` in this process, for starts that end before they start a process."""

    def run(runs: Path, *arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["vantage", "run", *arguments, "--runs", str(runs)])
        with pytest.raises(SystemExit) as ended:
            run_command(app, "vantage")
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return run


def start(runs: Path, *arguments: str) -> Ended:
    command = [sys.executable, "-m", "vantage", "run", *arguments, "--runs", str(runs)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def sentence_of(result: Ended) -> str:
    """The only line on stderr."""
    assert result.returncode not in (0, 1), result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("vantage: ")
    return line


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_dry_run_prints_the_whole_configuration_and_makes_nothing(
    tmp_path: Path, try_start: Callable[..., Ended]
) -> None:
    result = try_start(tmp_path / "runs", SMOKE, "--dry-run", "--set", "learner.grpo.groups=4")
    assert result.returncode == 0, result.stderr
    printed = tmp_path / "printed.toml"
    printed.write_text(result.stdout)
    tree = load([printed])
    assert tree["learner"]["grpo"]["groups"] == 4
    assert tree["learner"]["grpo"]["beta"] == 0.0
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((SMOKE, "--set", "learner.grpo.learning_rat=1"), "did you mean learning_rate"),
        ((SMOKE, "--set", 'learner.grpo.groups="many"'), "learner.grpo.groups"),
        (("configs/none.toml",), "there is no config file configs/none.toml"),
        (("smok",), "did you mean smoke"),
        ((SMOKE, "--name", "../up"), "run.name"),
    ],
)
def test_a_wrong_configuration_makes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], expected: str, try_start: Callable[..., Ended]
) -> None:
    assert expected in sentence_of(try_start(tmp_path / "runs", *arguments))
    assert not (tmp_path / "runs").exists()


def test_a_run_of_an_older_major_version_is_left_as_it_is(tmp_path: Path, try_start: Callable[..., Ended]) -> None:
    run = RunDir.create(tmp_path / "smoke", {})
    identity = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**identity, "major": 0}))
    before = contents(tmp_path)
    assert "older version" in sentence_of(try_start(tmp_path, SMOKE))
    assert contents(tmp_path) == before


def test_a_missing_backend_is_named_and_a_second_start_of_a_run_is_refused(tmp_path: Path) -> None:
    # A shell replaces the learner, because loading its libraries takes longer than everything else here.
    nowhere = (SMOKE, "--set", "sim.backend=nope", "--launcher", "sh -c 'exec sleep 600'")
    assert "nope" in sentence_of(start(tmp_path, *nowhere))
    run = RunDir.open(tmp_path / "smoke")
    assert run.read_done("learner") is None
    with run.lock("supervisor"):
        assert "another supervisor" in sentence_of(start(tmp_path, *nowhere))


def test_a_second_learner_on_a_run_is_refused(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "r", {})
    with run.lock("learner"):
        command = [sys.executable, "-m", "learner.cli", "train", str(run.path)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "another learner" in result.stderr.splitlines()[-1]
