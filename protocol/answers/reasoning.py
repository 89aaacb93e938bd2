"""Reasoning before an answer, in tags: <think>…</think><answer>…</answer>.

The answer of a completion is the content of the only answer tag after its reasoning; everything else is ignored. The
*form* of a completion is graded, so that a policy that has never written the tags can learn them one by one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Optional


class Tags(NamedTuple):
    """The opening and the closing tag of the reasoning and of the answer.

    native: the chat template asks for reasoning, so that the prompt asks for the answer tag only. opened: the prompt
    ends with the opening tag of the reasoning, so that a completion does not contain it.
    """

    thought: tuple[str, str] = ("<think>", "</think>")
    answer: tuple[str, str] = ("<answer>", "</answer>")
    native: bool = False
    opened: bool = False

    @property
    def gap(self) -> str:
        """What separates a tag from its content: nothing, or a space if the tags are words."""
        return " " if any(tag[-1].isalnum() for tag in self.thought + self.answer) else ""

    @property
    def line(self) -> str:
        """What separates parts in a completion that is written here."""
        return self.gap or "\n"


class Reasoned(NamedTuple):
    """A completion in its parts.

    answer: the content of the answer tag, None if there is not exactly one after the reasoning. start: the character
    at which that tag begins, or -1. form: 1 for the exact form, else the fraction of the tags that occur once, of one
    more than there are. exact: whether it has the exact form.
    """

    answer: Optional[str]
    start: int
    form: float

    @property
    def exact(self) -> bool:
        return self.form == 1.0


def parse(completion: str, tags: Tags) -> Reasoned:
    """Split a completion into its parts; upper and lower case in tags are the same."""
    begin, end, opening, closing = _patterns(tags.thought + tags.answer)
    counted = [*([] if tags.opened else [begin]), end, opening, closing]
    single = sum(len(mark.findall(completion)) == 1 for mark in counted)
    part = single / (len(counted) + 1)
    ends = list(end.finditer(completion))
    after = ends[-1].end() if ends else 0
    starts = list(opening.finditer(completion, after))
    if len(starts) != 1:
        return Reasoned(None, -1, part)
    start = starts[0]
    closed = closing.search(completion, start.end())
    answer = completion[start.end() : closed.start() if closed else None]
    if single < len(counted) or not ends or not closed:
        return Reasoned(answer, start.start(), part)
    thought = completion[: ends[-1].start()]
    before, inside = ("", thought) if tags.opened else begin.split(thought, maxsplit=1)
    outside = before + completion[after : start.start()] + completion[closed.end() :]
    exact = bool(inside.strip()) and not outside.strip()
    return Reasoned(answer, start.start(), 1.0 if exact else part)


@lru_cache(maxsize=64)
def _patterns(marks: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(re.escape(mark), re.IGNORECASE) for mark in marks)


def instruction(tags: Tags) -> str:
    """The request for the form, which follows the question."""
    opening, closing = tags.answer
    if tags.native:
        return f"Reason first. Then give the answer, and nothing else, between {opening} and {closing}."
    begin, end = tags.thought
    return (
        f"Reason first, between {begin} and {end}. Then give the answer, and nothing else, between {opening} and "
        f"{closing}."
    )


def ending(completion: str, tags: Tags) -> str:
    """The text that ends unfinished reasoning and opens the answer tag."""
    ended = _patterns(tags.thought)[1].search(completion)
    return "".join(f"{tags.line}{tag}" for tag in ([] if ended else [tags.thought[1]]) + [tags.answer[0]])


def written(answer: str, tags: Tags, thought: str = "") -> str:
    """A completion in the exact form; without `thought`, the place of the reasoning is empty."""
    (begin, end), (opening, closing) = tags.thought, tags.answer
    head, gap, line = "" if tags.opened else begin, tags.gap, tags.line
    return f"{head}{line}{thought}{line}{end}{line}{opening}{gap}{answer}{gap}{closing}"
