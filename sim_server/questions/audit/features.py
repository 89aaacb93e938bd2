"""What an image-blind reader sees of a question: the words of the text, and the words and places of the options."""

from __future__ import annotations

import re
from collections import Counter
from itertools import permutations
from typing import Iterable, Optional, Sequence

from protocol.tasks.task import Question

_WORD = re.compile(r"[^\W_]+(?:\.\d+)?")
_COMMON, _RARE = 0.6, 3  # words in a larger fraction of the questions, or in fewer questions, are left out


def words_in(text: str) -> list[str]:
    """The words and numbers of a text, lower case."""
    return _WORD.findall(text.lower())


def question_words(question: Question, with_names: bool) -> frozenset[str]:
    """Words and pairs of consecutive words of the text; with names, also the phrases that name objects, each with and
    without its place in the sentence."""
    words = words_in(question.text)
    names = [question.text[mention.start : mention.end].lower() for mention in question.mentions if with_names]
    placed = [f"{place}: {name}" for place, name in enumerate(names)]
    return frozenset((*words, *map(" ".join, zip(words, words[1:])), *names, *placed))


def told_words(questions: Sequence[Question]) -> list[frozenset[str]]:
    """Per question, the words that tell it from the others: those in neither almost all nor very few questions.

    A phrase names an object only if the questions of the skill always name one: a question about something that no
    image shows does not.
    """
    with_names = all(question.mentions for question in questions)
    words = [question_words(question, with_names) for question in questions]
    counts = Counter(word for one in words for word in one)
    told = frozenset(word for word, count in counts.items() if _RARE <= count <= _COMMON * len(questions))
    return [one & told for one in words]


def answers_to(question: Question, known: Iterable[str]) -> tuple[str, ...]:
    """The answers to choose from: the options, the orders of the named objects, or the `known` answers."""
    if question.options:
        return question.options
    if question.answer_type == "sequence":
        return tuple(", ".join(order) for order in permutations(sorted(question.answer.split(", "))))
    return tuple(known)


def answer_features(question: Question, words: frozenset[str], answers: Sequence[str]) -> list[list[str]]:
    """Per answer, its own words and place, and each of them together with each word of the question."""
    if question.answer_type == "sequence":
        return [_order_features(answer.split(", ")) for answer in answers]
    parts = [frozenset(words_in(answer)) for answer in answers]
    found: list[list[str]] = []
    for place, (answer, own) in enumerate(zip(answers, parts)):
        features = [f"is {answer}", *(f"has {word}" for word in own)]
        if question.options:
            shared = sum(len(own & other) for other in parts) - len(own)
            most = sum(len(own & other) for other in parts) == max(sum(len(a & b) for b in parts) for a in parts)
            features += [f"place {place} of {len(answers)}", f"shares {min(shared, 9)}", f"shares most {most}"]
            features += _size_rank(own, parts)
            features += [f"{one} not {two}" for one in own for other in parts for two in other - own]
        features += [f"{word} & {feature}" for word in words for feature in features[: 1 + len(own)]]
        found.append(features)
    return found


def _size_rank(own: frozenset[str], parts: Sequence[frozenset[str]]) -> list[str]:
    """Whether the number in an option is the smallest or largest of all options."""
    numbers = [_number(part) for part in parts]
    mine = _number(own)
    if mine is None or len(set(numbers)) < 2:
        return []
    others = [number for number in numbers if number is not None]
    return [f"smallest {mine == min(others)}", f"largest {mine == max(others)}"]


def _number(words: frozenset[str]) -> Optional[float]:
    found = [float(word) for word in words if word.replace(".", "", 1).isdigit()]
    return found[0] if found else None


def _order_features(order: Sequence[str]) -> list[str]:
    """Pairs of names in this order, and the place of each name."""
    pairs = [f"{one} before {two}" for at, one in enumerate(order) for two in order[at + 1 :]]
    return [*pairs, *(f"{name} at {place}" for place, name in enumerate(order))]
