"""The model card of a pre-trained policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from learner.pretrain.evaluate import Accuracy
from learner.pretrain.train import PretrainResult
from learner.settings import PretrainSettings
from protocol.skills import CATALOGUE

_CARD = """---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [spatial-reasoning, qwen3-vl, tiny]
---
# vantage-tiny

A Qwen3-VL (`Qwen3VLForConditionalGeneration`) of {parameters:.1f} million parameters that sees one simulated room at a
time in {image_px} x {image_px} px. It names, counts, locates and measures what it sees. Its knowledge of relations
between objects is weak on purpose, for Vantage's loop to improve.

## How it was made

```
{command}
```

From scratch, on views of the `rooms` simulator (renderer `{digest}`) and the simulator's own truth about them, no
other data: {scenes} training scenes, {views} views of each.

1. The vision tower alone, {vision_steps} steps of {vision_batch} views: each image token learns which object it shows,
   its colour, category, position in the image and distance.
2. Everything, {ground_steps} steps of {ground_batch} views with {ground_questions} questions each, packed so that a
   view is encoded once. A grounding loss trains the hidden state at each noun to tell where and what the named object
   is. Of these skills only a fraction of the answers is taught, enough for the format but not the skill: {answered}.

The checkpoint with the best perception whose mean relational accuracy was in {low:.2f}-{high:.2f} was selected
(step {step} of the second stage).

## What it knows

Measured on scenes and seeds that training never used. Greedy: fraction of exactly right greedy answers. Sampled: mean
probability of the right answer at temperature 1. Blind: greedy, without the image. Chance: score of an image-blind
baseline, which for measures ({measures}) is mean relative accuracy instead of exact answers.

{table}

## How to ask it

Lower case, words and punctuation separated by spaces, options at the end of the sentence, in the vocabulary of the
simulator's questions ("which of these is closest to the red chair : blue table or green box ?"). It knows no other
language and no other images.

```python
from learner.policy.load import load
policy = load("vantage-tiny")  # .model, .processor: plain transformers objects
```

Licence: that of the repository. Weights are stored in float32.
"""


def table(seeing: Mapping[str, Accuracy], blind: Mapping[str, Accuracy]) -> str:
    """A Markdown table of accuracies per skill."""
    rows = ["| skill | questions | greedy | sampled | blind | chance |", "|---|---|---|---|---|---|"]
    for name, accuracy in seeing.items():
        without = f"{blind[name].greedy:.2f}" if name in blind else ""
        chance = f"{CATALOGUE[name].chance_at(0):.2f}" if name in CATALOGUE else ""
        row = (name, str(accuracy.questions), f"{accuracy.greedy:.2f}", f"{accuracy.sampled:.2f}", without, chance)
        rows.append("| " + " | ".join(row) + " |")
    return "\n".join(rows)


def write_card(folder: Path, settings: PretrainSettings, command: str, digest: str, made: PretrainResult) -> None:
    """Write README.md beside the weights; `command` reproduces them, `digest` is the renderer digest of the views."""
    low, high = settings.relation_band
    text = _CARD.format(
        **settings.model_dump(exclude={"answered"}),
        answered=", ".join(f"{name} {share:.0%}" for name, share in settings.answered.items()),
        parameters=made.parameters / 1e6,
        scenes=settings.train_shards * settings.scenes_per_shard,
        views=settings.views_per_scene,
        command=command,
        digest=digest,
        step=made.step,
        low=low,
        measures=", ".join(settings.beside),
        high=high,
        table=table(made.seeing, made.blind),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
