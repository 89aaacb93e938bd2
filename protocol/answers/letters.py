"""Prompts for instruction-following models: options are lettered lines and the answer is a letter.

The prompts of the learner and the datasets of the simulator use the same wording.
"""

from __future__ import annotations

import re

from protocol.tasks.task import Question

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def is_lettered(question: Question) -> bool:
    """Whether the options are shown and the answer is one of their letters."""
    return question.answer_type == "choice" and question.show_options and len(question.options) > 1


def plain_text(text: str) -> str:
    """The text in normal spelling: the simulator writes lower case with spaces around punctuation."""
    text = re.sub(r" ([?,.:;])", r"\1", text)
    return re.sub(r"(^|[.?] )([a-z])", lambda found: found[1] + found[2].upper(), text)


def lettered_options(question: Question) -> tuple[str, ...]:
    """("A. left", "B. right"); empty if the question lists no options."""
    if not is_lettered(question):
        return ()
    return tuple(f"{letter}. {option}" for letter, option in zip(LETTERS, question.options))


def letter_prompt(question: Question) -> str:
    """The question, its options and the form of the answer."""
    text = plain_text(question.text)
    if is_lettered(question):
        options = "\n".join(lettered_options(question))
        return f"{text}\nOptions:\n{options}\nAnswer with the letter of the right option only."
    if question.answer_type == "number":
        unit = f" in {question.unit}" if question.unit else ""
        return f"{text}\nAnswer with one number{unit} only."
    if question.answer_type == "sequence":
        return (
            f"{text}\nAnswer with their names only, in order, separated by commas, like this: first name, second name"
        )
    if question.answer_type == "map":
        return (
            f"{text}\nCount columns from the left and rows from the top, from 0 to 9.\n"
            'Answer with JSON only, like this: {"first name": [column, row], "second name": [column, row]}'
        )
    known = f" Choose from: {', '.join(question.options)}." if question.options else ""
    return f"{text}{known}\nAnswer with the word or words only."


def letter_answer(question: Question) -> str:
    """The answer to `letter_prompt`."""
    return LETTERS[question.options.index(question.answer)] if is_lettered(question) else question.answer
