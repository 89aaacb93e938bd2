"""The commands; see the package's docstring."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

import benchmarks.chaos
from benchmarks.chaos.corruptions import corruptions as damage_files
from benchmarks.chaos.flood import flood as flood_services
from benchmarks.chaos.frames import SOCKETS, attack
from benchmarks.chaos.kills import survive
from benchmarks.chaos.liars import liars as join_liars
from benchmarks.chaos.storms import STORMS
from benchmarks.machine import describe_machine
from protocol.errors import VantageError

RESULT = Path(__file__).parents[1] / "results" / "chaos.json"

app = typer.Typer(help=benchmarks.chaos.__doc__, add_completion=False, no_args_is_help=True)


@app.command()
def kills(count: int = 200, seed: int = 1) -> None:
    """Train, kill -9 a process after each step, the supervisor included, and compare the reports."""
    with tempfile.TemporaryDirectory(prefix="vantage-chaos-") as folder:
        _save("kills", survive(Path(folder), count, seed))


@app.command()
def storms(only: Annotated[Optional[list[str]], typer.Argument(help="Names of storms; default: all.")] = None) -> None:
    """Stops, full disk, limits, locks, moved folders and double starts, each in a run of its own."""
    rows = _previous("storms")
    for name in only or STORMS:
        with tempfile.TemporaryDirectory(prefix="vantage-chaos-") as folder:
            rows[name] = STORMS[name](Path(folder) / "runs" if name == "full disk" else Path(folder))
        print(name, json.dumps(rows[name]), flush=True)
        _save("storms", rows)


@app.command()
def corruptions(
    only: Annotated[Optional[list[str]], typer.Argument(help="Cases as FILE:HARM; default: all.")] = None,
) -> None:
    """Damage every file of a stopped run one by one, and start it."""
    with tempfile.TemporaryDirectory(prefix="vantage-chaos-") as folder:
        rows = damage_files(Path(folder), only)
    if only is None:
        _save("corruptions", rows)


@app.command()
def liars() -> None:
    """Let workers that lie join a live run, one after the other."""
    with tempfile.TemporaryDirectory(prefix="vantage-chaos-") as folder:
        _save("liars", join_liars(Path(folder)))


@app.command()
def frames(
    count: int = 1_000_000,
    seed: int = 1,
    sockets: Annotated[str, typer.Option(help="Comma-separated names of sockets.")] = ",".join(SOCKETS),
) -> None:
    """Send `count` mutated messages to each listening socket of a run."""
    rows = {row["socket"]: row for row in _previous("frames") or ()}
    for name in sockets.split(","):
        rows[name] = attack(name, count, seed)
        print(json.dumps(rows[name]))
        _save("frames", [rows[name] for name in SOCKETS if name in rows])


@app.command()
def flood(seconds: float = 30.0) -> None:
    """Measure a good client beside one that floods the service."""
    _save("flood", flood_services(seconds))


def _previous(part: str) -> Any:
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    return results.get(part, {}).get("figures", {})


def _save(part: str, figures: Any) -> None:
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    results[part] = {"machine": describe_machine(), "figures": figures}
    RESULT.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    try:
        app()
    except VantageError as error:
        sys.exit(error.message)
