"""Compares the curriculum's selectors on simulated learners: which one teaches with the fewest questions?

    python -m benchmarks.curriculum_selectors --seeds 20

Every selector is also run with screening: of CANDIDATES questions for each place in a batch, the learner answers those
with the largest variance p (1 - p), as learner/stream/screen.py chooses them. Only answered questions are counted.

Prints a table and writes benchmarks/results/curriculum.json. Criterion: mean success over the learnable cells
(levels 0 and 1, the rarely realisable skill included) reaches 0.8 while the mastered skills have fallen by at most
3 points. A learner that does not reach it within the budget counts with the budget.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Sequence

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe_machine
from benchmarks.simulated_learner import LEVELS, SKILLS, SimulatedLearner
from curriculum.ability.estimates import Estimator
from curriculum.issues import fresh_issues, repeated_issues
from curriculum.record.events import Issue, LeasedEvent, ReportedEvent
from curriculum.record.state import State
from curriculum.selectors import SELECTORS
from curriculum.selectors.base import draw, make_selector
from curriculum.settings import CurriculumSettings, SkillSettings
from learner.settings import ScreenSettings
from learner.stream.screen import Candidate, choose
from protocol.seeds import rng_for

BATCH = 32
BUDGET = 6_400  # questions
CRITERION = 0.8
ALLOWED_FALL = 0.03
CANDIDATES = 8


@dataclass
class Outcome:
    selector: str
    candidates: int  # per question; 1: no screening
    seed: int
    questions: int  # until the criterion, or the budget
    reached: bool
    learnable: float  # true success over the learnable cells at the end
    mastered_fall: float
    no_gradient: float  # fraction of answered groups
    noise: float  # fraction of questions spent on the unlearnable skill


def run(
    selector_name: str, seed: int, budget: int = BUDGET, skills: tuple[str, ...] = SKILLS, candidates: int = 1
) -> Outcome:
    """Run one simulated learner with one selector until the criterion or the budget."""
    settings = CurriculumSettings(
        selector=selector_name, skills=tuple(SkillSettings(name=name, levels=LEVELS) for name in skills)
    )
    selector, state, learner = make_selector(settings), State(), SimulatedLearner(seed)
    estimator = Estimator(state, settings)

    def apply(event: LeasedEvent | ReportedEvent) -> None:
        state.apply(event, settings.estimation)
        estimator.follow(event)

    learnable = learner.cells("learnable", "rare", levels=(0, 1))
    mastered = learner.cells("mastered")
    before = learner.success(mastered)
    count = BATCH * candidates
    asked = answered = flat = noise = 0
    reached = False
    while asked < budget and not reached:
        estimates = estimator.estimates()
        if selector.repeats is None:
            rng = rng_for(seed, "policy", state.batches)
            drawn = draw(estimates.cells, selector.shares(estimates), count, rng)
            issues = fresh_issues(settings.by_name, drawn, state.next_number, state.next_scene)
        else:
            length = selector.repeats
            issues = repeated_issues(settings.by_name, seed, estimates.cells, length, count, state.next_number)
        apply(LeasedEvent(b"", "", 0, 0.0, tuple(issues)))
        chosen, left_out = _screen(learner, issues, candidates, rng_for(seed, "screen", state.batches))
        reports = [learner.answer(issue) for issue in chosen]
        apply(ReportedEvent(b"", (*reports, *(learner.screened(issue) for issue in left_out))))
        learner.train(reports)
        asked += sum(report.outcome == "answered" for report in reports)
        seeing = [report for report in reports if report.outcome == "answered" and not report.blind]
        answered += len(seeing)
        flat += sum(not report.had_gradient for report in seeing)
        noise += sum(learner.roles[report.skill] == "noise" for report in reports)
        fall = before - learner.success(mastered)
        reached = learner.success(learnable) >= CRITERION and fall <= ALLOWED_FALL
    return Outcome(
        selector=selector_name,
        candidates=candidates,
        seed=seed,
        questions=asked,
        reached=reached,
        learnable=learner.success(learnable),
        mastered_fall=before - learner.success(mastered),
        no_gradient=flat / answered,
        noise=noise / asked,
    )


def _screen(
    learner: SimulatedLearner, issues: Sequence[Issue], candidates: int, rng: np.random.Generator
) -> tuple[list[Issue], list[Issue]]:
    """Questions to answer, with those that are infeasible or blind, and those that are left out."""
    if candidates == 1:
        return list(issues), []
    judged = [issue for issue in issues if learner.feasible(issue) and not issue.blind]
    p = [learner.probability(issue) for issue in judged]
    offered = [Candidate((i.skill, i.level), i.seq, q * (1 - q), i.spec_id) for i, q in zip(judged, p)]
    found = choose(offered, min(BATCH, len(judged)), ScreenSettings(candidates=candidates), rng)
    others = [issue for issue in issues if issue.blind or not learner.feasible(issue)]
    return others + [judged[index] for index in found.chosen], [judged[index] for index in found.left_out]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "curriculum.json")
    arguments = parser.parse_args()
    start = time.perf_counter()
    arms = {name: (name, 1) for name in SELECTORS.built_in}
    arms |= {f"{name} + screening": (name, CANDIDATES) for name in SELECTORS.built_in if name != "static"}
    outcomes = {
        arm: [run(name, seed, arguments.budget, candidates=candidates) for seed in range(arguments.seeds)]
        for arm, (name, candidates) in arms.items()
    }
    ours = outcomes["frontier + screening"]
    summary = {
        arm: {
            "median_questions": statistics.median(outcome.questions for outcome in runs),
            "reached": sum(outcome.reached for outcome in runs),
            "questions_over_ours": statistics.median(its.questions / mine.questions for mine, its in zip(ours, runs)),
            "no_gradient": statistics.mean(outcome.no_gradient for outcome in runs),
            "noise": statistics.mean(outcome.noise for outcome in runs),
            "mastered_fall": statistics.mean(outcome.mastered_fall for outcome in runs),
        }
        for arm, runs in outcomes.items()
    }
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(
        json.dumps(
            {
                "machine": describe_machine(),
                "seeds": arguments.seeds,
                "batch": BATCH,
                "budget": arguments.budget,
                "criterion": CRITERION,
                "allowed_fall": ALLOWED_FALL,
                "wall_s": round(time.perf_counter() - start, 1),
                "summary": summary,
                "runs": [asdict(outcome) for runs in outcomes.values() for outcome in runs],
            },
            indent=1,
        )
        + "\n"
    )
    print(f"{'selector':30} {'questions':>9} {'reached':>8} {'x ours':>10} {'flat':>6} {'noise':>6} {'fall':>6}")
    for name, row in summary.items():
        print(
            f"{name:30} {row['median_questions']:9.0f} {row['reached']:5d}/{arguments.seeds:<2d}"
            f" {row['questions_over_ours']:10.2f} {row['no_gradient']:6.2f} {row['noise']:6.2f}"
            f" {row['mastered_fall']:6.3f}"
        )


if __name__ == "__main__":
    main()
