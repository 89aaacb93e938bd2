"""`sim-server audit`."""

# No postponed annotations here: on Python 3.9 Typer cannot resolve Annotated types in them.

import json
from pathlib import Path
from typing import Annotated, Optional, Sequence

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from protocol.run.config import load
from protocol.run.directory import disk_guard, write_atomic
from protocol.skills import CATALOGUE
from protocol.tasks.specs import world_of
from sim_server.questions.audit.blind import ENOUGH, BlindScore


def audit(
    n: Annotated[
        int, typer.Option("--n", min=1, max=10**6, help="Number of scenes; every skill is asked once in each.")
    ] = 500,
    skill: Annotated[
        Optional[list[str]],
        typer.Option("--skill", help="Skill to audit, like depth_order or depth_order:0-2; can be repeated."),
    ] = None,
    config: Annotated[
        Optional[list[Path]],
        typer.Option("--config", help="TOML file with a curriculum.world table; furnished homes by default."),
    ] = None,
    sets: Annotated[
        Optional[list[str]], typer.Option("--set", help="table.key=value that overrides the configs; can be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of the scenes.")] = 0,
    images: Annotated[
        int, typer.Option("--images", min=0, max=100, help="Questions with images on the page, per cell.")
    ] = 1,
    out: Annotated[Optional[Path], typer.Option("--out", help="Directory for audit.json and audit.html.")] = None,
    backend: Annotated[str, typer.Option("--backend", help="Simulator.")] = "rooms",
) -> None:
    """Ask every skill in many scenes and check each answer with its program and an independent oracle."""
    from sim_server.backends.registry import make_backend
    from sim_server.dataset.plan import parse_cells
    from sim_server.questions.audit.oracles import ORACLES
    from sim_server.questions.audit.page import REASONS_SHOWN, page
    from sim_server.questions.audit.run import HOME
    from sim_server.questions.audit.run import audit as check
    from sim_server.questions.families import FAMILIES

    every = [(name, level) for name in FAMILIES if name in ORACLES for level in CATALOGUE[name].feasible_levels]
    cells = list(parse_cells(skill)) if skill else every
    if out is not None:
        with disk_guard(out):  # fail now rather than after hours of work
            out.mkdir(parents=True, exist_ok=True)
    simulator = make_backend(backend)
    tree = load(config or [], sets or [])
    if not config:
        given = tree.get("curriculum", {})
        tree = {"curriculum": {**given, "world": {**HOME, **given.get("world", {})}}}
    world = world_of(tree)
    rows, scores, examples = check(simulator, world, cells, n, seed, images, lambda line: typer.echo(line, err=True))
    digest = simulator.digest
    simulator.close()
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("cell", overflow="fold")
    for column in ("realised", "tries", "ms", "bits", "program", "oracle"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            *(f"{row.skill} L{row.level}", f"{row.realised}/{row.specs}", f"{row.attempts:.1f}", f"{row.ms:.0f}"),
            *(f"{row.entropy_bits:.2f}", f"{row.holds}/{row.realised}", f"{row.agrees}/{row.realised}"),
        )
    Console().print(table)
    Console().print(_blind_table(scores))
    for row in rows:
        for rule, times in list(row.reasons.items())[:REASONS_SHOWN]:
            typer.echo(f"{row.skill} {row.level}: {times} left out, {rule}")
    if out is not None:
        result = {"renderer_digest": digest, "n": n, "seed": seed, "rows": msgspec.to_builtins(rows)}
        result["blind"] = msgspec.to_builtins(scores)
        write_atomic(out / "audit.json", (json.dumps(result, indent=1) + "\n").encode())
        write_atomic(out / "audit.html", page(rows, scores, examples, f"Audit of {backend}").encode())
        typer.echo(f"{out / 'audit.html'}: {len(examples)} questions with images")
    wrong = sum(2 * row.realised - row.agrees - row.holds for row in rows)
    failed = sum(row.failed for row in rows)
    if failed:
        typer.echo(f"{failed} specs ended with an error")
    if wrong:
        typer.echo(f"{wrong} checks failed")
    leaks = [score for score in scores if score.leaks()]
    for score in leaks:
        typer.echo(f"{score.skill}: the words give answers away, {score.excess:.2f} above a baseline without them")
    if wrong or failed or leaks:
        raise typer.Exit(1)


def _blind_table(scores: Sequence[BlindScore]) -> Table:
    table = Table(title="Answers without images", title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("skill", overflow="fold")
    for column in ("asked", "blind", "chance", "constant", "excess", "error", "verdict"):
        table.add_column(column, justify="right", no_wrap=True)
    for score in scores:
        verdict = "leaks" if score.leaks() else "even" if score.questions >= ENOUGH else f"under {ENOUGH}"
        numbers = (score.blind, score.chance, score.constant, score.excess, score.error)
        table.add_row(score.skill, str(score.questions), *(f"{number:.2f}" for number in numbers), verdict)
    return table
