"""How a question is put to the policy, in pre-training, in the loop and in evaluation alike."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Sequence

from protocol.tasks import Question

STYLES = ("words", "instruct")

_FORMAT = {
    "choice": "Answer with one of the options only.",
    "number": "Answer with one number only{unit}.",
    "sequence": "Answer with the items only, in order, separated by commas.",
    "map": 'Answer with JSON only: {{"name": [column, row], ...}} on a 10 x 10 grid.',
}


def question_text(question: Question, style: str = "words") -> str:
    """The text of the prompt.

    "words", for the embedded policy: the options close the sentence ("... , left , right or behind ?"). "instruct",
    for models that follow instructions: the same sentence, then which form the answer must have.
    """
    text = question.text
    if question.options and question.show_options:
        text = f"{text.rstrip(' ?')} , {' , '.join(question.options[:-1])} or {question.options[-1]} ?"
    if style == "words":
        return text
    unit = f", in {question.unit}" if question.unit else ""
    return f"{text}\n{_FORMAT[question.answer_type].format(unit=unit)}"


class PromptEncoder:
    """Prompts and answers as token ids, by the processor's own chat template."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self._ids = lru_cache(maxsize=4096)(self._encode)

    def prompt(self, text: str, images: int) -> tuple[int, ...]:
        """Ids of a user's turn with this many images before the text, opened for the answer; one token per image."""
        return self._ids(text, images)

    def answer(self, answer: str) -> tuple[int, ...]:
        """Ids of an answer as the policy should give it, with the token that ends its turn."""
        return (*self._tokenizer(answer, add_special_tokens=False)["input_ids"], self._tokenizer.eos_token_id)

    def text(self, token_ids: Sequence[int]) -> str:
        """What a completion says, without special tokens."""
        return self._tokenizer.decode(token_ids, skip_special_tokens=True)

    def _encode(self, text: str, images: int) -> tuple[int, ...]:
        content = [{"type": "image"}] * images + [{"type": "text", "text": text}]
        rendered = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return tuple(self._tokenizer(rendered, add_special_tokens=False)["input_ids"])
