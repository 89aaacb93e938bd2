"""The embedded policy: one token per listed word, bytes otherwise; it loads offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from learner.policy.build import build, build_tokenizer, save
from learner.policy.load import load
from learner.policy.vocabulary import words
from protocol.errors import VantageError


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("policy")
    model, processor = build(seed=1)
    save(model, processor, folder)
    return model, folder


def test_every_listed_word_is_one_token_in_any_position() -> None:
    tokenizer = build_tokenizer()
    for word in words():
        assert len(tokenizer(word)["input_ids"]) == 1, word
        assert len(tokenizer(f"the {word}")["input_ids"]) == 2, word
        assert tokenizer(f"<|im_start|>{word}")["input_ids"][1:] == tokenizer(word)["input_ids"], word


@pytest.mark.parametrize("text", ["a zebra", "2.5 m", "Ünïcode ≠ ascii", "it's 17 , no ?"])
def test_other_text_is_encoded_in_bytes_and_decoded(text: str) -> None:
    tokenizer = build_tokenizer()
    assert tokenizer.decode(tokenizer(text)["input_ids"]).strip() == text


def test_vocabulary_fits() -> None:
    assert len(build_tokenizer()) <= 512


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second, other = (build(seed)[0].state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_saved_policy_loads_offline(saved: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model, folder = saved
    policy = load(str(folder))
    assert type(policy.model).__name__ == "Qwen3VLForConditionalGeneration"
    assert type(policy.processor).__name__ == "Qwen3VLProcessor"
    theirs = policy.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in model.state_dict().items())
    assert sum(file.stat().st_size for file in folder.iterdir()) < 20e6


def test_head_size_is_supported_by_vllm_on_a_cpu(saved: tuple[Any, Path]) -> None:
    assert saved[0].config.text_config.head_dim in (32, 64, 80, 96, 112, 128)


def test_a_folder_without_a_model_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(VantageError, match="has no config.json") as caught:
        load(str(tmp_path))
    assert caught.value.code == "bad_config"


def test_a_missing_path_is_rejected() -> None:
    with pytest.raises(VantageError, match="no model folder") as caught:
        load("./nowhere")
    assert caught.value.code == "bad_config"


def test_corrupt_weights_are_reported(saved: tuple[Any, Path], tmp_path: Path) -> None:
    for file in saved[1].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(VantageError, match="cannot be read") as caught:
        load(str(tmp_path))
    assert caught.value.code == "corrupt"
    assert "\n" not in caught.value.message
