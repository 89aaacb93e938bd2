"""The tokens between reasoning and answer: where the true answer is scored and taught after sampled reasoning.

    completion     <think> … </think><answer>B</answer>
    thought        <think> … </think><answer>                 tokens of the policy, up to the answer
    truth                                    A</              the true answer up to the token that ends it

A tag need not end where a token ends: ">B" may be one token. The tag and the true answer are therefore encoded
together, as the policy would write them, and only the tokens before the tag are those that were sampled (the same
concern leads VeriFree, arXiv 2505.21493, to split before the last character of its tag).
"""

from __future__ import annotations

import bisect
from dataclasses import replace
from typing import NamedTuple

from learner.rollouts.base import Prompt, Rollout
from learner.rollouts.encoder import PromptEncoder
from protocol.answers.reasoning import ending, parse


def probe(encoder: PromptEncoder, turn: Rollout, answer: str) -> Prompt:
    """The prompt of a turn with the reasoning of its completion as `thought` and the true answer as `truth`.

    Reasoning that does not end in an answer, for instance because it was cut off, is ended first.
    """
    completion = turn.completion
    sampled = completion.token_ids[:-1] if completion.finished else completion.token_ids
    text = encoder.text(sampled)
    start = parse(text, encoder.tags).start
    if start < 0:
        kept, tag = len(sampled), ending(text, encoder.tags)
    else:
        kept = bisect.bisect_right(range(len(sampled) + 1), start, key=lambda n: len(encoder.text(sampled[:n]))) - 1
        tag = text[len(encoder.text(sampled[:kept])) : start + len(encoder.tags.answer[0])]
    gap = encoder.tags.gap
    right = f"{tag}{gap}{encoder.plain(answer)}"
    rest = encoder.tokenizer(
        f"{right}{gap}{encoder.tags.answer[1]}", add_special_tokens=False, return_offsets_mapping=True
    )
    ids, ends = rest["input_ids"], [end for _, end in rest["offset_mapping"]]
    first, last = bisect.bisect_right(ends, len(tag)), bisect.bisect_right(ends, len(right))
    return replace(turn.prompt, thought=(*sampled[:kept], *ids[:first]), truth=tuple(ids[first : last + 1]))


class Overlong(NamedTuple):
    """The penalty of over-long answers (DAPO, arXiv 2503.14476, equation 13), times a weight.

    0 up to `limit` - `margin` tokens, then linear down to -`weight` at `limit`.
    """

    limit: int
    margin: int = 0
    weight: float = 0.0

    def __call__(self, tokens: int, finished: bool) -> float:
        if not self.margin:
            return 0.0
        excess = (tokens - (self.limit - self.margin)) / self.margin if finished else 1.0
        return -self.weight * min(1.0, excess) if excess > 0 else 0.0


NO_PENALTY = Overlong(0)
