"""How a question is put to a policy, and how its completion is read.

Two styles. "words", for the embedded policy: options stand at the end of the sentence ("… : left or right ?") and the
answer is the option itself. "letters", for models that follow instructions: options are lettered lines and the answer
is a letter. A question with `show_options` False lists nothing in either style.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

from protocol.errors import VantageError
from protocol.prompts import LETTERS, is_lettered, letter_answer, letter_prompt
from protocol.tasks import Mention, Question

Style = Literal["words", "letters"]
STYLES: tuple[Style, ...] = ("words", "letters")


class Prompt(NamedTuple):
    """A question as the policy reads it; mentions are spans of `text`, those in listed options included."""

    text: str
    mentions: tuple[Mention, ...] = ()


def write_prompt(question: Question, style: Style) -> Prompt:
    """The text of the user's turn."""
    if style == "words":
        return _in_words(question)
    if style == "letters":
        return Prompt(letter_prompt(question))
    raise VantageError("bad_config", f"prompt style {style!r} is unknown: choose one of {', '.join(STYLES)}")


def write_messages(question: Question, views: int, style: Style) -> list[dict[str, Any]]:
    """Chat messages with `views` image parts before the text; 0 views make a blind prompt."""
    content: list[dict[str, str]] = [{"type": "image"}] * views
    content.append({"type": "text", "text": write_prompt(question, style).text})
    return [{"role": "user", "content": content}]


def write_answer(question: Question, style: Style) -> str:
    """The completion that answers rightly."""
    return letter_answer(question) if style == "letters" else question.answer


def read_answer(question: Question, completion: str, style: Style) -> str:
    """The completion as canonical answer text, to be scored by rule; "" where it is no single answer.

    A choice must be exactly one option (or its letter, or both where they agree); case, spacing and one closing period
    aside nothing is forgiven. A number may carry its unit. Sequences and maps are passed on as they are.
    """
    text = " ".join(completion.split())
    if question.answer_type == "choice":
        if style == "letters" and is_lettered(question):
            return _read_letter(question, text)
        text = text.removesuffix(".").rstrip().lower()
        if not question.options:
            return text
        return next((option for option in question.options if option.lower() == text), "")
    if question.answer_type == "number":
        text = text.removesuffix(".").rstrip() if not re.search(r"[0-9]\.$", text) else text[:-1]
        if question.unit:
            text = text.removesuffix(question.unit).rstrip()
        return text if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text) else ""
    return text


def _in_words(question: Question) -> Prompt:
    if not is_lettered(question):
        return Prompt(question.text, question.mentions)
    text = question.text.removesuffix("?").rstrip() + " : "
    mentions = list(question.mentions)
    objects = question.option_objects or (0,) * len(question.options)
    last = len(question.options) - 1
    for index, (option, object_id) in enumerate(zip(question.options, objects)):
        text += "" if index == 0 else " or " if index == last else " , "
        if object_id > 0:
            mentions.append(Mention(object_id, len(text), len(text) + len(option)))
        text += option
    return Prompt(text + " ?", tuple(mentions))


def _read_letter(question: Question, text: str) -> str:
    match = re.fullmatch(r"\(?([A-Za-z])\)?[.):]?(?: (.+))?", text)
    if match is None:
        return ""
    index = LETTERS.find(match.group(1).upper())
    if not 0 <= index < len(question.options):
        return ""
    option = question.options[index]
    named = match.group(2)
    if named is not None and named.removesuffix(".").lower() != option.lower():
        return ""
    return option
