"""Compares worlds that evolve with a fixed list of worlds, on simulated learners.

    python -m benchmarks.evolving_worlds --seeds 10

Both arms list the same two worlds, a plain and a furnished one; one arm may also derive worlds. The table compares the
true success after the same number of questions in the hardest listed world, and in a far harder one that is never
asked: large, full, cluttered, and at night.

The learner of simulated_learner.py gets a world term: each property of a world (curriculum/ability/properties.py)
lowers the logit of every question in proportion to its value, and an update moves what the learner loses to a property
in proportion to the value. So by assumption what is learned about darkness in one world helps in every other. A policy
need not be like this.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from benchmarks.machine import describe_machine
from benchmarks.simulated_learner import LEVELS, QUESTION_SPREAD, SKILLS, SimulatedLearner
from curriculum.ability.estimates import Estimator
from curriculum.ability.properties import properties_of
from curriculum.ability.rasch import Cell
from curriculum.evolve import next_event
from curriculum.issues import fresh_issues
from curriculum.record.events import Event, Issue, LeasedEvent, ReportedEvent, WorldAddedEvent
from curriculum.record.state import State
from curriculum.selectors.base import draw, make_selector
from curriculum.settings import CurriculumSettings, Evolve, SkillSettings
from curriculum.worlds import all_worlds
from protocol.seeds import rng_for
from protocol.tasks.specs import World
from protocol.wire.messages import ConfidenceReport

BATCH = 32
BUDGET = 9_600  # questions
COSTS = (0.5, 1.0, 2.0)  # logits that a property costs per unit of its value
WORLDS = (World(name="plain"), World(name="furnished", min_objects=6, max_objects=10))
HARD = World(name="hard", rooms=3, min_objects=30, max_objects=48, clutter=0.6, lights=("night",))  # never asked
BOUNDS = Evolve(most=4, mastered=0.8, trial_questions=96, most_rooms=3, most_objects=48, most_clutter=0.6)


class WorldLearner(SimulatedLearner):
    """A simulated learner that loses `cost` logits per unit of every property of a world, until it learns."""

    def __init__(self, seed: int, cost: float) -> None:
        super().__init__(seed)
        self.properties = {HARD.name: properties_of(HARD)}  # of each world
        self.costs = dict.fromkeys(self.properties[HARD.name], cost)

    def add(self, world: World) -> None:
        self.properties[world.name] = properties_of(world)

    def lost(self, world: str) -> float:
        return sum(self.costs.get(name, 0.0) * max(value, 0.0) for name, value in self.properties[world].items())

    def probability(self, issue: Issue) -> float:
        if issue.blind:
            return 0.05
        logit = self.logits[Cell(issue.skill, issue.level)] + QUESTION_SPREAD * self._question(issue.seq)[1]
        return _sigmoid(logit - self.lost(issue.world))

    def success_in(self, world: str, cells: list[Cell]) -> float:
        """True mean success over cells in a world for a question of average difficulty."""
        return sum(_sigmoid(self.logits[cell] - self.lost(world)) for cell in cells) / len(cells)

    def train(self, reports: list[ConfidenceReport]) -> None:
        super().train(reports)
        for report in reports:
            if report.outcome != "answered" or report.blind or self.roles[report.skill] == "noise":
                continue
            step = self._learning_rate * report.success_rate * (1.0 - report.success_rate)
            for name, value in self.properties[report.world].items():
                if value > 0.0 and name in self.costs:
                    self.costs[name] = max(0.0, self.costs[name] - step * value)

    def _report(self, issue: Issue, outcome: str, rewards: tuple[float, ...], success: float) -> ConfidenceReport:
        made = super()._report(issue, outcome, rewards, success)
        return msgspec.structs.replace(made, world=issue.world)


@dataclass
class Outcome:
    evolves: bool
    cost: float
    seed: int
    before: dict[str, float]  # true success by world, over the learnable and mastered cells
    after: dict[str, float]
    derived: int
    retired: int
    changes: list[str]  # of the derived worlds


def run(evolves: bool, cost: float, seed: int, budget: int = BUDGET) -> Outcome:
    """One simulated learner with the list alone, or with derived worlds too."""
    settings = CurriculumSettings(
        skills=tuple(SkillSettings(name=name, levels=LEVELS[:2]) for name in SKILLS),
        worlds=WORLDS,
        evolve=BOUNDS if evolves else Evolve(),
    )
    selector, state, learner = make_selector(settings), State(), WorldLearner(seed, cost)
    estimator = Estimator(state, settings)

    def apply(event: Event) -> None:
        state.apply(event, settings.estimation)
        estimator.follow(event)
        if isinstance(event, WorldAddedEvent):
            learner.add(state.worlds[event.name].world)

    for world in WORLDS:
        apply(WorldAddedEvent(world.name, world.model_dump_json()))
    cells = learner.cells("learnable", "mastered", levels=(0, 1))
    measured = (WORLDS[-1].name, HARD.name)
    before, asked = {name: learner.success_in(name, cells) for name in measured}, 0
    while asked < budget:
        estimates = estimator.estimates()
        if event := next_event(state, settings, estimates, seed):
            apply(event)
            estimates = estimator.estimates()
        drawn = draw(estimates.cells, selector.shares(estimates), BATCH, rng_for(seed, "policy", state.batches))
        issues = fresh_issues(all_worlds(state, settings), drawn, state.next_number, state.next_scene)
        apply(LeasedEvent(b"", "", 0, 0.0, tuple(issues)))
        reports = [learner.answer(issue) for issue in issues]
        apply(ReportedEvent(b"", tuple(reports)))
        learner.train(reports)
        asked += len(reports)
    return Outcome(
        evolves=evolves,
        cost=cost,
        seed=seed,
        before=before,
        after={name: learner.success_in(name, cells) for name in measured},
        derived=sum(bool(record.parent) for record in state.worlds.values()),
        retired=sum(bool(record.retired) for record in state.worlds.values()),
        changes=[f"{record.parent}: {record.change}" for record in state.worlds.values() if record.parent],
    )


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "evolving_worlds.json")
    arguments = parser.parse_args()
    start = time.process_time()
    runs = [
        run(evolves, cost, seed, arguments.budget)
        for cost in COSTS
        for evolves in (False, True)
        for seed in range(arguments.seeds)
    ]
    summary = []
    for cost in COSTS:
        fixed, evolving = ([one for one in runs if one.cost == cost and one.evolves == arm] for arm in (False, True))
        for world in (WORLDS[-1].name, HARD.name):
            gains = [theirs.after[world] - ours.after[world] for ours, theirs in zip(fixed, evolving)]
            summary.append(
                {
                    "cost": cost,
                    "world": world,
                    "before": statistics.mean(one.before[world] for one in fixed),
                    "fixed": statistics.mean(one.after[world] for one in fixed),
                    "evolving": statistics.mean(one.after[world] for one in evolving),
                    "gains": [min(gains), max(gains)],
                    "derived": statistics.mean(one.derived for one in evolving),
                    "retired": statistics.mean(one.retired for one in evolving),
                }
            )
    result = {
        "machine": describe_machine(),
        "seeds": arguments.seeds,
        "questions": arguments.budget,
        "processor_s": round(time.process_time() - start, 1),
        "summary": summary,
        "runs": [asdict(one) for one in runs],
    }
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    for row in summary:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
