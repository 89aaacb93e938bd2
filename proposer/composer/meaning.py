"""The answer of a composed question on described views, and how clear it is.

The answer is computed twice, by two conventions that people use: a distance from the closest points or between the
centres, a length as the longest side of the box or as its longest horizontal side. If they disagree, or if a decision
has a small margin, the question is unclear in this scene.

This module decides which questions are worth proposing. The answer itself comes from the simulator, which runs the
program.
"""

from __future__ import annotations

import math
from typing import Sequence

import msgspec

from proposer.composer.forms import (
    FROM_CAMERA,
    IMAGE_X,
    IMAGE_Y,
    LENGTH,
    ColorOf,
    Compare,
    Compared,
    Condition,
    Form,
    HowMany,
    InSecond,
    IsThere,
    Item,
    Measure,
    MoreOf,
    Nearer,
    Pairs,
    Question,
    Ref,
    Shown,
    Side,
    Which,
)
from proposer.composer.looks import Look, centre_distance_m, eye_distance_m

LEAST_ITEMS = 3  # objects among which a largest one is sought
_STEP_RELATIVE = 0.10  # of the larger of two distances or lengths: one step of margin
_STEP_M = 0.10  # metres
_STEP_IMAGE = 0.05  # of the width or height of the image


class Unclear(Exception):
    """The question has no answer on these views, or people could disagree about it."""


class Answer(msgspec.Struct, frozen=True):
    text: str
    margin: float  # of the closest decision, in steps


def answer(form: Form, look: Look, ids: Sequence[int], words: Sequence[tuple[str, str]]) -> Answer:
    """The answer about these objects, on which both conventions agree with at least the margin of the form.

    Raises Unclear.
    """
    found = [read(form.question, look, ids, words, convention) for convention in (0, 1)]
    if found[0].text != found[1].text:
        raise Unclear("it depends on how distances are measured")
    margin = min(one.margin for one in found)
    if margin < form.margin:
        raise Unclear("it is too close to call")
    return Answer(found[0].text, margin)


def read(
    question: Question, look: Look, ids: Sequence[int], words: Sequence[tuple[str, str]], convention: int = 0
) -> Answer:
    """The answer by one convention, whatever its margin. Raises Unclear if there is none."""
    reading = _Reading(look, ids, words, convention)
    return Answer(reading.question(question), reading.margin)


