"""The image-blind baseline: what a reader of the questions alone scores, after seeing questions of other scenes.

Every question is answered by a model that was fitted to the questions of other scenes (five folds). The penalties are
the ones with the highest likelihood over all folds, which favours the baseline slightly.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from fractions import Fraction
from functools import lru_cache
from typing import Iterable, Sequence

import msgspec
import numpy as np

from protocol.answers.scoring import mean_relative_accuracy, score
from protocol.tasks.task import Question
from sim_server.questions.audit.blind_models import AnswerModel, MeasureModel
from sim_server.questions.audit.features import answer_features, answers_to, told_words

Asked = Sequence[tuple[int, Question]]  # each question with the number of its scene
FOLDS = 5
ENOUGH = 200  # questions for a verdict
EXCESS = 0.05  # a skill may score this much above chance and above the best constant
_PENALTIES = (0.003, 0.01, 0.03, 0.1)  # of the softmax, per question
_RIDGES = (1.0, 3.0, 10.0, 30.0)
_QUANTILES = np.linspace(0.05, 0.95, 37)  # of the measures: candidates for the best constant
_RING_CELLS = 3.0


class BlindScore(msgspec.Struct, frozen=True):
    """The mean score of a skill's questions answered without images.

    `chance` is that of a uniform guess among the possible answers, `constant` that of the best constant answer, `error`
    the standard error of the excess over the higher of the two, clustered by scene.
    """

    skill: str
    questions: int
    blind: float
    chance: float
    constant: float
    error: float

    @property
    def excess(self) -> float:
        return self.blind - max(self.chance, self.constant)

    def leaks(self, least: int = ENOUGH) -> bool:
        """Whether there are enough questions to say that their words give answers away."""
        return self.questions >= least and self.excess > max(EXCESS, 2 * self.error)


def blind_score(asked: Asked) -> tuple[BlindScore, list[float]]:
    """The score of the questions of one skill, and that of each question. Raises ValueError without questions."""
    if not asked:
        raise ValueError("there are no questions to score")
    questions = [question for _, question in asked]
    blind = _scores(questions, _blind_answers(asked))
    constant = _scores(questions, _constant_answers(questions))
    known = sorted({question.answer for question in questions})
    chance = [_chance(question, known) for question in questions]
    base = chance if np.mean(chance) > np.mean(constant) else constant
    by_scene: dict[int, float] = defaultdict(float)
    centre = float(np.mean(blind) - np.mean(base))
    for (scene, _), ours, theirs in zip(asked, blind, base):
        by_scene[scene] += ours - theirs - centre
    error = math.sqrt(sum(value * value for value in by_scene.values())) / len(asked)
    total = BlindScore(
        skill=questions[0].skill,
        questions=len(asked),
        blind=float(np.mean(blind)),
        chance=float(np.mean(chance)),
        constant=float(np.mean(constant)),
        error=error,
    )
    return total, blind


def _scores(questions: Sequence[Question], answers: Sequence[str]) -> list[float]:
    return [score(question, answer).accuracy for question, answer in zip(questions, answers)]


def _chance(question: Question, known: Sequence[str]) -> float:
    """The expected score of a uniform guess among the options, or else among the `known` answers of the skill, where a
    close count scores in part; 0 for measures and maps."""
    if question.answer_type == "sequence":
        return 0.5  # of the pairs are in the right order
    if question.unit or question.answer_type == "map":
        return 0.0
    answers = question.options or known
    if question.answer_type == "number":
        return sum(_accuracy(guess, question.answer) for guess in answers) / len(answers)
    return 1 / len(answers)


def _folds(asked: Asked) -> list[tuple[list[int], list[int]]]:
    """Indices to learn from and to answer, for each fold with both."""
    fold = [scene % FOLDS for scene, _ in asked]
    answered = [[i for i, one in enumerate(fold) if one == at] for at in range(FOLDS)]
    split = [([i for i, one in enumerate(fold) if one != at], answer) for at, answer in enumerate(answered)]
    return [(learn, answer) for learn, answer in split if learn and answer]


def _blind_answers(asked: Asked) -> list[str]:
    questions = [question for _, question in asked]
    if questions[0].answer_type == "map":
        return [_ring(question) for question in questions]
    if questions[0].unit:
        return _measures(asked)
    return _choices(asked)


def _choices(asked: Asked) -> list[str]:
    """Answers of the softmax model with the most likely penalty."""
    questions = [question for _, question in asked]
    known = sorted({question.answer for question in questions})
    answers = [answers_to(question, known) for question in questions]
    features = [answer_features(*row) for row in zip(questions, told_words(questions), answers)]
    right = [options.index(question.answer) for question, options in zip(questions, answers)]
    best: tuple[float, list[str]] = (-math.inf, [])
    for penalty in _PENALTIES:
        likelihood, given = 0.0, [""] * len(questions)
        for learn, answer in _folds(asked):
            model = AnswerModel([features[i] for i in learn], [right[i] for i in learn], penalty)
            for i in answer:
                chance = model.probabilities(features[i])
                likelihood += math.log(max(float(chance[right[i]]), 1e-12))
                given[i] = _best_answer(questions[i], answers[i], chance.tolist())
        best = max(best, (likelihood, given))
    return best[1]


def _best_answer(question: Question, answers: Sequence[str], chance: Sequence[float]) -> str:
    """The answer with the highest expected score; close counts score in part."""
    if question.answer_type != "number":
        return max(zip(chance, answers))[1]
    return max(answers, key=lambda guess: sum(p * _accuracy(guess, truth) for p, truth in zip(chance, answers)))


@lru_cache(maxsize=4096)  # there are few counts
def _accuracy(guess: str, truth: str) -> float:
    return mean_relative_accuracy(Fraction(guess), Fraction(truth))


def _measures(asked: Asked) -> list[str]:
    """Answers of the ridge model with the least error of the logarithm, scaled to score best where it learned."""
    questions = [question for _, question in asked]
    rows = [sorted(words) for words in told_words(questions)]
    truths = [float(question.answer) for question in questions]
    best: tuple[float, list[str]] = (-math.inf, [])
    for penalty in _RIDGES:
        likelihood, given = 0.0, [""] * len(questions)
        for learn, answer in _folds(asked):
            known = [max(truths[i], 1e-3) for i in learn]
            model = MeasureModel([rows[i] for i in learn], known, penalty)
            fitted = [model.predict(rows[i]) for i in learn]
            scale = _best_scale(fitted, known)
            for i in answer:
                guess = model.predict(rows[i])
                likelihood -= math.log(guess / max(truths[i], 1e-3)) ** 2
                given[i] = f"{guess * scale:.3f}"
        best = max(best, (likelihood, given))
    return best[1]


def _best_scale(fitted: Sequence[float], truths: Sequence[float]) -> float:
    scales = np.geomspace(0.8, 1.25, 19).tolist()
    return max(scales, key=lambda scale: _mean_accuracy([scale * value for value in fitted], truths))


def _mean_accuracy(guesses: Iterable[float], truths: Sequence[float]) -> float:
    """The mean relative accuracy, without the exact treatment of its thresholds."""
    error = np.abs(np.asarray(list(guesses)) / np.asarray(truths) - 1)
    return float(np.mean([np.mean(error < 0.5 - 0.05 * step) for step in range(10)]))


def _constant_answers(questions: Sequence[Question]) -> list[str]:
    """The constant that scores best on these very questions: an answer, a place among the options, or a measure."""
    if questions[0].answer_type == "map":
        return [_ring(question) for question in questions]
    if questions[0].answer_type == "number":
        truths = [float(question.answer) for question in questions]
        guesses = sorted(set(np.quantile(truths, _QUANTILES).tolist() if questions[0].unit else truths))
        best = max(guesses, key=lambda guess: _mean_accuracy([guess] * len(truths), [max(t, 1e-3) for t in truths]))
        return [f"{best:g}"] * len(questions)
    (word, times) = Counter(question.answer for question in questions).most_common(1)[0]
    if not questions[0].options and questions[0].answer_type != "sequence":
        return [word] * len(questions)
    options = [answers_to(question, (question.answer,)) for question in questions]
    right = [row.index(question.answer) for question, row in zip(questions, options)]
    (place, hits) = Counter(right).most_common(1)[0]
    places = [row[min(place, len(row) - 1)] for row in options]
    return [word] * len(questions) if times > hits else places


def _ring(question: Question) -> str:
    """A map with the objects evenly on a circle, in the order of the text."""
    names = [question.text[mention.start : mention.end] for mention in question.mentions]
    angles = [2 * math.pi * at / len(names) for at in range(len(names))]
    places = [[round(4.5 + _RING_CELLS * math.cos(a)), round(4.5 + _RING_CELLS * math.sin(a))] for a in angles]
    return msgspec.json.encode(dict(zip(names, places))).decode()
