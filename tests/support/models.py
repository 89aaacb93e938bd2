"""Tiny random models of other real classes, with processors, built without a network."""

from __future__ import annotations

from typing import Any, Callable

import torch
from transformers import (
    GotOcr2ImageProcessorPil,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessorPil,
)
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from learner.policy import build

Built = tuple[Any, Any]  # model, processor
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": build.VOCABULARY_SIZE,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
HALF: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def qwen3_vl() -> Built:
    return build.build(0)


def qwen2_5_vl() -> Built:
    """Vision tower of patches of 8 px, merged 2 x 2."""
    tokenizer = build.build_tokenizer()
    patches: dict[str, Any] = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2}
    pixels: dict[str, int] = {"shortest_edge": 32**2, "longest_edge": 256**2}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessorPil(size=pixels, **patches, **HALF),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**patches, **HALF),
        chat_template=build.CHAT_TEMPLATE,
    )
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "num_heads": 2,
        "intermediate_size": 64,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 32,
        "window_size": 32,
        "fullatt_block_indexes": [1],
    }
    ids: dict[str, Any] = {name: tokenizer.convert_tokens_to_ids(name) for name in build.SPECIAL_TOKENS}
    config = Qwen2_5_VLConfig(
        text_config={**TEXT, "rope_parameters": rope},
        vision_config=vision,
        image_token_id=ids[build.IMAGE],
        video_token_id=ids[build.VIDEO],
        vision_start_token_id=ids[build.VISION_START],
        vision_end_token_id=ids[build.VISION_END],
    )
    return _with_ends(Qwen2_5_VLForConditionalGeneration, config, tokenizer), processor


def idefics3() -> Built:
    """Layers of the language model are `text_model.layers`; a view of any size becomes 4 image tokens."""
    marks = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"]
    marks += [f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3)]
    tokenizer = _tokenizer_with(marks)
    template = build.CHAT_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<image>")
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": 32}, max_image_size={"longest_edge": 32}, do_image_splitting=False, **HALF
    )
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=template)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "initializer_range": 0.3,
    }
    config = Idefics3Config(
        text_config={**TEXT, "model_type": "llama"},
        vision_config=vision,
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
    )
    return _with_ends(Idefics3ForConditionalGeneration, config, tokenizer), processor


def internvl() -> Built:
    """A view of any size becomes 4 image tokens."""
    marks = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = _tokenizer_with(list(marks.values()), marks)
    template = build.CHAT_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>")
    side = {"height": 32, "width": 32}
    processor = InternVLProcessor(
        GotOcr2ImageProcessorPil(size=side, crop_to_patches=False, **HALF),
        tokenizer,
        InternVLVideoProcessor(size=side, **HALF),
        image_seq_length=4,
        chat_template=template,
    )
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": [32, 32],
        "patch_size": [8, 8],
        "initializer_range": 0.3,
    }
    config = InternVLConfig(
        text_config={**TEXT, "model_type": "qwen2"},
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    return _with_ends(InternVLForConditionalGeneration, config, tokenizer), processor


CLASSES: dict[str, Callable[[], Built]] = {
    "qwen3_vl": qwen3_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "idefics3": idefics3,
    "internvl": internvl,
}


def _tokenizer_with(marks: list[str], named: Any = None) -> PreTrainedTokenizerFast:
    """The tokenizer of the embedded policy, with these special tokens in place of its last words."""
    made = build.build_tokenizer()
    backend = made.backend_tokenizer
    backend.add_special_tokens(marks)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=build.END,
        pad_token=build.PAD,
        padding_side="left",
        extra_special_tokens=named or {},
    )


def _with_ends(kind: Any, config: Any, tokenizer: Any) -> Any:
    torch.manual_seed(0)
    config.text_config.vocab_size = max(config.text_config.vocab_size, len(tokenizer))
    model = kind(config).eval()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model
