"""What every command says about itself."""

from __future__ import annotations

from typing import Any, Iterator

import launch.slurm.__main__
import pytest
import typer.main

import curriculum.cli
import launch.report.page
import launch.supervise
import learner.cli
import sim_server.cli

APPS = {
    "sim-server": sim_server.cli.app,
    "curriculum": curriculum.cli.app,
    "learner": learner.cli.app,
    "launch/all.sh": launch.supervise.app,
    "launch.slurm": launch.slurm.__main__.app,
    "launch.report.page": launch.report.page.app,
}


def commands() -> Iterator[tuple[str, Any]]:
    for name, app in APPS.items():
        command: Any = typer.main.get_command(app)
        for word, one in getattr(command, "commands", {"": command}).items():
            yield f"{name} {word}".strip(), one


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_and_option_says_what_it_is_for(name: str, command: Any) -> None:
    first = (command.help or "").split("\n\n")[0]
    assert first.endswith("."), name
    for param in command.params:
        if param.name != "help" and not getattr(param, "hidden", False):
            assert (param.help or "").endswith((".", ")")), f"{name}: {param.name} has no sentence"


def test_a_run_is_the_first_argument_of_every_command_about_one() -> None:
    about_runs = [
        command
        for name, command in commands()
        if any(param.name in ("run", "run_dir") for param in command.params) and name != "sim-server worker"
    ]
    assert len(about_runs) == 11  # a worker joins one by --join, or by an address where it does not see it
    for command in about_runs:
        assert command.params[0].name in ("run", "run_dir") and command.params[0].param_type_name == "argument"
