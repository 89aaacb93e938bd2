"""Prompts and answers as token ids, by the policy's own processor and chat template."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Sequence

_VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<|im_start|>")


class PromptEncoder:
    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self._ids = lru_cache(maxsize=4096)(self._encode)
        self.eos = int(self._tokenizer.eos_token_id)
        self.image_token = int(self._tokenizer.convert_tokens_to_ids(processor.image_token))

    @property
    def banned(self) -> tuple[int, ...]:
        """Ids that no answer may hold: an image token in a completion has no features and breaks the training pass."""
        ids = self._tokenizer.convert_tokens_to_ids(list(_VISION_TOKENS))
        return tuple(token for token in ids if token is not None and token != self._tokenizer.unk_token_id)

    def prompt(self, text: str, images: int) -> tuple[int, ...]:
        """Ids of a user's turn with this many images before the text, opened for the answer; one token per image."""
        return self._ids(text, images)

    def answer(self, answer: str) -> tuple[int, ...]:
        """Ids of an answer as the policy should give it, with the token that ends its turn."""
        return (*self._tokenizer(answer, add_special_tokens=False)["input_ids"], self.eos)

    def text(self, token_ids: Sequence[int]) -> str:
        """What a completion says, without special tokens."""
        return self._tokenizer.decode(token_ids, skip_special_tokens=True)

    def rendered(self, text: str, images: int) -> str:
        """The prompt as text, special tokens written out."""
        content = [{"type": "image"}] * images + [{"type": "text", "text": text}]
        turns = [{"role": "user", "content": content}]
        return self._processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)

    def _encode(self, text: str, images: int) -> tuple[int, ...]:
        return tuple(self._tokenizer(self.rendered(text, images), add_special_tokens=False)["input_ids"])
