"""Measures the processor time per candidate for screening, if several candidates are about the same views.

    python -m benchmarks.shared_views [--candidates 512]

The simulator opens scenes, chooses and renders views and asks; the learner encodes views and computes the probabilities
of the true answers. Both are measured apart, with up to 1, 2, 4 and 8 questions per view, in the world of the demo and
all cells of it alike. `questions` is the mean number of questions that there really were per view.
"""

from __future__ import annotations

import json
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any, Iterator

import torch
import typer

from benchmarks.learning import ROOT
from benchmarks.machine import describe_load, describe_machine
from curriculum.settings import CurriculumSettings
from learner.policy.assemble import Parts, assemble
from learner.rollouts.base import Prompt
from learner.settings import LearnerSettings
from learner.stream.episodes import Task, task_from
from protocol.answers.prompt import write_answer, write_prompt
from protocol.errors import Infeasible
from protocol.run.config import load, section
from protocol.tasks.specs import deal, task_spec, training_scene
from protocol.tasks.task import TaskSpec
from protocol.wire.codec import Packet
from protocol.wire.messages import RenderTask
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings

RESULT = Path(__file__).parent / "results" / "shared_views.json"
_SEED = 5
_WARM_UP = 8  # candidates


def specs(settings: CurriculumSettings, count: int) -> Iterator[TaskSpec]:
    """Specs of all cells of a run alike, ordered by scene as the curriculum leases them."""
    cells = [(skill.name, level) for skill in settings.skills for level in skill.levels]
    for number, (scene, (name, level)) in enumerate(deal(settings.world, list(islice(cycle(cells), count)), hash)):
        made = training_scene(settings.world, _SEED, scene)
        yield task_spec(settings.world, _SEED, made, spec_id=f"s{number}", seq=number, skill=name, level=level)


def rendered(core: SimCore, settings: CurriculumSettings, candidates: int, per_view: int) -> list[Task]:
    """Tasks with at least this many questions in all."""
    tasks: list[Task] = []
    found = 0
    for spec in specs(settings, candidates):
        if found >= candidates:
            break
        try:
            reply, blobs = core.handle(RenderTask(spec, questions=per_view))
        except Infeasible:
            continue
        tasks.append(
            task_from(Packet(b"", reply, [memoryview(blob) for blob in blobs]), spec, "raw", questions=per_view)
        )
        found += 1 + len(tasks[-1].others)
    return tasks


def prompts(parts: Parts, tasks: list[Task], style: Any) -> list[Prompt]:
    """A prompt with the true answer for each question; those about the same views hold the same images."""
    return [
        Prompt(
            parts.encoder.plain(write_prompt(one.question, style)),
            one.images,
            parts.encoder.answer(write_answer(one.question, style)),
        )
        for task in tasks
        for one in task.candidates
    ]


def measure(
    sim: SimSettings, curriculum: CurriculumSettings, parts: Parts, style: Any, count: int, per_view: int
) -> dict[str, float]:
    """Processor milliseconds per candidate."""
    core = SimCore(sim)
    rendered(core, curriculum, _WARM_UP, per_view)
    core.scenes.close()
    start = time.process_time()
    tasks = rendered(core, curriculum, count, per_view)
    simulator = time.process_time() - start
    core.close()
    asked = prompts(parts, tasks, style)
    parts.truths(asked[:_WARM_UP])
    # The views of a step, encoded once for all uses of a question.
    start = time.process_time()
    for first in range(0, len(asked), count // 4):
        parts.truths(asked[first : first + count // 4])
    learner = time.process_time() - start
    return {
        "per_view": per_view,
        "questions": round(len(asked) / len(tasks), 2),
        "simulator_ms": round(1e3 * simulator / len(asked), 2),
        "learner_ms": round(1e3 * learner / len(asked), 2),
        "both_ms": round(1e3 * (simulator + learner) / len(asked), 2),
    }


def main(candidates: Annotated[int, typer.Option(help="Questions in all, for each row.")] = 512) -> None:
    """Measure the processor time per candidate with 1, 2, 4 and 8 questions per view."""
    torch.set_num_threads(1)
    tree = load([ROOT / "configs" / "demo.toml"], [])
    sim, curriculum = section(tree, "sim", SimSettings), section(tree, "curriculum", CurriculumSettings)
    settings = section(tree, "learner", LearnerSettings)
    parts = assemble(settings, _SEED)
    rows: list[dict[str, float]] = []
    for per_view in (1, 2, 4, 8):
        rows.append(measure(sim, curriculum, parts, settings.policy.style, candidates, per_view))
        print(rows[-1], flush=True)
    result = {"machine": describe_machine(), "load": describe_load(), "candidates": candidates, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
