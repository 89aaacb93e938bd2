"""The sizes of a model that its memory follows from, read from its configuration alone.

The model is built on PyTorch's meta device, whose tensors have a shape and no memory, so that parameters and the layers
that get adapters are counted by the modules of the model's own class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from learner.policy.assemble import lora_targets, target_modules
from learner.policy.load import load_config, skeleton

_TILE_TOKENS = ("mm_tokens_per_image", "image_seq_length")  # of Gemma 3 and InternVL, whatever the size of an image


@dataclass(frozen=True)
class Tower:
    """The vision tower. A patch has `patch_px` pixels per side; a square of `merge` patches per side is one token."""

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    patch_px: int
    merge: int
    levels: int  # feature tensors per image: those of the last layer and of each deepstack layer
    tile_tokens: int  # tokens of any image, or 0 if they follow from its size

    def tokens(self, height_px: int, width_px: int) -> int:
        """Tokens of one image in a prompt. An image that a processor splits into tiles counts as one tile."""
        if self.tile_tokens:
            return self.tile_tokens
        cell = self.patch_px * self.merge
        return max(1, round(height_px / cell)) * max(1, round(width_px / cell))


@dataclass(frozen=True)
class Shape:
    """Sizes of a model; `targets` are (inputs, outputs) of every linear layer that gets an adapter."""

    name: str
    kind: str  # model_type of the configuration
    parameters: int
    targets: tuple[tuple[int, int], ...]
    layers: int
    hidden: int
    feed_forward: int  # per token: of all experts that a token is sent to, if there are several
    queries: int  # width of all heads together
    keys: int  # width of all key heads together
    heads: int
    vocabulary: int
    tower: Tower

    def adapter(self, rank: int) -> int:
        """Parameters of a LoRA adapter: A is [rank, inputs] and B [outputs, rank] (arXiv 2106.09685, section 4.1)."""
        return sum(rank * (inputs + outputs) for inputs, outputs in self.targets)


def shape_of(name: str, revision: str = "") -> Shape:
    """The shape of a model folder or hub model. Only its config.json is read.

    Raises VantageError: "bad_config" if there is no such configuration, "unsupported" if its class cannot get adapters.
    """
    return shape_of_config(name, load_config(name, revision))


def shape_of_config(name: str, config: Any) -> Shape:
    """The shape of the model that this configuration describes."""
    model = skeleton(config)
    text = config.get_text_config()
    heads = int(text.num_attention_heads)
    head_dim = int(getattr(text, "head_dim", None) or text.hidden_size // heads)
    modules = target_modules(model, lora_targets(model))
    return Shape(
        name=name,
        kind=str(config.model_type),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        targets=tuple((module.in_features, module.out_features) for module in modules),
        layers=int(text.num_hidden_layers),
        hidden=int(text.hidden_size),
        feed_forward=_feed_forward(text),
        queries=heads * head_dim,
        keys=int(getattr(text, "num_key_value_heads", None) or heads) * head_dim,
        heads=heads,
        vocabulary=int(text.vocab_size),
        tower=_tower(config),
    )


def _feed_forward(text: Any) -> int:
    """Width of the feed-forward layer that one token passes."""
    experts = getattr(text, "num_experts_per_tok", None)
    return int(experts * text.moe_intermediate_size if experts else text.intermediate_size)


def _tower(config: Any) -> Tower:
    vision: Any = config.vision_config
    patch = _first(vision.patch_size)
    fixed = next((int(value) for name in _TILE_TOKENS if (value := getattr(config, name, None))), 0)
    scale = getattr(config, "scale_factor", None)  # Idefics3, SmolVLM: the side of a square of patches that is a token
    if scale:
        fixed = (_first(vision.image_size) // patch // int(scale)) ** 2
    return Tower(
        layers=int(getattr(vision, "depth", None) or vision.num_hidden_layers),
        hidden=int(vision.hidden_size),
        feed_forward=int(vision.intermediate_size),
        heads=int(getattr(vision, "num_heads", None) or vision.num_attention_heads),
        patch_px=patch,
        merge=int(getattr(vision, "spatial_merge_size", None) or 1),
        levels=1 + len(getattr(vision, "deepstack_visual_indexes", None) or ()),
        tile_tokens=fixed,
    )


def _first(value: Any) -> int:
    """A size that a configuration gives as one number or as height and width."""
    return int(value[0] if isinstance(value, (list, tuple)) else value)
