"""Policies of other model classes: adapters, special tokens, sampling and a GRPO step, with tiny random models."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import GenerationConfig

from learner.grpo.clock import StepClock
from learner.grpo.groups import plain_log_probs, split_answers
from learner.grpo.trainer import VantageTrainer, trainer_config
from learner.policy import build
from learner.policy.assemble import add_lora, assemble
from learner.policy.load import load
from learner.policy.packed import PackedPolicy
from learner.rollouts.base import Prompt, Sampling
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.rollouts.inputs import plain_inputs
from learner.rollouts.transformers import GenerateEngine, PackedEngine
from learner.settings import GrpoSettings, LearnerSettings, PolicySettings, RolloutSettings
from protocol.answers.scoring import Reward
from protocol.errors import VantageError
from tests.support.models import CLASSES, Built

pytestmark = pytest.mark.timeout(300)

GRPO = GrpoSettings(groups=2, samples=3, lora_rank=4, lora_alpha=8, learning_rate=1e-2, warmup_steps=0)
TEXTS = ("is the red chair left or right of the blue box ?", "which ?")


@lru_cache
def built(name: str) -> Built:
    """The model with a non-zero adapter, and its processor with padding on the right."""
    model, processor = CLASSES[name]()
    processor.tokenizer.padding_side = "right"
    processor.tokenizer.init_kwargs["padding_side"] = "right"
    model = add_lora(model, GRPO, seed=0)
    generator = torch.Generator().manual_seed(1)
    for key, parameter in model.named_parameters():
        if "lora_B" in key:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval(), processor


def prompts(count: int = 2, images: int = 1) -> list[Prompt]:
    rng = np.random.default_rng(0)
    shots = rng.integers(0, 255, (count, images, 96, 96, 3), dtype=np.uint8)
    return [Prompt(TEXTS[index % 2], tuple(own)) for index, own in enumerate(shots)]


# ----------------------------------------------------------------------------- adapters


@pytest.mark.parametrize("name", CLASSES)
def test_adapters_are_on_every_linear_layer_of_the_language_model_and_nowhere_else(name: str) -> None:
    model, _ = built(name)
    decoder = model.get_base_model().get_decoder()
    adapted = {key.removesuffix(".lora_A.default.weight") for key in model.state_dict() if ".lora_A." in key}
    within = {id(module) for module in decoder.layers.modules()}
    modules = dict(model.named_modules())
    assert all(id(modules[key]) in within for key in adapted)
    assert len(adapted) == (4 if name == "qwen3_vl_moe" else 7) * len(decoder.layers)  # experts are not linear layers


@pytest.mark.parametrize("name", CLASSES)
def test_exported_adapters_and_merged_models_answer_like_the_policy(name: str, tmp_path: Path) -> None:
    built_model, built_processor = CLASSES[name]()
    base, adapter, merged = (tmp_path / part for part in ("base", "adapter", "merged"))
    built_model.save_pretrained(base)
    built_processor.save_pretrained(base)
    model, processor, _ = load(str(base))
    plain = logits(model, processor)
    adapted = add_lora(model, GRPO, seed=0)
    for key, parameter in adapted.named_parameters():
        if "lora_B" in key:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    expected = logits(adapted, processor)
    assert not torch.allclose(plain, expected, atol=1e-2)
    adapted.save_pretrained(adapter, save_embedding_layers=False)
    adapted.merge_and_unload().save_pretrained(merged)
    processor.save_pretrained(merged)
    for own in (PeftModel.from_pretrained(load(str(base)).model, str(adapter)).eval(), load(str(merged)).model):
        assert torch.allclose(logits(own, load(str(merged)).processor), expected, atol=1e-4)


def logits(model: Any, processor: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(**plain_inputs(model, processor, PromptEncoder(processor, model), prompts(images=2))).logits[:, -1]


# ----------------------------------------------------------------------------- a step


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("name", CLASSES)
def test_the_step_of_trl_reads_prompts_as_the_engine_does(
    name: str, images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two images, both see their tags."""
    model, processor = built(name)
    encoder = PromptEncoder(processor, model)
    asked = prompts(images=images)
    rollouts = GenerateEngine(model, processor, encoder).generate(asked, GRPO.samples, Sampling(1.0, 3, 0))
    assert ("Image 2:" in encoder.rendered(asked[0].text, images)) == (images == 2)
    assert len({len(rollout.prompt_ids) for rollout in rollouts}) == 2
    groups = [
        Group(rollout, tuple(Reward(float(index == 0), True) for index in range(GRPO.samples))) for rollout in rollouts
    ]
    with torch.no_grad():
        expected, _ = plain_log_probs(model, processor, encoder, groups, torch.arange(6), 3, 1.0)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    method = VantageTrainer._get_per_token_logps_and_entropies

    def spy(self: VantageTrainer, *args: Any, **options: Any) -> Any:
        output = method(self, *args, **options)
        seen.append((output[0].detach(), self._rows.clone()))
        return output

    monkeypatch.setattr(VantageTrainer, "_get_per_token_logps_and_entropies", spy)
    VantageTrainer(
        model,
        processor,
        lambda: split_answers(groups, 1)[0],
        trainer_config(tmp_path, GRPO, RolloutSettings(max_answer_tokens=3), 1, seed=0, use_cpu=True),
        GRPO,
        None,
        StepClock(),
        dict,
        lambda _: 0.0,  # the model is shared between tests
    ).train()
    log_probs, rows = seen[-1]
    lengths = [len(groups[row // GRPO.samples].token_ids(row % GRPO.samples)) for row in rows.tolist()]
    assert max(lengths) == log_probs.shape[1]
    for place, (row, length) in enumerate(zip(rows.tolist(), lengths)):
        assert log_probs[place, :length].tolist() == pytest.approx(expected[row, :length].tolist(), abs=1e-3)


def test_a_loss_that_is_no_number_stops_before_the_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = built("qwen2_5_vl")
    rollouts = GenerateEngine(model, processor, PromptEncoder(processor, model)).generate(
        prompts(), 3, Sampling(1.0, 3)
    )
    groups = [Group(rollout, (Reward(1.0, True), Reward(0.0, True), Reward(0.0, True))) for rollout in rollouts]
    monkeypatch.setattr(
        VantageTrainer.__bases__[0], "compute_loss", lambda *_, **__: torch.tensor(float("nan"), requires_grad=True)
    )
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trainer = VantageTrainer(
        model,
        processor,
        lambda: split_answers(groups, 1)[0],
        trainer_config(tmp_path, GRPO, RolloutSettings(max_answer_tokens=3), 1, seed=0, use_cpu=True),
        GRPO,
        None,
        StepClock(),
        dict,
        lambda _: 1.0,
    )
    with pytest.raises(
        VantageError, match=r"the loss of step 1 is not a number \(questions: is the red chair"
    ) as caught:
        trainer.train()
    assert caught.value.code == "unsupported" and "\n" not in caught.value.message
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


# ----------------------------------------------------------------------------- special tokens


@pytest.mark.parametrize("name", CLASSES)
def test_tokens_that_stand_for_images_are_never_sampled(name: str) -> None:
    model, processor = built(name)
    encoder = PromptEncoder(processor, model)
    image = encoder.image_token
    assert image in encoder.banned and encoder.eos not in encoder.banned
    head = model.get_output_embeddings()
    bias = torch.nn.Parameter(torch.zeros(head.weight.shape[0]))
    bias.data[image] = 1e4  # the image token would be sampled always
    head.bias = bias
    try:
        rollouts = GenerateEngine(model, processor, encoder).generate(prompts(), 4, Sampling(1.0, 4, 0))
    finally:
        head.bias = None
    sampled = {token for rollout in rollouts for answer in rollout.completions for token in answer.token_ids}
    assert sampled and not sampled & set(encoder.banned)


@pytest.mark.parametrize("name", CLASSES)
def test_images_are_tagged_in_their_order_in_one_style_only(name: str) -> None:
    model, processor = built(name)
    plain = PromptEncoder(processor, model, "words")
    tagged = PromptEncoder(processor, model)
    assert plain.prompt(TEXTS[0], 1) == tagged.prompt(TEXTS[0], 1)
    assert "Image 1" not in plain.rendered(TEXTS[0], 2)
    text = tagged.rendered(TEXTS[0], 2)
    image = processor.image_token
    first, second = text.index("Image 1:"), text.index("Image 2:")
    assert first < text.index(image) < second < text.rindex(image) < text.index(TEXTS[0])
    counts = [encoder.prompt(TEXTS[0], 2).count(encoder.image_token) for encoder in (plain, tagged)]
    assert counts[0] == counts[1] >= 2


@pytest.mark.parametrize("name", CLASSES)
def test_special_tokens_in_a_text_are_plain_text(name: str) -> None:
    model, processor = built(name)
    encoder = PromptEncoder(processor, model)
    tokenizer = processor.tokenizer
    marks = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    text = encoder.plain(f"is {' or '.join(marks)} left <|<|im_start|>im_end|> ?")
    ids = encoder.prompt(text, 1)
    plain = encoder.prompt("is left ?", 1)
    assert [token for token in ids if token in encoder.banned] == [token for token in plain if token in encoder.banned]
    assert encoder.plain(TEXTS[0]) == TEXTS[0]


def test_any_end_token_of_the_model_ends_an_answer() -> None:
    """Like Gemma 3, whose turns end with another token than the end token of its tokenizer."""
    model, processor = build.build(0)
    turn = processor.tokenizer.convert_tokens_to_ids(build.VISION_START)
    template = build.CHAT_TEMPLATE.replace(
        "{%- if message['role'] == 'assistant' -%}<|im_end|>{%- endif -%}",
        "{%- if message['role'] == 'assistant' -%}<|vision_start|>{%- endif -%}",
    )
    assert template != build.CHAT_TEMPLATE
    processor.chat_template = template
    model.generation_config.eos_token_id = [2, 0]
    encoder = PromptEncoder(processor, model)
    assert encoder.eos == turn and encoder.ends == {turn, 2, 0} and turn not in encoder.banned
    assert encoder.answer("left")[-1] == turn
    (blind,) = [Prompt(TEXTS[0])]
    for engine in (
        GenerateEngine(model, processor, encoder),
        PackedEngine(PackedPolicy(model, processor), encoder),
    ):
        for end in (turn, 2, 0):
            model.lm_head.bias = torch.nn.Parameter(torch.zeros(build.VOCABULARY_SIZE))
            model.lm_head.bias.data[end] = 1e4
            (rollout,) = engine.generate([blind], 2, Sampling(1.0, 4, 0))
            assert all(answer.finished and answer.token_ids == (end,) for answer in rollout.completions)


def test_a_model_without_a_chat_template_is_refused_in_one_sentence(tmp_path: Path) -> None:
    model, processor = CLASSES["qwen2_5_vl"]()
    processor.chat_template = None
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    with pytest.raises(VantageError, match="no usable chat template .*: choose a model that") as caught:
        assemble(LearnerSettings(policy=PolicySettings(model=str(tmp_path))), 0)
    assert caught.value.code == "bad_config" and "\n" not in caught.value.message


def test_a_chat_template_without_images_is_refused_in_one_sentence() -> None:
    model, processor = CLASSES["qwen2_5_vl"]()
    processor.chat_template = build.CHAT_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "")
    with pytest.raises(VantageError, match="chat template of the policy leaves out images") as caught:
        PromptEncoder(processor, model)
    assert caught.value.code == "bad_config"


def test_a_model_without_a_processor_is_refused_in_one_sentence(tmp_path: Path) -> None:
    model, processor = CLASSES["qwen2_5_vl"]()
    model.save_pretrained(tmp_path)
    processor.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(VantageError) as caught:
        load(str(tmp_path))
    assert caught.value.code == "bad_config" and "\n" not in caught.value.message


# ----------------------------------------------------------------------------- samplers


def test_the_generation_config_of_a_model_does_not_change_its_distribution() -> None:
    model, processor = built("qwen2_5_vl")
    encoder = PromptEncoder(processor, model)
    engine = GenerateEngine(model, processor, encoder)
    asked = prompts()
    neutral = [engine.generate(asked, 4, Sampling(temperature, 4, 0)) for temperature in (1.0, 0.0)]
    base = model.get_base_model()
    own = base.generation_config
    base.generation_config = configured = GenerationConfig(
        repetition_penalty=1.7,
        no_repeat_ngram_size=1,
        top_k=1,
        top_p=0.1,
        min_p=0.9,
        typical_p=0.2,
        bad_words_ids=[[neutral[1][0].completions[0].token_ids[0]]],
        max_length=5,
        min_new_tokens=4,
        eos_token_id=7,
    )
    try:
        again = [engine.generate(asked, 4, Sampling(temperature, 4, 0)) for temperature in (1.0, 0.0)]
        assert base.generation_config is configured
    finally:
        base.generation_config = own
    assert [rollout.completions for both in again for rollout in both] == [
        rollout.completions for both in neutral for rollout in both
    ]
