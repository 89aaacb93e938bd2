"""Prompts for a policy, and the reading of its completions.

There are three styles. "words", for the embedded policy, is the tokenised form of the sentence with the options at its
end ("… : left or right ?"); the answer is the tokenised option itself. "letters", for instruction-following models,
adds the rule under which the question is answered and lists the options on lettered lines; the answer is a letter. A
question with `show_options` False lists no options in any style. "reason" is "letters" with reasoning before the
answer, both in tags (protocol/answers/reasoning.py).

The prompt of a question with a budget of moves states the moves taken and left. A completion that is one of MOVES is a
move, any other an answer.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, Optional

from protocol.answers.lenient import read_leniently
from protocol.answers.letters import LETTERS, is_lettered, letter_answer, letter_prompt, spelled
from protocol.answers.reasoning import Tags, instruction, parse, written
from protocol.answers.scoring import score
from protocol.answers.tokenised import tokenised, tokenised_with
from protocol.errors import VantageError
from protocol.tasks.task import Mention, Question

Style = Literal["words", "letters", "reason"]
STYLES: tuple[Style, ...] = ("words", "letters", "reason")
TAGS = Tags()

# "strict" reads only the requested form, "lenient" also those that other scorers accept (protocol/answers/lenient.py).
Reading = Literal["strict", "lenient"]


# What the policy writes -> action of Observe.
MOVES = {
    "move forward": "forward",
    "turn left": "turn_left",
    "turn right": "turn_right",
    "look up": "look_up",
    "look down": "look_down",
}
_WORDS = {action: words for words, action in MOVES.items()}


class Moved(NamedTuple):
    """An action of Observe that was taken; a blocked one does not move the camera."""

    action: str
    blocked: bool = False


class Look(NamedTuple):
    """The number of moves left before the policy must answer, and the moves it took."""

    left: int
    moves: tuple[Moved, ...] = ()


def write_prompt(question: Question, style: Style, look: Optional[Look] = None, tags: Tags = TAGS) -> str:
    """The text of the user's turn; `look` is given if the policy may look around before it answers.

    `tags` are those of the style "reason".
    """
    if style == "words":
        return words_with_mentions(question)[0] + ("" if look is None else _moves_in_words(look))
    if style == "letters":
        return letter_prompt(question) + ("" if look is None else _moves_in_lines(look))
    if style == "reason":
        return f"{write_prompt(question, 'letters', look)}\n{instruction(tags)}"
    raise VantageError("bad_config", f"prompt style {style!r} is unknown: choose one of {', '.join(STYLES)}")


def write_answer(question: Question, style: Style, tags: Tags = TAGS) -> str:
    """The correct completion; maps are JSON in every style. In the style "reason", the reasoning is left empty."""
    if style == "reason":
        return written(letter_answer(question), tags)
    if style == "letters":
        return letter_answer(question)
    return question.answer if question.answer_type == "map" else tokenised(question.answer)


def read_answer(question: Question, completion: str, style: Style, reading: Reading, tags: Tags = TAGS) -> str:
    """The completion as canonical answer text, to be scored by rule; "" if it is not a single answer.

    Strict: a choice must be exactly one option (or its letter, or both if they agree), apart from case, spacing and one
    final period. A number may be followed by its unit. The names of a sequence become canonical in the style "words";
    other sequences and maps are returned unchanged. Lenient: the same for
    every completion that a strict reading can score; any other is read by `read_leniently`. In the style "reason",
    only the content of the answer tag is read, as in the style "letters".
    """
    if style == "reason":
        return read_answer(question, parse(completion, tags).answer or "", "letters", reading)
    strict = _read_strictly(question, completion, style)
    if reading == "strict" or _is_readable(question, strict):
        return strict
    return read_leniently(question, completion, style == "letters" and is_lettered(question))


def _is_readable(question: Question, text: str) -> bool:
    if question.answer_type == "number" or question.options:
        return bool(text)
    return score(question, text).readable


def _read_strictly(question: Question, completion: str, style: Style) -> str:
    text = " ".join(completion.split())
    if question.answer_type == "choice":
        if style == "letters" and is_lettered(question):
            return _read_letter(question, text)
        bare = _bare(text)
        if not question.options:
            return question.answer if bare == _bare(question.answer) else bare
        return next((option for option in question.options if _bare(option) == bare), "")
    if question.answer_type == "number":
        text = text.removesuffix(".").rstrip() if not re.search(r"[0-9]\.$", text) else text[:-1]
        unit = next((unit for unit in (spelled(question.unit), question.unit) if unit and text.endswith(unit)), "")
        text = text.removesuffix(unit).rstrip()
        return text if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text) else ""
    if question.answer_type == "sequence" and style == "words":
        names = {_bare(name): name.strip() for name in question.answer.split(",")}
        return ", ".join(names.get(_bare(name), name.strip()) for name in text.split(","))
    return text


def _bare(text: str) -> str:
    """The tokenised form without a final period, in which the answers of the style "words" are compared."""
    return tokenised(text).removesuffix(".").rstrip()


def read_move(completion: str) -> str:
    """The action of Observe if the completion is a move, "" if it is an answer. As strict as for a choice."""
    return MOVES.get(" ".join(completion.split()).removesuffix(".").rstrip().lower(), "")


def _moves_in_words(look: Look) -> str:
    made = [_WORDS[action] + (" not" if blocked else "") for action, blocked in look.moves]
    text = f" you moved : {' , '.join(made)} ." if made else ""
    if look.left == 0:
        return text
    *first, last = MOVES
    return f"{text} first you have {look.left} moves : {' , '.join(first)} or {last} ."


def _moves_in_lines(look: Look) -> str:
    made = [_WORDS[action] + (" (blocked)" if blocked else "") for action, blocked in look.moves]
    text = f"\nYour moves so far, each with the image after it: {', '.join(made)}." if made else ""
    if look.left == 0:
        return text + ("\nNo moves are left." if made else "")
    *first, last = MOVES
    moves = "1 more move" if look.left == 1 else f"{look.left} more moves"
    return (
        f"{text}\nInstead of answering now you may look around and be shown one more image ({moves}): then write "
        f"only {', '.join(first)} or {last}. Forward is 0.25 m, a turn 30 degrees, a look 15 degrees."
    )


def words_with_mentions(question: Question) -> tuple[str, tuple[Mention, ...]]:
    """The prompt in the style "words", and the spans of it that name objects, those in the options included."""
    text, found = tokenised_with(question.text, question.mentions)
    if not is_lettered(question):
        return text, found
    text = f"{text[:-1].rstrip() if text.endswith(('?', '.')) else text} : "
    mentions = list(found)
    objects = question.option_objects or (0,) * len(question.options)
    last = len(question.options) - 1
    for index, (option, object_id) in enumerate(zip(map(tokenised, question.options), objects)):
        text += "" if index == 0 else " or " if index == last else " , "
        if object_id > 0:
            mentions.append(Mention(object_id, len(text), len(text) + len(option)))
        text += option
    return text + " ?", tuple(mentions)


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
