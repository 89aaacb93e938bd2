"""Builds `vantage-tiny` from scratch: a Qwen3-VL of 3.3 million parameters with its own tokenizer.

A 96 px view becomes 12 x 12 patches of 8 px, merged 2 x 2 to 36 image tokens. The vision tower has 3 layers of width
128; the language model has 4 layers of width 192, tied embeddings, and heads of size 32, which vLLM's CPU attention
supports. `save` writes everything needed to load the policy offline.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

from learner.policy.vocabulary import words

VOCABULARY_SIZE = 512
IMAGE_PX = 96
PATCH_PX = 8
MERGE = 2
PAD, TURN, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (PAD, TURN, END, VISION_START, VISION_END, IMAGE, VIDEO)

# One special token ends the question and opens the answer, instead of five in Qwen's template: prompts of a tiny model
# are short, and role names are useless to it.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}<|im_start|>{%- endif -%}"
    "{%- if message['content'] is string -%}{{ message['content'] }}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part['type'] == 'text' -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- if message['role'] == 'assistant' -%}<|im_end|>{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>{%- endif -%}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer without merges: a listed word after a space is one token, other text is bytes.

    A space is prepended to every piece of text, so that a word has the same token in every position.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*SPECIAL_TOKENS, *alphabet]
    pieces += [f"Ġ{word}" for word in words()]
    if len(pieces) > VOCABULARY_SIZE:
        raise ValueError(f"{len(pieces)} tokens exceed the vocabulary size of {VOCABULARY_SIZE}: remove words")
    bpe = models.BPE(vocab={piece: index for index, piece in enumerate(pieces)}, merges=[], ignore_merges=True)
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[TURN, VISION_START, VISION_END, IMAGE, VIDEO],
        padding_side="left",
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )


def build_processor() -> Qwen3VLProcessor:
    pixels: dict[str, int] = {"shortest_edge": (4 * PATCH_PX) ** 2, "longest_edge": 256**2}
    patches: dict[str, Any] = {"patch_size": PATCH_PX, "merge_size": MERGE, "temporal_patch_size": 2}
    half: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessorPil(size=pixels, **patches, **half),
        tokenizer=build_tokenizer(),
        video_processor=Qwen3VLVideoProcessor(**patches, **half),
        chat_template=CHAT_TEMPLATE,
    )


def build_config(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    ids: dict[str, Any] = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    vision = {
        "depth": 3,
        "hidden_size": 128,
        "num_heads": 4,
        "intermediate_size": 384,
        "patch_size": PATCH_PX,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 2,
        "out_hidden_size": 192,
        "num_position_embeddings": (IMAGE_PX // PATCH_PX) ** 2,
        "deepstack_visual_indexes": [1],
        "initializer_range": 0.03,
    }
    text = {
        "vocab_size": VOCABULARY_SIZE,
        "hidden_size": 192,
        "intermediate_size": 576,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "head_dim": 32,
        "initializer_range": 0.03,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [6, 5, 5],
            "mrope_interleaved": True,
        },
        "pad_token_id": ids[PAD],
        "eos_token_id": ids[END],
        "bos_token_id": None,
    }
    return Qwen3VLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=ids[IMAGE],
        video_token_id=ids[VIDEO],
        vision_start_token_id=ids[VISION_START],
        vision_end_token_id=ids[VISION_END],
        tie_word_embeddings=True,
    )


def build(seed: int = 0) -> tuple[Qwen3VLForConditionalGeneration, Qwen3VLProcessor]:
    """Return a newly initialised policy in float32 and its processor; the same seed gives the same weights."""
    processor = build_processor()
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(build_config(processor.tokenizer))
    assert model.generation_config is not None
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return model, processor


def save(model: Qwen3VLForConditionalGeneration, processor: Qwen3VLProcessor, folder: Path) -> None:
    """Write weights (safetensors), configuration, tokenizer and processor."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
