"""The interface of rollout engines.

An engine answers prompts with the current weights of the policy. `generate` samples; `load_adapter` passes new weights
to engines with their own copy (vLLM).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional, Protocol, Sequence

import numpy as np
from numpy.typing import NDArray

from learner.settings import LearnerSettings

if TYPE_CHECKING:
    from learner.policy.assemble import Parts

RgbImage = NDArray[np.uint8]  # [H, W, 3] sRGB


@dataclass(frozen=True)
class Prompt:
    """One question as the policy reads it: the views, then the text. Without images the question is blind.

    `truth` holds the token ids of the true answer. Engines may score it, but never show it to the policy. `thought`
    holds tokens of the policy's own turn after which the true answer is scored or taught: its reasoning.
    """

    text: str
    images: tuple[RgbImage, ...] = ()
    truth: tuple[int, ...] = ()
    thought: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Prompts with equal keys read the same; `truth` and `thought` may differ."""
        return (self.text, *map(id, self.images))


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 is greedy. With equal weights and `seed`, results are equal (except for vLLM on a CPU)."""

    temperature: float = 1.0
    max_tokens: int = 8
    seed: int = 0
    greedy_first: bool = False  # the first answer to each prompt is greedy, the others are sampled


@dataclass(frozen=True)
class Completion:
    """One answer.

    `logprobs[t]` is the natural log-probability of `token_ids[t]` under the sampling distribution (after temperature
    and exclusion of banned tokens). If `finished`, the last token is the end-of-turn token.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    finished: bool


@dataclass(frozen=True)
class Rollout:
    """The answers to one prompt.

    `prompt_ids` has expanded image tokens, one per merged patch. `truth_logprob` is the mean log-probability of the
    tokens of the true answer, or None if the engine does not score it.
    """

    prompt: Prompt
    prompt_ids: tuple[int, ...]
    completions: tuple[Completion, ...]
    truth_logprob: Optional[float] = None

    def only(self, index: int) -> Rollout:
        """The rollout with one of its completions: a turn of one answer. The prompt stays the same object."""
        return replace(self, completions=(self.completions[index],))

    @property
    def completion(self) -> Completion:
        """The only completion."""
        (completion,) = self.completions
        return completion


TruthScorer = Callable[[Sequence[Prompt]], list[float]]  # mean log-probability of the true answer of each prompt


def greedy_then_sampled(
    generate: Callable[[Sequence[Prompt], int, Sampling], list[Rollout]],
    prompts: Sequence[Prompt],
    n: int,
    sampling: Sampling,
) -> list[Rollout]:
    """Implement `greedy_first` by two calls, for engines that need them."""
    sampled = generate(prompts, n - 1, replace(sampling, greedy_first=False))
    greedy = generate(prompts, 1, replace(sampling, greedy_first=False, temperature=0.0))
    return [replace(rest, completions=first.completions + rest.completions) for first, rest in zip(greedy, sampled)]


@dataclass(frozen=True)
class EngineContext:
    """Argument of an engine factory. `max_images` is the maximum number of images in one prompt."""

    parts: Parts
    settings: LearnerSettings
    max_images: int
    seed: int


class RolloutEngine(Protocol):
    name: str
    live: bool  # samples with the trained weights themselves: no adapter to load, no mismatch to correct

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        """Return `n` answers to each prompt, in order. Greedy sampling returns `n` equal answers."""
        ...

    def load_adapter(self, name: str, path: Path) -> None:
        """Use the adapter in this folder from now on. Names of adapters are unique, because engines cache by name."""
        ...

    def close(self) -> None: ...
