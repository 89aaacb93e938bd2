"""Measures how much data, computation and time the loop needs to reach a score, and other ways of training need.

    python -m benchmarks.data_efficiency --arms vantage:1,uniform:1,sft-static-2500:1 --out FILE

Every arm is the real loop (vantage-tiny, the rooms simulator) over the cells of the demo (`--menu demo`) or those of
configs/wide-menu.toml (`--menu wide`), with the batch, learning rate and adapter of the demo. `settings_of` lists what
differs. The learning rate stays constant, since an arm with a shorter budget would otherwise gain by an earlier decay.

Data is counted in four ways: questions *generated*; *distinct* questions that were answered or trained on; questions
*presented*, that is with every repetition; and *answers* sampled. `cpu_s` is the processor time of everything but the
held-out evaluation. Runs are serial and end after a number of steps, so all but `cpu_s` do not depend on the machine or
its load. A finished run is read, not repeated, so arms may run separately or in parallel and be combined at the end.
The file of --out keeps the runs of other arms and seeds that it holds, if menu and held-out questions are the same.
"""

from __future__ import annotations

import json
import statistics
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Optional, Sequence

import typer

from benchmarks.learning import GRPO, ROOT, launch
from benchmarks.machine import describe_machine
from launch.report.records import Evaluation, Records
from protocol.run.directory import RunDir, read_jsonl

MENUS = {"demo": ("demo.toml",), "wide": ("demo.toml", "wide-menu.toml")}
RELATIONS = ("view_direction", "depth_order", "relative_distance")  # the relations of the demo
MEASURES = ("relations", "all")
COUNTS = ("generated", "distinct", "presented", "answers", "cpu_s")
SMOOTHED = 3  # neighbouring evaluations averaged before comparing with a target

_SFT = (*GRPO, "learner.grpo.objective=truth", "learner.grpo.samples=1")


def settings_of(arm: str) -> tuple[str, ...]:
    """The settings in which an arm differs from the demo. Raises ValueError for an unknown arm.

    vantage          the demo's own settings: screening, replay, true answers beside sampled ones
    without-X        the same without screening, replay, the true answers, the bound per cell, or the frontier (all
                     cells equally)
    SELECTOR         GRPO on fresh questions that a selector of the curriculum chooses
    grpo-static-N    GRPO on a fixed set of N questions in shuffled epochs
    sft              the likelihood of true answers on fresh questions, all cells equally, each once
    sft-static-N     the same on a fixed set of N questions in shuffled epochs
    """
    kind, _, length = arm.rpartition("-static-")
    fixed = ("curriculum.selector=static", f"curriculum.static_specs={length}")
    ablations = {
        "without-screening": ("learner.screen.candidates=1",),
        "without-replay": ("learner.replay.share=0",),
        "without-truth": ("learner.grpo.objective=grpo", "learner.grpo.samples=16"),
        "without-bound": ("learner.screen.largest_share=1",),
        "without-frontier": ("curriculum.selector=uniform",),
    }
    if arm == "vantage":
        return ()
    if arm in ablations:
        return ablations[arm]
    if kind in ("grpo", "sft") and length.isdigit():
        return (*(GRPO if kind == "grpo" else _SFT), *fixed)
    if arm == "sft":
        return (*_SFT, "curriculum.selector=uniform")
    if arm.isidentifier():
        return (*GRPO, f"curriculum.selector={arm}")
    raise ValueError(f"unknown arm {arm!r}; see settings_of in {Path(__file__).name}")


def make_run(
    menu: str, arm: str, seed: int, steps: int, per_skill: int, every: int, held_out: int, runs: Path
) -> RunDir:
    """Run or resume one arm to its end; a finished run is only opened."""
    evaluate = {"per_skill": per_skill, "periodic_per_skill": per_skill, "every_steps": every, "samples": 1}
    evaluate |= {"blind_per_skill": 0, "seed": held_out}
    sets = [f"run.seed={seed}", f"learner.budget.steps={steps}", "learner.budget.minutes=100000", *settings_of(arm)]
    sets += [f"learner.evaluate.{key}={value}" for key, value in evaluate.items()]
    sets += ["learner.grpo.decay_from=1", "learner.stream.keep_episodes=1000000"]
    configs = [ROOT / "configs" / name for name in MENUS[menu]]
    return launch(f"efficiency-{menu}-{arm}-{seed}", configs, runs, sets, serial=True)


def outcome(run: RunDir, arm: str) -> dict[str, Any]:
    """The data used in a finished run, and its held-out scores over time."""
    records = Records(run).update()
    lines, _ = read_jsonl(run.episodes / "episodes.jsonl")
    lines.sort(key=lambda line: line["step"])
    seen: set[tuple[int, str]] = set()
    distinct: dict[int, int] = {}  # until the end of each step (from 0)
    for step, members in groupby(lines, key=lambda line: line["step"]):
        seen |= {(line["spec"]["seq"], line["skill"]) for line in members}
        distinct[step] = len(seen)
    used: dict[int, dict[str, float]] = {0: dict.fromkeys(COUNTS, 0)}
    for number, step in enumerate(records.steps):
        before = used[number]
        used[number + 1] = {
            "generated": before["generated"] + step.candidates,
            "distinct": distinct.get(number, before["distinct"]),
            "presented": before["presented"] + step.asked + step.replayed,
            "answers": before["answers"] + step.answers,
            "cpu_s": round(before["cpu_s"] + step.cpu_s, 1),
        }
    if run.config["curriculum"]["selector"] == "static":
        for counts in used.values():
            counts["generated"] = counts["distinct"]
    return {
        "arm": arm,
        "seed": run.seed,
        "steps": len(records.steps),
        **used[len(records.steps)],
        "of_relations": sum(line["skill"] in RELATIONS for line in lines) / len(lines),
        "curve": [
            {"step": evaluation.step, **used[evaluation.step], **_scores(evaluation)}
            for evaluation in records.evaluations
        ],
    }


