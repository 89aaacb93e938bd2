"""Progress on the terminal, read from status/ and metrics/: a panel if stdout is a terminal, else plain lines."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence, Union

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from launch.report.records import Interval, Records, SkillChange, is_relational
from protocol.run.directory import RunDir
from protocol.run.stall import stalls_in

PLAIN_EVERY_S = 10.0
NOTES = 5
PROCESSES = ("sim", "curriculum", "proposer", "learner")
WAITING = "waiting for workers; the first start compiles their kernels"
_BARS = "▁▂▃▄▅▆▇█"
_BARS_SHOWN = 24


class LiveView:
    """A context manager: `note` shows an event, `refresh` the current state."""

    def __init__(self, run: RunDir, console: Optional[Console] = None) -> None:
        self._run = run
        self._records = Records(run)
        self._console = console or Console(highlight=False)
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._started = time.monotonic()
        self._live: Optional[Live] = None
        self._pids: Mapping[str, int] = {}
        self._stalls: dict[str, str] = {}  # process and missing part, or problem -> sentence
        self._printed = ""
        self._printed_at = 0.0

    def __enter__(self) -> LiveView:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def note(self, text: str) -> None:
        stamped = f"{_clock(time.monotonic() - self._started)}  {text}"
        if self._live is None:
            self._console.print(stamped, markup=False, soft_wrap=True)
        else:
            self._notes.append(stamped)
            self._draw()

    def refresh(self, pids: Mapping[str, int], problems: Sequence[str] = ()) -> None:
        """Read new records and show them.

        `pids` are the process ids of the running processes, `problems` sentences about those that are not running.
        """
        self._pids = pids
        self._records.update()
        self._show_stalls(problems)
        if self._live is not None:
            self._draw()
        elif time.monotonic() - self._printed_at > PLAIN_EVERY_S:
            line = self._plain_line()
            if line and line != self._printed:
                self.note(line)
                self._printed, self._printed_at = line, time.monotonic()

    def _show_stalls(self, problems: Sequence[str]) -> None:
        """Note each stall of the processes once when it begins and once when it is over."""
        stalls = {problem: problem for problem in problems}
        for name in PROCESSES:
            for stall in stalls_in(self._run.read_status(name) or {}):
                stalls[f"{name}: no {stall.missing}"] = f"{name} makes no progress: {stall.sentence}"
        begun = [key for key in stalls if key not in self._stalls]
        over = [key for key in self._stalls if key not in stalls]
        self._stalls = stalls
        for key in begun:
            if key not in problems:  # those were noted when they occurred
                self.note(stalls[key])
        for key in over:
            self.note(f"over: {key}")

    # ------------------------------------------------------------------------- contents

    def _draw(self) -> None:
        assert self._live is not None
        processes = Table.grid(padding=(0, 2))
        for name, doing in self._doing().items():
            pid = self._pids.get(name, 0)
            light = Text("●", style="green" if pid else "red" if self._pids else "dim")
            processes.add_row(light, Text(name, style="bold"), Text(str(pid or "–"), style="dim"), Text(doing))
        figures = Table.grid(padding=(0, 2))
        for name, parts in self._figures().items():
            figures.add_row(Text(name, style="dim"), Text(" ".join(parts)))
        for sentence in self._stalls.values():
            figures.add_row(Text("stalled", style="red"), Text(sentence))
        notes = Text("\n".join(self._notes), style="dim")
        elapsed = _clock(time.monotonic() - self._started)
        self._live.update(
            Panel(
                Group(processes, Text(), figures, Text(), notes),
                title=f"vantage · {self._run.name} · {elapsed}",
                title_align="left",
                border_style="cyan",
            ),
            refresh=True,
        )

    def _doing(self) -> dict[str, str]:
        sim = self._run.read_status("sim") or {}
        curriculum = self._run.read_status("curriculum") or {}
        learner = self._run.read_status("learner") or {}
        is_waiting = sim.get("state") == "waiting for workers"
        if is_waiting and self._run.config.get("sim", {}).get("workers") == 0:
            waiting = f"no worker has joined: sim-server worker --join {self._run.path}"
        else:
            waiting = WAITING if is_waiting and not self._records.steps else sim.get("state")
        proposer = self._run.read_status("proposer")
        return {
            "sim": _joined(
                waiting,
                _count(sim, "workers", "worker"),
                _rate(sim.get("served_per_s")),
                _count(sim, "queued", "queued"),
                _count(sim, "infeasible_total", "infeasible"),
            ),
            "curriculum": _joined(
                curriculum.get("selector"),
                _count(curriculum, "issued", "issued"),
                _count(curriculum, "counted", "counted"),
            ),
            **({"proposer": _proposing(proposer, curriculum)} if proposer else {}),
            "learner": _joined(learner.get("state"), _progress(learner)),
        }

    def _figures(self) -> dict[str, list[str]]:
        """Name -> [figure, detail that only the panel shows]."""
        rewards = [step.reward for step in self._records.steps]
        shown: dict[str, list[str]] = {}
        if rewards:
            last = self._records.steps[-1]
            gradient = "" if last.no_gradient is None else f"   groups without gradient {100 * last.no_gradient:.0f} %"
            shown["reward"] = [f"{rewards[-1]:.3f}", sparkline(rewards) + gradient]
        means, label = self.held_out()
        if means:
            first = f"{100 * means[0]:.1f} → " if len(means) > 1 else ""
            shown["held-out accuracy"] = [f"{first}{100 * means[-1]:.1f} % {label}", sparkline(means)]
        if self._records.leases:
            shown["curriculum"] = [self._records.leases[-1].reason]
        return shown

    def held_out(self) -> tuple[list[float], str]:
        """Mean greedy accuracy per evaluation over the relational skills (over all if there are none), and a label."""
        evaluations = self._records.evaluations
        related = any(is_relational(skill) for evaluation in evaluations for skill in evaluation.skills())
        means = [
            evaluation.mean([skill for skill in evaluation.skills() if is_relational(skill) or not related])
            for evaluation in evaluations
        ]
        return [mean for mean in means if mean is not None], "on relations" if related else "on all skills"

    def _plain_line(self) -> str:
        doing = self._doing()
        figures = [f"{name} {parts[0]}" for name, parts in self._figures().items()]
        parts = [f"learner {doing['learner']}", *figures, f"sim {doing['sim']}"]
        return " | ".join(parts)


def print_results(run: RunDir, report: Path, console: Optional[Console] = None) -> None:
    """Print the before/after table per skill with 95 % intervals, and the path of the report."""
    console = console or Console(highlight=False)
    records = Records(run).update()
    changes = records.changes()
    if changes:
        console.print(_changes_table(changes, with_sampled=console.width >= 96))
    console.print(f"report: {report}", soft_wrap=True, markup=False)


def _changes_table(changes: Sequence[SkillChange], with_sampled: bool) -> Table:
    title = "held-out accuracy in per cent, greedy answers, with 95 % intervals"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("skill", no_wrap=True)
    for column in ("asked", "before", "after", "change", *(["sampled"] if with_sampled else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for row in changes:
        low, high = row.change_interval
        style = "green" if low > 0 else "red" if high < 0 else ""
        cells: list[Union[str, Text]] = [
            row.skill,
            str(row.asked),
            _accuracy(row.before, row.before_interval),
            _accuracy(row.after, row.after_interval),
            Text(f"{_signed(row.change)} ±{50 * (high - low):.1f}", style=style),
        ]
        if with_sampled and row.sampled_before is not None and row.sampled_after is not None:
            cells.append(f"{100 * row.sampled_before:.1f} → {100 * row.sampled_after:.1f}")
        table.add_row(*cells)
    for label, relational in (("mean, relational", True), ("mean, perception", False)):
        chosen = [row for row in changes if is_relational(row.skill) == relational]
        if chosen:
            before = sum(row.before for row in chosen) / len(chosen)
            after = sum(row.after for row in chosen) / len(chosen)
            table.add_row(label, "", f"{100 * before:.1f}", f"{100 * after:.1f}", _signed(after - before), style="bold")
    return table


def sparkline(values: list[float]) -> str:
    """The last values as bars, scaled between their minimum and maximum."""
    values = [value for value in values[-_BARS_SHOWN:] if value == value]
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * scale)] for value in values)


def _accuracy(value: float, interval: Interval) -> str:
    return f"{100 * value:.1f} ({100 * interval[0]:.0f}–{100 * interval[1]:.0f})"


def _signed(change: float) -> str:
    return f"{100 * change:+.1f}"


def _proposing(proposer: Mapping[str, Any], curriculum: Mapping[str, Any]) -> str:
    kinds = curriculum.get("kinds") or ()
    retired = sum(bool(kind.get("retired")) for kind in kinds)
    return _joined(
        proposer.get("state"),
        _count(curriculum, "proposals", "accepted"),
        f"{len(kinds) - retired} kinds asked, {retired} retired" if kinds else "",
    )


def _progress(learner: Mapping[str, Any]) -> str:
    if "step" not in learner:
        return ""
    steps = f" of {learner['steps']}" if learner.get("steps") else ""
    used, budget = learner.get("loop_s"), learner.get("budget_s")
    minutes = f", {used / 60:.1f} of {budget / 60:.0f} min" if used is not None and budget else ""
    return f"step {learner['step']}{steps}{minutes}"


def _joined(*parts: Optional[str]) -> str:
    return ", ".join(part for part in parts if part) or "starting"


def _count(status: Mapping[str, Any], key: str, word: str) -> str:
    count = status.get(key)
    plural = "s" if word == "worker" and count != 1 else ""
    return "" if not count else f"{count} {word}{plural}"


def _rate(per_s: Optional[float]) -> str:
    return "" if not per_s else f"{per_s:.0f} requests/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"
