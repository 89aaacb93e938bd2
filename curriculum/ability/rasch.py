"""Ability of the policy: a Rasch model over all cells, and a Beta posterior for each cell.

A cell is a skill at a level in a world, with undegraded images or under one degradation.

The Rasch model with guessing states P(success) = chance + (1 - chance) * sigmoid(ability - difficulty). The ability is
the sum of a general, a frame and a skill term; the difficulty is the sum of steps up to the level of the cell and the
severity of its degradation (Rasch 1960; Birnbaum's guessing parameter, 1968). All skills share the steps of severity; a
term per skill and degradation models the difference. A world adds a term per numeric property, times its value, one of
its own, and one per skill: a new world is predicted from its properties. A diagonal extended Kalman filter fits the
model online; its process noise provides forgetting (Elo's update is the same with a fixed gain). Terms shared between
cells transfer evidence, so that cells that were never asked are predicted. The Beta posterior of a cell starts from
that prediction and follows the answers in the cell with exponential forgetting.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Protocol

import msgspec
import numpy as np

from protocol.skills import CATALOGUE
from protocol.tasks.kinds import is_kind, parse_kind
from protocol.tasks.task import PROPOSED, Degradation

Term = tuple[str, str, float]  # kind, name, and the factor of its mean in the logit
Numbers = Any  # a float for one cell, or an array for many

_LEVEL_STEP = 0.7  # expected difference in difficulty between neighbouring levels, logits
_FUNCTION_STEP = 0.2  # for each further function that a composed question uses
_SEVERITY_STEP = 0.2  # the same between severities, and between undegraded images and severity 0
_MOST_LOGIT = 4.5  # bound of the logit: beyond it, recovery from a run of equal answers would take too long
# Prior variance of the terms, and the process noise per group, because the policy changes.
_VARIANCE = {
    "all": 1.0,
    "frame": 0.25,
    "skill": 1.0,
    "step": 0.4,
    "severity": 0.1,
    "skill and degradation": 0.2,
    "function": 0.25,
    "kind": 0.3,
    "property": 0.5,
    "world": 0.05,
    "skill and world": 0.05,
}
_NOISE = {
    "all": 0.002,
    "frame": 0.002,
    "skill": 0.01,
    "step": 0.005,
    "severity": 0.002,
    "skill and degradation": 0.005,
    "function": 0.003,
    "kind": 0.005,
    "property": 0.004,
    "world": 0.001,
    "skill and world": 0.002,
}
_SPREAD = 0.02  # variance of success between the questions of a cell, a floor of the observation noise
_LEAST_SLOPE = 0.04  # lower bound of the slope, so that cells near 0 and 1 still respond
_GROUP_CORRELATION = 0.3  # correlation of the answers to one question


class Cell(msgspec.Struct, frozen=True, order=True):
    """A unit of measurement; the frame of reference follows from the skill."""

    skill: str
    level: int
    degradation: str = ""  # like "fog:3"; "" for undegraded images
    world: str = ""  # its name; "" if the run has one world

    @property
    def undegraded(self) -> Cell:
        """The same cell with undegraded images."""
        return Cell(self.skill, self.level, world=self.world)

    @property
    def degradations(self) -> tuple[Degradation, ...]:
        return _parsed(self.degradation)

    @property
    def frame(self) -> str:
        """Frame of reference of a skill of the catalogue; proposals have none."""
        return CATALOGUE[self.skill].frame

    @property
    def chance(self) -> float:
        if self.skill == PROPOSED:
            return 0.0  # unknown: proposals differ
        if is_kind(self.skill):
            return parse_kind(self.skill).chance
        return CATALOGUE[self.skill].chance_at(self.level)

    def __str__(self) -> str:
        world, degradation = (f"@{self.world}" if self.world else ""), self.degradation
        return " ".join(part for part in (self.skill, f"L{self.level}", world, degradation) if part)


@functools.lru_cache(maxsize=4096)
def _parsed(degradation: str) -> tuple[Degradation, ...]:
    return tuple(map(Degradation.parse, degradation.split("+"))) if degradation else ()


MOST_TRIALS = 1.0 / _GROUP_CORRELATION  # that any number of answers to one question are worth


def effective_trials(group_size: int) -> float:
    """The number of independent answers that `group_size` correlated answers are worth."""
    return group_size / (1.0 + (group_size - 1) * _GROUP_CORRELATION)


class Rasch(msgspec.Struct):
    """Terms by name as [mean, variance] in logits; an unseen term has mean 0 and its prior variance."""

    terms: dict[str, list[float]] = {}
    properties: dict[str, dict[str, float]] = {}  # name of a world -> its properties_of

    def terms_of(self, cell: Cell) -> tuple[Term, ...]:
        """The terms of the cell's logit."""
        return (*terms_of(cell), *self.terms_of_world(cell.world), *terms_in_world(cell))

    def terms_of_world(self, world: str) -> tuple[Term, ...]:
        """The terms that all cells of a world share; none if the run has one world."""
        if not world:
            return ()
        named = ((f"property {name}", value) for name, value in self.properties.get(world, {}).items())
        return (("world", f"world {world}", 1.0), *(("property", name, -value) for name, value in named))

    def predict(self, cell: Cell) -> float:
        """Probability of success of the current policy in this cell."""
        return self._success(cell, self._logit(cell))[0]

    def update(self, cell: Cell, success: float, trials: float) -> None:
        """Update with the mean success (0..1) of `trials` independent answers."""
        logit = self._logit(cell)
        predicted, slope = self._success(cell, logit)
        slope = max(slope, _LEAST_SLOPE)
        error = success - predicted
        if abs(logit) > _MOST_LOGIT and error * logit > 0.0:
            error = 0.0
        terms = [
            (kind, factor, self.terms.setdefault(name, [0.0, _VARIANCE[kind]]))
            for kind, name, factor in self.terms_of(cell)
        ]
        noise = max(predicted * (1.0 - predicted), 0.01) / trials + _SPREAD
        innovation_variance = slope * slope * sum(factor * factor * term[1] for _, factor, term in terms) + noise
        for kind, factor, term in terms:
            gain = factor * term[1] * slope / innovation_variance
            term[0] += gain * error
            term[1] = min(term[1] * (1.0 - factor * gain * slope) + _NOISE[kind], _VARIANCE[kind])

    def _logit(self, cell: Cell) -> float:
        known = sum(factor * self.terms[name][0] for _, name, factor in self.terms_of(cell) if name in self.terms)
        return known + expected_logit(cell)

    @staticmethod
    def _success(cell: Cell, logit: float) -> tuple[float, float]:
        """Probability of success and its derivative by the logit."""
        sigmoid = 1.0 / (1.0 + math.exp(-logit))
        return cell.chance + (1.0 - cell.chance) * sigmoid, (1.0 - cell.chance) * sigmoid * (1.0 - sigmoid)


