"""Command line: `proposer serve`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from protocol.run.directory import RunDir
from protocol.run.exits import run_command, stop_on_signals
from protocol.run.logs import setup

app = typer.Typer(help="Write new kinds of questions.", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _commands() -> None:
    """Write new kinds of questions."""


@app.command()
def serve(run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")]) -> None:
    """Propose questions to the curriculum of a live run until SIGTERM or Ctrl-C; see [proposer] of its config."""
    from proposer.service import serve as serve_run

    opened = RunDir.open(run)
    setup(opened.path, "proposer")
    serve_run(opened, stop_on_signals())


def main() -> None:
    run_command(partial(app, prog_name="proposer"), "proposer")


if __name__ == "__main__":
    main()
