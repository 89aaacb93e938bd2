"""Prompts about the same views share the computation of their common tokens, with the same log-probabilities."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

from learner.policy.packed import PackedPolicy
from learner.rollouts.base import Prompt
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.scores import packed_truths
from tests.unit.learner.test_reasoning import reasoner

WORDS = ("is the red chair left or right", "how many are there", "what color is the small lamp beside the blue sofa")


def views(count: int, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8) for _ in range(count))


def about(images: tuple[np.ndarray, ...], count: int, thought: tuple[int, ...] = ()) -> list[Prompt]:
    """Questions of different lengths about these views, with true answers of different lengths."""
    return [
        Prompt(f"{WORDS[number % 3]} {WORDS[0].split()[number % 7]} {number} ?", images, truth, thought)
        for number in range(count)
        for truth in [(300 + number, 301, 2)[number % 2 :]]
    ]


@pytest.fixture(scope="module")
def policy() -> tuple[PackedPolicy, PromptEncoder]:
    made: Any = reasoner()
    return made.packed, made.encoder


@pytest.mark.parametrize("images", [1, 3])
def test_shared_prompts_have_the_same_log_probabilities(policy: Any, images: int) -> None:
    asked = [prompt for seed, count in enumerate((1, 2, 4, 8)) for prompt in about(views(images, seed), count)]
    asked += about(views(images, 9), 3, thought=(310, 311, 312))
    asked += about((), 3)  # blind
    asked = [asked[index] for index in np.random.default_rng(0).permutation(len(asked))]
    alone = [packed_truths(*policy, [prompt])[0] for prompt in asked]
    assert len({round(value, 4) for value in alone}) > 15
    for most_tokens in (16384, 400, 1):
        assert packed_truths(*policy, asked, most_tokens) == pytest.approx(alone, abs=1e-5)


def test_the_views_are_read_once_for_all_questions_about_them(policy: Any) -> None:
    packed, encoder = policy
    first, second = views(2, 0), views(2, 1)
    asked = [*about(first, 8), *about(second, 8)]
    with mock.patch.object(packed, "prefill", wraps=packed.prefill) as prefill:
        packed_truths(packed, encoder, asked)
    prefixes = [prompt for call in prefill.call_args_list for prompt in call.args[0]]
    assert len(prefixes) == 2
    assert all(prompt.count(packed.image_token_id) == 2 * 36 for prompt in prefixes)


def test_prompts_that_differ_before_an_image_are_computed_apart(policy: Any) -> None:
    packed, encoder = policy
    images = views(2, 3)
    asked = about(images, 2)
    expected = packed_truths(packed, encoder, asked)

    class Tagged:
        """Writes the question before the last image."""

        def prompt(self, text: str, count: int) -> tuple[int, ...]:
            ids = encoder.prompt(text, count)
            last = len(ids) - 1 - ids[::-1].index(packed.image_token_id)
            return (*ids[:last], *ids[last + 1 :], packed.image_token_id)

    found = packed_truths(packed, Tagged(), asked)  # type: ignore[arg-type]
    alone = [packed_truths(packed, Tagged(), [prompt])[0] for prompt in asked]  # type: ignore[arg-type]
    assert found == pytest.approx(alone, abs=1e-5) and found != pytest.approx(expected, abs=1e-3)