def _scores(evaluation: Evaluation) -> dict[str, Any]:
    """Greedy scores: the mean over the relations, over all skills, and per skill."""
    skills = {skill: evaluation.greedy(skill) for skill in evaluation.skills()}
    scores = {skill: right / number for skill, (right, number) in skills.items()}
    return {
        "relations": statistics.mean(scores[skill] for skill in RELATIONS),
        "all": statistics.mean(scores.values()),
        "skills": {skill: round(score, 4) for skill, score in scores.items()},
    }


def smooth(curve: Sequence[dict[str, Any]], measure: str) -> list[float]:
    """Scores averaged over SMOOTHED neighbouring evaluations, fewer at the ends; the first is unchanged."""
    scores, reach = [point[measure] for point in curve], SMOOTHED // 2
    return [scores[0]] + [statistics.mean(scores[max(0, i - reach) : i + reach + 1]) for i in range(1, len(scores))]


def needed(curve: Sequence[dict[str, Any]], measure: str, target: float) -> Optional[dict[str, float]]:
    """Data until the smoothed score reaches `target`, interpolated between evaluations; None if it never does."""
    scores = smooth(curve, measure)
    for point, later, low, high in zip(curve, curve[1:], scores, scores[1:]):
        if low < target <= high:
            part = (target - low) / (high - low)
            return {count: round(point[count] + (later[count] - point[count]) * part) for count in COUNTS}
    return None


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Per measure: the scores before and, per arm, after; and per seed the data for every second percentage point."""
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    found: dict[str, Any] = {}
    for measure in MEASURES:
        ends = {arm: [smooth(row["curve"], measure)[-1] for row in rows if row["arm"] == arm] for arm in arms}
        best = max(max(values) for values in ends.values())
        before = statistics.mean(row["curve"][0][measure] for row in rows)
        found[measure] = {
            "before": before,
            "after": ends,
            "needed": {
                f"{target / 100:.2f}": {
                    arm: [needed(row["curve"], measure, target / 100) for row in rows if row["arm"] == arm]
                    for arm in arms
                }
                for target in range(2, 100, 2)
                if before + 0.01 < target / 100 <= best
            },
        }
    return found


def merge(record: dict[str, Any], facts: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs of a record and `rows`, which replace those of the same arm and seed.

    Raises ValueError if the record was measured on another menu or on other held-out questions.
    """
    for name, value in facts.items():
        if record[name] != value:
            raise ValueError(f"the file of --out has {name} = {record[name]!r}, not {value!r}: choose another file")
    new = {(row["arm"], row["seed"]) for row in rows}
    return [*rows, *(row for row in record["runs"] if (row["arm"], row["seed"]) not in new)]


def print_table(rows: Sequence[dict[str, Any]], found: dict[str, Any]) -> None:
    print(f"{'arm':<20}{'seed':>5}{'steps':>6}" + "".join(f"{count:>10}" for count in COUNTS), end="")
    print(f"{'relations':>18}{'all':>18}")
    for row in rows:
        ends = "".join(f"{row['curve'][0][m]:>9.3f} ->{smooth(row['curve'], m)[-1]:>6.3f}" for m in MEASURES)
        counts = "".join(f"{row[count]:>10.0f}" for count in COUNTS)
        print(f"{row['arm']:<20}{row['seed']:>5}{row['steps']:>6}{counts}{ends}")
    for measure, table in found.items():
        for target, by_arm in table["needed"].items():
            print(f"\n{measure} {target}: distinct / presented / CPU seconds per seed")
            for arm, seeds in by_arm.items():
                cells = [
                    "–" if one is None else f"{one['distinct']} / {one['presented']} / {one['cpu_s']}" for one in seeds
                ]
                print(f"  {arm:<20}" + "   ".join(cells))


def main(
    arms: Annotated[str, typer.Option(help="Comma-separated ARM:SEED or ARM:SEED:STEPS.")] = "vantage:1,uniform:1",
    menu: Annotated[str, typer.Option(help="Cells that are asked: demo or wide.")] = "demo",
    steps: Annotated[int, typer.Option(help="Steps of each run without a number of its own.")] = 480,
    per_skill: Annotated[int, typer.Option(help="Held-out questions per skill.")] = 160,
    every: Annotated[int, typer.Option(help="Steps between evaluations.")] = 40,
    held_out: Annotated[int, typer.Option(help="Seed of the held-out questions.")] = 8,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = ROOT / "runs",
    out: Annotated[Optional[Path], typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    rows = []
    for item in arms.split(","):
        arm, seed, *own = item.split(":")
        run = make_run(menu, arm, int(seed), int(own[0]) if own else steps, per_skill, every, held_out, runs)
        rows.append(outcome(run, arm))
    facts = {"menu": menu, "held_out_per_skill": per_skill, "held_out_seed": held_out, "relations": list(RELATIONS)}
    if out is not None and out.exists():
        rows = merge(json.loads(out.read_text()), facts, rows)
    found = summary(rows)
    print_table(rows, found)
    if out is not None:
        record = {"machine": describe_machine(), **facts, "summary": found, "runs": rows}
        out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
