"""Command line: `curriculum serve`, `status`, `rebuild`, `replay`, `export` and `propose`."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Optional, Sequence

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from curriculum.ability.estimates import Estimator
from curriculum.ability.rasch import Cell
from curriculum.record.load import fingerprint, load_state
from curriculum.record.snapshot import save_snapshot
from curriculum.record.state import State, encode_state
from curriculum.record.store import FILE_NAME, Store
from curriculum.replay import Span
from curriculum.replay import replay as decide_again
from curriculum.selectors.base import make_selector
from curriculum.settings import CurriculumSettings
from curriculum.status import status_of
from curriculum.tables import number, print_kinds
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.run.exits import run_command, stop_on_signals
from protocol.run.logs import setup
from protocol.wire.messages import CurriculumStatus, WorldStatus

app = typer.Typer(
    help="Decide what the learner is asked next.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")]


@app.command()
def serve(
    run: RunArgument,
    bind: Annotated[
        str, typer.Option(help="Listen on tcp://HOST:PORT, for learners on other hosts; default: a local socket.")
    ] = "",
) -> None:
    """Serve specs and count reports until SIGTERM or Ctrl-C."""
    from curriculum.service import serve as serve_run  # the other commands need no socket

    opened = RunDir.open(run)
    setup(opened.path, "curriculum")
    stop = stop_on_signals()
    serve_run(opened, stop, bind)


@app.command()
def status(run: RunArgument) -> None:
    """Show what was asked, the results and the next shares, from the files of the run."""
    opened, settings = _open(run)
    with closing(Store(opened.path / FILE_NAME, opened.seed, read_only=True)) as store:
        state, _ = load_state(store, settings.estimation)
    estimates = Estimator(state, settings).estimates()
    _print(opened.name, status_of(state, settings, estimates, make_selector(settings)))


@app.command()
def rebuild(run: RunArgument) -> None:
    """Recompute the estimates from the events and report whether the stored ones were correct."""
    opened, settings = _open(run)
    estimation = settings.estimation
    with opened.lock("curriculum"), closing(Store(opened.path / FILE_NAME, opened.seed)) as store:
        stored = encode_state(load_state(store, estimation)[0])
        state, last, rows, indexes_right = State(), 0, 0, True
        for last, event in store.events():
            state.apply(event, estimation)
            if indexes_right:
                found = store.indexed(last, event)
                rows, indexes_right = rows + found, found >= 0
        indexes_right = indexes_right and rows == store.index_size()
        if not indexes_right:
            store.rebuild_indexes()
        rebuilt = encode_state(state)
        save_snapshot(opened.path, last, fingerprint(estimation), rebuilt)
    right = indexes_right and stored == rebuilt
    print(f"{last} events replayed; the projections {'were correct' if right else 'differed and are repaired'}.")
    if not right:
        raise typer.Exit(1)


@app.command()
def replay(
    run: RunArgument,
    selector: Annotated[str, typer.Option(help="The selector that decides the batches of the run again.")],
) -> None:
    """Compare what a run asked with what another selector would have asked, given the same estimates."""
    opened, settings = _open(run)
    with closing(Store(opened.path / FILE_NAME, opened.seed, read_only=True)) as store:
        spans = decide_again(store, settings, selector)
    _print_replay(f"{opened.name}: per cent of the questions, as asked → {selector}", spans)


@app.command()
def export(
    run: RunArgument,
    out: Annotated[
        Optional[Path], typer.Option(help="Existing folder for the files; default: the folder of the run.")
    ] = None,
) -> None:
    """Write events.parquet, one row per spec and event, and estimates.parquet, one row per cell."""
    from curriculum.export import ESTIMATES, EVENTS  # needs pyarrow
    from curriculum.export import export as write

    opened, settings = _open(run)
    folder = out or opened.path
    with closing(Store(opened.path / FILE_NAME, opened.seed, read_only=True)) as store:
        events, estimates = write(store, settings, folder)
    print(f"{folder / EVENTS}: {events} rows")
    print(f"{folder / ESTIMATES}: {estimates} rows")


@app.command()
def propose(
    run: RunArgument,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="A proposal as JSON, or several as JSON lines (.jsonl).")
    ],
) -> None:
    """Examine proposals with the simulator of a live run and add the accepted ones to its curriculum.

    Exit code 1 if any is rejected.
    """
    from curriculum.propose import propose as add  # the other commands need no socket

    if add(RunDir.open(run), files, print):
        raise typer.Exit(1)


def main() -> None:
    run_command(partial(app, prog_name="curriculum"), "curriculum")


def _open(path: Path) -> tuple[RunDir, CurriculumSettings]:
    run = RunDir.open(path)
    return run, section(run.config, "curriculum", CurriculumSettings)


def _print(name: str, status: CurriculumStatus) -> None:
    console = Console()
    table = Table(
        title=f"{name}: selector {status.selector}", title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0
    )
    table.add_column("cell", overflow="fold")  # on a narrow terminal it wraps before the level
    for column in ("asked", "right", "pred", "share", "no grad", "infeas", "blind", "ECE", "Brier"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in status.cells:
        table.add_row(
            str(Cell(row.skill, row.level, row.degradation, row.world)),
            str(row.asked),
            number(row.success_rate if row.asked else None),
            number(row.predicted),
            f"{100 * row.share:.0f} %",
            str(row.no_gradient),
            str(row.infeasible),
            number(row.blind_success),
            number(row.calibration_error),
            number(row.brier),
        )
    console.print(table)
    if status.cells_left_out:
        console.print(f"and {status.cells_left_out} cells with smaller shares", highlight=False)
    if status.worlds:
        _print_worlds(console, status.worlds)
    console.print(
        f"{status.issued} specs issued, {status.leased} on lease, {status.counted} reports counted, "
        f"{status.screened} screened, {status.infeasible} infeasible, {status.broken} broken",
        highlight=False,
    )
    if len(status.learners) > 1:
        held = ", ".join(f"{name} {count}" for name, count in sorted(status.learners.items()))
        console.print(f"on lease by learner: {held}", highlight=False)
    if status.proposals:
        console.print(
            f"{status.proposals} proposals, {status.proposals_waiting} of their specs not issued yet",
            highlight=False,
        )
    if status.kinds:
        print_kinds(console, status.kinds)
    if status.reason:
        console.print(status.reason, highlight=False)


def _print_worlds(console: Console, worlds: Sequence[WorldStatus]) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("world", no_wrap=True)
    for column in ("from spec", "asked", "right", "signal", "share"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("history", overflow="fold")
    for row in worlds:
        figures = ["–"] * 3
        if not row.retired:
            figures = [number(row.success_rate), f"{row.signal:.3f}", f"{100 * row.share:.0f} %"]
        history = [f"{row.change} from {row.parent}: {row.added}" if row.parent else row.added]
        history += [f"retired at spec {row.retired_at}: {row.retired}"] if row.retired else []
        history += [f"waits: {row.waiting}"] if row.waiting else []
        table.add_row(row.name, str(row.at), str(row.asked) if not row.retired else "–", *figures, "; ".join(history))
    console.print(table)


def _print_replay(title: str, spans: Sequence[Span]) -> None:
    console = Console()
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("skill", overflow="fold")
    for span in spans:
        table.add_column(f"batch {span.first}–{span.last}", justify="right", min_width=9)
    table.add_column("difference", justify="right", no_wrap=True)
    differences = {
        name: sum(span.other[name] - span.asked[name] for span in spans) / len(spans) for name in spans[0].asked
    }
    for name in sorted(differences, key=lambda name: -abs(differences[name])):
        pairs = (f"{100 * span.asked[name]:.0f} → {100 * span.other[name]:.0f}" for span in spans)
        table.add_row(name, *pairs, f"{100 * differences[name]:+.1f}")
    table.add_section()
    signals = [(span.asked_signal, span.other_signal) for span in spans]
    change = sum(other - asked for asked, other in signals) / len(signals)
    table.add_row("signal", *(f"{asked:.3f} → {other:.3f}" for asked, other in signals), f"{change:+.3f}")
    console.print(table)
    console.print("signal: the expected variance of rewards within a group", highlight=False)


if __name__ == "__main__":
    main()
