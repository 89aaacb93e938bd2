"""Random forms, and forms that derive from others by changing or exchanging a part.

Every form that is drawn has a meaning and an English sentence: the rules here are the types of the composer.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Iterator, Optional, Sequence

import msgspec
import numpy as np

from proposer.composer.forms import (
    FROM_CAMERA,
    IMAGE_X,
    IMAGE_Y,
    JOINTS,
    LENGTH,
    TO,
    Best,
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
    depth,
    needs_second_view,
    parts,
)
from protocol.seeds import pick

EASY, HARD = 3, 1  # margins
MOST_DEPTH = 5
MOST_SLOTS = 4  # objects that a sentence names
_MOST_DISTANCES = 2  # between objects, for each object of an image: the cost of a program is bounded
_MOST_BESTS = 2
_TRIES = 400


@dataclasses.dataclass
class _Drawer:
    rng: np.random.Generator
    views: int
    slots: int = 0
    words: int = 0
    nested: float = 0.35  # probability that an item is a superlative, not a name

    def ref(self) -> Ref:
        self.slots += 1
        return Ref(self.slots - 1)

    def item(self, level: int = 0) -> Item:
        if level < 2 and self.rng.random() < self.nested:
            return self.best(level)
        return self.ref()

    def best(self, level: int = 0) -> Best:
        of = pick((FROM_CAMERA, IMAGE_X, IMAGE_Y, LENGTH, TO), self.rng)
        most = True if of == LENGTH else self.coin()
        return Best(most, Measure(of, self.item(level + 1) if of == TO else None))

    def coin(self) -> bool:
        return bool(self.rng.random() < 0.5)

    def condition(self) -> Condition:
        if self.views > 1 and self.rng.random() < 0.4:
            return InSecond(self.coin())
        if self.rng.random() < 0.2:
            return Nearer(self.item(1), self.ref())
        of = pick((FROM_CAMERA, IMAGE_X, IMAGE_Y, LENGTH, TO), self.rng)
        more = True if of == LENGTH else self.coin()
        return Compared(Measure(of, self.item(1) if of == TO else None), more, self.item())

    def shown(self, most: int = 2) -> Shown:
        word = -1
        if self.rng.random() < 0.25:
            self.words += 1
            word = self.words - 1
        count = int(self.rng.integers(0 if word >= 0 else 1, most + 1))
        conditions = tuple(self.condition() for _ in range(count))
        return Shown(word, conditions, pick(JOINTS, self.rng) if count == 2 else "")

    def measure(self) -> Measure:
        of = pick((FROM_CAMERA, IMAGE_X, IMAGE_Y, LENGTH, TO), self.rng)
        return Measure(of, self.item() if of == TO else None)

    def question(self) -> Question:
        draw: Sequence[Callable[[], Question]] = (
            lambda: HowMany(self.shown()),
            lambda: HowMany(self.shown()),
            lambda: IsThere(self.shown()),
            lambda: MoreOf(self.shown(1), self.shown(1)),
            self.compare,
            self.compare,
            lambda: Side(self.item(), self.item()),
            lambda: Pairs((self.item(), self.item(), self.item(), self.item())),
            self.which,
            self.which,
            lambda: ColorOf(self.best()),
        )
        return pick(draw, self.rng)()

    def compare(self) -> Compare:
        measure = self.measure()
        more = True if measure.of == LENGTH else self.coin()
        return Compare(measure, more, self.item(), self.item())

    def which(self) -> Which:
        measure = self.measure()
        most = True if measure.of == LENGTH else self.coin()
        return Which(tuple(self.ref().slot for _ in range(int(self.rng.integers(2, 4)))), most, measure)


def draw_form(rng: np.random.Generator, wanted_depth: int, views: int = 1) -> Form:
    """A random form of this depth, or of the closest one that was drawn."""
    best: Optional[Form] = None
    for _ in range(_TRIES):
        drawer = _Drawer(rng, views, nested=0.15 + 0.1 * wanted_depth)
        form = Form(drawer.question(), EASY if rng.random() < 0.5 else HARD)
        if not is_sound(form):
            continue
        if depth(form) == wanted_depth:
            return form
        if best is None or abs(depth(form) - wanted_depth) < abs(depth(best) - wanted_depth):
            best = form
    assert best is not None, "no form is sound"
    return best


def is_sound(form: Form) -> bool:
    """Whether the form is within the bounds of programs and sentences."""
    question = form.question
    named = sum(isinstance(part, Ref) for part in parts(question))
    named += sum(len(part.slots) for part in parts(question) if isinstance(part, Which))
    bests = [part for part in parts(question) if isinstance(part, Best)]
    if not (1 <= depth(form) <= MOST_DEPTH and named <= MOST_SLOTS and len(bests) <= _MOST_BESTS):
        return False
    sets = [part for part in parts(question) if isinstance(part, Shown)]
    distances = sum(
        2 if isinstance(one, Nearer) else isinstance(one, Compared) and one.measure.of == TO
        for items in sets
        for one in items.conditions
    ) + sum(one.measure.of == TO for one in bests)
    if distances > _MOST_DISTANCES:
        return False
    if any(_is_extreme(measure, items) for measure, items in _comparisons(question)):
        return False
    first = question.first if isinstance(question, MoreOf) else None
    if any(not _is_readable(items, items is not first) for items in sets):
        return False
    # "closest to the object closest to X" costs too much, and is often X again.
    chains = (one for one in bests if isinstance(one.measure.to, Best) and one.measure.to.measure.of == TO)
    if any(not one.most and isinstance(one.measure.to, Best) and not one.measure.to.most for one in chains):
        return False
    # Equal parts would compare something with itself.
    if any(len(set(one.conditions)) < len(one.conditions) for one in sets):
        return False
    return len(set(bests)) == len(bests)


def _is_readable(items: Shown, ends: bool) -> bool:
    """Whether a sentence can state the conditions: no chains in them, and a comparison of two distances at its end.

    `ends` tells whether the set is at the end of the sentence. A chain would also cost too much, once for each object.
    """
    targets = [part.measure.to for part in parts(items) if isinstance(part, (Best, Compared))]
    targets += [part.to for part in parts(items) if isinstance(part, Nearer)]
    chained = any(isinstance(to, Best) and to.measure.of == TO for to in targets)
    chained = chained or any(isinstance(part, Best) and isinstance(part.measure.to, Best) for part in parts(items))
    before = items.conditions[:-1] if ends else items.conditions
    return not chained and not any(isinstance(one, Compared) and one.measure.of == TO for one in before)


def _comparisons(question: Question) -> Iterator[tuple[str, tuple[Item, ...]]]:
    """Each measure by which items are compared with others."""
    for part in parts(question):
        if isinstance(part, Compared):
            yield part.measure.of, (part.than,)
        elif isinstance(part, Compare):
            yield part.measure.of, (part.first, part.second)
        elif isinstance(part, Side):
            yield IMAGE_X, (part.first, part.second)


def _is_extreme(measure: str, items: Sequence[Item]) -> bool:
    """Whether an item has the largest or smallest value of the measure by which it is compared."""
    return any(isinstance(item, Best) and item.measure.of == measure != TO for item in items)


def derive_form(rng: np.random.Generator, form: Form, others: Sequence[Form], views: int = 1) -> Form:
    """A form close to this one: a part is replaced by a new one or by one of the same type of another form, or the
    margin changes. Returns the form itself if no change was sound."""
    for _ in range(_TRIES // 10):
        if rng.random() < 0.15:
            changed = Form(form.question, HARD if form.margin == EASY else EASY)
        else:
            donors = [one for one in others if one != form]
            donor = pick(donors, rng) if donors and rng.random() < 0.5 else None
            changed = Form(_renumbered(_changed(rng, form.question, donor, views)), form.margin)
        if changed != form and is_sound(changed) and (views > 1 or not needs_second_view(changed)):
            return changed
    return form


def _changed(rng: np.random.Generator, question: Question, donor: Optional[Form], views: int) -> Question:
    """The question with one part replaced."""
    places = [part for part in parts(question) if isinstance(part, _CHANGEABLE)]
    if not places:
        return question
    old = pick(places, rng)
    group = next(group for group in (_ITEMS, _CONDITIONS, _SETS) if isinstance(old, group))
    if donor is not None:
        given = [part for part in parts(donor.question) if isinstance(part, group)]
        if not given:
            return question
        new: Any = _shifted(pick(given, rng), 100)
    else:
        drawer = _Drawer(rng, views, slots=100, words=100)
        new = drawer.item() if group is _ITEMS else drawer.condition() if group is _CONDITIONS else drawer.shown()
    return _replaced(question, old, new)


_ITEMS = (Ref, Best)
_CONDITIONS = (Compared, Nearer, InSecond)
_SETS = (Shown,)
_CHANGEABLE = (*_ITEMS, *_CONDITIONS, *_SETS)


def _replaced(node: Any, old: msgspec.Struct, new: msgspec.Struct) -> Any:
    """The node with the part `old` (this object, not an equal one) replaced."""
    if node is old:
        return new
    if isinstance(node, tuple):
        return tuple(_replaced(one, old, new) for one in node)
    if isinstance(node, msgspec.Struct):
        fields = {name: _replaced(getattr(node, name), old, new) for name in node.__struct_fields__}
        return type(node)(**fields)
    return node


def _shifted(node: Any, by: int) -> Any:
    """The node with other slots, so that those of two forms do not collide."""
    return _mapped(node, lambda slot: slot + by, lambda word: word + by)


def _renumbered(question: Question) -> Question:
    """The question with slots and words numbered from 0 in the order in which they occur."""
    slots: dict[int, int] = {}
    words: dict[int, int] = {}
    return _mapped(
        question, lambda slot: slots.setdefault(slot, len(slots)), lambda word: words.setdefault(word, len(words))
    )


def _mapped(node: Any, slot: Callable[[int], int], word: Callable[[int], int]) -> Any:
    if isinstance(node, Ref):
        return Ref(slot(node.slot))
    if isinstance(node, tuple):
        return tuple(_mapped(one, slot, word) for one in node)
    if isinstance(node, msgspec.Struct):
        fields = {name: _mapped(getattr(node, name), slot, word) for name in node.__struct_fields__}
        if isinstance(node, Which):
            fields["slots"] = tuple(map(slot, node.slots))
        if isinstance(node, Shown):
            fields["word"] = word(node.word) if node.word >= 0 else -1
        return type(node)(**fields)
    return node
