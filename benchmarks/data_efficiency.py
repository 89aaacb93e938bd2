"""Counts the questions that the embedded policy needs with the curriculum and with sets that ignore the policy.

    python -m benchmarks.data_efficiency --out benchmarks/results/data_efficiency.json

Every arm is the real loop (vantage-tiny, the rooms simulator, GRPO as in the demo) over the cells of
configs/wide-menu.toml. Steps, batch size and learning rate are the same; only the choice of questions differs:

    frontier      the curriculum
    uniform       fresh questions, all skills and levels equally
    static-N      a fixed set of N questions, all skills and levels equally, in shuffled epochs

A step trains on 32 groups with a gradient and replaces up to 32 groups without one, so an arm that chooses badly asks
more questions. Data is counted as questions asked (groups of answers, blind ones included) and as distinct questions.
Runs are serial and end after a number of steps, so figures do not depend on the machine or its load. A finished run is
read, not repeated, so arms may run separately or in parallel and be combined at the end.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from benchmarks.learning import ROOT, launch
from benchmarks.machine import describe_machine
from launch.report.records import Evaluation, Records
from protocol.run.directory import RunDir, read_jsonl

CONFIGS = (ROOT / "configs" / "demo.toml", ROOT / "configs" / "wide-menu.toml")
RELATIONS = ("view_direction", "depth_order", "relative_distance")  # the relations of the demo
MEASURES = ("relations", "all")
ARMS = "frontier:1,frontier:2,static-2500:1,static-2500:2,uniform:1,static-256:1"
SMOOTHED = 3  # neighbouring evaluations averaged before comparing with a target


def make_run(arm: str, seed: int, steps: int, per_skill: int, every: int, runs: Path) -> RunDir:
    """Run or resume one arm to its end; a finished run is only opened."""
    selector, _, length = arm.partition("-")
    sets = [f"run.seed={seed}", f"curriculum.selector={selector}"]
    sets += [f"curriculum.static_specs={length}"] if length else []
    sets += [f"learner.budget.steps={steps}", "learner.budget.minutes=100000"]
    evaluate = {"per_skill": per_skill, "periodic_per_skill": per_skill, "every_steps": every, "samples": 1}
    sets += [f"learner.evaluate.{key}={value}" for key, value in {**evaluate, "blind_per_skill": 0}.items()]
    sets += ["learner.stream.keep_episodes=1000000"]
    return launch(f"efficiency-{arm}-{seed}", CONFIGS, runs, sets, serial=True)


def outcome(run: RunDir, arm: str) -> dict[str, Any]:
    """Questions asked in a finished run, and its held-out scores over time."""
    records = Records(run).update()
    lines, _ = read_jsonl(run.episodes / "episodes.jsonl")
    lines.sort(key=lambda line: line["step"])
    asked: dict[int, tuple[int, int]] = {0: (0, 0)}  # step -> questions asked and distinct questions until then
    seen: set[tuple[int, str]] = set()
    count = 0
    for step, members in groupby(lines, key=lambda line: line["step"]):
        for line in members:
            count += 1
            seen.add((line["spec"]["seq"], line["skill"]))
        asked[step + 1] = (count, len(seen))
    seeing = [line for line in lines if not line["blind"]]
    ends = {"before": records.before, "after": records.after}
    return {
        "arm": arm,
        "seed": run.seed,
        "steps": len(records.steps),
        "asked": count,
        "distinct": len(seen),
        "no_gradient": sum(not line["had_gradient"] for line in seeing) / len(seeing),
        "of_relations": sum(line["skill"] in RELATIONS for line in seeing) / len(seeing),
        "shares_by_thirds": _shares_by_thirds(seeing),
        "sampled": {when: _sampled(evaluation) for when, evaluation in ends.items() if evaluation is not None},
        "curve": [
            dict(zip(("step", "asked", "distinct"), (evaluation.step, *asked[evaluation.step]))) | _scores(evaluation)
            for evaluation in records.evaluations
        ],
    }


def _shares_by_thirds(lines: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Fraction of the questions per skill in the first, second and last third of a run."""
    bounds = [len(lines) * third // 3 for third in range(4)]
    counts = [Counter(line["skill"] for line in lines[a:b]) for a, b in zip(bounds, bounds[1:])]
    return {
        skill: [round(count[skill] / count.total(), 3) for count in counts] for skill in sorted(set().union(*counts))
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


def _sampled(evaluation: Evaluation) -> dict[str, float]:
    """Mean scores, as in `_scores`, of answers sampled at temperature 1."""
    skills = {skill: evaluation.sampled(skill) or 0.0 for skill in evaluation.skills()}
    return {"relations": statistics.mean(skills[skill] for skill in RELATIONS), "all": statistics.mean(skills.values())}


def smooth(curve: list[dict[str, Any]], measure: str) -> list[float]:
    """Scores averaged over SMOOTHED neighbouring evaluations, fewer at the ends; the first is unchanged."""
    scores, reach = [point[measure] for point in curve], SMOOTHED // 2
    return [scores[0]] + [statistics.mean(scores[max(0, i - reach) : i + reach + 1]) for i in range(1, len(scores))]


def questions_to(curve: list[dict[str, Any]], measure: str, target: float, count: str = "asked") -> Optional[float]:
    """Questions until the smoothed score reaches `target`, interpolated between evaluations; None if it never does."""
    scores = smooth(curve, measure)
    for point, later, low, high in zip(curve, curve[1:], scores, scores[1:]):
        if low < target <= high:
            return point[count] + (later[count] - point[count]) * (target - low) / (high - low)
    return None


def mean_curve(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean curve over the seeds of one arm."""
    keys = ("step", "asked", "distinct", *MEASURES)
    steps = zip(*(row["curve"] for row in rows))
    return [{key: statistics.mean(point[key] for point in points) for key in keys} for points in steps]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Per measure and arm: scores before and after, and the questions needed for every second percentage point."""
    names = list(dict.fromkeys(row["arm"] for row in rows))
    curves = {arm: mean_curve([row for row in rows if row["arm"] == arm]) for arm in names}
    found: dict[str, Any] = {}
    for measure in MEASURES:
        ends = {arm: smooth(curve, measure)[-1] for arm, curve in curves.items()}
        before = curves[names[0]][0][measure]  # the same in all arms
        targets = [point / 100 for point in range(2, 100, 2) if before + 0.01 < point / 100 <= max(ends.values())]
        found[measure] = {
            "before": before,
            "after": ends,
            "questions_to": {
                f"{target:.2f}": {
                    arm: {count: questions_to(curve, measure, target, count) for count in ("asked", "distinct")}
                    for arm, curve in curves.items()
                }
                for target in targets
            },
        }
    return found


def print_table(rows: list[dict[str, Any]], found: dict[str, Any]) -> None:
    print(f"{'arm':<12}{'seed':>5}{'asked':>8}{'distinct':>10}{'no gradient':>13}{'of relations':>14}", end="")
    print(f"{'relations':>18}{'all':>18}")
    for row in rows:
        ends = "".join(f"{row['curve'][0][m]:>9.3f} ->{smooth(row['curve'], m)[-1]:>6.3f}" for m in MEASURES)
        print(
            f"{row['arm']:<12}{row['seed']:>5}{row['asked']:>8}{row['distinct']:>10}{row['no_gradient']:>13.0%}"
            f"{row['of_relations']:>14.0%}{ends}"
        )
    for measure, table in found.items():
        print(f"\nquestions asked (distinct ones) until a score is reached: {measure}, mean of the seeds")
        print(f"{'':<8}" + "".join(f"{arm:>18}" for arm in table["after"]))
        for target, needed in table["questions_to"].items():
            cells = ("–" if n["asked"] is None else f"{n['asked']:.0f} ({n['distinct']:.0f})" for n in needed.values())
            print(f"{target:<8}" + "".join(f"{cell:>18}" for cell in cells))
        print(f"{'end':<8}" + "".join(f"{end:>18.3f}" for end in table["after"].values()))


def main(
    arms: Annotated[str, typer.Option(help="Comma-separated ARM:SEED pairs.")] = ARMS,
    steps: Annotated[int, typer.Option(help="Steps of each run.")] = 160,
    per_skill: Annotated[int, typer.Option(help="Held-out questions per skill.")] = 120,
    every: Annotated[int, typer.Option(help="Steps between evaluations.")] = 20,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = ROOT / "runs",
    out: Annotated[Optional[Path], typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    pairs = [(arm, int(seed)) for arm, _, seed in (item.partition(":") for item in arms.split(","))]
    rows = [outcome(make_run(arm, seed, steps, per_skill, every, runs), arm) for arm, seed in pairs]
    found = summary(rows)
    print_table(rows, found)
    if out is not None:
        record = {"machine": describe_machine(), "held_out_per_skill": per_skill, "relations": RELATIONS}
        record |= {"summary": found, "runs": rows}
        out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
