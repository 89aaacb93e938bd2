"""What a composed question is made of. A form has slots instead of objects, so that it can be asked in any scene.

question   HowMany · IsThere · MoreOf · Compare · Side · Pairs · Which · ColorOf
set        Shown: the objects of an image, by a word and by conditions
item       Ref: an object that the sentence names · Best: the object of an image with the largest or smallest measure
condition  Compared · Nearer · InSecond
measure    FROM_CAMERA · IMAGE_X · IMAGE_Y · LENGTH · TO (distance to an item)
"""

from __future__ import annotations

from typing import Iterator, Optional, Union

import msgspec

FROM_CAMERA, IMAGE_X, IMAGE_Y, LENGTH, TO = "from_camera", "image_x", "image_y", "length", "to"
MEASURES = (FROM_CAMERA, IMAGE_X, IMAGE_Y, LENGTH, TO)
JOINTS = ("and", "or", "but not")


class Ref(msgspec.Struct, frozen=True, tag="ref"):
    """The object in a slot."""

    slot: int


class Measure(msgspec.Struct, frozen=True, tag="measure"):
    """A number for each object; only TO needs an item."""

    of: str  # of MEASURES
    to: Optional[Item] = None


class Best(msgspec.Struct, frozen=True, tag="best"):
    """The object of the image with the largest (`most`) or smallest measure; `measure.to` itself is left out."""

    most: bool
    measure: Measure


Item = Union[Ref, Best]


class Compared(msgspec.Struct, frozen=True, tag="compared"):
    """The measure of an object is larger (`more`) or smaller than that of an item."""

    measure: Measure
    more: bool
    than: Item


class Nearer(msgspec.Struct, frozen=True, tag="nearer"):
    """An object is closer to one item than to the other."""

    to: Item
    than: Item


class InSecond(msgspec.Struct, frozen=True, tag="in_second"):
    """An object is shown by the second image, or is not."""

    shown: bool


Condition = Union[Compared, Nearer, InSecond]


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """The objects of the (first) image to which the word in a slot applies (-1: all), under up to two conditions."""

    word: int = -1
    conditions: tuple[Condition, ...] = ()
    joint: str = ""  # of JOINTS, between two conditions


class HowMany(msgspec.Struct, frozen=True, tag="how_many"):
    of: Shown


class IsThere(msgspec.Struct, frozen=True, tag="is_there"):
    of: Shown


class MoreOf(msgspec.Struct, frozen=True, tag="more_of"):
    """Are there more of the first set than of the second?"""

    first: Shown
    second: Shown


class Compare(msgspec.Struct, frozen=True, tag="compare"):
    """Is the measure of the first item larger (`more`) or smaller than that of the second?"""

    measure: Measure
    more: bool
    first: Item
    second: Item


class Side(msgspec.Struct, frozen=True, tag="side"):
    """Is the first item left or right of the second in the image?"""

    first: Item
    second: Item


class Pairs(msgspec.Struct, frozen=True, tag="pairs"):
    """Are the first two items closer to each other than the last two?"""

    items: tuple[Item, Item, Item, Item]


class Which(msgspec.Struct, frozen=True, tag="which"):
    """Which of the objects in these slots has the largest or smallest measure?"""

    slots: tuple[int, ...]
    most: bool
    measure: Measure


class ColorOf(msgspec.Struct, frozen=True, tag="color_of"):
    of: Best


Question = Union[HowMany, IsThere, MoreOf, Compare, Side, Pairs, Which, ColorOf]


class Form(msgspec.Struct, frozen=True):
    """A question, and the least margin of every decision that its answer depends on, in steps of meaning.py."""

    question: Question
    margin: int = 2


def encode_form(form: Form) -> str:
    return msgspec.json.encode(form).decode()


def decode_form(text: str) -> Form:
    """Raises msgspec.ValidationError if the text is not a form."""
    return msgspec.json.decode(text, type=Form)


def parts(node: object) -> Iterator[msgspec.Struct]:
    """The node and everything that it is made of."""
    if isinstance(node, msgspec.Struct):
        yield node
        for name in node.__struct_fields__:
            yield from parts(getattr(node, name))
    elif isinstance(node, tuple):
        for one in node:
            yield from parts(one)


def slots(node: object) -> list[int]:
    """The slots of objects, in ascending order."""
    found = {part.slot for part in parts(node) if isinstance(part, Ref)}
    found |= {slot for part in parts(node) if isinstance(part, Which) for slot in part.slots}
    return sorted(found)


def words(node: object) -> list[int]:
    """The slots of words, in ascending order."""
    return sorted({part.word for part in parts(node) if isinstance(part, Shown) and part.word >= 0})


def depth(form: Form) -> int:
    """The number of relations that an answer combines: 1 for a question that one relation or one count answers."""
    relations = sum(isinstance(part, (Best, Compared, Nearer, InSecond)) for part in parts(form.question))
    if isinstance(form.question, ColorOf):
        return relations
    if isinstance(form.question, (HowMany, IsThere)):
        return max(1, relations + (form.question.of.word >= 0 and bool(form.question.of.conditions)))
    return 1 + relations


def needs_second_view(form: Form) -> bool:
    return any(isinstance(part, InSecond) for part in parts(form.question))


def shows_all(form: Form) -> bool:
    """Whether the answer depends on every object of the image."""
    return any(isinstance(part, (Shown, Best)) for part in parts(form.question))
