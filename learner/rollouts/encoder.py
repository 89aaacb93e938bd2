"""Encodes prompts and answers as token ids, with the processor and chat template of the policy."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Sequence

from protocol.answers.letters import message_parts
from protocol.answers.prompt import TAGS, Style
from protocol.answers.reasoning import Tags
from protocol.errors import VantageError

# Attributes of processors and configurations that hold tokens of images, videos and sounds, as ids or as text.
_MEDIA = r"(?:\w*_)?(?:image|img|video|vision|audio|boi|eoi)(?:_\w+)?"
_MEDIA_ID = re.compile(_MEDIA + r"_token_(?:id|ids|index)")
_MEDIA_TEXT = re.compile(_MEDIA + r"_(?:token|tag)")

_ANSWERED = "Qzq"  # the answer of a dialogue that shows how the chat template ends a turn


class PromptEncoder:
    """`eos` is the token that ends a turn of the policy; any of `ends` ends an answer; `banned` may not be sampled."""

    def __init__(self, processor: Any, model: Any, style: Style = "letters", tags: Tags = TAGS) -> None:
        """Several images are not tagged in the style "words". `tags` are those of the style "reason".

        Raises VantageError("bad_config") if the processor has no chat template for a question with an image.
        """
        self._processor = processor
        self._style: Style = style
        self.tokenizer = self._tokenizer = processor.tokenizer
        # Options of the chat template: a switch for reasoning, if the template has one.
        self.template_options = {"enable_thinking": style == "reason"} if _has_switch(processor) else {}
        self._ids = lru_cache(maxsize=4096)(self._encode)
        special = {index for index, token in self._tokenizer.added_tokens_decoder.items() if token.special}
        special |= set(self._tokenizer.all_special_ids)
        if style == "reason":  # the policy writes the tags, whatever kind of token they are
            written = {*tags.thought, *tags.answer}
            special -= {
                index for index, token in self._tokenizer.added_tokens_decoder.items() if token.content in written
            }
        self._hidden = special
        media = _media_tokens(processor, model.config, self._tokenizer)
        self.eos = self._end_of_turn(special, media)
        self.ends = frozenset({self.eos, *_as_ids(self._tokenizer.eos_token_id)} | _end_tokens(model))
        # An image token in a completion has no features and breaks the training pass; other special tokens are not
        # part of the text of an answer.
        self.banned = tuple(sorted((special | media) - self.ends - set(_as_ids(self._tokenizer.pad_token_id))))
        added = self._tokenizer.added_tokens_decoder
        marks = [added[index].content for index in special | media if index in added]
        longest_first = sorted(filter(None, marks), key=len, reverse=True)
        self._marks = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        opened = style == "reason" and self.rendered("?", 0).rstrip().endswith(tags.thought[0])
        self.tags = tags._replace(native=opened or bool(self.template_options), opened=opened)

    @property
    def reasons(self) -> bool:
        """Whether the policy reasons before it answers."""
        return self._style == "reason"

    @property
    def image_token(self) -> int:
        return int(self._tokenizer.convert_tokens_to_ids(self._processor.image_token))

    def prompt(self, text: str, images: int) -> tuple[int, ...]:
        """Ids of a user turn with `images` images (one token each) before the text, and the start of the answer."""
        return self._ids(text, images)

    def answer(self, answer: str) -> tuple[int, ...]:
        """Ids of an answer with the end-of-turn token."""
        return (*self._tokenizer(self.plain(answer), add_special_tokens=False)["input_ids"], self.eos)

    def text(self, token_ids: Sequence[int]) -> str:
        """Text of a completion without special tokens."""
        return self._tokenizer.decode([token for token in token_ids if token not in self._hidden])

    def plain(self, text: str) -> str:
        """The text, with a space inside everything in it that the tokenizer would read as a special token."""
        while self._marks is not None and self._marks.search(text):
            text = self._marks.sub(lambda mark: f"{mark[0][0]} {mark[0][1:]}" if len(mark[0]) > 1 else "", text)
        return text

    def content(self, text: str, images: int) -> list[dict[str, str]]:
        """The parts of a user turn with `images` images before the text."""
        if self._style == "words":
            return [*({"type": "image"} for _ in range(images)), {"type": "text", "text": text}]
        return message_parts(text, images)

    def rendered(self, text: str, images: int) -> str:
        """The prompt as text with special tokens."""
        turn = {"role": "user", "content": self.content(text, images)}
        return self._render([turn], add_generation_prompt=True)

    def _render(self, turns: list[dict[str, Any]], **options: Any) -> str:
        return self._processor.apply_chat_template(turns, tokenize=False, **self.template_options, **options)

    def _encode(self, text: str, images: int) -> tuple[int, ...]:
        return tuple(self._tokenizer(self.rendered(text, images), add_special_tokens=False)["input_ids"])

    def _end_of_turn(self, special: set[int], media: set[int]) -> int:
        """The special token that follows an answer in the chat template, or else the tokenizer's end token."""
        asked: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": "?"}]}
        answered = {"role": "assistant", "content": [{"type": "text", "text": _ANSWERED}]}
        try:
            dialogue = self._render([asked, answered])
            seeing = set(self.prompt("?", 1))
        except Exception as error:  # templates are programs: any error may come out of one
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise VantageError(
                "bad_config",
                f"the policy has no usable chat template ({reason.rstrip('.')}): choose a model that follows "
                "instructions, or add a file chat_template.jinja to its folder.",
            ) from error
        if media and not seeing & media:
            raise VantageError(
                "bad_config",
                "the chat template of the policy leaves out images: choose a model with one that does not.",
            )
        _, found, rest = dialogue.partition(_ANSWERED)
        first = self._tokenizer(rest, add_special_tokens=False)["input_ids"][:1] if found else []
        if set(first) & special:
            return int(first[0])
        return int(self._tokenizer.eos_token_id)


def _has_switch(processor: Any) -> bool:
    """Whether the chat template has a switch for the model's own reasoning, like that of Qwen3."""
    templates = [getattr(owner, "chat_template", None) for owner in (processor, processor.tokenizer)]
    return any("enable_thinking" in str(template) for template in templates)


def _end_tokens(model: Any) -> set[int]:
    return set(_as_ids(getattr(getattr(model, "generation_config", None), "eos_token_id", None)))


def _media_tokens(processor: Any, config: Any, tokenizer: Any) -> set[int]:
    """Ids of the tokens that stand for images, videos and sounds, by the attributes of processor and configuration."""
    found: set[int] = set()
    for owner in (processor, tokenizer, config):
        for name in set(vars(owner)) | set(vars(type(owner))):
            if _MEDIA_ID.fullmatch(name):
                found.update(_as_ids(getattr(owner, name, None)))
            elif _MEDIA_TEXT.fullmatch(name) and (text := getattr(owner, name, None)):
                found.update(_as_ids(tokenizer.convert_tokens_to_ids(str(text))))
    return found - set(_as_ids(tokenizer.unk_token_id))


def _as_ids(value: Any) -> list[int]:
    """An attribute that may hold an id, several ids or none, as a list."""
    values = value if isinstance(value, (list, tuple, set)) else [value]
    return [one for one in values if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
