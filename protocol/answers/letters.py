"""Prompts for instruction-following models: options are lettered lines and the answer is a letter.

The prompts of the learner and the datasets of the simulator use the same wording.
"""

from __future__ import annotations

from protocol.tasks.task import Question

_SPELLED = {"m": "meters", "cm": "centimeters"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def is_lettered(question: Question) -> bool:
    """Whether the options are shown and the answer is one of their letters."""
    return question.answer_type == "choice" and question.show_options and len(question.options) > 1


def spelled(unit: str) -> str:
    """A unit as prompts write it: "meters" for "m"."""
    return _SPELLED.get(unit, unit)


def stated(question: Question) -> str:
    """The question, followed by the rule under which it is answered."""
    return f"{question.text} {question.rule}" if question.rule else question.text


def image_tags(images: int) -> tuple[str, ...]:
    """The text before each image of a prompt, by which the question names them; no text before a single image."""
    if images < 2:
        return ("",) * images
    return tuple(f"{'' if number == 1 else chr(10)}Image {number}: " for number in range(1, images + 1))


def message_parts(text: str, images: int) -> list[dict[str, str]]:
    """The content of a chat message with images and a text: several images are tagged "Image 1:", "Image 2:" …"""
    parts: list[dict[str, str]] = []
    for tag in image_tags(images):
        parts += [{"type": "text", "text": tag}, {"type": "image"}] if tag else [{"type": "image"}]
    return [*parts, {"type": "text", "text": f"\n{text}" if images > 1 else text}]


def lettered_options(question: Question) -> tuple[str, ...]:
    """("A. left", "B. right"); empty if the question lists no options."""
    if not is_lettered(question):
        return ()
    return tuple(f"{letter}. {option}" for letter, option in zip(LETTERS, question.options))


def letter_prompt(question: Question) -> str:
    """The question with its rule, its options and the form of the answer."""
    text = stated(question)
    if is_lettered(question):
        options = "\n".join(lettered_options(question))
        return f"{text}\nOptions:\n{options}\nAnswer with the letter of the right option only."
    if question.answer_type == "number":
        unit = f", in {spelled(question.unit)}" if question.unit else ""
        return f"{text}\nAnswer with one number only{unit}."
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
    return f"{text}{known}\nAnswer with a word or a short phrase only."


def letter_answer(question: Question) -> str:
    """The answer to `letter_prompt`."""
    return LETTERS[question.options.index(question.answer)] if is_lettered(question) else question.answer
