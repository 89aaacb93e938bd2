"""The model card that is shipped beside a pre-trained policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from learner.pretrain.evaluate import Accuracy
from learner.pretrain.train import Result
from learner.settings import PretrainSettings
from protocol.skills import CATALOGUE

_CARD = """---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [spatial-reasoning, qwen3-vl, tiny]
---
# vantage-tiny

A Qwen3-VL (`Qwen3VLForConditionalGeneration`) of {parameters:.1f} million parameters that sees one simulated room at a
time in {image_px} x {image_px} px. It names, counts and finds what it sees; how things stand to one another it knows
only a little, on purpose: that is what Vantage's loop teaches it.

## How it was made

```
{command}
```

From nothing, on views of the `rooms` simulator (renderer `{digest}`) and the simulator's own truth about them, no
other data: {scenes} training scenes, {views} views of each.

1. The vision tower alone, {vision_steps} steps of {vision_batch} views: every image token learns which object it shows,
   its colour, category, place in the picture and distance.
2. Everything, {ground_steps} steps of {ground_batch} views with {ground_questions} questions each, packed so that a
   view is encoded once; a grounding loss asks the hidden state at every noun where and what the named object is.
   Of these skills only a share of the answers is taught, enough for the format and little of the skill: {answered}.

The checkpoint with the best perception whose mean relational accuracy lay in {low:.2f}-{high:.2f} was kept (step {step}
of the second stage).

## What it knows

Scenes and seeds that training never touched. Greedy: the most likely answer is exactly right. Sampled: mean probability
of the right answer at temperature 1. Blind: greedy, without the picture. Chance: what a guesser who knows the format
earns, which for camera_object_distance is its mean relative accuracy and not how often it is exactly right.

{table}

## How to ask it

Lower case, words and punctuation separated by spaces, options at the end of the sentence, in the vocabulary of the
simulator's questions; it has seen nothing else and knows no other language or picture.

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
        chance = f"{CATALOGUE[name].chance:.2f}" if name in CATALOGUE else ""
        row = (name, str(accuracy.questions), f"{accuracy.greedy:.2f}", f"{accuracy.sampled:.2f}", without, chance)
        rows.append("| " + " | ".join(row) + " |")
    return "\n".join(rows)


def write_card(folder: Path, settings: PretrainSettings, command: str, digest: str, made: Result) -> None:
    """Write README.md beside the weights; `command` makes the policy again, `digest` names its views' renderer."""
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
        high=high,
        table=table(made.seeing, made.blind),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
