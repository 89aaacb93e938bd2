"""Reads an answer in the forms that the field's scorers accept: in bold, brackets, sentences, tags, JSON and so on.

An answer is read if its answering part names exactly one option, number, order or map, and neither hedges nor refuses.
The answering part is what follows the reasoning, inside <answer> or \\boxed{} if there is one, after "the answer is" if
that is written, and before an explanation. If there are several such parts, they must agree.
"""

from __future__ import annotations

import json
from typing import NamedTuple, Optional, Sequence, Union

from protocol.answers.letters import LETTERS
from protocol.answers.quantities import decimal, quantities, read_quantity, squares
from protocol.answers.scoring import normalise, parse_map
from protocol.answers.words import (
    ARTICLES,
    HEDGES,
    Statement,
    Word,
    answering_part,
    answers_in,
    listed,
    plain,
    split,
    statements,
    without_thought,
)
from protocol.tasks.task import Question

# Words of an option that other options, or any sentence, may contain without naming it.
_FUNCTION_WORDS = ARTICLES | frozenset(
    listed("to of in on at and is are it its it's from by with for your my this that there be as which what where")
)
_BEFORE_LETTER = frozenset({"option", "choice", "letter", "answer"})
_AFTER_LETTER = ARTICLES | {"is", "would", "seems", "and", "or", "nor", "but", "not"}
_BRACKETS = frozenset("([{<\"'")
_JOINTS = frozenset("-,'\"")
_YES_NO = frozenset({"yes", "no"})

_ORDINALS = {word: place for place, word in enumerate(listed("first second third fourth fifth sixth"), start=1)}
_IN_ORDER = (
    ARTICLES
    | frozenset(
        listed(
            ", ; > → . : - ( ) [ ] \" ' ! then next finally last lastly and followed by is are comes appears "
            "seen order sequence correct after that it i see you in images image video this these names of "
            "appearance"
        )
    )
    | {"\n"}
)
_SEPARATORS = frozenset(listed(", ; > → . then next finally lastly and followed first second third fourth fifth")) | {
    "\n"
}


def read_leniently(question: Question, completion: str, lettered: bool) -> str:
    """The canonical answer text; "" if the completion is not a single clear answer.

    lettered: letters name the options.
    """
    rest = without_thought(completion)
    if rest is None:
        return ""
    if question.answer_type == "map":
        texts = answers_in(rest)
        read = {_read_map(question, text) for text in texts}
    else:
        read = set()
        for text in answers_in(rest):
            read.add(_read_text(question, plain(text), lettered))
    return read.pop() if len(read) == 1 else ""


def _read_text(question: Question, text: str, lettered: bool) -> str:
    words = split(squares(text) if question.answer_type == "number" else text)
    given, before = statements(words)
    read = {_read_statement(question, one, lettered) for one in given}
    if len(given) > 1:
        read.discard(_NOTHING)
    if len(read) != 1:
        return ""
    (answer,) = read
    if not isinstance(answer, str):
        return ""
    for sentence in before:  # "B. The answer is A."
        claim = _read_claim(question, sentence, lettered)
        if claim is not None and claim != answer:
            return ""
    return answer


class _Nothing:
    """A statement that names no answer, as opposed to one that names several."""


_NOTHING = _Nothing()
_Read = Union[str, None, _Nothing]


def _read_statement(question: Question, statement: Statement, lettered: bool) -> _Read:
    part = answering_part(statement)
    if part is None:
        return None
    if question.answer_type == "number":
        value = read_quantity(part, question.unit)
        return decimal(value) if value is not None else None if quantities(part) else _NOTHING
    if question.answer_type == "sequence":
        return _read_sequence(question, statement.words)
    if not question.options:
        return _read_word(question, part)
    return _read_choice(question, part, lettered)


def _read_claim(question: Question, sentence: Sequence[Word], lettered: bool) -> Optional[str]:
    """The option or number that is all that a sentence consists of."""
    if question.answer_type == "number":
        value = read_quantity(sentence, question.unit) if len(sentence) <= 2 else None
        return decimal(value) if value is not None else None
    if question.answer_type == "choice" and question.options and len(sentence) <= 12:
        scan = _scan(question, sentence, lettered)
        if len(scan.named) == 1 and all(word.low in ARTICLES or not word.low.isalnum() for word in scan.rest):
            return question.options[next(iter(scan.named))]
    return None


# ----------------------------------------------------------------------------- choices


class _Scan(NamedTuple):
    """The options that a text names (-1: a letter without an option), and its other words."""

    named: frozenset[int]
    rest: tuple[Word, ...]


def _read_choice(question: Question, part: Sequence[Word], lettered: bool) -> _Read:
    scan = _scan(question, part, lettered)
    if not scan.named:
        return _NOTHING
    if len(scan.named) > 1 or -1 in scan.named:
        return None
    index = next(iter(scan.named))
    answer = question.options[index]
    if answer.lower() in _YES_NO and part[0].low == answer.lower() and len(part) > 1 and part[1].low in ",.\n":
        return answer  # "No, it is not visible."
    if lettered and index and [word.text for word in scan.rest if word.low[0].isalnum()] == ["A"]:
        return None  # "A lamp" if the lamp is B: a letter and another option, or an article
    words_of_options = {low for option in question.options for low in _lows(option)} - _FUNCTION_WORDS
    if any(word.low in HEDGES or word.low in words_of_options for word in scan.rest):
        return None
    return answer


