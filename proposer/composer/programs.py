"""Programs of the question language for composed forms (docs/reference/language.md)."""

from __future__ import annotations

from typing import Sequence

from proposer.composer.forms import (
    FROM_CAMERA,
    IMAGE_X,
    IMAGE_Y,
    LENGTH,
    ColorOf,
    Compare,
    Compared,
    Condition,
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

_VARIABLES = "abcdefgh"  # one per level of nesting: a bound name cannot be bound again
_JOINED = {"and": "{} and {}", "or": "({} or {})", "but not": "{} and not {}"}


def program(question: Question, ids: Sequence[int], words: Sequence[tuple[str, str]]) -> str:
    """The program about these objects. `words` are ("category" or "color", word), one per slot."""
    return _Writer(ids, words).question(question)


class _Writer:
    def __init__(self, ids: Sequence[int], words: Sequence[tuple[str, str]]) -> None:
        self.ids, self.words = ids, words

    def question(self, question: Question) -> str:
        if isinstance(question, HowMany):
            return f"count({self.shown(question.of)})"
        if isinstance(question, IsThere):
            return f"count({self.shown(question.of)}) > 0"
        if isinstance(question, MoreOf):
            return f"count({self.shown(question.first)}) > count({self.shown(question.second)})"
        if isinstance(question, Compare):
            sign = ">" if question.more else "<"
            first, second = (self.item(one, 0) for one in (question.first, question.second))
            return f"{self.measure(question.measure, first, 0)} {sign} {self.measure(question.measure, second, 0)}"
        if isinstance(question, Side):
            first, second = (self.measure(Measure(IMAGE_X), self.item(one, 0), 0) for one in _both(question))
            return f'if {first} < {second} then "left" else "right"'
        if isinstance(question, Pairs):
            a, b, c, d = (self.item(one, 0) for one in question.items)
            return f"closest_distance({a}, {b}) < closest_distance({c}, {d})"
        if isinstance(question, Which):
            listed = ", ".join(f"object({self.ids[slot]})" for slot in question.slots)
            return f"name({_arg(question.most)}([{listed}], a: {self.measure(question.measure, 'a', 1)}))"
        assert isinstance(question, ColorOf)
        return f"color({self.item(question.of, 0)})"

    def item(self, item: Item, level: int) -> str:
        if isinstance(item, Ref):
            return f"object({self.ids[item.slot]})"
        name = _VARIABLES[level]
        items = "visible(view(0))"
        if item.measure.to is not None and not item.most:  # an object is closest to itself, and farthest never
            items = f"filter({items}, {name}: {name} != {self.item(item.measure.to, level + 1)})"
        return f"{_arg(item.most)}({items}, {name}: {self.measure(item.measure, name, level + 1)})"

    def measure(self, measure: Measure, of: str, level: int) -> str:
        if measure.of == FROM_CAMERA:
            return f"distance_from_camera({of}, view(0))"
        if measure.of in (IMAGE_X, IMAGE_Y):
            return f"{measure.of}({of}, view(0))"
        if measure.of == LENGTH:
            return f"longest_side({of})"
        assert measure.to is not None
        return f"closest_distance({of}, {self.item(measure.to, level)})"

    def shown(self, items: Shown) -> str:
        text = "visible(view(0))"
        if items.word >= 0:
            part, word = self.words[items.word]
            text = f'where({text}, {part}="{word}")'
        if not items.conditions:
            return text
        tests = [self.condition(one) for one in items.conditions]
        joined = _JOINED[items.joint].format(*tests) if items.joint else tests[0]
        return f"filter({text}, a: {joined})"

    def condition(self, condition: Condition) -> str:
        if isinstance(condition, InSecond):
            return f"pixels(a, view(1)) {'>' if condition.shown else '=='} 0"
        if isinstance(condition, Nearer):
            to, than = (self.item(one, 1) for one in (condition.to, condition.than))
            return f"(a != {to} and closest_distance(a, {to}) < closest_distance(a, {than}))"
        assert isinstance(condition, Compared)
        sign = ">" if condition.more else "<"
        than = self.measure(condition.measure, self.item(condition.than, 1), 1)
        test = f"{self.measure(condition.measure, 'a', 1)} {sign} {than}"
        if condition.measure.to is None or condition.more:
            return test
        return f"(a != {self.item(condition.measure.to, 1)} and {test})"  # no object is close to itself


def _both(question: Side) -> tuple[Item, Item]:
    return question.first, question.second


def _arg(most: bool) -> str:
    return "argmax" if most else "argmin"
