"""What every rollout engine takes and gives.

An engine answers prompts with the policy's current weights. `generate` is the whole interface of sampling; an engine
that keeps its own copy of the weights (vLLM) is told of a new adapter by `load_adapter`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, Sequence

import numpy as np
from numpy.typing import NDArray

from learner.settings import LearnerSettings

if TYPE_CHECKING:
    from learner.policy.assemble import Parts

RgbImage = NDArray[np.uint8]  # [H, W, 3] sRGB


@dataclass(frozen=True)
class Prompt:
    """One question as the policy reads it: the views, then the text. Without images it is asked blind.

    `truth` holds the token ids of the true answer, which engines that can do it cheaply score and never show.
    """

    text: str
    images: tuple[RgbImage, ...] = ()
    truth: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """temperature 0 is greedy; `seed` makes a call repeatable with the same weights (not with vLLM on a CPU)."""

    temperature: float = 1.0
    max_tokens: int = 8
    seed: int = 0
    greedy_first: bool = False  # the first answer to each prompt is the greedy one, the others are sampled


@dataclass(frozen=True)
class Completion:
    """One answer. `logprobs[t]` is the natural log-probability of `token_ids[t]` under the sampling distribution
    (after the temperature and with banned tokens excluded). `finished`: it ended with an end-of-turn token, which is
    then the last of `token_ids`."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    finished: bool


@dataclass(frozen=True)
class Rollout:
    """The answers to one prompt.

    `prompt_ids` has every image token (runs expanded, one token per merged patch). `features` holds the encoded views
    where the engine shares them with the trainer, else None. `truth_logprob` is the mean log-probability of the tokens
    of the prompt's true answer, None if the engine does not score it.
    """

    prompt: Prompt
    prompt_ids: tuple[int, ...]
    completions: tuple[Completion, ...]
    truth_logprob: Optional[float] = None
    features: Any = field(default=None, repr=False, compare=False)


TruthScorer = Callable[[Sequence[Prompt]], list[float]]  # mean log-probability of each prompt's true answer


def greedy_then_sampled(
    generate: Callable[[Sequence[Prompt], int, Sampling], list[Rollout]],
    prompts: Sequence[Prompt],
    n: int,
    sampling: Sampling,
) -> list[Rollout]:
    """`greedy_first` by two calls, for engines that cannot do it in one."""
    sampled = generate(prompts, n - 1, replace(sampling, greedy_first=False))
    greedy = generate(prompts, 1, replace(sampling, greedy_first=False, temperature=0.0))
    return [replace(rest, completions=first.completions + rest.completions) for first, rest in zip(greedy, sampled)]


@dataclass(frozen=True)
class EngineContext:
    """What a factory of engines is given. `max_images` is the largest number of images in one prompt."""

    parts: Parts
    settings: LearnerSettings
    max_images: int
    seed: int


class RolloutEngine(Protocol):
    name: str
    live: bool  # samples with the very weights that are trained: no adapter to load, no mismatch to correct

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        """`n` answers to each prompt, in the order of `prompts`. Greedy sampling gives `n` equal answers."""
        ...

    def load_adapter(self, name: str, path: Path) -> None:
        """Answer from now on with the adapter in this folder. A name is never used for two different adapters: engines
        cache by name."""
        ...

    def close(self) -> None: ...
