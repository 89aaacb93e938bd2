"""The inputs of a forward pass for prompts: token ids, image features, tensors."""

from __future__ import annotations

from typing import Any, Iterable, Optional, Sequence

import torch
from PIL import Image

from learner.policy.packed import PackedPolicy
from learner.policy.vision import ImageFeatures
from learner.rollouts.base import Prompt
from learner.rollouts.encoder import PromptEncoder

_TOKEN_TYPES = ("mm_token_type_ids", "token_type_ids")  # of each token, 0 for text; the latter is Gemma 3's


def batches_of_one_shape(prompts: Sequence[Prompt], size: int) -> Iterable[list[int]]:
    """Yield batches of up to `size` indices of prompts whose views have one shape; blind prompts are separate."""
    by_shape: dict[Any, list[int]] = {}
    for index, prompt in enumerate(prompts):
        by_shape.setdefault(prompt.images[0].shape if prompt.images else None, []).append(index)
    for indices in by_shape.values():
        for start in range(0, len(indices), size):
            yield indices[start : start + size]


def encode_prompts(
    packed: PackedPolicy, encoder: PromptEncoder, prompts: Sequence[Prompt]
) -> tuple[list[list[int]], Optional[ImageFeatures]]:
    """Token ids with expanded image tokens, and the features of all views, for prompts of one shape."""
    images = [image for prompt in prompts for image in prompt.images]
    features = packed.encode_once(images) if images else None
    ids = [list(encoder.prompt(prompt.text, len(prompt.images))) for prompt in prompts]
    if images:
        ids = [packed.expand(tokens, *images[0].shape[:2]) for tokens in ids]
    return ids, features


def grid_of(packed: PackedPolicy, prompt: Prompt) -> Optional[tuple[int, int]]:
    return packed.vision.grid(*prompt.images[0].shape[:2]) if prompt.images else None


def plain_inputs(
    model: Any,
    processor: Any,
    encoder: PromptEncoder,
    prompts: Sequence[Prompt],
    answers: Sequence[Sequence[int]] = (),
) -> dict[str, Any]:
    """Input tensors for prompts (padded on the left), followed by the token ids of answers if given."""
    images = [[Image.fromarray(image) for image in prompt.images] for prompt in prompts]
    inputs = processor(
        text=[encoder.rendered(prompt.text, len(prompt.images)) for prompt in prompts],
        images=images if any(images) else None,
        padding=True,
        padding_side="left",
        add_special_tokens=False,
        return_tensors="pt",
    )
    if answers:
        tail = torch.tensor([list(answer) for answer in answers])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], tail], 1)
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(tail)], 1)
        for name in _TOKEN_TYPES:
            if name in inputs:
                inputs[name] = torch.cat([inputs[name], torch.zeros_like(tail)], 1)
    return dict(inputs.to(model.device))
