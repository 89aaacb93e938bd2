"""Tensors of annotated views: dense targets per image token, and packed questions with the nouns that name objects."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from learner.pretrain.data import Shard
from learner.pretrain.truth import IGNORED, Names, object_targets
from protocol.answers.prompt import words_with_mentions, write_answer
from protocol.tasks.task import Mention, Question

MASKED = IGNORED


class Dense(NamedTuple):
    shown: Tensor  # bool [B, n]: the image token shows an object
    targets: Tensor  # int64 [shown.sum(), FIELDS]


class Questions(NamedTuple):
    """K questions for each of B views; S positions per question are scored."""

    ids: Tensor  # int64 [B, K, T]: prompt and answer
    at: Tensor  # int64 [B, K, S]: the positions whose next token is an answer token
    labels: Tensor  # int64 [B, K, S]: that token, or MASKED after the end of the answer and if the answer is not taught
    nouns: Tensor  # int64 [M, 3]: view, question, position of the last token of the noun
    noun_targets: Tensor  # int64 [M, FIELDS]


class Tokens:
    """Tokenizer with a cache per word."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.end = int(tokenizer.eos_token_id)
        self.pad = int(tokenizer.pad_token_id)
        self.answer_mark = int(tokenizer.convert_tokens_to_ids("<|im_start|>"))
        self.word = lru_cache(maxsize=65536)(self._word)

    def _word(self, word: str) -> list[int]:
        return self._tokenizer(word, add_special_tokens=False)["input_ids"]

    def encode(self, text: str) -> list[int]:
        return [token for word in text.split() for token in self.word(word)]

    def prompt(self, text: str, mentions: Sequence[Mention]) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids and, per mention, (position of its last token, object id)."""
        ids: list[int] = []
        ends: dict[int, int] = {}
        character = 0
        for word in text.split(" "):
            ids += self.word(word) if word else []
            character += len(word)
            ends[character] = len(ids) - 1
            character += 1
        return ids, [(ends[m.end], m.object_id) for m in mentions if m.end in ends]


def dense(shard: Shard, names: Names) -> Dense:
    shown = torch.from_numpy(shard.owners >= 0)
    targets = [
        object_targets(truth.objects, names)[owner[owner >= 0]] for truth, owner in zip(shard.truths, shard.owners)
    ]
    return Dense(shown, torch.from_numpy(np.concatenate(targets)))


def choose(
    questions: Sequence[Question], weights: dict[str, float], count: int, rng: np.random.Generator
) -> list[Question]:
    """Draw up to `count` questions without repetition; the weights give the proportions of the skills."""
    skills: dict[str, list[Question]] = {}
    for index in rng.permutation(len(questions)):
        if weights.get(questions[index].skill, 0.0) > 0:
            skills.setdefault(questions[index].skill, []).append(questions[index])
    chosen: list[Question] = []
    while skills and len(chosen) < count:
        present = list(skills)
        weight = np.array([weights[name] for name in present])
        name = present[int(rng.choice(len(present), p=weight / weight.sum()))]
        chosen.append(skills[name].pop())
        if not skills[name]:
            del skills[name]
    return chosen


class TaughtAnswers:
    """Decides which answers are training targets: a fraction per skill, none more often than a fraction of its skill.

    Without the limit, most taught counts would be 1, and the policy would not look.
    """

    def __init__(self, fractions: dict[str, float], largest: float) -> None:
        """`fractions` per skill, 1 for others; `largest` is the limit."""
        self._fractions = fractions
        self._largest = largest
        self._taught: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, question: Question, rng: np.random.Generator) -> bool:
        """Whether the answer of this question is a target."""
        answers = self._taught[question.skill]
        allowed = max(1.0, self._largest * answers.total())
        if rng.random() >= self._fractions.get(question.skill, 1.0) or answers[question.answer] > allowed:
            return False
        answers[question.answer] += 1
        return True


def pack(
    shard: Shard,
    chosen: Sequence[Sequence[Question]],
    taught: Sequence[Sequence[bool]],
    tokens: Tokens,
    names: Names,
) -> Questions:
    """Pack the chosen questions of each view into tensors; `taught` tells whether an answer is a training target."""
    rows: list[list[tuple[list[int], list[int]]]] = []
    nouns: list[tuple[int, int, int]] = []
    targets: list[np.ndarray] = []
    for view, (truth, questions) in enumerate(zip(shard.truths, chosen)):
        of_object = {o.object_id: row for o, row in zip(truth.objects, object_targets(truth.objects, names))}
        row = []
        for k, question in enumerate(questions):
            ids, mentions = tokens.prompt(*words_with_mentions(question))
            answer = tokens.encode(write_answer(question, "words"))
            row.append(([*ids, tokens.answer_mark], [*answer, tokens.end]))
            for position, object_id in mentions:
                if object_id in of_object:
                    nouns.append((view, k, position))
                    targets.append(of_object[object_id])
        rows.append(row)
    width = max(len(row) for row in rows)
    length = max(len(prompt) + len(answer) for row in rows for prompt, answer in row) - 1  # the end is never an input
    scored = max(len(answer) for row in rows for _, answer in row)
    ids_ = np.full((len(rows), width, length), tokens.pad, np.int64)
    at = np.zeros((len(rows), width, scored), np.int64)
    labels = np.full((len(rows), width, scored), MASKED, np.int64)
    for view, row in enumerate(rows):
        for k, (prompt, answer) in enumerate(row):
            inputs = prompt + answer[:-1]
            ids_[view, k, : len(inputs)] = inputs
            at[view, k] = np.minimum(len(prompt) - 1 + np.arange(scored), length - 1)
            if taught[view][k]:
                labels[view, k, : len(answer)] = answer
    noun_targets = np.array(targets, np.int64) if targets else np.zeros((0, 5), np.int64)
    nouns_ = np.array(nouns, np.int64).reshape(-1, 3)
    return Questions(*(torch.from_numpy(array) for array in (ids_, at, labels, nouns_, noun_targets)))
