"""Reasoning before an answer: where the true answer is scored and taught, lengths, masks, and bounded passes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, TrainerCallback

from learner.grpo.groups import packed_log_probs, plain_log_probs
from learner.policy import build
from learner.ranks.orders import Score, TrainStep
from learner.rollouts import scores
from learner.rollouts.base import Completion, Prompt, Rollout, Sampling
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.rollouts.reasoning import Overlong, probe
from learner.rollouts.scores import packed_truths, plain_truths
from learner.rollouts.transformers import GenerateEngine
from learner.settings import LearnerSettings
from learner.stream.screen import Confidence, confidence
from learner.stream.truths import truth_of, with_likelihoods
from protocol.answers.reasoning import Tags
from protocol.answers.scoring import Reward
from protocol.errors import VantageError
from protocol.run.config import section
from tests.support.learner import Channel, simulator
from tests.support.reasoning import Reasoner, settings
from tests.unit.learner.test_answers import task

pytestmark = pytest.mark.timeout(300)

IMAGE = np.zeros((96, 96, 3), np.uint8)
PROMPT = Prompt("what ?", (IMAGE,))


@lru_cache
def reasoner() -> Reasoner:
    """A new policy with a non-zero adapter."""
    made = Reasoner(settings(samples=3), warm_up=0)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in made.model.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    return made


def turn(text: str, finished: bool = True, prompt: Prompt = PROMPT) -> Rollout:
    made = reasoner()
    ids = tuple(made.processor.tokenizer(text)["input_ids"])
    ids += (made.encoder.eos,) if finished else ()
    packed_ids = made.packed.expand(made.encoder.prompt(prompt.text, len(prompt.images)), 96, 96)
    completion = Completion(ids, (-1.0,) * len(ids), made.encoder.text(ids), finished)
    return Rollout(prompt, tuple(packed_ids), (completion,))


# ----------------------------------------------------------------------------- where the true answer begins


def test_the_truth_follows_the_sampled_tokens_up_to_the_answer() -> None:
    encoder = reasoner().encoder
    sampled = turn("look red first name left last")
    found = probe(encoder, sampled, "right")
    assert found.thought == sampled.completion.token_ids[:4]
    assert encoder.text(found.truth).split() == ["right", "last"]  # with the token that ends it
    assert found.key == PROMPT.key


@pytest.mark.parametrize(
    ("text", "ended"),
    [("look red", ["first", "name"]), ("look red first", ["name"]), ("look red first left", ["name"])],
)
def test_reasoning_without_an_answer_is_ended(text: str, ended: list[str]) -> None:
    encoder = reasoner().encoder
    sampled = turn(text, finished=False)
    found = probe(encoder, sampled, "right")
    kept = sampled.completion.token_ids
    assert found.thought[: len(kept)] == kept
    assert encoder.text(found.thought[len(kept) :]).split() == ended
    assert encoder.text(found.truth).split() == ["right", "last"]


class Merging:
    """A tokenizer in which ">B" is one token, as in those of large models."""

    tags = Tags()
    eos = 0

    def __init__(self) -> None:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        pieces = ["<|end|>", *alphabet, ">B", ">A", "an"]
        vocabulary = {piece: index for index, piece in enumerate(pieces)}
        made = Tokenizer(models.BPE(vocab=vocabulary, merges=[(">", "B"), (">", "A"), ("a", "n")]))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        made.decoder = decoders.ByteLevel()
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>")

    def plain(self, text: str) -> str:
        return text

    def text(self, ids: Any) -> str:
        return self.tokenizer.decode([token for token in ids if token])


def test_a_tag_that_ends_inside_a_token_is_encoded_with_the_truth() -> None:
    encoder: Any = Merging()
    ids = (*encoder.tokenizer("<think>é an</think>\n<answer>A</answer>")["input_ids"], 0)
    sampled = Rollout(PROMPT, (), (Completion(ids, (-1.0,) * len(ids), encoder.text(ids), True),))
    found = probe(encoder, sampled, "B")
    assert encoder.text(found.thought) == "<think>é an</think>\n<answer"
    assert encoder.text(found.truth) == ">B<"
    assert found.thought == ids[: len(found.thought)]


def test_packed_and_plain_scores_after_reasoning_agree_however_they_are_split() -> None:
    made = reasoner()
    blind = Prompt("what ?")
    texts = ("look red first name left last", "look red red red far first name left last", "near")
    asked = [probe(made.encoder, turn(text, prompt=prompt), "right") for prompt in (PROMPT, blind) for text in texts]
    asked.append(replace(PROMPT, truth=(300, 2)))
    packed = packed_truths(made.packed, made.encoder, asked)
    assert len({round(value, 3) for value in packed}) == len(packed)
    assert packed_truths(made.packed, made.encoder, asked, 256) == pytest.approx(packed, abs=1e-5)
    assert packed_truths(made.packed, made.encoder, asked, 1) == pytest.approx(packed, abs=1e-5)
    for most in (4096, 1):
        plain = plain_truths(made.model, made.processor, made.encoder, asked, most)
        assert packed == pytest.approx(plain, abs=1e-4)
    order = Score.of(asked)
    assert len(order.prompts) == 2 and order.unpack() == asked  # each image travels once


# ----------------------------------------------------------------------------- groups


def group(texts: tuple[str, ...] = ("look red first name left last", "near", "look first name right last")) -> Group:
    turns = [turn(text) for text in texts]
    rollout = replace(turns[0], completions=tuple(one.completion for one in turns))
    rewards = tuple(Reward(float("right" in text), "name" in text, form=len(text) / 100) for text in texts)
    return Group(rollout, rewards, said=texts, probes=tuple(probe(reasoner().encoder, one, "right") for one in turns))


def test_likelihoods_are_those_after_each_reasoning() -> None:
    made, own = reasoner(), group()
    (found,) = with_likelihoods([own], lambda prompts: packed_truths(made.packed, made.encoder, prompts))
    expected = packed_truths(made.packed, made.encoder, own.probes)
    assert found.truth_logprobs == pytest.approx(expected)
    likelihoods = [math.exp(mean) for mean in expected]
    assert [reward.likelihood for reward in found.rewards] == pytest.approx([likelihoods[0], 0.0, likelihoods[2]])
    assert truth_of(found).likelihood == pytest.approx(sum(likelihoods) / 3)
    assert truth_of(found).probability == pytest.approx(sum(one**2 for one in likelihoods) / 3)
    assert found.rewards[0].total(0.0, 0.5) == pytest.approx(0.5 * likelihoods[0])


def test_the_truth_is_taught_after_the_reasoning_of_the_best_form_and_reasoning_is_not() -> None:
    made, own = reasoner(), group().teaching()
    assert own.truth is not None
    assert own.truth.prompt.thought == own.probes[0].thought and own.token_ids(3) == list(own.probes[0].truth)
    rows = torch.tensor([3, 1])
    log_probs, _ = packed_log_probs(made.packed, [own], rows, 8, 1.0)
    truth = own.truth.prompt.truth
    expected = packed_truths(made.packed, made.encoder, [own.probes[0]])[0]
    assert float(log_probs[0, : len(truth)].mean().detach()) == pytest.approx(expected, abs=1e-4)
    assert not log_probs[0, len(truth) :].any()
    plain, _ = plain_log_probs(made.model, made.processor, made.encoder, [own], rows, 8, 1.0)
    assert torch.allclose(plain, log_probs, atol=1e-4)
    step = TrainStep.of([own], range(4), 0.5)
    (back,), _ = step.unpack()
    assert len(step.prompts) == 1 and back.truth is not None
    assert back.truth.prompt.thought == own.truth.prompt.thought and back.token_ids(3) == own.token_ids(3)


def test_a_bounded_pass_has_the_same_values_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    made, own = reasoner(), [group().teaching(), group(("far", "look near first name left last", "red"))]
    own = [own[0], own[1].teaching()]
    rows = torch.arange(8)
    results = []
    for most, logits in ((4096, 2**26), (100, 2**26), (100, 1000)):
        monkeypatch.setattr(scores, "_MOST_LOGITS", logits)
        made.model.zero_grad()
        log_probs, entropies = packed_log_probs(made.packed, own, rows, 12, 1.0, most)
        (log_probs * torch.arange(12)).sum().backward()
        gradients = torch.cat([p.grad.flatten() for p in made.model.parameters() if p.grad is not None])
        results.append((log_probs.detach(), entropies, gradients))
    made.model.zero_grad()
    for found in results[1:]:
        for value, first in zip(found, results[0]):
            assert torch.allclose(value, first, atol=2e-4)
    assert float(results[0][2].abs().max()) > 1e-3


# ----------------------------------------------------------------------------- engines


def test_long_answers_have_the_log_probabilities_of_the_trainer() -> None:
    """Longer than the answers that share their tokens; with prompts of different lengths, and with `generate`."""
    made = reasoner()
    asked = [Prompt("what is it ?", (IMAGE,)), Prompt("is it ?", (IMAGE,))]
    sampling = Sampling(0.8, 24, 3)
    for engine in (made.engine, GenerateEngine(made.model, made.processor, made.encoder)):
        rollouts = engine.generate(asked, 3, sampling)
        groups = [Group(rollout, (Reward(0, True),) * 3) for rollout in rollouts]
        lengths = [len(answer.token_ids) for rollout in rollouts for answer in rollout.completions]
        assert max(lengths) > 16 and len({answer.token_ids for own in rollouts for answer in own.completions}) == 6
        head = made.packed.model.lm_head
        head.bias = torch.nn.Parameter(torch.zeros(build.VOCABULARY_SIZE))
        head.bias.data[list(made.encoder.banned)] = -1e9
        try:
            with torch.no_grad():
                log_probs, _ = packed_log_probs(made.packed, groups, torch.arange(6), 24, 0.8)
        finally:
            head.bias = None
        for row, length in enumerate(lengths):
            sampled = groups[row // 3].logprobs(row % 3)
            assert log_probs[row, :length].tolist() == pytest.approx(sampled, abs=2e-3)
    greedy = [made.engine.generate(asked, 1, Sampling(0.0, limit, 0)) for limit in (16, 17)]
    for short, long in zip(*greedy):
        assert long.completion.token_ids[:16] == short.completion.token_ids


def test_a_template_with_a_switch_for_reasoning_uses_it() -> None:
    model, processor = build.build(0)
    processor.chat_template = build.CHAT_TEMPLATE.replace(
        "{%- if add_generation_prompt -%}<|im_start|>{%- endif -%}",
        "{%- if add_generation_prompt -%}<|im_start|>{%- if enable_thinking is defined and not enable_thinking -%}"
        " look first{%- else -%} look{%- endif -%}{%- endif -%}",
    )
    tags = Tags(("look", "first"), ("name", "last"))
    reasons, answers = (PromptEncoder(processor, model, style, tags) for style in ("reason", "letters"))
    assert reasons.rendered("?", 1).endswith("look") and answers.rendered("?", 1).endswith("look first")
    assert reasons.tags.opened and reasons.tags.native and reasons.eos == answers.eos
    assert reasons.template_options == {"enable_thinking": True}
    plain = PromptEncoder(*reversed(build.build(0)), "reason", tags)
    assert not plain.tags.opened and not plain.tags.native and plain.template_options == {}


def test_tags_that_are_special_tokens_are_written_and_read() -> None:
    model, processor = build.build(0)
    tags = Tags()
    made = [AddedToken(tag, special=True) for tag in tags.thought]
    processor.tokenizer.add_tokens(made, special_tokens=True)
    encoder = PromptEncoder(processor, model, "reason", tags)
    ids = processor.tokenizer.convert_tokens_to_ids(list(tags.thought))
    assert not set(ids) & set(encoder.banned) and encoder.image_token in encoder.banned
    assert encoder.text([*ids, encoder.image_token]) == "".join(tags.thought)
    assert tags.thought[0] in encoder.plain(f"write {tags.thought[0]}")


# ----------------------------------------------------------------------------- rewards and settings


def test_the_penalty_of_over_long_answers_is_that_of_dapo() -> None:
    penalty = Overlong(100, 20, 0.5)
    assert [penalty(tokens, True) for tokens in (1, 80, 90, 100)] == [0.0, 0.0, -0.25, -0.5]
    assert penalty(100, False) == -0.5
    assert Overlong(100)(100, False) == 0.0


def test_an_answer_with_moves_or_reasoning_is_scored_by_its_tag() -> None:
    made = reasoner()
    texts = {"a": "look red first name turn left last", "b": "look red first name left last", "c": "left"}

    class Scripted:
        name, live = "scripted", True

        def generate(self, prompts: Any, n: int, sampling: Sampling) -> list[Rollout]:
            first = len(prompts[0].images) == 1
            own = [texts["a"], texts["c"]] if first else [texts["b"]] * n
            return [replace(turn(own[0], prompt=prompt), completions=tuple(turn(one).completion for one in own))
                    for prompt in prompts]  # fmt: skip

    from learner.rollouts.answerer import answerer_of

    engine: Any = Scripted()
    answerer = answerer_of(made.settings, engine, made.encoder, Channel(simulator()))
    (found,) = answerer.answer([task(1, 1)], 2, Sampling())
    assert isinstance(found, Group)
    assert [len(turns) for turns in found] == [2, 1]
    assert found.said == ("left", "") and [reward.accuracy for reward in found.rewards] == [1.0, 0.0]
    assert [reward.form for reward in found.rewards] == [1.0, 0.0]
    assert len(found.probes[0].images) == 2 and not found.prompt.truth


def test_screening_scores_choices_after_short_reasoning() -> None:
    made = reasoner()
    loop_answerer: Any = made
    from learner.rollouts.answerer import answerer_of
    from learner.settings import ScreenSettings

    answerer = answerer_of(made.settings, loop_answerer.engine, made.encoder, Channel(simulator()))
    seen: list[int] = []

    def score(prompts: Any) -> list[float]:
        seen.append(len(prompts))
        return packed_truths(made.packed, made.encoder, prompts)

    own = ScreenSettings(samples=2, thought_tokens=3)
    found = confidence([task(1, 0), task(2, 1)], answerer, score, own, Sampling(1.0, 6, 0))
    choice, looked = found
    assert isinstance(choice, Confidence) and isinstance(looked, Confidence)
    assert choice.accuracies == () and choice.variance == pytest.approx(choice.success * (1 - choice.success))
    assert len(looked.accuracies) == 2 and seen == [2, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": {"answer_tags": ["<a>", "<a>"]}}, "four tags"),
        ({"policy": {"thought_tags": ["", "x"]}}, "four tags"),
        ({"grpo": {"likelihood_weight": 0.1}}, 'policy.style = "reason"'),
        ({"grpo": {"overlong_tokens": 9}}, "must not exceed rollout.max_answer_tokens"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(VantageError, match=message):
        section({"learner": changes}, "learner", LearnerSettings)


def test_masked_answers_teach_nothing_and_a_step_of_them_is_finite(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Reasoner(settings(groups=2, samples=2, truncated="mask", objective="grpo"), warm_up=0)
    made.settings = made.settings.model_copy(
        update={"rollout": made.settings.rollout.model_copy(update={"max_answer_tokens": 2})}
    )
    loop = made.loop(tmp_path)
    before = {name: value.clone() for name, value in made.model.state_dict().items() if "lora" in name}
    logs: list[dict[str, float]] = []

    class Logs(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            seen.append(dict(logs))

    seen = logs
    (counts,) = made.train(loop, tmp_path, 1, callbacks=[Logs()])
    assert counts.truncated == counts.rewarded > 0 and counts.readable == 0
    assert "cut off at learner.rollout.max_answer_tokens = 2" in caplog.text
    assert math.isfinite(logs[0]["loss"]) and logs[0]["loss"] == 0
    assert all(torch.equal(before[name], value) for name, value in made.model.state_dict().items() if "lora" in name)
