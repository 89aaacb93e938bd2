"""`sim-server generate` and `sim-server verify`."""

# No postponed annotations here: on Python 3.9 Typer would lose what Annotated says.

import functools
import os
import re
from pathlib import Path
from typing import Annotated, Optional

import msgspec
import typer

from protocol.errors import VantageError
from protocol.run.config import load, merge, section
from protocol.tasks.specs import World, cells_of, world_of
from sim_server.settings import SimSettings


def generate(
    out: Annotated[Path, typer.Option("--out", help="Folder of the data set; the same command goes on in it.")],
    n: Annotated[int, typer.Option("--n", min=1, max=2_000_000, help="Specs to realise.")] = 1000,
    split: Annotated[
        str, typer.Option("--split", help="train | val: scenes that train, or that are held out.")
    ] = "train",
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Another seed: other questions.")] = 0,
    family: Annotated[
        Optional[list[str]],
        typer.Option("--family", help="Like depth_order or depth_order:0-2, may be repeated; default: the config's."),
    ] = None,
    specs: Annotated[
        Optional[Path],
        typer.Option(
            "--specs", help="JSON lines with a spec each, as in a run's episodes.jsonl; instead of drawn ones."
        ),
    ] = None,
    config: Annotated[
        Optional[list[Path]], typer.Option("--config", help="TOML with tables curriculum and sim.")
    ] = None,
    sets: Annotated[
        Optional[list[str]], typer.Option("--set", help="table.key=value over the configs, may be repeated.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=1024, help="Processes.")] = 1,
    shard_size: Annotated[int, typer.Option("--shard-size", min=1, max=100_000, help="Specs per shard.")] = 500,
    quality: Annotated[
        int, typer.Option("--quality", min=1, max=100, help="Quality of the WebP pictures; 100 is lossless.")
    ] = 90,
    parquet: Annotated[
        Optional[bool], typer.Option(help="Parquet shards beside JSON lines; default: where pyarrow is installed.")
    ] = None,
    backend: Annotated[
        Optional[str], typer.Option("--backend", help="Simulator; default: sim.backend of the config.")
    ] = None,
    part: Annotated[str, typer.Option("--part", hidden=True, help="Of the missing shards, for a child process.")] = "",
) -> None:
    """Write a data set: questions, programs, poses and boxes as JSON lines and Parquet, pictures as WebP."""
    from sim_server.dataset import parquet as parquets
    from sim_server.dataset.generate import generate as write
    from sim_server.dataset.generate import write_shards
    from sim_server.dataset.plan import (
        DEFAULT_WORLD,
        SIM_KEYS,
        SPLITS,
        Plan,
        parse_cells,
        read_specs,
        specs_digest,
        write_specs,
    )

    if part:
        match = re.fullmatch(r"(\d+)/(\d+)", part)
        assert match, part
        write_shards(out, int(match[1]), int(match[2]), typer.echo, parent=os.getppid())
        return
    if split not in SPLITS:
        raise VantageError("bad_request", f"--split is train or val, not {split!r}.")
    if parquet:
        parquets.check_installed()
    base = {} if config else {"curriculum": {"world": DEFAULT_WORLD}}
    tree = merge(base, load(config or [], sets or []))
    # A data set is answered from the pictures that it holds: nobody can look around in it.
    world: World = world_of(tree).model_copy(update={"look_around": 0})
    settings = section(merge(tree, {"sim": {"backend": backend}}) if backend else tree, "sim", SimSettings)
    listed = read_specs(specs, split)[:n] if specs else []
    plan = Plan(
        n=len(listed) or n,
        seed=seed,
        split=split,
        cells=() if specs else parse_cells(family) if family else tuple(cells_of(tree)),
        world=world.model_dump(mode="json"),
        sim=settings.model_dump(include=SIM_KEYS),
        shard_size=shard_size,
        quality=quality,
        parquet=parquets.installed() if parquet is None else parquet,
        specs_sha256=specs_digest(write_specs(listed)) if specs else "",
    )
    try:
        record = write(out, plan, listed, workers, typer.echo)
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on with {out}")
        raise
    shards = f"{len(record['shards'])} shard{'s' * (len(record['shards']) != 1)}"
    typer.echo(f"{out}: {record['rows']} rows of {record['asked']} specs in {shards}")
    if record["infeasible"]:
        total = sum(record["infeasible"].values())
        worst = sorted(record["infeasible"].items(), key=lambda item: -item[1])[:3]
        named = ", ".join(f"{name} ({count})" for name, count in worst)
        typer.echo(f"infeasible and left out: {total}, most often {named}; dataset.json has all")
    if not plan.parquet and parquet is None:
        typer.echo("JSON lines only: Parquet needs pyarrow, pip install 'vantage-loop[parquet]'")


def verify(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="A finished data set.")],
    backend: Annotated[
        Optional[str], typer.Option("--backend", help="Simulator; default: the one that drew it.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=1024, help="Processes, which share the shards.")] = 1,
    part: Annotated[str, typer.Option("--part", hidden=True, help="Of the shards, for a child process.")] = "",
) -> None:
    """Open every scene of a data set again, draw every view, run every program, and name the rows that do not hold."""
    from sim_server.dataset.verify import verify as check
    from sim_server.dataset.verify import verify_shards

    if part:
        match = re.fullmatch(r"(\d+)/(\d+)", part)
        assert match, part
        to_terminal = functools.partial(typer.echo, err=True)
        for found in verify_shards(path, backend, to_terminal, int(match[1]), int(match[2]), parent=os.getppid()):
            typer.echo(msgspec.json.encode(found))
        return
    rows, failures = check(path, backend, typer.echo, workers)
    for failure in failures:
        where = failure.shard if failure.row is None else f"{failure.shard} row {failure.row}"
        typer.echo(f"{where}: {failure.reason}")
    if failures:
        wrong = {(failure.shard, failure.row) for failure in failures if failure.row is not None}
        typer.echo(f"{path}: {len(wrong)} of {rows} rows do not hold")
        if any(failure.other_version for failure in failures):
            typer.echo("rows of another version: verify them with that version, or generate the data set anew")
        raise typer.Exit(1)
    typer.echo(f"{path}: all {rows} rows hold")
