"""Reads numbers in free text: digits or words, with units that are converted to the unit of the question."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple, Optional, Sequence

from protocol.answers.words import HEDGES, Word, listed, split

_MOST_DIGITS = 15
_DECIMALS = 6
_SAME = Fraction(3, 100)  # relative difference of "1.5 m (4.9 ft)"

_UNITS: dict[str, tuple[str, Fraction]] = {}  # spelling -> dimension, size in metres or square metres
for _dimension, _size, _spellings in (
    ("length", "1", "m meter meters metre metres"),
    ("length", "0.01", "cm centimeter centimeters centimetre centimetres"),
    ("length", "0.001", "mm millimeter millimeters millimetre millimetres"),
    ("length", "1000", "km kilometer kilometers kilometre kilometres"),
    ("length", "0.3048", "ft foot feet"),
    ("length", "0.0254", "in inch inches"),
    ("length", "0.9144", "yd yard yards"),
    ("length", "1609.344", "mile miles"),
    ("other", "1", "kg g s second seconds minute minutes degree degrees ° px pixel pixels"),
    ("area", "1", "m² sqm"),
    ("area", "0.0001", "cm²"),
    ("area", "0.09290304", "ft² sqft"),
):
    _UNITS.update({spelling: (_dimension, Fraction(_size)) for spelling in _spellings.split()})
_SMALLER = {"m": ("cm", "mm"), "ft": ("in",)}  # second parts of "1 m 50 cm" and "5 ft 10 in"

_SMALL = listed("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen")
_CARDINALS = {word: value for value, word in enumerate([*_SMALL, "seventeen", "eighteen", "nineteen"])}
_TENS = {
    word: 10 * value
    for value, word in enumerate(listed("twenty thirty forty fifty sixty seventy eighty ninety"), start=2)
}
_PARTS = {"half": Fraction(1, 2), "quarter": Fraction(1, 4)}

_ABOUT = frozenset(listed("about approximately approx around roughly circa ~ ≈"))
_COMPARED = frozenset(listed("least most than over under above below up minimum maximum < > ≤ ≥ % ± + ^ / * e"))
_SQUARE = re.compile(r"(?<![^\W\d_])(m|cm|ft|meters?|metres?|feet)(?:\s?\^\s?2|2|²)(?![0-9.])", re.IGNORECASE)
_DIGITS = re.compile(r"(?:[0-9]+(?:,[0-9]{3})*)?\.[0-9]+|[0-9]+(?:,[0-9]{3})*")


class Quantity(NamedTuple):
    value: Fraction
    unit: str  # "" if none follows
    start: int
    stop: int  # after the unit


def squares(text: str) -> str:
    """The text with "m^2" and "m2" as "m²"."""
    return _SQUARE.sub(lambda found: f"{found[1].lower()}²", text)


def read_quantity(words: Sequence[Word], unit: str) -> Optional[Fraction]:
    """The one number that the words state, in `unit`; None if they state none, several, or hedge."""
    if any(len(word.low) > _MOST_DIGITS and word.low[-1].isdigit() for word in words):
        return None
    found = quantities(words)
    wanted = _unit_at(split(unit), 0)[0] if unit else ""
    taken = {index for one in found for index in range(one.start, one.stop)}
    starts = {one.start for one in found}
    for index, word in enumerate(words):
        if index in taken:
            continue
        if word.low in "-," and index + 1 in starts and words[index + 1].glued:
            return None  # "--3", "2-3", "3,0"
        if word.low in _COMPARED or word.low in HEDGES or (word.low in _ABOUT and not unit):
            return None
    for one in found:
        # "3rd", "3x" and "m3" are not numbers; neither is a measure of another kind.
        if one.stop < len(words) and not one.unit and words[one.stop].glued and words[one.stop].low.isalpha():
            return None
        if words[one.start].glued and words[one.start - 1].low[-1:].isalnum():
            return None
        if one.unit and (wanted not in _UNITS or _UNITS[one.unit][0] != _UNITS[wanted][0]):
            return None
    values = [_converted(one, wanted) for one in found]
    if not values:
        return None
    first = next((value for one, value in zip(found, values) if one.unit == wanted), values[0])
    exact = all(one.unit in ("", wanted) for one in found)
    same = all(abs(value - first) <= (0 if exact else _SAME * abs(first)) for value in values)
    return first if same else None


def decimal(value: Fraction) -> str:
    """The value as a plain decimal, rounded to _DECIMALS places."""
    scaled = round(value * 10**_DECIMALS)
    whole, part = divmod(abs(scaled), 10**_DECIMALS)
    text = f"{whole}.{part:0{_DECIMALS}d}".rstrip("0").rstrip(".")
    return f"-{text}" if scaled < 0 else text


def quantities(words: Sequence[Word]) -> list[Quantity]:
    """All numbers with their units, in order; a compound such as "5 feet 10 inches" is one."""
    found: list[Quantity] = []
    index = 0
    while index < len(words):
        parsed = _number_at(words, index)
        if parsed is None:
            index += 1
            continue
        value, stop = parsed
        sign = index > 0 and words[index - 1].low == "-" and words[index].glued
        start = index - 1 if sign and not (words[index - 1].glued and index > 1) else index
        value = -value if start < index else value
        after = stop + 1 if stop + 1 < len(words) and words[stop].low == "-" and words[stop].glued else stop
        unit, end = _unit_at(words, after)
        if not unit:
            end = stop
        found.append(Quantity(value, unit, start, end))
        index = max(end, stop)
    return _joined(found, words)


def _joined(found: list[Quantity], words: Sequence[Word]) -> list[Quantity]:
    joined: list[Quantity] = []
    for one in found:
        last = joined[-1] if joined else None
        if (
            last is not None
            and one.unit in _SMALLER.get(last.unit, ())
            and last.value.denominator == 1
            and all(word.low in ("and", ",") for word in words[last.stop : one.start])
            and 0 <= _converted(one, last.unit) < 1
        ):
            joined[-1] = Quantity(last.value + _converted(one, last.unit), last.unit, last.start, one.stop)
        else:
            joined.append(one)
    return joined


def _converted(one: Quantity, unit: str) -> Fraction:
    if not one.unit or one.unit == unit:
        return one.value
    return one.value * _UNITS[one.unit][1] / _UNITS[unit][1]


def _unit_at(words: Sequence[Word], index: int) -> tuple[str, int]:
    """The unit that starts here in its shortest spelling, and the index after it; "" if none does."""
    square = ""
    if index < len(words) and words[index].low in ("square", "sq"):
        square = "²"
        index += 2 if index + 1 < len(words) and words[index + 1].low == "." else 1
    if index >= len(words):
        return "", index
    text = words[index].low
    if text.endswith("²"):
        square, text = "²", text[:-1]
    if square:
        dimension = _UNITS.get(text)
        text = f"{_shortest(text)}²" if dimension and dimension[0] == "length" else text
    if text not in _UNITS or (text == "in" and not _is_inches(words, index)):
        return "", index
    return _shortest(text), index + 1


def _is_inches(words: Sequence[Word], index: int) -> bool:
    """Whether "in" is the unit and not the preposition: nothing or a sign follows."""
    return index + 1 >= len(words) or not words[index + 1].low.isalnum()


def _shortest(spelling: str) -> str:
    return next(name for name, meaning in _UNITS.items() if meaning == _UNITS[spelling])


def _number_at(words: Sequence[Word], index: int) -> Optional[tuple[Fraction, int]]:
    """The number that starts here, and the index after it."""
    text = words[index].low
    if _DIGITS.fullmatch(text):
        value, stop = Fraction(text.replace(",", "")), index + 1
        if text.isdigit() and _lows(words, stop, 3)[:2] == ["and", "a"] and _lows(words, stop, 3)[2:] == ["half"]:
            return value + Fraction(1, 2), stop + 3
        return value, stop
    if text in ("half", "quarter") and _lows(words, index + 1, 1) in (["a"], ["an"], ["of"]):
        return _PARTS[text], index + 2
    if text == "a" and _lows(words, index + 1, 1) == ["half"]:
        return Fraction(1, 2), index + 2
    return _words_at(words, index)


def _words_at(words: Sequence[Word], index: int) -> Optional[tuple[Fraction, int]]:
    value, stop = _below_hundred(words, index)
    if value is None and words[index].low == "a" and _lows(words, index + 1, 1) == ["hundred"]:
        value, stop = 1, index + 1
    if value is None:
        return None
    if value < 10 and _lows(words, stop, 1) == ["hundred"]:
        value, stop = 100 * value, stop + 1
        after = stop + 1 if _lows(words, stop, 1) == ["and"] else stop
        rest, end = _below_hundred(words, after)
        if rest is not None:
            value, stop = value + rest, end
    total = Fraction(value)
    if _lows(words, stop, 1) == ["point"]:
        place, at = Fraction(1, 10), stop + 1
        while at < len(words) and _CARDINALS.get(words[at].low, 10) < 10 and at - stop <= _DECIMALS:
            total, place, at = total + place * _CARDINALS[words[at].low], place / 10, at + 1
        return (total, at) if at > stop + 1 else None
    following = _lows(words, stop, 3)
    if len(following) == 3 and following[0] == "and" and following[1] in ("a", "one") and following[2] in _PARTS:
        return total + _PARTS[following[2]], stop + 3
    return total, stop


def _below_hundred(words: Sequence[Word], index: int) -> tuple[Optional[int], int]:
    if index >= len(words):
        return None, index
    text = words[index].low
    if text in _CARDINALS:
        return _CARDINALS[text], index + 1
    if text not in _TENS:
        return None, index
    after = index + 2 if _lows(words, index + 1, 1) == ["-"] else index + 1
    unit = _CARDINALS.get(words[after].low, 0) if after < len(words) else 0
    return (_TENS[text] + unit, after + 1) if 0 < unit < 10 else (_TENS[text], index + 1)


def _lows(words: Sequence[Word], start: int, count: int) -> list[str]:
    return [word.low for word in words[start : start + count]]
