"""The model card of an exported policy: what it was trained on, how it scored before and after, and its settings."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any, Mapping, Optional

from learner.settings import LearnerSettings
from protocol.run.config import to_toml
from protocol.run.directory import RunDir
from protocol.tasks.specs import worlds_of

_TABLES = ("policy", "budget", "rollout", "screen", "replay", "grpo")  # of the settings, those that shape a policy
_VERSIONS = ("torch", "transformers", "peft", "trl")


def write_card(run: RunDir, settings: LearnerSettings, step: int, base: Mapping[str, Any]) -> str:
    """The card as Markdown. `base` is the manifest's facts about the base model."""
    sizes = sorted({(world.width_px, world.height_px) for world in worlds_of(run.config).values()})
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _VERSIONS)
    shown = {table: getattr(settings, table).model_dump(mode="json") for table in _TABLES}
    packaged = (
        settings.policy.model if "/" in settings.policy.model and not Path(settings.policy.model).exists() else ""
    )
    head = ["---", "library_name: transformers", "pipeline_tag: image-text-to-text", "tags: [spatial-reasoning, grpo]"]
    head += [f"base_model: {packaged}"] if packaged else []
    return "\n".join(
        [
            *head,
            "---",
            "",
            f"# {run.name}",
            "",
            f"Trained with Vantage from {base['base']} {base['revision']}".rstrip()
            + f", {step} steps of {settings.grpo.groups} questions with {settings.grpo.samples} answers each.",
            "Questions, images and answers were rendered and computed by a simulator; nothing was labelled.",
            "",
            "## Held-out accuracy",
            "",
            *_scores(run),
            "",
            "Questions in scenes and seeds that training never used. Scores on other benchmarks are not part of this "
            "card.",
            "",
            "## How to ask",
            "",
            f"Prompt style `{settings.policy.style}`; images of "
            + " and ".join(f"{width} x {height}" for width, height in sizes)
            + " px. "
            "`adapter/` is for PEFT or vLLM with the base model; the model itself is merged.",
            "",
            "## Settings",
            "",
            f"Seed {run.seed}; {versions}.",
            "",
            "```toml",
            to_toml({"learner": shown}).strip(),
            "```",
            "",
        ]
    )


def _scores(run: RunDir) -> list[str]:
    before, after = (_rows(run.path / "evaluations" / f"{name}.json") for name in ("before", "after"))
    if not before and not after:
        return ["The run has no evaluation yet."]
    lines = ["| skill | level | asked | before, greedy % | after, greedy % |", "| --- | --- | --- | --- | --- |"]
    for key in sorted({**before, **after}):
        (world, skill, level), own = key, after.get(key) or before[key]
        name = f"{skill} in {world}" if world else skill
        scores = f"{_per_cent(before.get(key))} | {_per_cent(after.get(key))}"
        lines.append(f"| {name} | {level} | {own['asked']} | {scores} |")
    return lines


def _rows(path: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The scores of an evaluation by world, skill and level."""
    try:
        rows = json.loads(path.read_bytes())["rows"]
        return {(row.get("world", ""), row["skill"], row["level"]): row for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _per_cent(row: Optional[Mapping[str, Any]]) -> str:
    if row is None:
        return "–"
    low, high = row["greedy_interval"]
    return f"{100 * row['greedy']:.1f} ({100 * low:.0f}–{100 * high:.0f})"