def _scan(question: Question, words: Sequence[Word], lettered: bool) -> _Scan:
    """Find options by letter and by text, the longest text first."""
    patterns = sorted(((_lows(option), index) for index, option in enumerate(question.options)), key=_by_length)
    named: set[int] = set()
    rest: list[Word] = []
    at = 0
    while at < len(words):
        found = next(
            ((index, stop) for lows, index in patterns if (stop := _match(words, at, lows)) > at),
            None,
        )
        letter = _letter(words, at) if lettered else ""
        if letter and (found is None or found[1] == at + 1):
            index = LETTERS.index(letter)
            named.add(index if index < len(question.options) else -1)
            at += 1
        elif found is not None:
            named.add(found[0])
            at = found[1]
        else:
            rest.append(words[at])
            at += 1
    return _Scan(frozenset(named), tuple(rest))


def _by_length(pattern: tuple[tuple[str, ...], int]) -> int:
    return -len(pattern[0])


def _lows(option: str) -> tuple[str, ...]:
    """The words of an option without articles and signs; all of them if nothing else is left."""
    lows = [word.low for word in split(option)]
    content = [low for low in lows if low not in ARTICLES and low[0].isalnum()]
    return tuple(content or lows)


def _match(words: Sequence[Word], at: int, lows: Sequence[str]) -> int:
    """The index after these words, which articles and joints may separate; `at` if they are not here."""
    place = at
    for number, low in enumerate(lows):
        while number and place < len(words) and words[place].low != low and (words[place].low in ARTICLES | _JOINTS):
            place += 1
        if place >= len(words) or words[place].low != low:
            return at
        place += 1
    return place


def _letter(words: Sequence[Word], at: int) -> str:
    """The letter of an option if the word here is one, and neither an article nor a pronoun."""
    text = words[at].text
    if len(text) != 1 or text.upper() not in LETTERS:
        return ""
    before = words[at - 1].low if at else ""
    after = words[at + 1] if at + 1 < len(words) else None
    alone = after is None and at == 0
    introduced = before in _BEFORE_LETTER or (before in _BRACKETS and words[at].glued)
    if text.islower():
        return text.upper() if alone or introduced else ""
    ends = after is None or not after.low.isalnum() or after.low in _AFTER_LETTER or after.text in LETTERS
    if text == "I":
        return text if introduced or (ends and (after is None or after.low in ").:")) else ""
    return text if text != "A" or introduced or ends else ""


def _read_word(question: Question, part: Sequence[Word]) -> _Read:
    """An answer without known options is read if it is the right one: any other could be several."""
    given = [word.low for word in part if word.low not in ARTICLES and (word.low[0].isalnum() or word.low in HEDGES)]
    return question.answer if tuple(given) == _lows(question.answer) else None


# ----------------------------------------------------------------------------- orders


def _read_sequence(question: Question, words: Sequence[Word]) -> _Read:
    """The names in order, separated by commas; every name once, and no other word than those of a list."""
    names = [name.strip() for name in question.answer.split(",")]
    patterns = sorted(((_lows(name), index) for index, name in enumerate(names)), key=_by_length)
    order: list[int] = []
    places: list[tuple[int, int]] = []  # a stated place, and the number of names before it
    separated = True
    at = _after_preface(words, patterns)
    while at < len(words):
        found = next(((index, stop) for lows, index in patterns if (stop := _match(words, at, lows)) > at), None)
        low = words[at].low
        if found is not None:
            if not separated:
                return None
            order.append(found[0])
            separated, at = False, found[1]
            continue
        separated |= low in _SEPARATORS
        if low in _ORDINALS:
            places.append((_ORDINALS[low], len(order)))
        elif low.isdigit() and len(low) <= 2 and at + 1 < len(words) and words[at + 1].low in (".", ")", ":"):
            places.append((int(low), len(order)))
            if int(low) != len(order) + 1:
                return None
        elif low not in _IN_ORDER:
            return None
        at += 1
    if not order:
        return _NOTHING
    if sorted(order) != list(range(len(names))):
        return None
    if any(place not in (before, before + 1) for place, before in places):
        return None
    return ", ".join(names[index] for index in order)


def _after_preface(words: Sequence[Word], patterns: Sequence[tuple[tuple[str, ...], int]]) -> int:
    """The index after words such as "You see them in this order:"; 0 if no colon precedes the first name."""
    start = 0
    for at, word in enumerate(words):
        if any(_match(words, at, lows) > at for lows, _ in patterns):
            return start
        if word.low in HEDGES or word.low in _ORDINALS or word.low.isdigit():
            return 0
        if word.low == ":":
            start = at + 1
    return 0


# ----------------------------------------------------------------------------- maps


def _read_map(question: Question, text: str) -> str:
    start, stop = text.find("{"), text.rfind("}")
    if start < 0 or stop < start:
        return ""
    around = split(f"{text[:start]} {text[stop + 1 :]}")
    if any(word.low in HEDGES for word in around):
        return ""
    known = {_lows(name): name for name in parse_map(question.answer) or ()}
    content = text[start : stop + 1]
    cells = parse_map(content)
    if cells is None and '"' not in content:
        cells = parse_map(content.replace("'", '"'))
    if cells is None:
        return ""
    named = [(known.get(_lows(normalise(name)), ""), place) for name, place in cells.items()]
    if sorted(name for name, _ in named) != sorted(known.values()):
        return ""
    return json.dumps({name: list(place) for name, place in named})
