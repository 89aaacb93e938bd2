"""Measures how much the loop improves the embedded policy.

    python -m benchmarks.learning --seeds 1,2,3 --grpo-seeds 1

Each run is the demo as a user starts it: three processes, TRL's trainer, held-out questions before and after. Seeds of
--grpo-seeds are run with GRPO alone, without screening, replay and true answers. Runs are sequential; a finished run is
read, not repeated. Prints a table and, with --out, writes a JSON file that names the machine.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Optional, Sequence

import typer

from benchmarks.machine import describe_machine
from launch.report.records import Records, is_relational
from protocol.run.directory import RunDir

ROOT = Path(__file__).resolve().parent.parent
# Settings of GRPO alone, on questions that are all answered once.
GRPO = (
    "learner.screen.candidates=1",
    "learner.replay.share=0",
    "learner.grpo.objective=grpo",
    "learner.grpo.samples=16",
    "curriculum.shares.blind=0.03",
)


def launch(name: str, configs: Sequence[Path], runs: Path, sets: Sequence[str], serial: bool = False) -> RunDir:
    """Run or resume the loop to its end. Raises CalledProcessError if it fails."""
    command = [sys.executable, "-m", "vantage", "run", *map(str, configs), "--name", name, "--runs", str(runs)]
    command += ["--serial"] if serial else []
    for item in sets:
        command += ["--set", item]
    with open(runs / f"{name}.log", "ab") as log:
        subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=True)
    return RunDir.open(runs / name)


def outcome(run: RunDir) -> dict[str, Any]:
    """Scores of a finished run before and after, and figures about its steps."""
    records = Records(run).update()
    changes = records.changes()
    relational = [change for change in changes if is_relational(change.skill)]
    mastered = [change for change in changes if not is_relational(change.skill)]
    shares = [step.no_gradient for step in records.steps if step.no_gradient is not None]
    before, after = records.before, records.after
    assert before is not None and after is not None and relational
    sampled = [(c.sampled_before, c.sampled_after) for c in relational if c.sampled_before is not None]
    parts = sorted({part for step in records.steps for part in step.seconds})
    return {
        "run": run.name,
        "seed": run.seed,
        "objective": run.config["learner"]["grpo"]["objective"],
        "steps": len(records.steps),
        "generated": sum(step.candidates for step in records.steps),
        "distinct": sum(step.asked for step in records.steps),
        "presented": sum(step.asked + step.replayed for step in records.steps),
        "answers": sum(step.answers for step in records.steps),
        "seconds": {part: statistics.mean(step.seconds.get(part, 0.0) for step in records.steps) for part in parts},
        "minutes": round((records.steps[-1].time_s - records.steps[0].time_s) / 60, 2),
        "questions_per_skill": min(change.asked for change in changes),
        "relational_before": statistics.mean(change.before for change in relational),
        "relational_after": statistics.mean(change.after for change in relational),
        "relational_sampled_before": statistics.mean(p for p, _ in sampled if p is not None),
        "relational_sampled_after": statistics.mean(q for _, q in sampled if q is not None),
        "mastered_change": {change.skill: change.change for change in mastered},
        "no_gradient_share": statistics.mean(shares) if shares else None,
        "skills": {change.skill: {"before": change.before, "after": change.after} for change in changes},
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    print(f"{'objective':<14}{'seed':>5}{'steps':>7}{'min':>6}{'greedy':>18}{'sampled':>18}{'no gradient':>13}", end="")
    print("   largest drop of a mastered skill")
    for row in rows:
        mastered = row["mastered_change"]
        worst = min(mastered, key=lambda skill: mastered[skill]) if mastered else None
        print(
            f"{row['objective']:<14}{row['seed']:>5}{row['steps']:>7}{row['minutes']:>6.1f}"
            f"{row['relational_before']:>9.3f} ->{row['relational_after']:>6.3f}"
            f"{row['relational_sampled_before']:>9.3f} ->{row['relational_sampled_after']:>6.3f}"
            f"{row['no_gradient_share'] or 0:>12.0%}   " + (f"{worst} {mastered[worst]:+.3f}" if worst else "")
        )


def main(
    config: Annotated[Path, typer.Option(help="Configuration to run.")] = ROOT / "configs" / "demo.toml",
    seeds: Annotated[str, typer.Option(help="Comma-separated run seeds.")] = "1,2,3",
    grpo_seeds: Annotated[str, typer.Option(help="Comma-separated run seeds with GRPO alone.")] = "",
    minutes: Annotated[Optional[float], typer.Option(help="Budget of the loop; default: that of the config.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = ROOT / "runs",
    out: Annotated[Optional[Path], typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Run the loop once per seed and compare held-out accuracy before and after."""
    runs.mkdir(parents=True, exist_ok=True)
    rows = []
    arms = [("", int(seed), ()) for seed in seeds.split(",")]
    arms += [("-grpo", int(seed), GRPO) for seed in grpo_seeds.split(",") if seed]
    for suffix, seed, settings in arms:
        sets = [f"run.seed={seed}", *settings]
        sets += [f"learner.budget.minutes={minutes}"] if minutes is not None else []
        name = f"{config.stem}-{seed}{suffix}" + (f"-{minutes:g}min" if minutes is not None else "")
        rows.append(outcome(launch(name, [config], runs, sets)))
        print_table(rows[-1:])
    print_table(rows)
    if out is not None:
        record = {"machine": describe_machine(), "config": config.name, "runs": rows}
        out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
