"""English sentences for composed forms, written by rules from what the form means.

A word for a set ("chairs") never follows "the", and a name ("the red chair") is used for the objects in slots only, so
that every name in a sentence is one object of its program.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np

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
from protocol.seeds import pick
from protocol.tasks.nouns import plural

_JOINED = {"and": "{} and {}", "or": "{} or {}, or both", "but not": "{} but not {}"}

_ADJECTIVES = {IMAGE_X: ("leftmost", "rightmost"), IMAGE_Y: ("highest", "lowest"), LENGTH: ("shortest", "longest")}


def sentence(
    question: Question, names: Sequence[str], words: Sequence[tuple[str, str]], rng: np.random.Generator, views: int = 1
) -> str:
    """One of the paraphrases. `names` are those of the objects in the slots, `words` as in `programs.program`."""
    return _Writer(names, words, "image" if views == 1 else "first image").question(question, rng)


class _Writer:
    def __init__(self, names: Sequence[str], words: Sequence[tuple[str, str]], image: str) -> None:
        self.names, self.words, self.image = names, words, image

    # ------------------------------------------------------------------------- sentences

    def question(self, question: Question, rng: np.random.Generator) -> str:
        if isinstance(question, HowMany):
            return self.how_many(question.of, rng)
        if isinstance(question, IsThere):
            return self.is_there(question.of, rng)
        if isinstance(question, MoreOf):
            first, second = (self.clause(one) for one in (question.first, question.second))
            return self.within(f"do the {first} outnumber the {second}?")
        if isinstance(question, Compare):
            return self.compare(question, rng)
        if isinstance(question, Side):
            first, second = self.item(question.first), self.item(question.second)
            texts = (
                f"{self.placed(f'Is {first} to the left or to the right of {second}')}?",
                self.within(f"is {first} left or right of {second}?"),
            )
            return pick(texts, rng)
        if isinstance(question, Pairs):
            a, b, c, d = (self.item(one, inner=True) for one in question.items)
            return pick(
                (
                    f"Are {a} and {b} closer to each other than {c} and {d}?",
                    f"Is {a} closer to {b} than {c} is to {d}?",
                ),
                rng,
            )
        if isinstance(question, Which):
            return self.which(question, rng)
        assert isinstance(question, ColorOf)
        item = self.item(question.of)
        return pick((f"What color is {item}?", f"What is the color of {item}?"), rng)

    def how_many(self, items: Shown, rng: np.random.Generator) -> str:
        noun = self.nouns(items)
        if not items.conditions:
            texts = (
                f"How many {noun} are there in the {self.image}?",
                f"How many {noun} does the {self.image} show?",
                f"What is the number of {noun} in the {self.image}?",
            )
            return pick(texts, rng)
        test = self.conditions(items)
        texts = (
            self.within(f"how many {noun} are {test}?"),
            f"How many {noun} in the {self.image} are {test}?",
            self.within(f"what is the number of {noun} that are {test}?"),
        )
        return pick(texts, rng)

    def is_there(self, items: Shown, rng: np.random.Generator) -> str:
        word = self.noun(items)
        noun = f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
        if not items.conditions:
            return f"Does the {self.image} show {noun}?"
        test = self.conditions(items)
        texts = (self.within(f"is there {noun} that is {test}?"), f"Does the {self.image} show {noun} that is {test}?")
        return pick(texts, rng)

    def compare(self, question: Compare, rng: np.random.Generator) -> str:
        first, second = self.item(question.first), self.item(question.second)
        measure, more = question.measure, question.more
        if measure.of in (IMAGE_X, IMAGE_Y):
            relation = self.relation(measure, more, second)
            return pick((f"{self.placed(f'Is {first} {relation}')}?", self.within(f"is {first} {relation}?")), rng)
        if measure.to is not None:
            return f"Is {first} {_far(more)} {self.item(measure.to)} than {second} is?"
        return f"Is {first} {self.relation(measure, more, second)}?"

    def which(self, question: Which, rng: np.random.Generator) -> str:
        measure, two = question.measure, len(question.slots) == 2
        if measure.of == LENGTH:
            most = "longer" if two else "the longest"
        elif measure.of in (IMAGE_X, IMAGE_Y):
            most = f"{self.extreme(measure, question.most, two)} in the {self.image}"
        else:
            most = self.extreme(measure, question.most, two)
        objects = "two objects" if two else "objects"
        return pick((f"Which of these {objects} is {most}?", f"Which of these is {most}?"), rng)

    # ------------------------------------------------------------------------- parts

    def placed(self, text: str) -> str:
        """The text, ending with the image unless it names it already."""
        return text if self.image in text else f"{text} in the {self.image}"

    def within(self, text: str) -> str:
        """The sentence about the image, which it names once."""
        return f"In the {self.image}, {text.replace(f' in the {self.image}', '')}"

    def item(self, item: Item, inner: bool = False) -> str:
        """A phrase for one object; an inner one is part of another phrase."""
        if isinstance(item, Ref):
            return f"the {self.names[item.slot]}"
        if item.measure.of in _ADJECTIVES:
            return f"the {_ADJECTIVES[item.measure.of][item.most]} object in the {self.image}"
        return f"the object {'' if inner else 'that is '}{self.extreme(item.measure, item.most)}"

    def extreme(self, measure: Measure, most: bool, two: bool = False) -> str:
        """What the object with the largest or smallest measure is, among several or two."""
        far = ("farther" if two else "farthest") if most else ("closer" if two else "closest")
        if measure.of == FROM_CAMERA:
            return f"{far} {'from' if most else 'to'} the camera"
        if measure.of == IMAGE_X:
            return f"{'farther' if two else 'farthest'} to the {'right' if most else 'left'}"
        if measure.of == IMAGE_Y:
            return ("lower" if two else "lowest") if most else ("higher" if two else "highest")
        assert measure.to is not None
        return f"{far} {'from' if most else 'to'} {self.item(measure.to, inner=True)}"

    def relation(self, measure: Measure, more: bool, than: str) -> str:
        if measure.of == FROM_CAMERA:
            return f"{_far(more)} the camera than {than}"
        if measure.of == IMAGE_X:
            return f"to the {'right' if more else 'left'} of {than}"
        if measure.of == IMAGE_Y:
            return f"{'lower' if more else 'higher'} than {than}"
        assert measure.of == LENGTH and more, measure
        return f"longer than {than}"

    def condition(self, condition: Condition) -> str:
        if isinstance(condition, InSecond):
            return "also visible in the second image" if condition.shown else "not visible in the second image"
        if isinstance(condition, Nearer):
            return f"closer to {self.item(condition.to, True)} than to {self.item(condition.than, True)}"
        assert isinstance(condition, Compared)
        than = self.item(condition.than, inner=True)
        if condition.measure.to is not None:
            return f"{_far(condition.more)} {self.item(condition.measure.to, inner=True)} than {than} is"
        return self.relation(condition.measure, condition.more, than)

    def conditions(self, items: Shown) -> str:
        tests = [self.condition(one) for one in items.conditions]
        return _JOINED[items.joint].format(*tests) if items.joint else tests[0]

    def clause(self, items: Shown) -> str:
        return f"{self.nouns(items)} that are {self.conditions(items)}" if items.conditions else self.nouns(items)

    def noun(self, items: Shown) -> str:
        if items.word < 0:
            return "object"
        part, word = self.words[items.word]
        return word if part == "category" else f"{word} object"

    def nouns(self, items: Shown) -> str:
        return plural(self.noun(items))


def _far(more: bool) -> str:
    return "farther from" if more else "closer to"
