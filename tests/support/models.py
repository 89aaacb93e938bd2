"""Tiny random models of other real classes, with processors, built without a network."""

from __future__ import annotations

from typing import Any, Callable

import torch
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
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
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessorPil,
    SmolVLMProcessor,
)
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.smolvlm import processing_smolvlm
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

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
_ROPE: dict[str, Any] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
HALF: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def qwen3_vl() -> Built:
    return build.build(0)


def qwen3_vl_moe() -> Built:
    """Four experts, of which a token passes two. Experts are tensors and not linear layers, so they get no adapter."""
    processor = build.build_processor()
    dense = build.build_config(processor.tokenizer)
    experts = {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "model_type": "qwen3_vl_moe_text",
    }
    config = Qwen3VLMoeConfig(
        text_config={**TEXT, "head_dim": 16, "rope_parameters": _ROPE, **experts},
        vision_config={**dense.vision_config.to_dict(), "model_type": "qwen3_vl_moe", "out_hidden_size": 32},
        image_token_id=dense.image_token_id,
        video_token_id=dense.video_token_id,
        vision_start_token_id=dense.vision_start_token_id,
        vision_end_token_id=dense.vision_end_token_id,
    )
    return _with_ends(Qwen3VLMoeForConditionalGeneration, config, processor.tokenizer), processor


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
        text_config={**TEXT, "rope_parameters": _ROPE},
        vision_config=vision,
        image_token_id=ids[build.IMAGE],
        video_token_id=ids[build.VIDEO],
        vision_start_token_id=ids[build.VISION_START],
        vision_end_token_id=ids[build.VISION_END],
    )
    return _with_ends(Qwen2_5_VLForConditionalGeneration, config, tokenizer), processor


_TOWER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
    "initializer_range": 0.3,
}


def _idefics_tokenizer() -> PreTrainedTokenizerFast:
    marks = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"]
    return _tokenizer_with(marks + [f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3)])


_IDEFICS_TEMPLATE = build.CHAT_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<image>")
_IDEFICS_IMAGES: dict[str, Any] = {
    "size": {"longest_edge": 32},
    "max_image_size": {"longest_edge": 32},
    "do_image_splitting": False,
    **HALF,
}


def idefics3() -> Built:
    """Layers of the language model are `text_model.layers`; a view of any size becomes 4 image tokens."""
    tokenizer = _idefics_tokenizer()
    images = Idefics3ImageProcessorPil(**_IDEFICS_IMAGES)
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=_IDEFICS_TEMPLATE)
    config = Idefics3Config(
        text_config={**TEXT, "model_type": "llama"},
        vision_config=_TOWER,
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
    )
    return _with_ends(Idefics3ForConditionalGeneration, config, tokenizer), processor


def smolvlm() -> Built:
    """SmolVLM2: as Idefics3, with a processor for videos, whose library for number words is not needed for images."""
    if not processing_smolvlm.num2words:
        processing_smolvlm.num2words = str
    tokenizer = _idefics_tokenizer()
    images = SmolVLMImageProcessorPil(**_IDEFICS_IMAGES)
    videos = SmolVLMVideoProcessor(size={"longest_edge": 32}, max_image_size={"longest_edge": 32}, **HALF)
    processor = SmolVLMProcessor(images, tokenizer, videos, image_seq_len=4, chat_template=_IDEFICS_TEMPLATE)
    config = SmolVLMConfig(
        text_config={**TEXT, "model_type": "llama"},
        vision_config=_TOWER,
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
    )
    return _with_ends(SmolVLMForConditionalGeneration, config, tokenizer), processor


def gemma3() -> Built:
    """A view of any size becomes 4 image tokens, which attend to one another; layers alternate windows."""
    marks = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = _tokenizer_with(list(marks.values()), marks)
    template = build.CHAT_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<start_of_image>")
    images = Gemma3ImageProcessorPil(size={"height": 32, "width": 32}, **HALF)
    processor = Gemma3Processor(images, tokenizer, chat_template=template, image_seq_length=4)
    config = Gemma3Config(
        text_config={**TEXT, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 64},
        vision_config={key: value for key, value in _TOWER.items() if key != "initializer_range"},
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.convert_tokens_to_ids(marks["boi_token"]),
        eoi_token_index=tokenizer.convert_tokens_to_ids(marks["eoi_token"]),
        image_token_index=tokenizer.convert_tokens_to_ids(marks["image_token"]),
    )
    return _with_ends(Gemma3ForConditionalGeneration, config, tokenizer), processor


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
    config = InternVLConfig(
        text_config={**TEXT, "model_type": "qwen2"},
        vision_config={**_TOWER, "image_size": [32, 32], "patch_size": [8, 8]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    return _with_ends(InternVLForConditionalGeneration, config, tokenizer), processor


CLASSES: dict[str, Callable[[], Built]] = {
    "qwen3_vl": qwen3_vl,
    "qwen3_vl_moe": qwen3_vl_moe,
    "qwen2_5_vl": qwen2_5_vl,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "internvl": internvl,
    "gemma3": gemma3,
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
