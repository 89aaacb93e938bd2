"""The packed forward equals Hugging Face's, also with LoRA, several images, and prompts of different lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image

from learner.policy import packed as packed_module
from learner.policy.build import build
from learner.policy.packed import PackedPolicy
from protocol.errors import VantageError

QUESTIONS = (
    "is the red chair left or right ?",
    "how many things are there in the picture in front of the blue sofa ?",
    "what color is the zebra ?",
)
ANSWERS = ("left<|im_end|>", "top right<|im_end|>", "red or blue<|im_end|>")


@pytest.fixture(scope="module")
def policy() -> tuple[Any, Any]:
    torch.manual_seed(0)
    model, processor = build(seed=3)
    with torch.no_grad():
        for parameter in model.parameters():  # move away from the initialisation, which could hide differences
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval(), processor


def random_images(count: int, seed: int = 0, side: int = 96) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def prompt_text(processor: Any, question: str, images: int) -> str:
    content = [{"type": "image"}] * images + [{"type": "text", "text": question}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )


def hugging_face_logits(policy: tuple[Any, Any], question: str, views: np.ndarray, answer: str) -> torch.Tensor:
    """Logits [A + 1, V] at the last token of the prompt and at every token of the answer."""
    model, processor = policy
    text = prompt_text(processor, question, len(views)) + answer
    images = [Image.fromarray(view) for view in views] or None
    batch = processor(text=[text], images=images, return_tensors="pt")
    answered = len(processor.tokenizer(answer)["input_ids"])
    with torch.no_grad():
        return model(**batch).logits[0, -answered - 1 :]


def packed_logits(policy: tuple[Any, Any], views_per_prompt: int, side: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    model, processor = policy
    packed = PackedPolicy(model, processor)
    views = random_images(views_per_prompt * len(QUESTIONS), side=side)
    prompts = [
        packed.expand(processor.tokenizer(prompt_text(processor, q, views_per_prompt))["input_ids"], side, side)
        for q in QUESTIONS
    ]
    answers = [processor.tokenizer(answer)["input_ids"] for answer in ANSWERS]
    ids = torch.full((len(QUESTIONS), len(answers), max(map(len, answers))), packed.pad_token_id)
    for index, answer in enumerate(answers):
        ids[:, index, : len(answer)] = torch.tensor(answer)
    with torch.no_grad():
        prefix = packed.prefill(prompts, packed.encode(views) if views_per_prompt else None)
        return packed.logits(prefix.last), packed.logits(packed.branch(prefix, ids))


def assert_equal_to_hugging_face(policy: tuple[Any, Any], views_per_prompt: int, side: int = 96) -> None:
    views = random_images(views_per_prompt * len(QUESTIONS), side=side)
    last, branches = packed_logits(policy, views_per_prompt, side)
    for b, question in enumerate(QUESTIONS):
        own = views[b * views_per_prompt : (b + 1) * views_per_prompt]
        for k, answer in enumerate(ANSWERS):
            expected = hugging_face_logits(policy, question, own, answer)
            assert (last[b] - expected[0]).abs().max() < 1e-5
            assert (branches[b, k, : len(expected) - 1] - expected[1:]).abs().max() < 1e-5


@pytest.mark.parametrize("views_per_prompt", [0, 1, 2])
def test_logits_equal_hugging_face(policy: tuple[Any, Any], views_per_prompt: int) -> None:
    assert_equal_to_hugging_face(policy, views_per_prompt)


def test_logits_equal_hugging_face_at_another_image_size(policy: tuple[Any, Any]) -> None:
    assert_equal_to_hugging_face(policy, 1, side=64)


def test_logits_equal_hugging_face_with_lora(policy: tuple[Any, Any]) -> None:
    import copy

    model, processor = copy.deepcopy(policy[0]), policy[1]
    config = LoraConfig(r=4, target_modules=r".*language_model\.layers\.\d+\..*_proj", init_lora_weights=False)
    adapted = get_peft_model(model, config).eval()
    plain, _ = packed_logits(policy, 1)
    changed, _ = packed_logits((adapted, processor), 1)
    assert (plain - changed).abs().max() > 1e-3
    assert_equal_to_hugging_face((adapted, processor), 1)


def test_gradients_equal_hugging_face(policy: tuple[Any, Any]) -> None:
    model, processor = policy
    packed = PackedPolicy(model, processor)
    views = random_images(1)
    text = prompt_text(processor, QUESTIONS[0], 1)
    answer = processor.tokenizer(ANSWERS[0])["input_ids"]
    model.zero_grad()
    prompt = packed.expand(processor.tokenizer(text)["input_ids"], 96, 96)
    packed.log_probs(packed.prefill([prompt], packed.encode(views)), torch.tensor([[answer]])).sum().backward()
    ours = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    batch = processor(text=[text + ANSWERS[0]], images=[Image.fromarray(views[0])], return_tensors="pt")
    logp = model(**batch).logits[0].log_softmax(-1)[-len(answer) - 1 : -1]
    logp.gather(-1, torch.tensor(answer)[:, None]).sum().backward()
    theirs = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-4), name


def test_selected_positions_and_tap_agree_with_the_full_branch(policy: tuple[Any, Any]) -> None:
    packed = PackedPolicy(*policy)
    prompts = [packed.expand([3, 5, 4], 96, 96)] * 2
    ids = torch.randint(263, 400, (2, 3, 6), generator=torch.Generator().manual_seed(0))
    at = torch.tensor([[[0, 3], [5, 5], [2, 4]], [[1, 2], [0, 5], [3, 3]]])
    taps: list[torch.Tensor] = []
    with torch.no_grad():
        prefix = packed.prefill(prompts, packed.encode(random_images(2)))
        full = packed.branch(prefix, ids)
        some = packed.branch(prefix, ids, at=at, tap=(1, taps))
    expected = full.gather(2, at[..., None].expand(-1, -1, -1, full.shape[-1]))
    assert torch.allclose(some, expected, atol=1e-5)
    assert taps[0].shape == full.shape


def test_growing_branches_and_long_ones_equal_the_branch(
    policy: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Token by token with a cache that grows; and attention without weights in memory."""
    packed = PackedPolicy(*policy)
    prompts = [packed.expand([3, 5, 4, 300], 96, 96), packed.expand([3, 5, 4], 96, 96)]
    ids = torch.randint(263, 400, (2, 3, 70), generator=torch.Generator().manual_seed(0))
    at = torch.randint(0, 70, (2, 3, 4), generator=torch.Generator().manual_seed(1))
    features = packed.encode(random_images(2))
    with torch.no_grad():
        prefix = packed.prefill(prompts, features)
        full = packed.branch(prefix, ids)
        cache = packed.cache()
        grown = torch.stack([packed.extend(prefix, cache, ids[..., index]) for index in range(70)], 2)
        assert torch.allclose(grown, full, atol=1e-4)
        monkeypatch.setattr(packed_module, "_MOST_WEIGHTS", 0)
        for used in (prefix, packed.prefill(prompts, features)):
            assert torch.allclose(packed.branch(used, ids), full, atol=1e-4)
            some = packed.branch(used, ids, at=at)
            assert torch.allclose(some, full.gather(2, at[..., None].expand(-1, -1, -1, full.shape[-1])), atol=1e-4)
        same = packed.prefill(prompts[:1] * 2, features)  # no padding
        assert same.bias is None
        assert torch.allclose(packed.branch(same, ids)[0], full[0], atol=1e-4)


def test_selected_prompts_give_the_same_branches(policy: tuple[Any, Any]) -> None:
    packed = PackedPolicy(*policy)
    prompts = [packed.expand([3, 5, 4, 300], 96, 96), packed.expand([3, 5, 4], 96, 96)]
    ids = torch.tensor([[[300, 301]], [[300, 301]]])
    with torch.no_grad():
        prefix = packed.prefill(prompts, packed.encode(random_images(2)))
        both = packed.branch(prefix, ids)
        second = packed.branch(prefix.select(torch.tensor([1])), ids[1:])
    assert torch.allclose(both[1], second[0], atol=1e-5)


def test_views_of_an_unsupported_size_are_rejected(policy: tuple[Any, Any]) -> None:
    packed = PackedPolicy(*policy)
    with pytest.raises(VantageError, match="multiples of 16 px"):
        packed.encode(random_images(1, side=90))


def test_image_tokens_without_an_image_are_rejected(policy: tuple[Any, Any]) -> None:
    packed = PackedPolicy(*policy)
    with pytest.raises(VantageError, match="image tokens"):
        packed.prefill([[3, 5, 4]], None)