@functools.lru_cache(maxsize=16_384)
def expected_logit(cell: Cell) -> float:
    """The logit that is expected of a cell before any answer, relative to the ability."""
    if is_kind(cell.skill):
        return -_FUNCTION_STEP * (len(parse_kind(cell.skill).functions) - 1)
    return -_LEVEL_STEP * cell.level - _SEVERITY_STEP * sum(item.severity + 1 for item in cell.degradations)


def terms_in_world(cell: Cell) -> tuple[Term, ...]:
    """The term of the skill in the world of the cell, if the run lists worlds."""
    return (("skill and world", f"{cell.skill} @{cell.world}", 1.0),) if cell.world else ()


@functools.lru_cache(maxsize=16_384)
def terms_of(cell: Cell) -> tuple[Term, ...]:
    """The terms of the cell's logit, whatever the world.

    Proposals have a term of their own: the skill they require is unknown, so they give no evidence about others. The
    kinds of composed questions share a term for each function that they use, so that confidence in functions predicts
    confidence in their compositions.
    """
    if cell.skill == PROPOSED:
        return (("skill", f"skill {PROPOSED}", 1.0),)
    if is_kind(cell.skill):
        functions = parse_kind(cell.skill).functions
        return (
            ("all", "composed", 1.0),
            *(("function", f"function {name}", 1.0) for name in functions),
            ("kind", f"kind {cell.skill}", 1.0),
        )
    return (
        ("all", "all", 1.0),
        ("frame", f"frame {cell.frame}", 1.0),
        ("skill", f"skill {cell.skill}", 1.0),
        *(("step", f"step to {Cell(cell.skill, level)}", -1.0) for level in range(1, cell.level + 1)),
        *(
            ("severity", f"severity {Degradation(item.name, severity)}", -1.0)
            for item in cell.degradations
            for severity in range(item.severity + 1)
        ),
        *(("skill and degradation", f"{cell.skill} in {item.name}", 1.0) for item in cell.degradations),
    )


class BetaCounts(msgspec.Struct, array_like=True, gc=False):
    """Answers in one cell, fading: weights of successes and failures, and of the spread within groups."""

    successes: float = 0.0
    failures: float = 0.0
    spread: float = 0.0  # sum of within-group variances
    groups: float = 0.0
    at: int = 0  # groups of any cell counted when this was last touched

    def fade(self, now: int, fade_groups: float) -> None:
        """Bring the evidence to the moment `now` (groups of any cell counted)."""
        self._scale(math.exp(-(now - self.at) / fade_groups))
        self.at = now

    def add(self, success: float, trials: float, spread: float, window_groups: float) -> None:
        self._scale(1.0 - 1.0 / window_groups)
        self.successes += success * trials
        self.failures += (1.0 - success) * trials
        self.spread += spread
        self.groups += 1.0

    def _scale(self, factor: float) -> None:
        self.successes *= factor
        self.failures *= factor
        self.spread *= factor
        self.groups *= factor


class Evidence(Protocol):
    """The fields of BetaCounts that `posterior` reads, of one cell or, as arrays, of many."""

    @property
    def successes(self) -> Numbers: ...
    @property
    def failures(self) -> Numbers: ...
    @property
    def spread(self) -> Numbers: ...
    @property
    def groups(self) -> Numbers: ...
    @property
    def at(self) -> Numbers: ...


class Posterior(msgspec.Struct, frozen=True):
    """Beta(a, b) over the success probability of a cell or of many, and the expected variance within groups."""

    a: Numbers
    b: Numbers
    signal: Numbers

    @property
    def mean(self) -> Numbers:
        return self.a / (self.a + self.b)

    @property
    def sd(self) -> Numbers:
        total = self.a + self.b
        return np.sqrt(self.a * self.b / (total * total * (total + 1.0)))


def posterior(evidence: Evidence, now: int, predicted: Numbers, prior_groups: float, fade_groups: float) -> Posterior:
    """The posterior of a cell or of many, with the ability model's prediction as a prior worth `prior_groups` groups.

    The expected signal starts from E[p(1-p)] under the posterior and goes over to the variance seen within groups:
    a cell whose questions are half always right and half always wrong has mean 1/2 and yet no gradient.
    """
    faded = np.exp((evidence.at - now) / fade_groups)
    prior = prior_groups * 2.0
    a = prior * predicted + faded * evidence.successes
    b = prior * (1.0 - predicted) + faded * evidence.failures
    expected = a * b / ((a + b) * (a + b + 1.0))
    signal = (prior_groups * expected + faded * evidence.spread) / (prior_groups + faded * evidence.groups)
    return Posterior(a, b, signal)
