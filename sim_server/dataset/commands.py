"""`sim-server generate` and `sim-server verify`."""

# No postponed annotations here: on Python 3.9 Typer would lose the metadata of Annotated.

import functools
import os
import re
from pathlib import Path
from typing import Annotated, Optional

import msgspec
import typer

from protocol import hub
from protocol.errors import VantageError
from protocol.run.config import load, merge, section
from protocol.tasks.specs import World, cells_of, world_of
from sim_server.dataset.card import PARQUET
from sim_server.dataset.limits import MAX_SHARD_ROWS, MAX_SPECS
from sim_server.settings import SimSettings


def generate(
    out: Annotated[Path, typer.Option("--out", help="Folder of the dataset; the same command resumes in it.")],
    n: Annotated[int, typer.Option("--n", min=1, max=MAX_SPECS, help="Specs to realise.")] = 1000,
    split: Annotated[str, typer.Option("--split", help="train | val: training or held-out scenes.")] = "train",
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of the questions.")] = 0,
    skill: Annotated[
        Optional[list[str]],
        typer.Option("--skill", help="Such as depth_order or depth_order:0-2; repeatable; default: from the config."),
    ] = None,
    specs: Annotated[
        Optional[Path],
        typer.Option(
            "--specs", help="JSON lines with one spec each, such as a run's episodes.jsonl, instead of sampled specs."
        ),
    ] = None,
    config: Annotated[
        Optional[list[Path]], typer.Option("--config", help="TOML file with tables curriculum and sim; repeatable.")
    ] = None,
    sets: Annotated[
        Optional[list[str]], typer.Option("--set", help="table.key=value, overrides the configs; repeatable.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=1024, help="Number of processes.")] = 1,
    shard_size: Annotated[int, typer.Option("--shard-size", min=1, max=MAX_SHARD_ROWS, help="Specs per shard.")] = 500,
    quality: Annotated[
        int, typer.Option("--quality", min=1, max=100, help="Quality of the WebP images; 100 is lossless.")
    ] = 90,
    parquet: Annotated[
        Optional[bool], typer.Option(help="Also write Parquet shards; default: if pyarrow is installed.")
    ] = None,
    webdataset: Annotated[bool, typer.Option("--webdataset", help="Also write WebDataset shards.")] = False,
    push: Annotated[
        str,
        typer.Option(metavar="REPO", help="Also upload the Parquet shards and the card to this data set of the hub."),
    ] = "",
    backend: Annotated[
        Optional[str], typer.Option("--backend", help="Simulator; default: sim.backend of the config.")
    ] = None,
    reason: Annotated[
        bool, typer.Option("--reason", help="Messages ask for reasoning before the answer; its place is left empty.")
    ] = False,
    part: Annotated[
        str, typer.Option("--part", hidden=True, help="Part of the missing shards, for a child process.")
    ] = "",
) -> None:
    """Write a dataset: questions, programs, poses and boxes as JSON lines and Parquet, images as WebP."""
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
        raise VantageError("bad_request", f"--split must be train or val, not {split!r}.")
    if push:
        hub.check_installed()
        if parquet is False:
            raise VantageError("bad_request", "--push uploads Parquet shards: omit --no-parquet.")
    if parquet or push:
        parquets.check_installed("--push" if push else "--parquet")
    base = {} if config else {"curriculum": {"world": DEFAULT_WORLD}}
    tree = merge(base, load(config or [], sets or []))
    # Questions of a dataset are answered from its images: there is no looking around.
    world: World = world_of(tree).model_copy(update={"look_around": 0})
    settings = section(merge(tree, {"sim": {"backend": backend}}) if backend else tree, "sim", SimSettings)
    listed = read_specs(specs, split)[:n] if specs else []
    plan = Plan(
        n=len(listed) or n,
        seed=seed,
        split=split,
        cells=() if specs else parse_cells(skill) if skill else tuple(cells_of(tree)),
        world=world.model_dump(mode="json"),
        sim=settings.model_dump(include=SIM_KEYS),
        shard_size=shard_size,
        quality=quality,
        parquet=parquets.installed() if parquet is None else parquet,
        specs_sha256=specs_digest(write_specs(listed)) if specs else "",
        reason=reason,
        webdataset=webdataset,
    )
    try:
        record = write(out, plan, listed, workers, typer.echo)
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command resumes {out}")
        raise
    shards = f"{len(record.shards)} shard{'s' * (len(record.shards) != 1)}"
    typer.echo(f"{out}: {record.rows} rows of {record.asked} specs in {shards}")
    if record.infeasible:
        total = sum(record.infeasible.values())
        worst = sorted(record.infeasible.items(), key=lambda item: -item[1])[:3]
        named = ", ".join(f"{name} ({count})" for name, count in worst)
        typer.echo(f"infeasible and left out: {total}, most often {named}; dataset.json lists all")
    failed = sum(record.failed.values())
    if failed:
        typer.echo(f"failed and left out: {failed}; the first, {record.first_failure}")
        typer.echo(f"the manifests in {out / 'shards'} list all")
    if not plan.parquet and parquet is None:
        typer.echo("wrote JSON lines only: for Parquet, pip install 'vantage-loop[parquet]'")
    if failed == record.asked:
        raise typer.Exit(1)
    if push:
        files = ("README.md", "plan.json", "dataset.json", "specs.jsonl", PARQUET)
        address = hub.push(push, [hub.Upload(out, ".", f"{record.rows} questions", files)], "dataset")
        typer.echo(f"pushed to {address}")


def verify(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="A finished dataset.")],
    backend: Annotated[
        Optional[str], typer.Option("--backend", help="Simulator; default: the one that rendered the dataset.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=1024, help="Number of processes.")] = 1,
    part: Annotated[str, typer.Option("--part", hidden=True, help="Part of the shards, for a child process.")] = "",
) -> None:
    """Verify a dataset: open every scene, render every view, run every program, and report the rows that differ."""
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
        typer.echo(f"{path}: {len(wrong)} of {rows} rows failed")
        if any(failure.other_version for failure in failures):
            typer.echo(
                "some rows are from another version: verify them with that version, or generate the dataset again"
            )
        raise typer.Exit(1)
    typer.echo(f"{path}: all {rows} rows verified")
