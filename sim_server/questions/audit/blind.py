"""Score of an image-blind baseline, which learns from one half of the scenes how answers depend on words."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Callable, Optional, Sequence

from protocol.tasks.task import Question


def blind_score(asked: Sequence[tuple[int, Question]], words: Callable[[Question], str]) -> float:
    """Mean score of the baseline on questions, each with the number of its scene; 0 without questions.

    Scenes with even and odd numbers are the two halves; questions of one half are answered from the other half only.
    `words` returns the part of a question that the baseline reads. For a choice it takes the option that was right most
    often relative to how often it was offered under these words; for a measure the median, scored by
    `relative_accuracy`; for a count or anything else the most frequent answer.
    """
    halves: tuple[list[Question], list[Question]] = ([], [])
    for scene, question in asked:
        halves[scene % 2].append(question)
    scores = [
        _score(question, [other for other in halves[1 - half] if words(other) == words(question)] or halves[1 - half])
        for half in (0, 1)
        for question in halves[half]
    ]
    return sum(scores) / len(scores) if scores else 0.0


def _score(question: Question, known: Sequence[Question]) -> float:
    if question.unit:
        guess = median([float(other.answer) for other in known]) if known else 1.0
        return relative_accuracy(guess, float(question.answer))
    if question.options:
        offered, right = Counter[str](), Counter[str]()
        for other in known:
            offered.update(other.options)
            right[other.answer] += 1
        # A prior of one success in as many offers as there are options gives rare options a rate near chance.
        rate = {word: (right[word] + 1) / (offered[word] + len(question.options)) for word in question.options}
        best = [word for word in question.options if rate[word] == max(rate.values())]
        return (question.answer in best) / len(best)
    form = ordering(question)
    known_forms = Counter(other.answer if form is None else ordering(other) for other in known)
    if not known_forms:
        return 0.0
    return float(known_forms.most_common(1)[0][0] == (question.answer if form is None else form))


def ordering(question: Question) -> Optional[tuple[int, ...]]:
    """The answer of a sequence as indices into the objects in the order of the text; None for other answer types."""
    if question.answer_type != "sequence":
        return None
    named = [question.text[mention.start : mention.end] for mention in question.mentions]
    return tuple(named.index(name) for name in question.answer.split(", "))


def relative_accuracy(guess: float, truth: float) -> float:
    """Mean relative accuracy (VSI-Bench, arXiv 2412.14171): the fraction of the thresholds 0.50, 0.55 … 0.95 that the
    guess reaches."""
    error = abs(guess - truth) / abs(truth) if truth else float(guess != truth)
    return sum(error < 1 - (0.5 + 0.05 * step) - 1e-9 for step in range(10)) / 10


def nothing(_question: Question) -> str:
    """The part read by a baseline that knows only the options."""
    return ""


def hints(question: Question) -> str:
    """The words that could give the answer away: the options, the kind of object named, or the kind counted."""
    if question.options and not question.option_objects:
        return " ".join(sorted(question.options))
    if question.mentions:
        first = question.mentions[0]
        color_or_noun = question.text[first.start : first.end].split()
        return color_or_noun[0] if color_or_noun[-1] == "thing" else color_or_noun[-1]
    if "things" not in question.text:
        return "category"
    return "thing" if " of things " in question.text or "many things " in question.text else "color"
