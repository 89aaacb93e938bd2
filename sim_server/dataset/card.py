"""The data set card of a finished dataset, README.md: counts per skill and level, columns, settings.

Its head names the Parquet files, so that `datasets.load_dataset(FOLDER OR REPOSITORY)` and the hub's viewer find them.
"""

from __future__ import annotations

from collections import Counter
from typing import Sequence

from protocol.run.config import to_toml
from protocol.skills import CATALOGUE
from protocol.tasks.task import TaskSpec
from sim_server.dataset.store import Record

PARQUET = "shards/*/rows.parquet"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_card(record: Record, listed: Sequence[TaskSpec], renderer_digest: str) -> str:
    """The card as Markdown. `listed`: the specs of a plan that was created from a list."""
    plan = record.plan
    size = next((name for border, name in _SIZES if record.rows < border), "1M<n<10M")
    head = [
        "---",
        f"pretty_name: Vantage questions, {plan.split}",
        "task_categories: [visual-question-answering]",
        "language: [en]",
        "tags: [spatial-reasoning, simulation, vantage]",
        f"size_categories: [{size}]",
    ]
    if plan.parquet:
        head += ["configs:", "- config_name: default", "  data_files:"]
        head += [f"  - split: {plan.split}", f"    path: {PARQUET}"]
    lines = ["| skill | level | views | rows |", "| --- | --- | --- | --- |"]
    for (skill, level), rows in _rows(record, listed).items():
        lines.append(f"| {skill} | {level} | {CATALOGUE[skill].views} | {rows} |")
    settings = {"curriculum": {"world": plan.world}, **({"sim": plan.sim} if plan.sim else {})}
    half = "training" if plan.split == "train" else "held-out"
    return "\n".join(
        [
            *head,
            "---",
            "",
            "# Spatial questions about simulated scenes",
            "",
            f"{record.rows} questions with images, in scenes of the {half} half. Vantage rendered the views and "
            "computed every answer with a program; no person and no model labelled anything.",
            "",
            *lines,
            "",
            f"{sum(record.infeasible.values())} of {record.asked} specs were infeasible and are left out.",
            "",
            "## Columns",
            "",
            "- `dataset`, `scene_name`, `question_type`, `question`, `options`, `ground_truth`: as in VSI-Bench. With "
            "options, the truth is a letter.",
            "- `answer_type`: choice, number, sequence or map. Numbers are scored by mean relative accuracy.",
            "- `messages`, `images`: a chat for fine-tuning, with the right answer.",
            "- `truth`: JSON text with the spec, the program that derives the answer, camera poses, the visible box of "
            "every object in every view, and the scene.",
            "",
            "## Reproduce",
            "",
            f"Seed {plan.seed}, renderer `{renderer_digest}`. `plan.json` has all arguments of `sim-server generate`; "
            "equal arguments and an equal renderer give the same bytes.",
            "",
            "```toml",
            to_toml(settings).strip(),
            "```",
            "",
        ]
    )


def _rows(record: Record, listed: Sequence[TaskSpec]) -> dict[tuple[str, int], int]:
    """The number of rows by skill and level, in the order of the plan."""
    plan = record.plan
    if listed:
        cells = [(spec.question.skill, spec.question.level) for spec in listed]
    else:
        cells = [plan.cells[number % len(plan.cells)] for number in range(plan.n)]
    counts = Counter(cells)
    for left_out in (record.infeasible, record.failed):
        for name, count in left_out.items():
            skill, _, level = name.rpartition(" L")
            counts[skill, int(level)] -= count
    return {cell: count for cell, count in counts.items() if count}
