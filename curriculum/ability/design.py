"""Predictions of the ability model for all cells of a menu at once.

A logit is a sum of parts, each shared by many cells: that of the skill at its level, that of the degradation, that of
the skill under this kind of degradation, that of the world, and that of the skill in this world. Each part is computed
once for all cells that share it.
"""

from __future__ import annotations

from typing import Iterable, Sequence

import numpy as np

from curriculum.ability.rasch import Cell, Rasch, Term, expected_logit, terms_in_world, terms_of

_OF_DEGRADATION = "severity"
_OF_BOTH = "skill and degradation"


class Design:
    """The terms of these cells. `predict` is valid for the terms last passed to `refresh`."""

    def __init__(self, cells: Sequence[Cell], rasch: Rasch) -> None:
        self._rows: dict[str, int] = {}  # term -> its row in `_means`
        self.pair, pairs = group([(cell.skill, cell.level, cell.world) for cell in cells])
        degradation, first_of_degradation = group([cell.degradation for cell in cells])
        kinds = [tuple(item.name for item in cells[row].degradations) for row in first_of_degradation]
        both, first_of_both = group([(cell.skill, kinds[part]) for cell, part in zip(cells, degradation.tolist())])
        self.pairs = [cells[row].undegraded for row in pairs]
        of_pair = _Part(self, [(terms_of(cell), expected_logit(cell)) for cell in self.pairs])
        of_degradation = _Part(
            self,
            [
                (
                    tuple(term for term in terms_of(cells[row]) if term[0] == _OF_DEGRADATION),
                    expected_logit(cells[row]) - expected_logit(cells[row].undegraded),
                )
                for row in first_of_degradation
            ],
        )
        of_both = _Part(
            self, [(tuple(t for t in terms_of(cells[row]) if t[0] == _OF_BOTH), 0.0) for row in first_of_both]
        )
        self.world, first_of_world = group([cell.world for cell in cells])
        self.worlds = [cells[row].world for row in first_of_world]
        in_world, first_in_world = group([(cell.skill, cell.world) for cell in cells])
        of_world = _Part(self, [(rasch.terms_of_world(world), 0.0) for world in self.worlds])
        of_skill = _Part(self, [(terms_in_world(cells[row]), 0.0) for row in first_in_world])
        parts = (
            *((of_pair, self.pair), (of_degradation, degradation), (of_both, both)),
            *((of_world, self.world), (of_skill, in_world)),
        )
        self._parts = [(part, index) for part, index in parts if not part.is_empty]
        self._chance = np.array([cell.chance for cell in self.pairs])[self.pair]
        self._gain = 1.0 - self._chance
        self._means = np.zeros(len(self._rows) + 1)  # the last one, of no term, remains 0

    def refresh(self, rasch: Rasch, terms: Iterable[str]) -> None:
        """Read these terms again."""
        for name in terms:
            row = self._rows.get(name)
            if row is not None and name in rasch.terms:
                self._means[row] = rasch.terms[name][0]

    def predict(self) -> np.ndarray:
        """Probability of success in each cell [N]."""
        logit = np.zeros(len(self.pair))
        for part, index in self._parts:
            logit += part.sums(self._means)[index]
        np.negative(logit, out=logit)
        np.exp(logit, out=logit)
        logit += 1.0
        return self._chance + self._gain / logit

    def row(self, term: str) -> int:
        return self._rows.setdefault(term, len(self._rows))


class _Part:
    """One summand of the logit: its terms for each of the groups of cells that share it."""

    def __init__(self, design: Design, terms: Sequence[tuple[tuple[Term, ...], float]]) -> None:
        most = max(len(one) for one, _ in terms)
        self._constant = np.array([constant for _, constant in terms])
        self._rows = np.full((most, len(terms)), -1)
        self._factors = np.zeros((most, len(terms)))
        for column, (one, _) in enumerate(terms):
            for place, (_, name, factor) in enumerate(one):
                self._rows[place, column] = design.row(name)
                self._factors[place, column] = factor

    @property
    def is_empty(self) -> bool:
        return not self._rows.size and not self._constant.any()

    def sums(self, means: np.ndarray) -> np.ndarray:
        total = self._constant.copy()
        for rows, factors in zip(self._rows, self._factors):
            total += factors * means[rows]
        return total


def group(keys: Sequence[object]) -> tuple[np.ndarray, list[int]]:
    """The number of the group of each key [N], and the first position of each group."""
    numbers: dict[object, int] = {}
    first: list[int] = []
    index = np.empty(len(keys), dtype=np.intp)
    for position, key in enumerate(keys):
        number = numbers.setdefault(key, len(numbers))
        if number == len(first):
            first.append(position)
        index[position] = number
    return index, first
