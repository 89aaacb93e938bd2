"""The published configurations of Qwen3-VL, reduced to the sizes that memory depends on, and their parameter counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_SMALL = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "deepstack_visual_indexes": [5, 11, 17]}
_LARGE = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "deepstack_visual_indexes": [8, 16, 24]}

# hidden, feed-forward, layers, query heads, tied embeddings, vision tower, parameters
_SIZES = {
    "2B": (2048, 6144, 28, 16, True, _SMALL, 2_127_532_032),
    "4B": (2560, 9728, 36, 32, True, _SMALL, 4_437_815_808),
    "8B": (4096, 12288, 36, 32, False, _LARGE, 8_767_123_696),
    "32B": (5120, 25600, 64, 64, False, _LARGE, 33_357_390_064),
}
PARAMETERS = {name: size[-1] for name, size in _SIZES.items()}


def qwen3_vl(name: str) -> dict[str, Any]:
    """config.json of Qwen3-VL-<name>-Instruct."""
    hidden, feed_forward, layers, heads, tied, tower, _ = _SIZES[name]
    return {
        "model_type": "qwen3_vl",
        "tie_word_embeddings": tied,
        "text_config": {
            "model_type": "qwen3_vl_text",
            "vocab_size": 151936,
            "hidden_size": hidden,
            "intermediate_size": feed_forward,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "tie_word_embeddings": tied,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20]},
        },
        "vision_config": {
            **tower,
            "model_type": "qwen3_vl",
            "num_heads": 16,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": hidden,
            "num_position_embeddings": 2304,
        },
    }


def write_config(folder: Path, name: str) -> Path:
    """A folder that holds nothing but the config.json of a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(qwen3_vl(name)))
    return folder
