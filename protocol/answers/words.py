"""Splits a free-form completion into the words of its answer: wrappers, statements such as "the answer is", hedges.

Every step is linear in the length of the text, which is bounded by LONGEST.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Sequence

LONGEST = 8000  # characters after the reasoning
_LONGEST_STATEMENT = 60  # words


_MOST_PARTS = 8  # contents of tags or boxes


def listed(words: str) -> list[str]:
    """The words between spaces; for long lists."""
    return words.split()


ARTICLES = frozenset({"the", "a", "an"})
# Words that withhold an answer, deny it or offer another one.
HEDGES = frozenset(
    listed(
        "or either maybe perhaps possibly probably likely might may could unsure unclear unknown "
        "uncertain guess both neither nor alternatively except sorry cannot can't unable impossible not "
        "isn't aren't don't doesn't wasn't won't didn't couldn't never depends versus vs but however "
        "wait actually correction unless if wrong incorrect false insufficient no none ?"
    )
)
# In an explanation after the answer, only these withdraw it.
_RETRACTIONS = frozenset(listed("or either maybe perhaps possibly probably alternatively wait actually correction"))
_EXPLANATIONS = frozenset(listed("because since explanation reason reasoning rationale"))
_CUES = frozenset({"answer", "answers"})
_AFTER_CUE = frozenset({"is", ":", "="})

_TOKEN = re.compile(r"(?:[0-9]+(?:,[0-9]{3})*)?\.[0-9]+|[0-9]+(?:,[0-9]{3})*|[^\W\d_]+(?:'[^\W\d_]+)?|\S|\n")
_EMPHASIS = re.compile(r"(?<![\w*])[*_`]{1,3}|[*_`]{1,3}(?![\w*])")
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\t": " ", "\r": "\n", "\u200b": " "})
_SIGNS = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2212": "-", "\u2013": "-", "\u2014": "-"}
)
_LATEX = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mathit)\b|\\[,;! ]|[{}$]")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s{0,3}\{")
_TAGS = re.compile(r"<(answer|final_answer|solution)>", re.IGNORECASE)
_THOUGHT = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)


class Word(NamedTuple):
    """`low` is the case-folded text; `glued` says that no space precedes it."""

    text: str
    low: str
    glued: bool


def without_thought(completion: str) -> Optional[str]:
    """What follows the reasoning; None if the reasoning does not end or the rest is longer than LONGEST."""
    marks = list(_THOUGHT.finditer(completion))
    if marks:
        if not marks[-1][1]:
            return None
        completion = completion[marks[-1].end() :]
    return completion if len(completion) <= LONGEST else None


def answers_in(text: str) -> list[str]:
    r"""The contents of <answer>…</answer> or \boxed{…}, else the complete text; none if there are very many."""
    tags, boxes = list(_TAGS.finditer(text)), list(_BOXED.finditer(text))
    if max(len(tags), len(boxes)) > _MOST_PARTS:
        return []
    texts = [text[mark.end() :].split("</", 1)[0] for mark in tags] or [text]
    boxed = [content for one in texts for content in _boxes(one)]
    return boxed or texts


def _boxes(text: str) -> list[str]:
    found = []
    for mark in _BOXED.finditer(text):
        depth, end = 1, mark.end()
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        found.append(text[mark.end() : end - 1] if not depth else text[mark.end() :])
    return found


def plain(text: str) -> str:
    """The text without emphasis, code fences and LaTeX."""
    text = text.translate(_SPACES).translate(_SIGNS)
    lines = [line for line in text.split("\n") if not line.strip().startswith("```")]
    text = "\n".join(lines) if any(line.strip() for line in lines) else text.replace("```", " ")
    return _EMPHASIS.sub(" ", _EMPHASIS.sub(" ", _LATEX.sub(" ", text)))


def split(text: str) -> list[Word]:
    """The words, numbers and signs of a text; a line feed is a sign."""
    return [
        Word(found[0], found[0].casefold(), found.start() > 0 and not text[found.start() - 1].isspace())
        for found in _TOKEN.finditer(text)
    ]


class Statement(NamedTuple):
    """The words that give an answer, and whether a phrase such as "the answer is" introduces them."""

    words: tuple[Word, ...]
    introduced: bool


def statements(words: Sequence[Word]) -> tuple[list[Statement], list[tuple[Word, ...]]]:
    """The statements of an answer, and the sentences before the first one that a phrase introduces."""
    starts = []
    for index, word in enumerate(words):
        if word.low in _CUES:
            for ahead in range(index + 1, min(index + 6, len(words))):
                if words[ahead].low in _AFTER_CUE:
                    if ahead + 1 < len(words) and words[ahead + 1].low == ":":
                        ahead += 1
                    starts.append((index, ahead + 1))
                    break
                if words[ahead].low in HEDGES or words[ahead].low in ".!\n,":
                    break
    found = []
    for number, (_, start) in enumerate(starts):
        end = starts[number + 1][0] if number + 1 < len(starts) else len(words)
        if any(word.low[-1].isalnum() for word in words[start:end]):
            found.append(Statement(tuple(words[start:end]), True))
    if not found:
        return [Statement(tuple(words), False)], []
    return found, sentences(words[: starts[0][0]])


def sentences(words: Sequence[Word]) -> list[tuple[Word, ...]]:
    """The words between full stops and line feeds."""
    found: list[list[Word]] = [[]]
    for word in words:
        if word.low in (".", "!", "?", "\n", ";", ":"):
            found.append([])
        else:
            found[-1].append(word)
    return [tuple(one) for one in found if one]


def answering_part(statement: Statement) -> Optional[tuple[Word, ...]]:
    """The statement up to its explanation; None if it is too long or the explanation withdraws the answer."""
    words = statement.words
    for index, word in enumerate(words):
        if word.low in _EXPLANATIONS and any(before.low[-1].isalnum() for before in words[:index]):
            if any(later.low in _RETRACTIONS for later in words[index:]):
                return None
            words = words[:index]
            break
    return words if len(words) <= _LONGEST_STATEMENT else None
