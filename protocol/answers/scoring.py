"""Rewards, computed by rule from the answer of the question, never by a model.

An answer scores its accuracy (0..1), which depends on the answer type, and a small format term if it is readable.
Empty, hedged and multiple answers are unreadable and score 0.

    choice    1 for the right option, verbatim apart from case, spacing and a trailing period; for a question without
              options any other answer is unreadable, since it could contain several
    number    mean relative accuracy (VSI-Bench, arXiv 2412.14171): see `mean_relative_accuracy`
    sequence  fraction of item pairs in the right order; 0 unless the answer is a permutation of the items
    map       fraction of objects within one cell of their place, under the best of four quarter turns
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Optional

from protocol.tasks.task import Question

MAP_CELLS = 10  # cognitive maps have MAP_CELLS x MAP_CELLS cells

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_LONGEST_NUMBER = 32  # characters


@dataclass(frozen=True)
class Reward:
    """`accuracy` (0..1) is the success; the other fields add terms to the reward.

    form: how well a completion with reasoning keeps its form, 0..1; None if the style asks for no reasoning, so that a
    readable answer is in form. length: the penalty of an over-long completion, 0 or less. likelihood: that of the true
    answer after the reasoning, 0..1. truncated: whether the completion was cut off at the token limit.
    """

    accuracy: float
    readable: bool
    form: Optional[float] = None
    length: float = 0.0
    likelihood: float = 0.0
    truncated: bool = False

    @property
    def format(self) -> float:
        """The format term, 0..1."""
        return float(self.readable) if self.form is None else self.form

    def total(self, format_weight: float, likelihood_weight: float = 0.0) -> float:
        return self.accuracy + format_weight * self.format + self.length + likelihood_weight * self.likelihood


UNREADABLE = Reward(0.0, False)


def score(question: Question, answer: str, finished: bool = True) -> Reward:
    """The reward of one answer; `finished` is False if it was cut off at the token limit."""
    text = normalise(answer)
    if not text or not finished:
        return UNREADABLE
    if question.answer_type == "choice":
        return _score_choice(question, text)
    if question.answer_type == "number":
        value, truth = parse_number(text, question.unit), parse_number(question.answer)
        if truth is None:
            raise ValueError(f"the true answer {question.answer[:40]!r} is not a plain decimal")
        return Reward(mean_relative_accuracy(value, truth), True) if value is not None else UNREADABLE
    if question.answer_type == "sequence":
        return _score_sequence(question.answer, text)
    assert question.answer_type == "map", question.answer_type
    return _score_map(question.answer, answer)


def normalise(answer: str) -> str:
    """Case folded, one trailing period removed, whitespace collapsed."""
    text = " ".join(answer.split()).casefold()
    return text[:-1].rstrip() if text.endswith(".") else text


def parse_number(text: str, unit: str = "") -> Optional[Fraction]:
    """The decimal number that the text consists of, with or without its unit; None for any other text."""
    text = normalise(text)
    if unit:
        text = text.removesuffix(unit.casefold()).rstrip()
    return Fraction(text) if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) else None


def mean_relative_accuracy(value: Fraction, truth: Fraction) -> float:
    """The mean over theta in {0.50, 0.55, ..., 0.95} of [ |value - truth| / truth < 1 - theta ].

    Ten thresholds and a strict "<", as in the paper; the code of the benchmark has "<=" in floating point, see
    `vsi_bench.score_published`. Computed with exact fractions, so that the result at a threshold does not depend on
    rounding. For a truth of 0 only 0 is right.
    """
    if truth == 0:
        return float(value == 0)
    error = abs(value - truth) / abs(truth)
    return sum(error < 1 - Fraction(percent, 100) for percent in range(50, 100, 5)) / 10


def _score_choice(question: Question, text: str) -> Reward:
    right = text == normalise(question.answer)
    readable = text in map(normalise, question.options) if question.options else right
    return Reward(float(readable and right), readable)


def _score_sequence(truth: str, text: str) -> Reward:
    right = [normalise(item) for item in truth.split(",")]
    given = [normalise(item) for item in text.split(",")]
    if len(given) != len(set(given)) or sorted(given) != sorted(right):
        return UNREADABLE
    place = {item: index for index, item in enumerate(given)}
    pairs = list(itertools.combinations(right, 2))
    in_order = sum(place[first] < place[second] for first, second in pairs)
    return Reward(in_order / len(pairs) if pairs else 1.0, True)


def _score_map(truth: str, answer: str) -> Reward:
    right, given = parse_map(truth), parse_map(answer)
    assert right, truth
    if given is None or given.keys() != right.keys():
        return UNREADABLE
    best = 0
    for _ in range(4):
        given = {name: (MAP_CELLS - 1 - row, column) for name, (column, row) in given.items()}
        near = sum(max(abs(given[name][0] - x), abs(given[name][1] - y)) <= 1 for name, (x, y) in right.items())
        best = max(best, near)
    return Reward(best / len(right), True)


def parse_map(text: str) -> Optional[dict[str, tuple[int, int]]]:
    """{"chair": [column, row], ...} with cells 0..MAP_CELLS - 1 and each name once, or None."""
    try:
        pairs: Any = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, _Pairs):
        return None
    cells: dict[str, tuple[int, int]] = {}
    for name, place in pairs:
        whole = isinstance(place, list) and len(place) == 2 and all(type(cell) is int for cell in place)
        name = normalise(name)
        if not whole or not all(0 <= cell < MAP_CELLS for cell in place) or name in cells:
            return None
        cells[name] = (place[0], place[1])
    return cells


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written, repeated names and all."""
