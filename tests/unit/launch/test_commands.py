"""The help of every command, its errors without an extra, and shell completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
import typer.main
from typer.testing import CliRunner

import curriculum.cli
import learner.cli
import sim_server.cli
import vantage.cli
from protocol.run.directory import RunDir

ROOT = Path(__file__).resolve().parents[3]
APPS = {
    "vantage": vantage.cli.app,
    "sim-server": sim_server.cli.app,
    "curriculum": curriculum.cli.app,
    "learner": learner.cli.app,
}


def commands() -> Iterator[tuple[str, Any]]:
    for name, app in APPS.items():
        command: Any = typer.main.get_command(app)
        for word, one in getattr(command, "commands", {"": command}).items():
            yield f"{name} {word}".strip(), one


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_and_option_has_help(name: str, command: Any) -> None:
    first = (command.help or "").split("\n\n")[0]
    assert first.endswith("."), name
    for param in command.params:
        if param.name != "help" and not getattr(param, "hidden", False):
            assert (param.help or "").endswith((".", ")")), f"{name}: {param.name} has no sentence"


def test_commands_about_a_run_take_it_as_their_first_argument() -> None:
    about_runs = [
        command
        for name, command in commands()
        if any(param.name in ("run", "run_dir") for param in command.params) and name != "sim-server worker"
    ]
    assert len(about_runs) == 13  # `sim-server worker` takes --join or an address instead
    for command in about_runs:
        assert command.params[0].name in ("run", "run_dir") and command.params[0].param_type_name == "argument"


WITHOUT_LEARNER = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "transformers", "trl", "peft", "accelerate", "datasets"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize(
    "command",
    [
        "learner train RUN",
        "learner evaluate RUN",
        "learner export RUN --out out",
        "learner pretrain --out out",
        "learner serve --config CONFIG",
        "vantage run smoke --runs new",
        "vantage run smoke --runs new --serial",
    ],
)
def test_a_command_without_its_extra_names_it_in_one_sentence(command: str, tmp_path: Path) -> None:
    RunDir.create(tmp_path / "run", {})
    package, *arguments = command.split()
    values = {"RUN": str(tmp_path / "run"), "CONFIG": str(ROOT / "configs" / "smoke.toml")}
    argv = [package, *(values.get(word, word) for word in arguments)]
    code = f"{WITHOUT_LEARNER}\nsys.argv = {argv!r}\nfrom {package}.cli import main\nmain()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{package}: ") and "pip install 'vantage-loop[learner]'" in line
    assert not (tmp_path / "new").exists()


def test_configs_are_listed_with_a_short_description() -> None:
    shown = CliRunner().invoke(vantage.cli.app, ["configs"]).output
    for path in (ROOT / "configs").glob("*.toml"):
        (line,) = [line for line in shown.splitlines() if line.startswith(f"{path.stem} ")]
        assert line.endswith(".") and len(line) <= 120, line


def test_a_config_name_completes_in_the_shell() -> None:
    words = {"_VANTAGE_COMPLETE": "complete_bash", "COMP_WORDS": "vantage run sm", "COMP_CWORD": "2"}
    code = "from vantage.cli import main; main()"
    environment = {**os.environ, **words}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["smoke"], done.stderr


@pytest.mark.parametrize("app", APPS.values(), ids=APPS)
def test_every_command_offers_completion(app: typer.Typer) -> None:
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).output
