"""Models of an image-blind reader, fitted with numpy: a softmax over answers, and ridge regression of measures."""

from __future__ import annotations

from typing import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_STEPS, _RATE = 150, 0.15  # of Adam


class AnswerModel:
    """Logistic regression over the answers of a question: softmax of the summed weights of an answer's features."""

    def __init__(self, asked: Sequence[Sequence[Sequence[str]]], right: Sequence[int], penalty: float) -> None:
        """asked: per question and answer its features; right: the index of the right answer."""
        self._index: dict[str, int] = {}
        for answers in asked:
            for features in answers:
                for feature in features:
                    self._index.setdefault(feature, len(self._index))
        self._weights = self._fit(asked, right, penalty)

    def _fit(self, asked: Sequence[Sequence[Sequence[str]]], right: Sequence[int], penalty: float) -> Array:
        rows = [[self._index[name] for name in features] for answers in asked for features in answers]
        columns = np.array([index for row in rows for index in row], np.int64)
        row_of = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        counts = np.array([len(answers) for answers in asked])
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        truth = np.zeros(len(rows))
        truth[starts + np.asarray(right)] = 1.0
        weights = np.zeros(len(self._index))
        first, second = np.zeros_like(weights), np.zeros_like(weights)
        for step in range(1, _STEPS + 1):
            scores = np.bincount(row_of, weights[columns], len(rows))
            scores = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), counts))
            chance = scores / np.repeat(np.add.reduceat(scores, starts), counts)
            slope = np.bincount(columns, (chance - truth)[row_of], len(weights)) / len(asked) + penalty * weights
            first += 0.1 * (slope - first)
            second += 0.01 * (slope * slope - second)
            weights -= _RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        return weights

    def probabilities(self, answers: Sequence[Sequence[str]]) -> Array:
        """The probability of each answer of one question."""
        known = [[self._index[name] for name in features if name in self._index] for features in answers]
        scores = np.array([self._weights[row].sum() for row in known])
        scores = np.exp(scores - scores.max())
        return scores / scores.sum()


class MeasureModel:
    """Ridge regression of the logarithm of a measure on the words of the question."""

    def __init__(self, asked: Sequence[Sequence[str]], measures: Sequence[float], penalty: float) -> None:
        self._index = {word: at for at, word in enumerate(sorted({word for words in asked for word in words}))}
        logs = np.log(measures)
        self._mean = float(logs.mean())
        table = np.stack([self._row(words) for words in asked])
        self._centre = table.mean(0)
        table = table - self._centre
        square = table.T @ table + penalty * np.eye(len(self._index))
        self._weights: Array = np.linalg.solve(square, table.T @ (logs - self._mean))

    def _row(self, words: Sequence[str]) -> Array:
        row = np.zeros(len(self._index))
        row[[self._index[word] for word in words if word in self._index]] = 1.0
        return row

    def predict(self, words: Sequence[str]) -> float:
        """The expected measure for a question with these words."""
        return float(np.exp(self._mean + (self._row(words) - self._centre) @ self._weights))