class _Reading:
    def __init__(self, look: Look, ids: Sequence[int], words: Sequence[tuple[str, str]], convention: int) -> None:
        self.look, self.ids, self.words, self.convention = look, ids, words, convention
        self.margin = math.inf

    def question(self, question: Question) -> str:
        if isinstance(question, HowMany):
            return str(len(self.shown(question.of)))
        if isinstance(question, IsThere):
            return _yes(len(self.shown(question.of)) > 0)
        if isinstance(question, MoreOf):
            first, second = (self.shown(one) for one in (question.first, question.second))
            if len(first) == len(second):
                raise Unclear("there are equally many")
            return _yes(len(first) > len(second))
        if isinstance(question, Compare):
            first, second = self.distinct(question.first, question.second, question.measure.to)[:2]
            return _yes(self.larger(question.measure, first, second) == question.more)
        if isinstance(question, Side):
            first, second = self.distinct(question.first, question.second)
            return "right" if self.larger(Measure(IMAGE_X), first, second) else "left"
        if isinstance(question, Pairs):
            a, b, c, d = self.distinct(*question.items)
            near, far = (self.measure(Measure("to"), one, other) for one, other in ((a, b), (c, d)))
            return _yes(self.decide(near, far, image=False) < 0)
        if isinstance(question, Which):
            listed = [self.ids[slot] for slot in question.slots]
            if len({self.look.name(key) for key in listed}) < len(listed):
                raise Unclear("two options have one name")
            return self.look.name(self.best(listed, question.most, question.measure))
        assert isinstance(question, ColorOf)
        color = self.look.objects[self.item(question.of)].color
        if not color:
            raise Unclear("the object has no colour word")
        return color

    def distinct(self, *items: Item | None) -> list[int]:
        """The objects of the items, which must differ: nobody compares an object with itself."""
        found = [self.item(one) for one in items if one is not None]
        if len(set(found)) < len(found):
            raise Unclear("two phrases mean one object")
        return found

    def item(self, item: Item) -> int:
        if isinstance(item, Ref):
            return self.ids[item.slot]
        items = list(self.look.seen[0])
        if item.measure.to is not None:
            to = self.item(item.measure.to)
            items = [key for key in items if key != to]
        if len(items) < LEAST_ITEMS:
            raise Unclear("there are too few objects")
        return self.best(items, item.most, item.measure)

    def best(self, items: Sequence[int], most: bool, measure: Measure) -> int:
        to = -1 if measure.to is None else self.item(measure.to)
        if to in items:
            raise Unclear("an object is not close to itself")
        values = sorted(((self.measure(measure, key, to), key) for key in items), reverse=most)
        (first, best), (second, other) = values[:2]
        self.decide(first, second, measure.of in (IMAGE_X, IMAGE_Y))
        self.note_extents(measure, best, other)
        return best

    def shown(self, items: Shown) -> list[int]:
        keys = list(self.look.seen[0])
        if items.word >= 0:
            part, word = self.words[items.word]
            keys = [key for key in keys if getattr(self.look.objects[key], part) == word]
        if not items.conditions:
            return keys
        first, *rest = items.conditions
        found = []
        for key in keys:
            holds = self.condition(first, key, negated=False)
            if rest and items.joint == "and":
                holds = holds and self.condition(rest[0], key, negated=False)
            elif rest and items.joint == "or":
                holds = holds or self.condition(rest[0], key, negated=False)
            elif rest:
                holds = holds and not self.condition(rest[0], key, negated=True)
            if holds:
                found.append(key)
        return found

    def condition(self, condition: Condition, key: int, negated: bool) -> bool:
        if isinstance(condition, InSecond):
            return (key in self.look.seen[1]) == condition.shown
        if isinstance(condition, Nearer):
            to, than = self.distinct(condition.to, condition.than)
            if self.is_itself(key, (to, than), negated):
                return False
            distances = [self.measure(Measure("to"), key, other) for other in (to, than)]
            return self.decide(*distances, image=False) < 0
        assert isinstance(condition, Compared)
        than, *to = self.distinct(condition.than, condition.measure.to)
        if self.is_itself(key, (than, *to), negated):
            return False
        return self.larger(condition.measure, key, than) == condition.more

    def is_itself(self, key: int, others: Sequence[int], negated: bool) -> bool:
        """Whether the condition compares the object with itself, which is false; its negation is unclear."""
        if key in others and negated:
            raise Unclear("an object is compared with itself")
        return key in others

    def larger(self, measure: Measure, first: int, second: int) -> bool:
        to = -1 if measure.to is None else self.item(measure.to)
        values = [self.measure(measure, key, to) for key in (first, second)]
        self.note_extents(measure, first, second)
        return self.decide(*values, image=measure.of in (IMAGE_X, IMAGE_Y)) > 0

    def decide(self, a: float, b: float, image: bool) -> float:
        """a - b, after noting the margin of the decision."""
        apart = abs(a - b)
        steps = apart / _STEP_IMAGE if image else min(apart / _STEP_M, apart / (_STEP_RELATIVE * max(a, b, 1e-9)))
        self.margin = min(self.margin, steps)
        return a - b

    def note_extents(self, measure: Measure, *keys: int) -> None:
        """Note no margin if the centre of an object is beside the other, or if a length is cut off by the image."""
        if measure.of == LENGTH and not all(map(self.look.is_complete, keys)):
            self.margin = 0.0
        if measure.of in (IMAGE_X, IMAGE_Y):
            at = 0 if measure.of == IMAGE_X else 2
            for one, other in (keys, keys[::-1]):
                low, high = self.look.extent(other)[at : at + 2]
                if low < self.measure(measure, one) < high:
                    self.margin = 0.0

    def measure(self, measure: Measure, key: int, to: int = -1) -> float:
        item = self.look.objects[key]
        if measure.of == FROM_CAMERA:
            eye = self.look.poses[0].position_m
            return math.dist(eye, item.box.centre_m) if self.convention else eye_distance_m(eye, item.box)
        if measure.of == IMAGE_X:
            return self.look.seen[0][key].u
        if measure.of == IMAGE_Y:
            return self.look.seen[0][key].v
        if measure.of == LENGTH:
            wide, high, deep = item.box.half_extents_m
            return 2 * (max(wide, deep) if self.convention else max(wide, high, deep))
        if self.convention:
            return centre_distance_m(item.box, self.look.objects[to].box)
        return self.look.distance_m(key, to)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
