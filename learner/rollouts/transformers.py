"""Rollouts with the live weights in the learner's process.

`PackedEngine` is for Qwen3-VL models: images and prompts are computed once per group. In short answers, each token step
continues every *distinct* unfinished answer once, however many samples share it; long answers have a cache of keys and
values each. `GenerateEngine` calls `model.generate` and supports all other model classes.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from learner.policy.packed import PackedPolicy, Prefix
from learner.rollouts.base import (
    Completion,
    EngineContext,
    Prompt,
    Rollout,
    RolloutEngine,
    Sampling,
    greedy_then_sampled,
)
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.inputs import batches_of_one_shape, encode_prompts, grid_of, plain_inputs

PACKED_AT_ONCE, GENERATED_AT_ONCE = 64, 8  # prompts
_TOKENS_AT_ONCE = 2**16  # of answers
_SHORT = 16  # tokens of answers that are often equal
_GREEDY_TEMPERATURE = 1.0  # for log-probabilities of greedy answers


class _LiveWeights:
    """Base class of engines that sample with the trained weights."""

    live = True

    def load_adapter(self, name: str, path: Path) -> None:
        """Do nothing: the weights are those of the trainer."""

    def close(self) -> None: ...


class PackedEngine(_LiveWeights):
    name = "transformers"

    def __init__(self, packed: PackedPolicy, encoder: PromptEncoder) -> None:
        self._packed = packed
        self._encoder = encoder
        self._banned = torch.tensor(encoder.banned)

    @torch.no_grad()
    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        answers: list[Optional[Rollout]] = [None] * len(prompts)
        generator = torch.Generator(self._packed.device).manual_seed(sampling.seed)
        for indices in batches_of_one_shape(prompts, prompts_at_once(PACKED_AT_ONCE, n, sampling.max_tokens)):
            batch = [prompts[index] for index in indices]
            for index, rollout in zip(indices, self._generate(batch, n, sampling, generator)):
                answers[index] = rollout
        return [answer for answer in answers if answer is not None]

    def _generate(
        self, prompts: Sequence[Prompt], n: int, sampling: Sampling, generator: torch.Generator
    ) -> Iterable[Rollout]:
        prompt_ids, features = encode_prompts(self._packed, self._encoder, prompts)
        prefix = self._packed.prefill(prompt_ids, features, grid_of(self._packed, prompts[0]))
        truths = truth_log_probs(self._packed, prefix, [prompt.truth for prompt in prompts])
        count = len(prompts)
        tokens: list[list[list[int]]] = [[[] for _ in range(n)] for _ in prompts]
        logprobs: list[list[list[float]]] = [[[] for _ in range(n)] for _ in prompts]
        logits = self._packed.logits(prefix.last)[:, None]  # [B, K distinct answers, V]
        owner = np.zeros((count, n), np.int64)  # the distinct answer that each sample continues
        cache = self._packed.cache() if sampling.max_tokens > _SHORT else None
        open_samples = np.ones((count, n), bool)
        for _ in range(sampling.max_tokens):
            log_p = self._log_p(logits, sampling)
            rows = log_p[torch.arange(count)[:, None], torch.from_numpy(owner)]  # [B, n, V]
            chosen = rows.argmax(-1) if sampling.temperature == 0 else _sample(rows, generator)
            if sampling.greedy_first:
                chosen[:, 0] = rows[:, 0].argmax(-1)
            chosen_log_p = rows.gather(-1, chosen[..., None])[..., 0].tolist()
            for row, picks in enumerate(chosen.tolist()):
                for column, token in enumerate(picks):
                    if open_samples[row, column]:
                        tokens[row][column].append(token)
                        logprobs[row][column].append(chosen_log_p[row][column])
                        open_samples[row, column] = token not in self._encoder.ends
            if not open_samples.any():
                break
            if cache is not None:
                logits = self._packed.logits(self._packed.extend(prefix, cache, chosen))
                owner = np.arange(n)[None].repeat(count, 0)
                continue
            branches, owner = _distinct(tokens, open_samples)
            branches = branches.to(self._packed.device)
            at = torch.full((*branches.shape[:2], 1), branches.shape[2] - 1, device=branches.device)
            logits = self._packed.logits(self._packed.branch(prefix, branches, at)[:, :, 0])
        for row, prompt in enumerate(prompts):
            yield Rollout(
                prompt,
                tuple(prompt_ids[row]),
                tuple(
                    Completion(tuple(ids), tuple(log_p), self._encoder.text(ids), ids[-1] in self._encoder.ends)
                    for ids, log_p in zip(tokens[row], logprobs[row])
                ),
                truths[row],
            )

    def _log_p(self, logits: Tensor, sampling: Sampling) -> Tensor:
        logits = logits.float()
        logits[..., self._banned] = float("-inf")
        return (logits / (sampling.temperature or _GREEDY_TEMPERATURE)).log_softmax(-1)


def prompts_at_once(most: int, n: int, max_tokens: int) -> int:
    """Prompts that are answered at once, `n` times each, so that the caches of their answers have a bounded size."""
    return max(1, min(most, _TOKENS_AT_ONCE // (n * max_tokens)))


def truth_log_probs(packed: PackedPolicy, prefix: Prefix, truths: Sequence[Sequence[int]]) -> list[Optional[float]]:
    """Mean log-probability of the true answer of each prompt; None for prompts without one."""
    longest = max(map(len, truths))
    if longest == 0:
        return [None] * len(truths)
    ids = torch.zeros(len(truths), 1, longest, dtype=torch.int64)
    for row, truth in enumerate(truths):
        ids[row, 0, : len(truth)] = torch.tensor(truth, dtype=torch.int64)
    rows = packed.log_probs(prefix, ids.to(packed.device))[:, 0].tolist()
    return [sum(row[: len(truth)]) / len(truth) if truth else None for row, truth in zip(rows, truths)]


def _sample(log_p: Tensor, generator: torch.Generator) -> Tensor:
    """Sample one token per row of log_p [..., V]."""
    flat = log_p.exp().reshape(-1, log_p.shape[-1])
    return torch.multinomial(flat, 1, generator=generator).view(log_p.shape[:-1])


def _distinct(tokens: list[list[list[int]]], open_samples: np.ndarray) -> tuple[Tensor, np.ndarray]:
    """Return the distinct unfinished answers of each prompt, [B, K, T], and their index for each sample, [B, n].

    All unfinished answers have the same length T. Prompts with fewer than K distinct answers repeat the first.
    """
    length = max(len(ids) for row, flags in zip(tokens, open_samples) for ids, still in zip(row, flags) if still)
    owner = np.zeros(open_samples.shape, np.int64)
    distinct: list[list[tuple[int, ...]]] = []
    for row, (answers, flags) in enumerate(zip(tokens, open_samples)):
        index: dict[tuple[int, ...], int] = {}
        for column in np.flatnonzero(flags):
            owner[row, column] = index.setdefault(tuple(answers[column]), len(index))
        distinct.append(list(index) or [(0,) * length])
    most = max(map(len, distinct))
    filled = [answers + answers[:1] * (most - len(answers)) for answers in distinct]
    return torch.tensor(filled), owner


def make_engine(context: EngineContext) -> RolloutEngine:
    """Return an engine that samples with the live weights."""
    return context.parts.live_engine()


class GenerateEngine(_LiveWeights):
    """Samples by `model.generate` with the live weights, for model classes without a packed forward."""

    name = "transformers"

    def __init__(self, model: Any, processor: Any, encoder: PromptEncoder) -> None:
        self._model = model
        self._processor = processor
        self._encoder = encoder
        pad = processor.tokenizer.pad_token_id
        self._pad = encoder.eos if pad is None else pad

    @torch.no_grad()
    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        if sampling.greedy_first:
            return greedy_then_sampled(self.generate, prompts, n, sampling)
        torch.manual_seed(sampling.seed)
        rollouts: dict[int, Rollout] = {}
        for indices in batches_of_one_shape(prompts, prompts_at_once(GENERATED_AT_ONCE, n, sampling.max_tokens)):
            batch = [prompts[index] for index in indices]
            rollouts.update(zip(indices, self._generate(batch, n, sampling)))
        return [rollouts[index] for index in range(len(prompts))]

    def _generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> Iterable[Rollout]:
        inputs = plain_inputs(self._model, self._processor, self._encoder, prompts)
        greedy = sampling.temperature == 0
        samples = 1 if greedy else n
        mode: dict[str, Any] = {} if greedy else {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
        chosen = _ChosenLogProbs(inputs["input_ids"].shape[1], sampling.temperature, self._encoder.banned)
        with _neutral_generation(self._model):
            output = self._model.generate(
                **inputs,
                **mode,
                do_sample=not greedy,
                num_return_sequences=samples,
                max_new_tokens=sampling.max_tokens,
                logits_processor=LogitsProcessorList([chosen]),
                eos_token_id=sorted(self._encoder.ends),
                pad_token_id=self._pad,
            )
        answers = output[:, inputs["input_ids"].shape[1] :]
        log_probs = chosen.finish(output).tolist()
        for row, prompt in enumerate(prompts):
            ids = inputs["input_ids"][row][inputs["attention_mask"][row].bool()].tolist()
            own = range(row * samples, (row + 1) * samples)
            completions = tuple(self._completion(answers[index].tolist(), log_probs[index]) for index in own)
            yield Rollout(prompt, tuple(ids), completions * (n if greedy else 1))

    def _completion(self, ids: list[int], log_probs: list[float]) -> Completion:
        end = next((at for at, token in enumerate(ids) if token in self._encoder.ends), None)
        length = len(ids) if end is None else end + 1
        written = tuple(ids[:length])
        return Completion(written, tuple(log_probs[:length]), self._encoder.text(written), end is not None)


class _ChosenLogProbs(LogitsProcessor):
    """Makes the sampling distribution, and records the log-probability of each chosen token under it.

    `generate` can return the distributions of all steps, which for long answers do not fit in memory.
    """

    def __init__(self, prompt: int, temperature: float, banned: Sequence[int]) -> None:
        self._prompt = prompt
        self._temperature = temperature or _GREEDY_TEMPERATURE
        self._banned = torch.tensor(banned)
        self._last: Optional[Tensor] = None
        self._found: list[Tensor] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self._note(input_ids)
        scores[:, self._banned] = float("-inf")
        scores = scores / self._temperature
        self._last = scores.log_softmax(-1)
        return scores

    def _note(self, ids: Tensor) -> None:
        at = self._prompt + len(self._found)
        if self._last is not None and ids.shape[1] > at:
            self._found.append(self._last.gather(-1, ids[:, at, None])[:, 0])

    def finish(self, output: Tensor) -> Tensor:
        """Log-probabilities [N, T] of the tokens after the prompt."""
        self._note(output)
        return torch.stack(self._found, 1)


@contextlib.contextmanager
def _neutral_generation(model: Any) -> Iterator[None]:
    """Set the model's own generation config aside, whose penalties and limits would change the distribution."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    own, base.generation_config = base.generation_config, GenerationConfig()
    try:
        yield
    finally:
        base.generation_config = own
