"""Encodes prompts and answers as token ids, with the processor and chat template of the policy."""

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
        """Ids excluded from answers: an image token in a completion has no features and breaks the training pass."""
        ids = self._tokenizer.convert_tokens_to_ids(list(_VISION_TOKENS))
        return tuple(token for token in ids if token is not None and token != self._tokenizer.unk_token_id)

    def prompt(self, text: str, images: int) -> tuple[int, ...]:
        """Ids of a user turn with `images` images (one token each) before the text, and the start of the answer."""
        return self._ids(text, images)

    def answer(self, answer: str) -> tuple[int, ...]:
        """Ids of an answer with the end-of-turn token."""
        return (*self._tokenizer(answer, add_special_tokens=False)["input_ids"], self.eos)

    def text(self, token_ids: Sequence[int]) -> str:
        """Text of a completion without special tokens."""
        return self._tokenizer.decode(token_ids, skip_special_tokens=True)

    def rendered(self, text: str, images: int) -> str:
        """The prompt as text with special tokens."""
        content = [{"type": "image"}] * images + [{"type": "text", "text": text}]
        turns = [{"role": "user", "content": content}]
        return self._processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)

    def _encode(self, text: str, images: int) -> tuple[int, ...]:
        return tuple(self._tokenizer(self.rendered(text, images), add_special_tokens=False)["input_ids"])
